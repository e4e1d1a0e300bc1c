"""Whatever is cancelled whenever, and whatever the server does meanwhile: nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
from random import Random
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import ApiException, CoreV1Api
from kubernetes_asyncio.watch import Watch

from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.flow.limiter import Limiter
from kresilient.testing.server import FakeApiServer
from kresilient.transport.http import HttpTransport

from .conftest import QUICK, config_map, configuration_of

PATIENCE = 60.0
MAPS = "v1/configmaps"


async def some_use(core: CoreV1Api, random: Random, number: int) -> None:
    name = f"c{number % 10}"
    match random.randrange(6):
        case 0:
            await core.list_namespaced_config_map("default")
        case 1:
            await core.read_namespaced_config_map(name, "default", _preload_content=False)
        case 2:
            await core.patch_namespaced_config_map(name, "default", {"data": {"n": str(number)}})
        case 3:
            await core.list_namespaced_config_map("default", _request_timeout=0.02)
        case 4:
            raw = await core.list_namespaced_config_map("default", watch=True, _preload_content=False)
            for _ in range(3):
                await raw.content.readline()  # and then it is dropped
        case 5:
            async with Watch() as watch:
                left = random.randrange(10)  # there are as many: it never waits for one that does not come
                async for _ in watch.stream(core.list_namespaced_config_map, "default"):
                    if not left:
                        break
                    left -= 1


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_left_of_what_was_cancelled(apiserver: FakeApiServer, seed: int) -> None:
    random, loop = Random(seed), asyncio.get_running_loop()
    for number in range(10):
        apiserver.create(MAPS, config_map(f"c{number}", x="y" * 500))
    apiserver.faults.on("*", "*").chance(0.1, seed=seed).reset()
    apiserver.faults.on("*", "*").chance(0.1, seed=seed + 10).status(503)
    apiserver.faults.on("*", "*").chance(0.1, seed=seed + 20).delay(0.01)
    limiter = Limiter(500.0, burst=20)
    async with ResilientApiClient(
        configuration_of(apiserver), limiter=limiter, retry=QUICK, spread=0.01
    ) as api:
        tasks: list[asyncio.Task[Any]] = []
        timers: list[asyncio.TimerHandle] = []
        for number in range(120):
            tasks.append(loop.create_task(some_use(CoreV1Api(api), random, number)))
            if random.random() < 0.5:
                timers.append(loop.call_later(random.random() * 0.05, tasks[-1].cancel))
            if not number % 10:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(PATIENCE):
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                expected = (ApiException, aiohttp.ClientError, asyncio.CancelledError)
                assert ended is None or isinstance(ended, expected), repr(ended)
        for timer in timers:  # one that is still to fire holds its task, and that what it was reading
            timer.cancel()
        del tasks, ended
        await asyncio.sleep(0)  # the loop holds what it woke this test with until the test waits again
        gc.collect()
        await apiserver.watchers(MAPS, 0)
        await apiserver.settled()
        transport = api.rest_client._client.door.transport
        assert isinstance(transport, HttpTransport)
        assert (len(transport._open), limiter.waiting) == (0, 0)
