"""Loops that a careless author writes, while a server is away: what they cost it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from kresilient.api.errors import ConnectFailed, FlowTimeout, KresilientError, NotFound
from kresilient.flow.lanes import admission
from kresilient.observe.events import OutageBegan, OutageEnded, RequestFinished

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


async def watching(world: World) -> None:
    while True:
        with contextlib.suppress(KresilientError):
            async with world.client.watch("v1/configmaps") as events:
                async for _ in events:
                    pass


async def writing(world: World) -> None:
    while True:
        with contextlib.suppress(KresilientError):
            await world.client.create("v1/configmaps", {"metadata": {"name": "a", "namespace": "default"}})


async def test_fifty_loops_without_a_pause_cost_a_dead_server_one_probe_at_a_time(world: World) -> None:
    async with world.server, world.client:
        await world.server.kill()
        tasks = [
            asyncio.create_task(loop(world))
            for loop in (reading, listing, watching, writing)
            for _ in range(13)
        ]
        await asyncio.sleep(300.0)
        # Whoever was under way when the first was refused, and then a probe every 15 to 30 s.
        assert attempts(world) <= 52 + 25
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_load_balancer_that_drops_every_connection_is_asked_as_a_dead_server_is(world: World) -> None:
    fault = world.server.faults.on("*").reset()
    async with world.server, world.client:
        loops = (reading, listing, watching, writing)
        tasks = [asyncio.create_task(loop(world)) for loop in loops for _ in range(13)]
        await asyncio.sleep(300.0)
        assert not world.client.health.reachable
        assert attempts(world) <= 52 + 25
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        fault.lift()
        with pytest.raises(NotFound):
            await world.client.get("v1/configmaps", "default/a")
        assert world.client.health.reachable


async def test_informers_wait_for_one_probe_behind_such_a_load_balancer_and_come_back(world: World) -> None:
    fault = world.server.faults.on("*").reset()
    async with world.server, world.client:
        informers = [world.client.informer("v1/pods", namespaces=f"n{number}") for number in range(20)]
        for informer in informers:
            await informer.start()
        await asyncio.sleep(300.0)
        assert world.reported(OutageBegan)[0].reason.endswith("the server reset the connection")
        assert attempts(world) <= 20 + 25
        fault.lift()
        await world.until(lambda: all(informer.has_synced for informer in informers), 31.0 + 30.0)
        assert len(world.reported(OutageBegan)) == len(world.reported(OutageEnded)) == 1


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


@pytest.mark.parametrize("within", [0.0, 5.0])
async def test_a_deadline_for_admission_holds_during_an_outage(world: World, within: float) -> None:
    clock = asyncio.get_running_loop().time
    async with world.server, world.client:
        await world.server.kill()
        with contextlib.suppress(KresilientError):
            await world.client.get("v1/configmaps", "default/a")  # it begins the outage
        began = clock()
        with admission(within=within), pytest.raises((FlowTimeout, ConnectFailed)):
            await world.client.get("v1/configmaps", "default/a")
        assert clock() - began <= 60.0
        with admission(within=within), pytest.raises(FlowTimeout, match="refuses connections"):
            for _ in range(3):  # one of them may be the probe that is due
                began = clock()
                with contextlib.suppress(ConnectFailed):
                    await world.client.get("v1/configmaps", "default/a")
        assert clock() - began <= within + 0.1


async def test_a_client_for_each_call_has_the_burst_and_the_budget_of_one(world: World) -> None:
    world.server.faults.on("get", "v1/configmaps").status(500)
    async with world.server:
        for _ in range(30):
            async with world.connect(qps=2.0, burst=5, shares=True) as client:
                with pytest.raises(KresilientError):
                    await client.get("v1/configmaps", "default/a")
        seconds = asyncio.get_running_loop().time()
        sent = world.server.requests.count(verb="get")
        assert sent <= 5 + 2.0 * seconds + 1
        assert sent - 30 <= 0.5 * (seconds + 10.0) + 1  # repeats: the floor, and no more


async def test_the_wait_for_the_server_and_the_one_for_a_token_are_under_one_deadline(world: World) -> None:
    clock = asyncio.get_running_loop().time
    async with world.server, world.connect(qps=1 / 7.4, burst=1) as client:
        await world.server.kill()
        with pytest.raises(FlowTimeout), admission(within=0.0):
            await client.get("v1/configmaps", "default/a")  # it takes the token, and begins the outage
        began = clock()
        with pytest.raises(FlowTimeout), admission(within=6.0):
            await client.get("v1/configmaps", "default/a")  # its turn comes in time, the next token does not
        assert clock() - began <= 6.0
