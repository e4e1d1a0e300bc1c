"""An outage as informers live through it: one probe, a spread return, few lists at once; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from kresilient.api.errors import ConnectFailed
from kresilient.cache.informer import Informer
from kresilient.cache.timing import Timing
from kresilient.client import Client
from kresilient.flow.lanes import admission
from kresilient.observe.events import Admitted, Listed, OutageEnded, ReflectorMoved, RequestFinished
from kresilient.transport.base import Request

from .world import World, pod

pytestmark = pytest.mark.looptime

SPARED = "an outage is over, and another watch found that the server forgot its history"
EXPIRED = "410: the version expired"


def namespaces(count: int) -> list[str]:
    return [f"n{number:02}" for number in range(count)]


def failures(world: World) -> list[RequestFinished]:
    return [event for event in world.reported(RequestFinished) if event.error]


async def many(stack: AsyncExitStack, world: World, count: int, **options: Any) -> Informer[Any]:
    """One informer with a reflector for each of so many namespaces."""
    return await stack.enter_async_context(
        world.client.informer("v1/pods", namespaces=namespaces(count), **options)
    )


async def test_one_probe_asks_for_all_informers_and_they_come_back_spread(world: World) -> None:
    async with AsyncExitStack() as stack:
        pods = await many(stack, world, 60)
        await pods.synced(300)
        await world.server.kill()
        await asyncio.sleep(300.0)
        assert not world.client.health.reachable
        assert 10 <= len(failures(world)) <= 25, "one that was refused, and probes"
        down_until = asyncio.get_running_loop().time()
        before = len(world.server.requests)
        await world.server.start()
        world.server.create("v1/pods", pod("late", namespace="n59"))
        await world.until(lambda: pods.get("n59/late"), 90.0)
        await world.until(lambda: len(world.server.requests) >= before + 60, 90.0)
        times = [record.start - down_until for record in world.server.requests][before:]
        (ended,) = world.reported(OutageEnded)
        assert ended.waiting == 59
        first = times[0]
        assert first <= 30.0
        late = [time - first for time in times[1:]]
        assert max(late) <= 30.5
        for third in range(3):
            assert 10 <= sum(10 * third <= time < 10 * third + 10.01 for time in late) <= 32
        assert world.client.health.reachable
        assert len(world.reported(Listed)) == 60, "nobody relisted"


async def test_those_who_waited_for_admission_when_it_began_ask_nothing(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.client = world.connect(qps=2.0, burst=1)
    async with world.server, world.client, AsyncExitStack() as stack:
        await many(stack, world, 100)
        await asyncio.sleep(3.0)
        await world.server.kill()
        await asyncio.sleep(60.0)
        assert len(failures(world)) <= 4 + 8, "the lists that were cut off, one that was refused, and probes"


async def test_those_who_waited_for_the_place_of_a_list_ask_nothing(world: World) -> None:
    world.server.faults.on(("list", "watch")).hold()
    async with AsyncExitStack() as stack:
        await many(stack, world, 100)
        await asyncio.sleep(3.0)
        await world.server.kill()
        await asyncio.sleep(60.0)
        assert len(failures(world)) <= 4 + 1 + 8


async def test_an_informer_that_starts_in_the_middle_waits_with_the_others(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with world.client.informer("v1/nodes") as nodes:
        await nodes.synced(30)
        await world.server.kill()
        await asyncio.sleep(100.0)
        async with world.client.informer("v1/pods") as pods:
            before = len(failures(world))
            await asyncio.sleep(100.0)
            assert len(failures(world)) - before <= 8
            await world.server.start()
            await pods.synced(61.0)
            assert pods.keys() == ["default/a"]


async def test_an_informer_that_starts_while_nobody_asks_is_the_probe(world: World) -> None:
    async with world.client.informer("v1/nodes") as nodes:
        await nodes.synced(30)
        await world.server.kill()
        await asyncio.sleep(10.0)
    await asyncio.sleep(100.0)
    await world.server.start()
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(0.5)
    assert world.client.health.reachable


async def test_after_an_outage_the_probes_410_spares_the_others_theirs(world: World) -> None:
    async with AsyncExitStack() as stack:
        pods = await many(stack, world, 20)
        await pods.synced(300)
        await world.server.kill()
        await asyncio.sleep(20.0)
        world.server.create("v1/pods", pod("new", namespace="n19"))
        before = world.server.requests.count(verb="watch")
        await world.server.restart(history=False)
        await world.until(lambda: len(world.moves(EXPIRED)) + len(world.moves(SPARED)) == 20, 120.0)
        assert len(world.moves(EXPIRED)) == 1
        await world.until(lambda: pods.get("n19/new"), 60.0)
        # The probe's watch and its list; of each other one its list alone, which goes on as its watch.
        assert world.server.requests.count(verb="watch") - before == 21


async def test_one_that_came_back_spread_and_finds_its_version_expired_is_not_spread_again(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.client = world.connect(random=lambda: 0.9)
    async with world.server, world.client, world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        await world.server.kill()
        await asyncio.sleep(10.0)
        world.server.create("v1/pods", pod("new"))
        await world.server.restart(history=False)
        await world.client.door.call(Request("GET", "/version", verb="get"))
        back = asyncio.get_running_loop().time()
        await world.until(lambda: pods.get("default/new"), 120.0)
        took = asyncio.get_running_loop().time() - back
        assert world.moves(EXPIRED), "it was the first to learn of it"
        assert 0.9 * 30 <= took <= 0.9 * 30 + 2.0


async def test_those_who_came_back_yield_to_the_next_outage_as_they_did_to_the_first(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.client = world.connect(qps=0.5, burst=1)
    async with world.server, world.client, AsyncExitStack() as stack:
        pods = await many(stack, world, 40)
        await pods.synced(300)
        await world.server.kill()
        await asyncio.sleep(100.0)
        await world.server.start()
        await world.until(lambda: world.client.health.reachable, 90.0)
        await world.until(lambda: world.client.health.waiting >= 15, 60.0, step=0.01)
        before = len(failures(world))
        await world.server.kill()
        waited = world.client.health.waiting
        await asyncio.sleep(60.0)
        assert waited >= 15 and len(failures(world)) - before <= 10, "one that was refused, and probes"


async def test_a_watch_that_expires_without_an_outage_spares_nobody_anything(world: World) -> None:
    async with AsyncExitStack() as stack:
        pods = await many(stack, world, 5)
        await pods.synced(300)
        world.server.create("v1/pods", pod("new", namespace="n4"))
        await world.server.restart(history=False)
        await world.until(lambda: len(world.moves(EXPIRED)) == 5, 120.0)
        assert not world.moves(SPARED)


async def test_lists_of_one_moment_that_expired_are_spread_over_the_window(world: World) -> None:
    async with AsyncExitStack() as stack:
        pods = await many(stack, world, 40)
        await pods.synced(300)
        world.server.create("v1/pods", pod("new", namespace="n39"))
        await world.server.restart(history=False)
        await world.until(lambda: len(world.moves(EXPIRED)) == 40, 120.0)
        delays = sorted(move.delay for move in world.moves(EXPIRED))
        assert delays[0] < 5.0 and delays[-1] > 25.0 and delays[-1] <= 30.0


@pytest.mark.parametrize("streaming", [True, False])
async def test_only_so_many_lists_are_under_way_in_all_clients_of_a_server(
    world: World, streaming: bool
) -> None:
    held = world.server.faults.on("watch" if streaming else "list").hold()
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(world.connect())
        mine = await many(stack, world, 15, streaming=streaming)
        others = await stack.enter_async_context(other.informer("v1/nodes", streaming=streaming))
        await asyncio.sleep(20.0)
        assert len(world.server.requests.running) == 4
        held.lift()
        await mine.synced(30)
        await others.synced(30)
    lists = world.client.door.lists if not world.client._closed else None
    assert lists is not None and (lists.count, lists.waiting) == (0, 0)


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_list_that_is_given_up_or_fails_gives_its_place_back(world: World, streaming: bool) -> None:
    verb = "watch" if streaming else "list"
    lists = world.client.door.lists
    for effect in ("hold", "reset", "cut", "status"):
        match = world.server.faults.on(verb)
        if effect == "hold":
            match.hold()
        elif effect == "reset":
            match.reset()
        elif effect == "cut":
            match.reset(after_bytes=3)
        else:
            match.status(500)
        async with world.client.informer("v1/pods", streaming=streaming):
            await asyncio.sleep(5.0)
        assert (lists.count, lists.waiting) == (0, 0), effect
        world.server.faults.clear()


async def test_an_api_that_asks_for_a_pause_holds_up_no_other_list(world: World) -> None:
    world.server.faults.on("*", "apps/v1/deployments").status(503, retry_after=300)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            world.client.informer("apps/v1/deployments", namespaces=namespaces(30), streaming=False)
        )
        await asyncio.sleep(5.0)
        pods = await stack.enter_async_context(world.client.informer("v1/pods", streaming=False))
        await pods.synced(1.0)


async def test_first_lists_begin_at_once_unless_a_jitter_is_set(make_world: Callable[..., World]) -> None:
    spans = []
    for jitter in (0.0, 60.0):
        world = make_world()
        world.client = world.connect(start_jitter=jitter)
        async with world.server, world.client, AsyncExitStack() as stack:
            pods = await many(stack, world, 50)
            started = asyncio.get_running_loop().time()
            await pods.synced(100.0)
            times = [record.start - started for record in world.server.requests]
            spans.append((min(times), max(times)))
    assert spans[0][1] < 0.1
    assert spans[1][0] < 10.0 and 50.0 < spans[1][1] <= 60.1


async def test_an_informer_does_not_inherit_the_admission_of_whoever_entered_it(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.client = world.connect(qps=1.0, burst=1)
    async with world.server, world.client:
        with admission(lane="lease", within=0.5):
            async with world.client.informer("v1/pods", namespaces=namespaces(5)) as pods:
                await pods.synced(30.0)
    assert {event.lane for event in world.reported(Admitted)} <= {"list", "read"}
    assert [event for event in world.reported(ReflectorMoved) if "not admitted" in event.reason] == []


class Busy:
    """A transport of which no connection is free."""

    server = "http://busy"

    def __init__(self) -> None:
        self.asked = 0

    async def send(self, request: Request) -> Any:
        self.asked += 1
        raise ConnectFailed(f"{request.what}: none of 32 connections was free", local=True)

    async def close(self) -> None:
        """Nothing is open."""


async def test_what_fails_on_this_side_is_tried_again_at_the_pace_of_the_backoff() -> None:
    transport = Busy()
    async with Client(transport, qps=None, timing=Timing()) as client, client.informer("v1/pods"):
        await asyncio.sleep(120.0)
        assert 3 <= transport.asked <= 8
        assert client.health.reachable
