"""How fast requests leave, in virtual time: no code that talks through this client can be faster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from random import Random
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import ApiException, CoordinationV1Api, CoreV1Api

import kresilient
from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.api.errors import LifecycleError
from kresilient.observe.events import Admitted, Event
from kresilient.testing.server import MemoryApiServer

from .conftest import config_map, pod

pytestmark = [pytest.mark.looptime, pytest.mark.apiserver(memory=True)]


@pytest.fixture
async def paced(apiserver: MemoryApiServer, seen: list[Event]) -> AsyncIterator[ResilientApiClient]:
    """10 requests a second, 5 at once."""
    transport = apiserver.transport()
    random = Random(7).random
    async with kresilient.Client(
        transport, qps=10, burst=5, observers=[seen.append], random=random
    ) as client:
        yield ResilientApiClient(client=client)


async def test_a_hundred_calls_at_once_leave_at_the_rate(
    apiserver: MemoryApiServer, paced: ResilientApiClient, seen: list[Event]
) -> None:
    began = asyncio.get_running_loop().time()
    core = CoreV1Api(paced)
    await asyncio.gather(*(core.list_namespaced_config_map("default") for _ in range(100)))
    took = asyncio.get_running_loop().time() - began
    assert took == pytest.approx(9.5, rel=0.01), "5 at once and 95 at 10 a second"
    assert apiserver.requests.total == sum(isinstance(one, Admitted) for one in seen) == 100
    assert apiserver.requests.max_rate(1.0) <= 15


async def test_calls_that_are_cancelled_cost_nothing(
    apiserver: MemoryApiServer, paced: ResilientApiClient
) -> None:
    core = CoreV1Api(paced)
    calls = [asyncio.create_task(core.list_namespaced_config_map("default")) for _ in range(100)]
    await asyncio.sleep(0.01)
    for call in calls[5:95]:
        call.cancel()
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*calls, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.5, rel=0.05)
    assert apiserver.requests.total == 10


async def test_a_program_that_asks_again_at_once_stays_at_the_rate_whatever_it_is_told(
    apiserver: MemoryApiServer, paced: ResilientApiClient
) -> None:
    apiserver.faults.on("*", "*").status(503)
    core = CoreV1Api(paced)

    async def hammer(number: int) -> None:
        while True:
            try:
                await core.create_namespaced_config_map("default", config_map(f"c{number}"))
            except ApiException:
                continue

    async def limited() -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*(hammer(number) for number in range(50)))

    with pytest.raises(TimeoutError):
        await limited()
    assert apiserver.requests.total <= 5 + 60 * 10 + 1
    assert apiserver.requests.max_rate(1.0) <= 15


async def follow(core: CoreV1Api, seconds: float) -> None:
    """What `kubernetes_asyncio.watch.Watch` does with a stream that ends: begin it again, at once."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                raw = await core.list_namespaced_pod("default", watch=True, _preload_content=False)
                while await raw.content.readline():
                    pass


async def test_a_watch_that_ends_at_once_and_empty_is_begun_again_at_growing_intervals(
    apiserver: MemoryApiServer, paced: ResilientApiClient
) -> None:
    apiserver.faults.on("watch", "v1/pods").close(after_bytes=0)
    await follow(CoreV1Api(paced), 25.0)
    assert 4 <= apiserver.requests.total <= 6, "0.8 s, 1.6 s, 3.2 s, 6.4 s, 12.8 s, each up to doubled"


async def test_a_watch_that_brought_something_is_begun_again_at_the_rate(
    apiserver: MemoryApiServer, paced: ResilientApiClient
) -> None:
    apiserver.add(pod("first"))
    apiserver.faults.on("watch", "v1/pods").close(after_events=1)
    await follow(CoreV1Api(paced), 20.0)
    assert apiserver.requests.total == pytest.approx(5 + 20 * 10, abs=2)


async def test_watches_are_held_back_each_by_itself(
    apiserver: MemoryApiServer, paced: ResilientApiClient
) -> None:
    empty = apiserver.faults.next("watch", "v1/pods").times(2)
    empty.close(after_bytes=0)
    core = CoreV1Api(paced)
    await follow(core, 0.5)
    began = asyncio.get_running_loop().time()
    other = await core.list_namespaced_pod("kube-system", watch=True, _preload_content=False)
    assert asyncio.get_running_loop().time() == began
    other.close()


async def test_closing_the_client_ends_the_pause_of_a_watch(
    apiserver: MemoryApiServer, paced: ResilientApiClient
) -> None:
    apiserver.faults.on("watch", "v1/pods").close(after_bytes=0)
    following = asyncio.create_task(follow(CoreV1Api(paced), 600.0))
    await asyncio.sleep(10)
    began = asyncio.get_running_loop().time()
    await paced.rest_client._client.close()
    with pytest.raises(LifecycleError):
        await following
    assert asyncio.get_running_loop().time() == began


def reads(core: CoreV1Api) -> Awaitable[Any]:
    return core.list_namespaced_config_map("default")


def writes(core: CoreV1Api) -> Awaitable[Any]:
    return core.create_namespaced_config_map("default", {"metadata": {"generateName": "c-"}})


async def watches(core: CoreV1Api) -> None:
    raw = await core.list_namespaced_config_map("default", watch=True, _preload_content=False)
    raw.close()


@pytest.mark.parametrize("ask", [reads, writes, watches])
async def test_a_server_that_is_away_is_asked_by_one_probe_whatever_loops_do(
    apiserver: MemoryApiServer, paced: ResilientApiClient, seen: list[Event], ask: Any
) -> None:
    core, answered = CoreV1Api(paced), asyncio.Event()

    async def hammer() -> None:
        while not answered.is_set():
            with contextlib.suppress(aiohttp.ClientError):
                await ask(core)
                answered.set()

    await apiserver.kill()
    async with asyncio.timeout(3600), asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(hammer())
        await asyncio.sleep(600)
        tried = sum(isinstance(one, Admitted) for one in seen)
        assert tried <= 60 + 600 / 15, "what had begun before it was known, then a probe at a time"
        await apiserver.start()
        began = asyncio.get_running_loop().time()
        await answered.wait()
        assert asyncio.get_running_loop().time() - began <= 30 + 30, "a probe, and a place in the spread"


async def test_after_an_outage_watches_come_back_spread_and_calls_at_once(
    apiserver: MemoryApiServer, paced: ResilientApiClient
) -> None:
    core, loop = CoreV1Api(paced), asyncio.get_running_loop()
    await apiserver.kill()
    with pytest.raises(aiohttp.ClientConnectorError):
        await core.list_namespace(_request_timeout=0.1)
    came: list[float] = []

    async def watch() -> None:
        await watches(core)
        came.append(loop.time())

    calling, watching = (
        [asyncio.create_task(reads(core)) for _ in range(5)],
        [asyncio.create_task(watch()) for _ in range(20)],
    )
    await asyncio.sleep(1)
    await apiserver.start()
    await asyncio.wait(calling)
    back = loop.time()
    assert len(came) <= 1, "one may have been the probe"
    await asyncio.wait(watching)
    assert 10 < max(came) - back <= 30


async def test_verb_and_resource_are_the_doors(paced: ResilientApiClient, seen: list[Event]) -> None:
    leases: Any = CoordinationV1Api(paced)
    with pytest.raises(ApiException):
        await leases.read_namespaced_lease("l", "default")
    (admitted,) = [one for one in seen if isinstance(one, Admitted)]
    assert (admitted.verb, admitted.resource) == ("get", "coordination.k8s.io/v1/leases")
