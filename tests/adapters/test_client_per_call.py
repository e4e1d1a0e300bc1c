"""Existing code that makes a client for each call, over HTTP: it is one client to the server all the same."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from kubernetes_asyncio.client import ApiException, CoreV1Api

from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.flow.retry import RetryPolicy
from kresilient.observe.events import Event, OutageBegan, OutageEnded, RequestFinished
from kresilient.testing.server import FakeApiServer

from .conftest import configuration_of


async def test_a_server_that_is_away_gets_the_probes_of_one_client(
    apiserver: FakeApiServer, seen: list[Event]
) -> None:
    clock = asyncio.get_running_loop().time

    async def ask(within: float) -> None:
        async with ResilientApiClient(configuration_of(apiserver), observers=[seen.append]) as api:
            await asyncio.wait_for(CoreV1Api(api).list_namespace(), within)

    await apiserver.kill()
    with contextlib.suppress(TimeoutError):
        await ask(1.0)
    assert any(isinstance(event, OutageBegan) for event in seen), "the first was refused, and knows it"
    began = clock()
    for _ in range(20):
        with contextlib.suppress(TimeoutError):
            await ask(0.05)
    tried = [event for event in seen if isinstance(event, RequestFinished)]
    assert len(tried) <= 1 + (1.0 + clock() - began) // 1.5, (
        "a probe comes 1.5 s after the first, at the earliest"
    )
    await apiserver.start()
    await ask(30.0)
    assert sum(isinstance(event, OutageEnded) for event in seen) == 1
    began = clock()
    await ask(30.0)
    assert clock() - began < 1.0, "nobody has to ask in turn now"


async def test_a_retry_after_that_the_last_client_was_given_holds(apiserver: FakeApiServer) -> None:
    apiserver.faults.next("list", "v1/namespaces").status(429, retry_after=1)
    async with ResilientApiClient(configuration_of(apiserver), retry=RetryPolicy(attempts=1)) as api:
        with pytest.raises(ApiException) as refused:
            await CoreV1Api(api).list_namespace()
        assert refused.value.status == 429
    async with ResilientApiClient(configuration_of(apiserver)) as api:
        await CoreV1Api(api).list_namespace()
    first, second = apiserver.requests
    assert second.start - first.start >= 1.0
