"""Every recipe of docs/fault-cookbook.md is armed, met, and survived by an informer."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from pathlib import Path
from typing import Any

import pytest

import kresilient as kr
from kresilient.client import Client
from kresilient.testing.server import Fault, MemoryApiServer

PAGE = Path(__file__).parents[2] / "docs" / "fault-cookbook.md"
TEXT = PAGE.read_text(encoding="utf-8")
RECIPE = re.compile(r"^#+ ([^\n]+)\n((?:(?!^#).)*?)^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def a_pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


async def works(client: Client, number: int) -> None:
    """What a controller does beside watching; its failures are its own."""
    for ask in (
        lambda: client.list("v1/pods"),
        lambda: client.get("v1/pods", "default/b"),
        lambda: client.create("v1/configmaps", {"metadata": {"name": f"c{number}"}}, namespace="default"),
    ):
        with contextlib.suppress(kr.KresilientError):
            await ask()


async def changes(server: MemoryApiServer, number: int) -> None:
    name = f"n{number}"
    server.create("v1/pods", a_pod(name))
    server.patch("v1/pods", "default/b", {"metadata": {"labels": {"n": str(number)}}})
    await asyncio.sleep(60.0)
    server.delete("v1/pods", f"default/{name}")


@pytest.mark.looptime
@pytest.mark.parametrize(("recipe", "code"), [(one[0], one[2]) for one in RECIPE.findall(TEXT)])
async def test_an_informer_survives(recipe: str, code: str) -> None:
    server = MemoryApiServer(token="secret", random=random.Random(7))
    async with server:
        for name in ("a", "b", "c"):
            server.create("v1/pods", a_pod(name))
        transport = server.transport(user_agent="agent")
        before = server.state.version, server.state.skew, server.accepts
        exec(code, {"apiserver": server})  # a recipe from this repository
        armed: list[Fault] = list(server.faults)
        after = server.state.version, server.state.skew, server.accepts
        assert armed or after != before or "rewind" in code, "it did nothing"
        async with (
            Client(transport, qps=None, random=random.Random(11).random) as client,
            client.informer("v1/pods") as pods,
        ):
            for number in range(60):
                await changes(server, number)
                if number in (1, 5, 20):
                    async with asyncio.timeout(600.0):
                        await works(client, number)
            assert [str(fault) for fault in armed if not fault.hits] == []
            server.faults.clear()
            server.access.accept("new", user="admin")
            await server.faults.restart(history=False)
            truth = {key: one["metadata"]["uid"] for key, one in server.objects("v1/pods").items()}
            async with asyncio.timeout(600.0):
                while not pods.has_synced or {one.key: one.uid for one in pods.list()} != truth:  # noqa: ASYNC110
                    await asyncio.sleep(1.0)
        assert server.watch_count("v1/pods") == 0


def test_every_recipe_has_its_code() -> None:
    headings = re.findall(r"^### (.+)$", TEXT, re.MULTILINE)
    assert [name for name, _, _ in RECIPE.findall(TEXT)][1:] == headings
    assert len(headings) > 20
