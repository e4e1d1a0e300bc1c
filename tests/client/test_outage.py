"""Loops that a careless author writes, while a server is away: what they cost it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from kresilient.api.errors import ConnectFailed, KresilientError, NotFound
from kresilient.observe.events import RequestFinished

from ..cache.world import World

pytestmark = pytest.mark.looptime


@pytest.fixture
async def world() -> World:
    return World()


def attempts(world: World, verb: str = "") -> int:
    """Tries that found no server."""
    return sum(1 for one in world.reported(RequestFinished) if not one.status and verb in ("", one.verb))


async def reading(world: World) -> None:
    while True:
        with contextlib.suppress(KresilientError):
            await world.client.get("v1/configmaps", "default/a")


async def listing(world: World) -> None:
    while True:
        with contextlib.suppress(KresilientError):
            await world.client.list("v1/configmaps", namespace="default")


async def writing(world: World) -> None:
    while True:
        with contextlib.suppress(KresilientError):
            await world.client.create("v1/configmaps", {"metadata": {"name": "a", "namespace": "default"}})


async def test_fifty_loops_without_a_pause_cost_a_dead_server_one_probe_at_a_time(world: World) -> None:
    async with world.server, world.client:
        await world.server.kill()
        tasks = [asyncio.create_task(loop(world)) for loop in (reading, listing, writing) for _ in range(17)]
        await asyncio.sleep(300.0)
        # Whoever was under way when the first was refused, and then a probe every 15 to 30 s.
        assert attempts(world) <= 51 + 25
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_calls_that_waited_are_answered_as_soon_as_the_server_is_back(world: World) -> None:
    async with world.server, world.client:
        await world.server.kill()
        calls = [asyncio.create_task(world.client.get("v1/configmaps", "default/a")) for _ in range(20)]
        await asyncio.sleep(20.0)
        await world.server.start()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, NotFound) for one in answers)
        assert asyncio.get_running_loop().time() <= 20.0 + 30.0 + 5.0


async def test_a_call_gives_up_within_its_policy_and_says_what_was_tried(world: World) -> None:
    async with world.server, world.client:
        await world.server.kill()
        with pytest.raises(ConnectFailed, match="refuses connections"):
            await world.client.get("v1/configmaps", "default/a")
        assert asyncio.get_running_loop().time() <= 61.0


async def test_a_renewal_of_a_lease_is_tried_all_the_same(world: World) -> None:
    lease = {"metadata": {"name": "a", "namespace": "default"}, "spec": {}}
    async with world.server, world.client:
        await world.server.kill()
        loops = [asyncio.create_task(reading(world)) for _ in range(5)]
        await asyncio.sleep(100.0)
        before = attempts(world, "update")
        with pytest.raises(ConnectFailed):
            await world.client.update("coordination.k8s.io/v1/leases", lease)
        assert attempts(world, "update") > before
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
