"""Every piece of code of docs/kubernetes-asyncio.md runs, and its figures are those of the code."""

from __future__ import annotations

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import ApiException, Configuration, CoreV1Api

import kresilient as kr
from kresilient.adapters.kubernetes_asyncio import (
    AnsweredInDoubt,
    AnswerLost,
    AnswerOverdue,
    ResilientApiClient,
)
from kresilient.adapters.kubernetes_asyncio.timeouts import CALL_SECONDS, LIST_SECONDS
from kresilient.flow.door import MAX_BODY
from kresilient.flow.in_flight import MAX_IN_FLIGHT
from kresilient.testing.server import FakeApiServer

PAGE = Path(__file__).parents[2] / "docs" / "kubernetes-asyncio.md"
TEXT = PAGE.read_text(encoding="utf-8")
PIECES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(PIECES)))
async def test_its_code_runs(
    number: int, apiserver: FakeApiServer, kube_client: kr.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    apiserver.create("v1/pods", {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    monkeypatch.setattr(Configuration, "_default", None)
    Configuration.set_default(Configuration(host=apiserver.url))
    monkeypatch.setattr(kr, "connect", lambda: kube_client)
    api = ResilientApiClient(client=kube_client)
    async with kube_client.informer("v1/pods") as pods:
        await pods.synced(10)
        names: dict[str, Any] = {
            "kr": kr,
            "ApiException": ApiException,
            "CoreV1Api": CoreV1Api,
            "ResilientApiClient": ResilientApiClient,
            "client": kube_client,
            "core": CoreV1Api(api),
            "body": {"metadata": {"name": "a"}},
            "pods": pods,
        }
        code = f"async def piece():\n{textwrap.indent(PIECES[number], '    ')}\n    return locals()"
        if "pods = " in code or "as pods" in code:
            del names["pods"]
        exec(code, names)  # from a page of this repository
        got = await names["piece"]()
    assert got or "except" in code


def test_its_figures_are_the_codes() -> None:
    words = " ".join(TEXT.split())
    assert f"{CALL_SECONDS:g} s a try, {LIST_SECONDS:g} s for lists" in words
    assert f"at most {MAX_BODY >> 20} MiB" in words
    assert f"At most {MAX_IN_FLIGHT} calls" in words


@pytest.mark.parametrize(
    ("error", "families"),
    [
        (AnsweredInDoubt, (ApiException,)),
        (AnswerLost, (aiohttp.ClientConnectionError,)),
        (AnswerOverdue, (aiohttp.ClientError, asyncio.TimeoutError)),
    ],
)
def test_a_write_in_doubt_is_of_both_worlds(error: type[BaseException], families: tuple[type, ...]) -> None:
    assert all(issubclass(error, family) for family in (kr.OutcomeUnknown, *families))
