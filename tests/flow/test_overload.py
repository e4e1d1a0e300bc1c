"""The door as a whole against a server in trouble, in virtual time: what it never exceeds, and who still gets
through."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from kresilient.api.errors import (
    ConnectFailed,
    FlowTimeout,
    KresilientError,
    LifecycleError,
    OutcomeUnknown,
)
from kresilient.client import Client
from kresilient.flow import Door, Limiter
from kresilient.flow.in_flight import InFlight
from kresilient.flow.lanes import Lane, admission
from kresilient.observe.events import Event, Observers, RequestFinished, RequestRetried
from kresilient.testing.server import MemoryApiServer
from kresilient.transport.base import Request

from .scripted import Driven, Scripted, ScriptedTransport

pytestmark = pytest.mark.looptime

GET = Request("GET", "/api/v1/namespaces/n/pods/p", verb="get", resource="v1/pods")
LIST = Request("GET", "/api/v1/pods", verb="list", resource="v1/pods", query=(("labelSelector", "a"),))
UPDATE = Request("PUT", "/api/v1/namespaces/n/pods/p", verb="update", resource="v1/pods")
WRITES = ("create", "update", "patch", "delete")
LEASE = {
    "metadata": {"name": "leader", "namespace": "default"},
    "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15},
}


KINDS = ("configmaps", "secrets", "serviceaccounts")
NAMED = {"metadata": {"generateName": "a-", "namespace": "default"}}


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {}}


class Load:
    """Callers that ask as fast as they can, each again as soon as it was answered or refused."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, count: int, ask: Callable[[int], Awaitable[object]]) -> None:
        async def again(caller: int) -> None:
            for number in range(10**9):
                try:
                    await ask(caller * 10**9 + number)
                    self.outcomes["answered"] += 1
                except KresilientError as error:
                    self.outcomes[type(error).__name__] += 1
                await asyncio.sleep(0)

        self._tasks += [asyncio.create_task(again(caller)) for caller in range(count)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[tuple[MemoryApiServer, Client, list[Event]]]:
    seen: list[Event] = []
    server = MemoryApiServer(random=random.Random(7))
    client = Client(server.transport(), observers=[seen.append], random=random.Random(3).random, **options)
    async with server, client:
        yield server, client, seen


# --- a lease renewal waits one token interval, whatever the others do --------


async def renewals(client: Client, count: int, every: float) -> list[float]:
    """Seconds that each of so many renewals took."""
    clock, took = asyncio.get_running_loop().time, []
    for number in range(count):
        await asyncio.sleep(every)
        started = clock()
        await client.patch(
            "coordination.k8s.io/v1/leases", "default/leader", {"spec": {"leaseTransitions": number}}
        )
        took.append(clock() - started)
    return took


@pytest.mark.parametrize("qps", [2.0, 10.0])
async def test_a_renewal_overtakes_a_thousand_lists(qps: float) -> None:
    async with world(qps=qps, burst=1) as (server, client, _):
        server.create("coordination.k8s.io/v1/leases", LEASE)
        load = Load()
        load.start(1000, lambda _: client.list("v1/pods"))
        took = await renewals(client, 20, 0.37 / qps)
        assert max(took) <= 1.01 / qps + 1e-3
        assert client.health.waiting >= 990
        await load.stop()
        assert client.health.waiting == 0


async def test_a_renewal_is_not_held_back_by_what_the_server_says_to_others() -> None:
    async with world(qps=10.0, burst=1) as (server, client, _):
        server.create("coordination.k8s.io/v1/leases", LEASE)
        server.faults.on(("get", "list"), "v1/pods").status(429, retry_after=30)
        server.faults.on(WRITES, "v1/configmaps").status(503, retry_after=30)
        load = Load()
        load.start(500, lambda _: client.list("v1/pods"))
        load.start(500, lambda number: client.create("v1/configmaps", config_map(f"c{number}")))
        await asyncio.sleep(10.0)
        assert sum(1 for level in client.health.pressure if level.paused) == 2
        assert max(await renewals(client, 20, 0.05)) <= 0.101 + 1e-3
        await load.stop()


async def test_a_renewal_finds_a_place_where_slow_requests_hold_all_of_them() -> None:
    async with world(qps=50.0, burst=5) as (server, client, _):
        server.create("coordination.k8s.io/v1/leases", LEASE)
        held = server.faults.on("list", "v1/pods").hold()
        load = Load()
        load.start(300, lambda _: client.list("v1/pods"))
        await asyncio.sleep(5.0)
        assert len(server.requests.running) == 30
        assert max(await renewals(client, 10, 0.1)) <= 0.0202 + 1e-3
        held.lift()
        await load.stop()


# --- a server that refuses everything for a minute --------


@pytest.mark.parametrize(("write", "read", "least", "repeated"), [(503, 429, 30, 1), (500, 500, 1200, 10)])
async def test_a_minute_of_refusals_stays_below_the_rate_and_the_budget_and_repeats_no_post(
    write: int, read: int, least: int, repeated: int
) -> None:
    qps, burst = 20.0, 40
    async with world(qps=qps, burst=burst) as (server, client, seen):
        server.faults.on(WRITES).status(write)
        server.faults.on(("get", "list", "watch")).status(read)
        load = Load()
        async with AsyncExitStack() as stack:
            for resource in ("v1/pods", "v1/nodes", "v1/services"):
                await stack.enter_async_context(client.informer(resource))
            load.start(50, lambda number: client.create(f"v1/{KINDS[number % 3]}", {**NAMED, "n": number}))
            load.start(50, lambda _: client.patch("v1/configmaps", "default/a", {"data": {"n": "1"}}))
            load.start(100, lambda number: client.get("v1/configmaps", f"default/a{number}"))
            load.start(50, lambda _: client.list("v1/secrets"))
            await asyncio.sleep(60.0)
            sent = server.requests.where()
            left = client.health.retries_left
            await load.stop()
    assert least <= sent.count <= burst + qps * 60
    assert sent.max_rate(1.0) <= burst + qps + 1
    repeats = [event for event in seen if isinstance(event, RequestRetried)]
    assert repeated <= len(repeats) <= 0.5 * 60 + 5
    assert left <= 5
    again = [event for event in seen if isinstance(event, RequestFinished) and event.attempt > 1]
    assert len(again) <= len(repeats)
    assert not [event for event in again if event.verb == "create"]
    assert load.outcomes["answered"] == 0 and load.outcomes["OutcomeUnknown"] >= 5


@pytest.mark.parametrize("after", [None, 0, 40])
async def test_no_post_is_sent_twice_when_its_answer_was_lost(after: int | None) -> None:
    async with world(qps=None) as (server, client, seen):
        server.faults.on("create", "v1/configmaps").reset(after_bytes=after)
        outcomes = await asyncio.gather(
            *(client.create("v1/configmaps", config_map(f"c{number}")) for number in range(200)),
            return_exceptions=True,
        )
        assert {type(outcome) for outcome in outcomes} == {OutcomeUnknown}
        assert server.requests.count(verb="create") == 200
        assert len(server.objects("v1/configmaps")) == (0 if after is None else 200)
        assert not [event for event in seen if isinstance(event, RequestRetried)]


async def test_when_the_server_is_well_again_the_rate_comes_back() -> None:
    async with world(qps=20.0, burst=20) as (server, client, _):
        for caller in range(50):
            server.create("v1/configmaps", config_map(f"a{caller}"))
        server.faults.on("get").during(60.0).status(429, retry_after=1)
        load = Load()
        load.start(50, lambda number: client.get("v1/configmaps", f"default/a{number // 10**9}"))
        await asyncio.sleep(61.0)
        low = sum(1 for record in server.requests if record.start > 50)
        assert low < 20
        await asyncio.sleep(80.0)
        before = server.requests.count()
        await asyncio.sleep(10.0)
        assert server.requests.count() - before == pytest.approx(200, abs=5)
        assert all(level.rate is None and not level.paused for level in client.health.pressure)
        await load.stop()


# --- tokens, places and deadlines together --------


def door(transport: Driven | ScriptedTransport, limiter: Limiter, **options: Any) -> Door:
    return Door(transport, limiter=limiter, observers=Observers(), random=lambda: 0.0, **options)


async def test_a_server_that_was_stuck_is_not_met_by_all_that_waited_as_one_burst() -> None:
    clock = asyncio.get_running_loop().time
    transport = Driven(lambda _: Scripted())
    stuck = asyncio.Event()

    async def send(request: Request, send: Any = transport.send) -> Any:
        response = await send(request)
        await stuck.wait()
        return response

    transport.send = send  # type: ignore[method-assign]
    one = door(transport, Limiter(20.0, 10))
    calls = [asyncio.create_task(one.call(GET, retry=False)) for _ in range(500)]
    await asyncio.sleep(25.0)
    assert len(transport.sent) == 30
    stuck.set()
    freed = clock()
    await asyncio.gather(*calls)
    after = [time for time in transport.times if time >= freed]
    assert len([time for time in after if time < freed + 1.0]) <= 10 + 20 + 1
    assert transport.times[-1] - freed == pytest.approx((500 - 30 - 10) / 20, abs=0.5)


async def test_requests_under_way_stay_within_their_cap_and_lanes_hold_for_places() -> None:
    transport = Driven(lambda _: Scripted(), latency=1.0)
    one = door(transport, Limiter(None), in_flight=InFlight(5))
    calls = [asyncio.create_task(one.call(LIST)) for _ in range(50)]
    await asyncio.sleep(0.5)
    write = asyncio.create_task(one.call(UPDATE))
    await write
    assert asyncio.get_running_loop().time() == pytest.approx(2.0, abs=0.01)
    await asyncio.gather(*calls)
    assert transport.most == 5


async def test_one_that_returns_with_a_place_goes_first_in_its_lane() -> None:
    transport = Driven(lambda _: Scripted(), latency=3.0)
    one = door(transport, Limiter(1.0, 2), in_flight=InFlight(1))
    order: list[int] = []

    async def ask(number: int) -> None:
        await one.call(GET)
        order.append(number)

    calls = [asyncio.create_task(ask(number)) for number in range(4)]
    await asyncio.sleep(2.0)
    streams = [asyncio.create_task(one.open(GET)) for _ in range(30)]
    await asyncio.gather(*calls)
    assert order == [0, 1, 2, 3]
    assert asyncio.get_running_loop().time() <= 4 * 3.0 + 3 * 1.1
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)


