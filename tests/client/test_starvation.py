"""A slow server and more writers than there are places: nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from kresilient.api.errors import KresilientError, NotFound

from ..cache.world import World

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("qps", [20.0, 200.0])
async def test_a_read_and_a_list_get_through_a_hundred_tight_writers(qps: float) -> None:
    world = World()
    world.server.faults.on("*", "v1/configmaps").delay(2.0)
    body = {"metadata": {"name": "a", "namespace": "default"}}

    async with world.server, world.connect(qps=qps, burst=40) as client:

        async def writing() -> None:
            while True:
                with contextlib.suppress(KresilientError):
                    await client.create("v1/configmaps", body)

        writers = [asyncio.create_task(writing()) for _ in range(100)]
        await asyncio.sleep(10.0)
        async with asyncio.timeout(60.0):
            with pytest.raises(NotFound):
                await client.get("v1/configmaps", "default/none")
        async with asyncio.timeout(60.0):
            await client.list("v1/configmaps", namespace="default")
        for task in writers:
            task.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
