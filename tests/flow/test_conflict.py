"""Read-modify-write against a real conflict, and what is no conflict."""

from __future__ import annotations

import asyncio

import pytest

from kresilient.api.errors import AlreadyExists, ConfigError, Conflict, NotFound
from kresilient.client import Client
from kresilient.flow.conflict import retry_on_conflict
from kresilient.testing.server import MemoryApiServer

pytestmark = pytest.mark.looptime

MAP = {"metadata": {"name": "counter", "namespace": "default"}, "data": {"n": "0"}}


async def test_ten_writers_lose_no_increment() -> None:
    async with MemoryApiServer() as server, Client(server.transport(), qps=None) as client:
        server.create("v1/configmaps", MAP)
        calls = 0

        async def increment() -> None:
            nonlocal calls
            calls += 1
            found = (await client.get("v1/configmaps", "default/counter")).to_dict()
            found["data"]["n"] = str(int(found["data"]["n"]) + 1)
            await client.update("v1/configmaps", found)

        await asyncio.gather(*(retry_on_conflict(increment, attempts=50) for _ in range(10)))
        assert server.objects("v1/configmaps")["default/counter"]["data"] == {"n": "10"}
        assert calls > 10


async def test_the_last_conflict_tells_how_often_and_how_long() -> None:
    async with MemoryApiServer() as server, Client(server.transport(), qps=None) as client:
        stale = server.create("v1/configmaps", MAP)
        server.patch("v1/configmaps", "default/counter", {"data": {"n": "1"}})

        async def overwrite() -> None:
            await client.update("v1/configmaps", stale)

        started = asyncio.get_running_loop().time()
        with pytest.raises(Conflict) as caught:
            await retry_on_conflict(overwrite, attempts=4, base=1.0, cap=3.0, random=lambda: 0.0)
        assert caught.value.attempts == 4
        assert caught.value.elapsed == pytest.approx(1 + 2 + 3, abs=0.1)
        assert asyncio.get_running_loop().time() - started == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("error", [NotFound, AlreadyExists])
async def test_another_error_is_raised_at_once(error: type[Conflict]) -> None:
    async with MemoryApiServer() as server, Client(server.transport(), qps=None) as client:
        server.create("v1/configmaps", MAP)
        calls = 0

        async def fn() -> None:
            nonlocal calls
            calls += 1
            if error is NotFound:
                await client.get("v1/configmaps", "default/none")
            else:
                await client.create("v1/configmaps", MAP)

        with pytest.raises(error):
            await retry_on_conflict(fn)
        assert calls == 1


async def test_a_cancelled_wait_ends_it() -> None:
    async with MemoryApiServer() as server, Client(server.transport(), qps=None) as client:
        stale = server.create("v1/configmaps", MAP)
        server.patch("v1/configmaps", "default/counter", {"data": {"n": "1"}})

        async def overwrite() -> None:
            await client.update("v1/configmaps", stale)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await retry_on_conflict(overwrite, attempts=100, base=1.0)


@pytest.mark.parametrize("figures", [{"attempts": 0}, {"base": -1.0}, {"base": 2.0, "cap": 1.0}])
async def test_figures_that_cannot_work_are_refused(figures: dict[str, float]) -> None:
    async def fn() -> None:
        raise AssertionError("not called")

    with pytest.raises(ConfigError):
        await retry_on_conflict(fn, **figures)  # type: ignore[arg-type]
