"""Several clients of one server that is in trouble: what one learns all know, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import weakref
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from kresilient.api.errors import ConnectFailed, KresilientError, LifecycleError, TooManyRequests
from kresilient.client import Client
from kresilient.flow import Door, Limiter, RetryPolicy
from kresilient.flow import shared as shared_module
from kresilient.flow.levels import Levels
from kresilient.flow.outage import Outage
from kresilient.flow.shared import shared_outage
from kresilient.observe.events import Event, Observers, OutageBegan, OutageEnded, PressureChanged
from kresilient.transport.base import Request

from ..cache.world import World
from .scripted import Driven, Scripted, ScriptedTransport, status

pytestmark = pytest.mark.looptime

GET = Request("GET", "/api/v1/namespaces/n/pods/p", verb="get", resource="v1/pods")
PUT = Request("PUT", "/api/v1/namespaces/n/pods/p", verb="update", resource="v1/pods")
REFUSED = ConnectFailed("connection refused")
ONCE = RetryPolicy(attempts=1)


def now() -> float:
    return asyncio.get_running_loop().time()


def clients(transport: Any, count: int, **options: Any) -> list[Client]:
    return [Client(transport, shares=True, **{"qps": None, **options}) for _ in range(count)]


@asynccontextmanager
async def opened(*made: Client) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(client) for client in made]


async def read(client: Client) -> object:
    return await client.door.call(GET, probing=True)


async def troubled(client: Client) -> None:
    """Let it be told to come back later with its reads, and then find no server at all."""
    with pytest.raises(TooManyRequests):
        await client.door.call(GET)
    with pytest.raises(ConnectFailed):
        await client.door.call(PUT)


async def done(*tasks: asyncio.Task[Any]) -> list[Any]:
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


# --- a client for each call ---


async def test_a_client_for_each_call_asks_a_server_that_is_away_at_the_pace_of_one() -> None:
    transport = Driven(lambda _: REFUSED)
    while now() < 300.0:
        async with opened(*clients(transport, 1)) as (client,):
            with contextlib.suppress(TimeoutError, KresilientError):
                await asyncio.wait_for(read(client), 2.0)
    assert 10 <= len(transport.sent) <= 25, "the first, and a probe every 15 to 30 s"
    assert transport.most_within(1.5) == 1


async def test_a_hundred_clients_at_once_send_one_probe_at_a_time() -> None:
    transport = Driven(lambda _: REFUSED)
    async with opened(*clients(transport, 100)) as made:
        with pytest.raises(KresilientError):
            await made[0].door.call(GET, retry=False)
        asked = [asyncio.create_task(read(client)) for client in made]
        await asyncio.sleep(50.0)
        assert 3 <= len(transport.sent) <= 8
        assert not any(client.health.reachable for client in made)
        await done(*asked)


async def test_a_client_that_comes_while_nobody_is_left_goes_on_where_the_others_were() -> None:
    transport = ScriptedTransport(*[REFUSED] * 9)
    async with opened(*clients(transport, 1, random=lambda: 0.0)) as (first,):
        asking = asyncio.create_task(read(first))
        await asyncio.sleep(5.0)
        assert transport.times == [0.0, 1.5, 4.5], "and next at 10.5"
        await done(asking)
    async with opened(*clients(transport, 1)) as (second,):
        asking = asyncio.create_task(read(second))
        await asyncio.sleep(6.0)
        assert transport.times[3:] == [10.5]
        await done(asking)
    await asyncio.sleep(1000.0)
    async with opened(*clients(transport, 1)) as (third,):
        asking = asyncio.create_task(read(third))
        await asyncio.sleep(0.1)
        assert transport.times[4:] == [1011.0], "overdue: at once"
        await done(asking)


async def test_a_retry_after_that_one_client_was_given_holds_for_the_next() -> None:
    transport = ScriptedTransport(status(429, retry_after=30), Scripted())
    async with opened(*clients(transport, 1, retry=ONCE)) as (first,):
        with pytest.raises(TooManyRequests):
            await read(first)
    async with opened(*clients(transport, 1, random=lambda: 0.0)) as (second,):
        assert second.health.pressure[0].paused >= 30.0
        await read(second)
    assert 30.0 <= transport.times[1] <= 60.0


async def test_a_client_made_on_a_transport_learns_from_no_other_unless_it_is_told() -> None:
    transport = ScriptedTransport(status(429, retry_after=30), REFUSED, Scripted())
    alone = Client(transport, qps=None)
    async with opened(*clients(transport, 1, retry=ONCE), alone) as (first, other):
        await troubled(first)
        await read(other)
        assert now() == 0.0


# --- calls under way ---


@pytest.mark.parametrize(("figures", "most"), [((3, 3, 3), 3), ((3, 5, 5), 8)])
async def test_clients_with_equal_figures_share_the_places_for_calls(
    figures: tuple[int, ...], most: int
) -> None:
    transport = Driven(lambda _: Scripted(), latency=1.0)
    made = [clients(transport, 1, max_in_flight=figure)[0] for figure in figures]
    async with opened(*made):
        await asyncio.gather(*(read(client) for client in made for _ in range(20)))
    assert transport.most == most


async def test_a_client_for_each_call_has_the_places_of_one() -> None:
    transport = Driven(lambda _: Scripted(), latency=1.0)

    async def ask() -> None:
        async with opened(*clients(transport, 1)) as (client,):
            await read(client)

    await asyncio.gather(*(ask() for _ in range(100)))
    assert transport.most == 30


async def test_a_place_that_a_closed_client_waited_for_is_the_next_ones() -> None:
    transport = Driven(lambda _: Scripted(), latency=10.0)
    first, second, third = clients(transport, 3, max_in_flight=1)
    async with opened(first, second, third):
        holding = asyncio.create_task(read(first))
        await asyncio.sleep(1.0)
        waiting = [asyncio.create_task(read(client)) for client in (second, third)]
        await asyncio.sleep(1.0)
        await second.close()
        with pytest.raises(LifecycleError):
            await waiting[0]
        assert now() == 2.0
        await asyncio.gather(holding, waiting[1])
        assert transport.times == [0.0, 10.0]
        assert third.door._in_flight.count == third.door._in_flight.waiting == 0


# --- closing one of several ---


async def test_closing_the_client_that_waits_first_keeps_nobody_from_probing() -> None:
    transport = ScriptedTransport(*[REFUSED] * 9)
    async with opened(*clients(transport, 2, random=lambda: 0.0)) as (first, second):
        with pytest.raises(ConnectFailed):
            await first.door.call(GET, retry=False)
        waiting = [asyncio.create_task(read(client)) for client in (first, second)]
        await asyncio.sleep(1.0)
        await first.close()
        with pytest.raises(LifecycleError):
            await waiting[0]
        assert now() == 1.0
        await asyncio.sleep(1.0)
        assert transport.times == [0.0, 1.5], "the second one's, at the time that was the first one's"
        await done(waiting[1])


def door(transport: ScriptedTransport, outage: Outage, limiter: Limiter | None = None) -> Door:
    return Door(transport, limiter=limiter or Limiter(None), observers=Observers(), outage=outage)


@pytest.mark.parametrize("way", ["close", "cancel"])
async def test_a_turn_with_which_nothing_was_sent_is_handed_on(way: str) -> None:
    transport, outage = ScriptedTransport(REFUSED, REFUSED), Outage("s", random=lambda: 0.0)
    limiter = Limiter(0.01, 1)
    first, second = door(transport, outage, limiter), door(transport, outage)
    with pytest.raises(ConnectFailed):
        await first.call(GET, retry=False)  # its only token
    waiting = [asyncio.create_task(one.call(GET, retry=False, probing=True)) for one in (first, second)]
    await asyncio.sleep(2.0)
    assert len(transport.sent) == 1, "the turn came at 1.5, and the token does not"
    if way == "close":
        await first.close()
    else:
        waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert transport.times == [0.0, 2.0]
    await second.close()
    await first.close()


async def test_the_turn_of_an_informer_that_waits_for_its_token_is_handed_on() -> None:
    transport, outage = ScriptedTransport(REFUSED, REFUSED), Outage("s", random=lambda: 0.0)
    first, second = door(transport, outage, Limiter(0.01, 1)), door(transport, outage)
    with pytest.raises(ConnectFailed):
        await first.call(GET, retry=False)  # its only token

    async def informer() -> None:
        await outage.turn(30.0)
        await first.admit(GET, place=first.lists)

    waiting = asyncio.create_task(informer())
    await asyncio.sleep(1.0)
    other = asyncio.create_task(second.call(GET, retry=False, probing=True))
    await asyncio.sleep(1.0)
    assert len(transport.sent) == 1
    await first.close()
    await asyncio.gather(waiting, other, return_exceptions=True)
    assert isinstance(waiting.exception(), LifecycleError)
    assert transport.times == [0.0, 2.0]
    await second.close()


async def test_one_that_waits_for_a_pause_in_a_closed_client_hears_so_and_the_others_wait_on() -> None:
    transport = ScriptedTransport(status(429, retry_after=30), Scripted())
    async with opened(*clients(transport, 2, retry=ONCE, random=lambda: 0.0)) as (first, second):
        with pytest.raises(TooManyRequests):
            await read(first)
        waiting = [asyncio.create_task(read(client)) for client in (first, second)]
        await asyncio.sleep(1.0)
        await first.close()
        with pytest.raises(LifecycleError):
            await waiting[0]
        assert now() == 1.0
        await waiting[1]
        assert transport.times == pytest.approx([0.0, 30.0])


async def test_a_probe_that_was_sent_and_cancelled_is_not_handed_on() -> None:
    transport, outage = ScriptedTransport(REFUSED, None, REFUSED), Outage("s", random=lambda: 0.0)
    one, other = door(transport, outage), door(transport, outage)
    with pytest.raises(ConnectFailed):
        await one.call(GET, retry=False)
    first = asyncio.create_task(one.call(GET, probing=True))
    await asyncio.sleep(1.0)
    second = asyncio.create_task(other.call(GET, retry=False, probing=True))
    await asyncio.sleep(1.0)
    await done(first)
    await asyncio.gather(second, return_exceptions=True)
    assert transport.times == [0.0, 1.5, 4.5], "each at the pace of the backoff"


async def test_no_timer_runs_once_nobody_waits() -> None:
    transport = ScriptedTransport(*[REFUSED] * 9)
    async with opened(*clients(transport, 3)) as made:
        with pytest.raises(ConnectFailed):
            await made[0].door.call(GET, retry=False)
        waiting = [asyncio.create_task(read(client)) for client in made]
        await asyncio.sleep(0.5)
        outage = made[0].door.outage
        assert all(client.door.outage is outage for client in made)
        assert outage._timer is not None and outage.waiting == 3
    await asyncio.gather(*waiting, return_exceptions=True)
    assert outage._timer is None and outage.waiting == 0 and outage.lasts
    assert all(isinstance(task.exception(), LifecycleError) for task in waiting)


@pytest.mark.looptime(False)
def test_a_loop_that_was_closed_in_trouble_is_gone_with_the_next() -> None:
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def trouble() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        transport = ScriptedTransport(status(429, retry_after=60), ConnectFailed("refused"))
        (client,) = clients(transport, 1, retry=ONCE)
        async with client:
            await troubled(client)
            asyncio.get_running_loop().create_task(read(client))
            asyncio.get_running_loop().create_task(client.door.call(GET))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert client.door.outage.waiting == 1 and client.health.pressure[0].paused

    asyncio.run(trouble())
    asyncio.run(trouble())
    gc.collect()
    assert loops[0]() is None
    assert sum(loop.is_closed() for loop in shared_module._servers) <= 1


# --- what is heard ---


async def test_the_observers_of_every_open_client_hear_of_an_outage_once() -> None:
    world = World()
    heard: dict[str, list[Event]] = {"first": [], "second": [], "closed": [], "all": []}

    def client(name: str) -> Client:
        return Client(
            world.server.transport(),
            qps=None,
            shares=True,
            observers=[heard[name].append, heard["all"].append],
        )

    async with world.server, opened(client("first"), client("second"), client("closed")) as made:
        await made[2].close()
        await world.server.kill()
        asking = [asyncio.create_task(one.get("v1/configmaps", "default/a")) for one in made[:2]]
        await asyncio.sleep(10.0)
        await world.server.start()
        await asyncio.gather(*asking, return_exceptions=True)
    kinds = {
        name: [type(event) for event in events if isinstance(event, OutageBegan | OutageEnded)]
        for name, events in heard.items()
    }
    once: list[type[Event]] = [OutageBegan, OutageEnded]
    assert kinds == {"first": once, "second": once, "all": once, "closed": []}


@pytest.mark.parametrize("closes", [True, False])
async def test_a_client_that_is_gone_is_not_kept_for_what_it_would_hear(closes: bool) -> None:
    def observe(_: Event) -> None:
        pass

    gone = weakref.ref(observe)
    transport = ScriptedTransport(status(429, retry_after=60), ConnectFailed("refused"))
    (client,) = clients(transport, 1, observers=[observe], retry=ONCE)
    await client.open()
    await troubled(client)
    if closes:
        await client.close()
    del client, observe
    gc.collect()
    assert gone() is None
    assert shared_outage(transport.server, random.random).lasts


async def test_a_client_that_is_closed_hears_nothing_of_pressure() -> None:
    transport = ScriptedTransport(status(429))
    heard: list[Event] = []
    async with opened(
        *clients(transport, 1, retry=ONCE), *clients(transport, 1, observers=[heard.append])
    ) as (first, closed):
        await closed.close()
        with pytest.raises(TooManyRequests):
            await read(first)
    assert heard == []


async def test_each_client_hears_of_pressure_the_rate_that_it_is_held_to() -> None:
    transport = ScriptedTransport(status(429))
    fast, slow = [], []
    made = [
        Client(transport, qps=qps, shares=True, retry=ONCE, observers=[seen.append])
        for qps, seen in ((20.0, fast), (8.0, slow))
    ]
    async with opened(*made):
        with pytest.raises(TooManyRequests):
            await read(made[0])
        rates = [
            [event.rate for event in seen if isinstance(event, PressureChanged)] for seen in (fast, slow)
        ]
        assert rates == [[2.5], [1.0]], "an eighth of each one's"
        assert [client.health.pressure[0].rate for client in made] == [2.5, 1.0]


# --- a share of each one's rate ---


def pressed(transport: Driven, levels: Levels, *qps: float | None) -> list[Door]:
    return [
        Door(transport, limiter=Limiter(one), observers=Observers(), random=lambda: 0.0, levels=levels)
        for one in qps
    ]


def rates(*doors: Door) -> list[float | None]:
    return [door.pressure.levels[0].rate for door in doors]


async def ask(door: Door, seconds: float, rate: float) -> None:
    for _ in range(int(seconds * rate)):
        with contextlib.suppress(KresilientError):
            await door.call(GET, retry=False)
        await asyncio.sleep(1.0 / rate)


async def test_a_level_falls_by_the_share_that_the_busiest_client_made_use_of() -> None:
    answer = Scripted()
    transport = Driven(lambda _: answer)
    busy, idle = pressed(transport, Levels(), 20.0, 5.0)
    await asyncio.gather(ask(busy, 10.0, 16.0), ask(idle, 10.0, 0.2))
    answer = status(429)
    await ask(idle, 1.0, 1.0)
    assert rates(busy, idle) == pytest.approx([8.0, 2.0], rel=0.1), "half of 16 of 20, for both"


async def test_the_share_holds_back_each_client_by_its_own_rate_and_rises_by_anyones_success() -> None:
    failing = True
    transport = Driven(lambda _: status(429) if failing else Scripted())
    first, second, newcomer = pressed(transport, levels := Levels(), 16.0, 80.0, 16.0)
    await ask(first, 1.0, 1.0)
    assert rates(first, second, newcomer) == [2.0, 10.0, 2.0]
    failing = False
    before = len(transport.sent)
    calls = [asyncio.create_task(second.call(GET)) for _ in range(1000)]
    await asyncio.sleep(5.0)
    assert 10 + 45 <= len(transport.sent) - before <= 10 + 5 * 10 + 40
    assert rates(first) == pytest.approx([2.0 + 16.0 * 6.0 / 60.0], rel=0.01)
    await asyncio.gather(*calls, ask(newcomer, 60.0, 1.0))
    assert rates(first, second, newcomer) == [None, None, None] and not levels.tight


async def test_a_second_fall_lowers_the_brakes_that_others_wait_at() -> None:
    transport = Driven(lambda _: status(429) if transport.sent[-1] is GET else Scripted())
    first, second = pressed(transport, Levels(), 16.0, 80.0)
    other = Request("GET", "/api/v1/nodes/n", verb="get", resource="v1/nodes")
    await ask(first, 1.5, 1.0)
    await second.call(other)  # it has a brake of its own now
    waiting = [asyncio.create_task(second.call(other)) for _ in range(300)]
    await asyncio.sleep(1.0)
    with pytest.raises(TooManyRequests):
        await first.call(GET, retry=False)
    rate = rates(second)[0]
    assert rate is not None and rate < 7.0, "half of an eighth, and what a second of success is worth"
    before = len(transport.sent)
    await asyncio.sleep(1.0)
    assert len(transport.sent) - before <= 7 + 2
    await second.close()
    await asyncio.gather(*waiting, return_exceptions=True)


def of_level(uid: str, code: int = 200) -> Scripted:
    headers = {"content-type": "application/json", "X-Kubernetes-PF-PriorityLevel-UID": uid}
    return Scripted(code, b"{}", headers | ({"Retry-After": "60"} if code == 429 else {}))


async def test_a_newcomer_goes_by_the_level_that_the_others_requests_were_in() -> None:
    transport = ScriptedTransport(of_level("low", 429), of_level("low"))
    known, newcomer = pressed(transport, Levels(), None, None)
    with pytest.raises(TooManyRequests):
        await known.call(GET, retry=False)
    await newcomer.call(GET)
    assert transport.times == pytest.approx([0.0, 60.0])


async def test_a_client_of_another_user_goes_by_the_level_that_its_own_requests_were_in() -> None:
    transport = ScriptedTransport(of_level("system"), of_level("low", 429), of_level("system"))
    system, low = pressed(transport, Levels(), None, None)
    await system.call(GET)
    with pytest.raises(TooManyRequests):
        await low.call(GET, retry=False)
    await system.call(GET)
    assert now() == 0.0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(low.call(GET), 59.0)


async def test_no_number_of_limiters_makes_a_level_grow() -> None:
    transport = Driven(lambda _: status(429))
    for number in range(50):
        (one,) = pressed(transport, levels := Levels(), float(number + 1))
        with pytest.raises(TooManyRequests):
            await one.call(GET, retry=False)
    del one
    gc.collect()
    assert len(levels.all()[0]._parts) == 0


# --- each client's own way back ---


async def test_the_spread_is_each_clients_own() -> None:
    outage = Outage("s", random=random.Random(1).random)
    outage.refused(REFUSED)
    back: dict[float, list[float]] = {5.0: [], 100.0: []}

    async def wait(window: float) -> None:
        assert await outage.turn(window)
        back[window].append(now())

    waiting = [asyncio.create_task(wait(window)) for window in back for _ in range(100)]
    await asyncio.sleep(0.5)
    outage.answered()
    await asyncio.gather(*waiting)
    assert 4.0 < max(back[5.0]) <= 5.5
    assert 90.0 < max(back[100.0]) <= 100.5