async def test_a_call_cancelled_while_it_waits_for_a_place_holds_no_token() -> None:
    transport = Driven(lambda _: Scripted(), latency=5.0)
    limiter = Limiter(0.1, 3)
    one = door(transport, limiter, in_flight=InFlight(1))
    first = asyncio.create_task(one.call(GET))
    second = asyncio.create_task(one.call(GET))
    await asyncio.sleep(1.0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert [limiter.try_acquire() for _ in range(3)] == [True, True, False]
    await first
    assert one._in_flight.count == one._in_flight.waiting == one.waiting == 0


async def test_a_call_cancelled_while_it_waits_with_its_place_for_a_token_gives_the_place_back() -> None:
    transport = Driven(lambda _: Scripted(), latency=5.0)
    limiter = Limiter(0.05, 2)
    one = door(transport, limiter, in_flight=InFlight(1))
    first, second = (asyncio.create_task(one.call(GET)) for _ in range(2))
    await asyncio.sleep(1.0)
    assert limiter.try_acquire(), "the one that the second gave back when there was no place"
    await first
    await asyncio.sleep(1.0)
    assert (one._in_flight.count, limiter.waiting) == (1, 1), "it has the place now, and needs a token"
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert (one._in_flight.count, limiter.waiting) == (0, 0)


@pytest.mark.parametrize("seed", range(3))
async def test_under_random_cancellation_the_door_loses_nothing(seed: int) -> None:
    draw = random.Random(seed)
    transport = Driven(lambda _: Scripted(), latency=0.3)
    limiter = Limiter(20.0, 5)
    one = door(transport, limiter, in_flight=InFlight(4))
    tasks = [asyncio.create_task(one.call(draw.choice([GET, LIST, UPDATE]), retry=False)) for _ in range(300)]
    for task in draw.sample(tasks, 200):
        await asyncio.sleep(draw.random() * 0.05)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (one._in_flight.count, one._in_flight.waiting, one.waiting, limiter.waiting) == (0, 0, 0, 0)
    assert transport.most <= 4
    assert transport.most_within(1.0) <= 5 + 20 + 1
    await asyncio.sleep(1.0)
    assert [limiter.try_acquire() for _ in range(6)] == [True] * 5 + [False]


async def test_a_deadline_names_the_lane_the_queue_and_the_wait_before_waiting() -> None:
    transport = Driven(lambda _: Scripted())
    one = door(transport, Limiter(1.0, 1))
    calls = [asyncio.create_task(one.call(GET)) for _ in range(10)]
    await asyncio.sleep(0)
    clock = asyncio.get_running_loop().time
    started = clock()
    with admission(within=5.0), pytest.raises(FlowTimeout, match=r"get v1/pods.*9 requests wait") as caught:
        await one.call(GET)
    assert clock() == started
    assert (caught.value.lane, caught.value.queued) == ("read", 9)
    assert caught.value.expected == pytest.approx(10.0, abs=0.01)
    await asyncio.gather(*calls)


async def test_a_deadline_that_passes_while_it_waits_for_a_place_takes_nothing() -> None:
    transport = Driven(lambda _: Scripted(), latency=60.0)
    limiter = Limiter(0.01, 2)
    one = door(transport, limiter, in_flight=InFlight(1))
    clock = asyncio.get_running_loop().time
    first = asyncio.create_task(one.call(GET))
    await asyncio.sleep(0.1)
    with admission(within=5.0), pytest.raises(FlowTimeout, match=r"v1/pods.*too many calls are under way"):
        await one.call(GET)
    assert clock() == pytest.approx(5.1, abs=0.01)
    assert limiter.try_acquire()
    await first


async def test_a_place_that_cannot_be_had_in_time_is_said_before_waiting_for_a_token() -> None:
    transport = Driven(lambda _: Scripted(), latency=2.0)
    one = door(transport, Limiter(100.0, 100), in_flight=InFlight(4))
    await one.call(GET)
    calls = [asyncio.create_task(one.call(LIST)) for _ in range(4)]
    calls += [asyncio.create_task(one.call(GET)) for _ in range(12)]
    await asyncio.sleep(0.5)
    clock = asyncio.get_running_loop().time
    started = clock()
    with admission(within=5.0), pytest.raises(FlowTimeout, match=r"get v1/pods.*12 wait before it") as caught:
        await one.call(GET)
    assert clock() == started
    assert (caught.value.lane, caught.value.queued) == ("read", 12)
    assert caught.value.expected == pytest.approx(13 * 2.0 / 4, abs=0.1)
    with admission(within=5.0, lane="write"):
        await one.call(GET)
    await asyncio.gather(*calls)


async def test_a_door_that_closes_in_the_very_turn_of_a_deadline_is_closed() -> None:
    transport = Driven(lambda _: ConnectFailed("refused"))
    one = door(transport, Limiter(None))
    first = asyncio.create_task(one.call(GET, retry=False))
    await asyncio.sleep(0.1)

    async def waits() -> None:
        with admission(within=1.0):
            await one.call(GET, probing=True)

    second = asyncio.create_task(waits())
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    closing: list[asyncio.Task[None]] = []
    (wait,) = one._waits
    when = wait.when()
    assert when is not None
    loop.call_at(when, lambda: (wait.expired(), closing.append(asyncio.ensure_future(one.close()))))
    await asyncio.sleep(1.1)
    await closing[0]
    assert transport.closed == 1
    await asyncio.gather(first, second, return_exceptions=True)
    assert isinstance(second.exception(), KresilientError)


async def test_one_that_waits_for_a_place_as_the_door_closes_at_its_deadline_is_told_of_either() -> None:
    transport = Driven(lambda _: Scripted(), latency=60.0)
    one = door(transport, Limiter(None), in_flight=InFlight(1))
    first = asyncio.create_task(one.call(GET))
    await asyncio.sleep(0)
    closing: list[asyncio.Task[None]] = []
    asyncio.get_running_loop().call_at(5.0, lambda: closing.append(asyncio.ensure_future(one.close())))
    with admission(within=5.0), pytest.raises((FlowTimeout, LifecycleError)):
        await one.call(GET)
    await asyncio.sleep(0.1)
    await closing[0]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (one._in_flight.count, one._in_flight.waiting, one.waiting) == (0, 0, 0)


async def test_a_lane_that_was_chosen_is_the_one_whose_place_is_taken() -> None:
    transport = Driven(lambda _: Scripted(), latency=10.0)
    one = door(transport, Limiter(None), in_flight=InFlight(1, reserved=1))
    slow = asyncio.create_task(one.call(GET))
    await asyncio.sleep(0.1)
    with admission(lane=Lane.LEASE):
        await one.call(GET)
    assert asyncio.get_running_loop().time() == pytest.approx(10.1, abs=0.01)
    await slow
