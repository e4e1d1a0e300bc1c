"""The outage gate: who asks while the server is away, how often, and how everybody comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from kresilient.api.errors import ConfigError, ConnectFailed, ConnectionLost, NotFound, ServerUnavailable
from kresilient.flow import Limiter
from kresilient.flow.door import Door
from kresilient.flow.outage import Outage
from kresilient.observe.events import Event, Observers, OutageBegan, OutageEnded
from kresilient.transport.base import Request

from .scripted import Driven, Scripted, ScriptedTransport, status

pytestmark = pytest.mark.looptime

GET = Request("GET", "/api/v1/namespaces/n/pods/p", verb="get", resource="v1/pods")
RENEWAL = Request("PUT", "/l", body=b"{}", verb="update", resource="coordination.k8s.io/v1/leases")
REFUSED = ConnectFailed("connection refused")


class Gate:
    """An outage with a window of 30 s, and what it reported."""

    def __init__(self, *, window: float = 30.0, draw: Callable[[], float] | None = None) -> None:
        self.seen: list[Event] = []
        draw = draw or random.Random(5).random
        self.observers = Observers(self.seen.append)
        self.outage = Outage("s", random=draw)
        self.outage.join(self.observers)
        self.window = window
        self.came: list[tuple[float, bool]] = []

    async def wait(self, *, at_once: bool = False, renewal: bool = False) -> bool:
        spread = await self.outage.turn(None if at_once else self.window, renewal=renewal)
        self.came.append((asyncio.get_running_loop().time(), spread))
        return spread

    def waiters(self, count: int) -> list[asyncio.Task[bool]]:
        return [asyncio.create_task(self.wait()) for _ in range(count)]


async def end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_without_an_outage_nobody_waits() -> None:
    gate = Gate()
    assert await gate.wait() is False
    gate.outage.answered()
    assert gate.came == [(0.0, False)] and gate.seen == []


async def test_one_at_a_time_asks_at_a_growing_jittered_pace() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    tasks = gate.waiters(100)
    await asyncio.sleep(300.0)
    times = [time for time, _ in gate.came]
    gaps = [after - before for before, after in pairwise(times)]
    assert 1.5 <= times[0] <= 3.0
    assert all(gap >= 3.0 for gap in gaps)
    assert all(15.0 <= gap <= 30.0 for gap in gaps[5:])
    assert len(set(gaps[5:])) > 3
    assert gate.outage.waiting == 100 - len(times)
    await end(*tasks)


async def test_an_outage_begins_once_and_keeps_its_first_reason() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    gate.outage.refused(ConnectFailed("another"))
    assert gate.seen == [OutageBegan("s", "connection refused")]
    assert gate.outage.lasts and gate.outage.reason == "connection refused"


async def test_when_it_is_over_those_who_waited_come_back_spread_over_the_window() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    tasks = gate.waiters(1000)
    await asyncio.sleep(0.1)
    gate.outage.answered()
    await asyncio.gather(*tasks)
    times = [time - 0.1 for time, _ in gate.came]
    assert all(task.result() for task in tasks)
    assert min(times) >= 0 and max(times) <= 30.0
    for third in range(3):
        assert 270 <= sum(10 * third <= time < 10 * third + 10 for time in times) <= 400
    assert gate.seen[-1] == OutageEnded("s", pytest.approx(0.1), 0, 1000)


async def test_one_that_would_ask_at_once_comes_back_at_once() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    waiting = asyncio.create_task(gate.wait(at_once=True))
    await asyncio.sleep(0.5)
    gate.outage.answered()
    assert await waiting is False
    assert gate.came[0][0] == pytest.approx(0.5, abs=1e-3)


async def test_the_probe_that_was_answered_is_not_spread() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    probe = asyncio.create_task(gate.wait())
    assert await probe is False and gate.outage.lasts


async def test_a_window_of_nothing_lets_all_go_at_once() -> None:
    gate = Gate(window=0.0)
    gate.outage.refused(REFUSED)
    tasks = gate.waiters(10)
    await asyncio.sleep(0.5)
    gate.outage.answered()
    await asyncio.gather(*tasks)
    assert {round(time, 3) for time, _ in gate.came} == {0.5}


async def test_a_second_outage_within_the_window_holds_those_who_have_not_come_back() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    tasks = gate.waiters(200)
    await asyncio.sleep(0.1)
    gate.outage.answered()
    await asyncio.sleep(10.0)
    back = len(gate.came)
    assert 40 <= back <= 95
    gate.outage.refused(REFUSED)
    await asyncio.sleep(60.0)
    assert len(gate.came) <= back + 8, "probes only"
    gate.outage.answered()
    again = asyncio.get_running_loop().time()
    await asyncio.gather(*tasks)
    assert gate.came[-1][0] - again > 20.0
    assert gate.seen[2:4] == [
        OutageBegan("s", "connection refused"),
        OutageEnded("s", pytest.approx(60.0), pytest.approx(5, abs=3), gate.seen[3].waiting),  # type: ignore[attr-defined]
    ]


async def test_a_probe_that_hangs_does_not_keep_the_others_from_asking() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    tasks = gate.waiters(3)
    await asyncio.sleep(100.0)
    assert len(gate.came) == 3, "none of them has said what came of it"
    await end(*tasks)


async def test_a_probe_that_nobody_waited_for_is_the_next_ones_who_comes() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    await asyncio.sleep(5.0)
    late = gate.waiters(3)
    await asyncio.sleep(0)
    assert gate.came == [(5.0, False)], "one of them, and at once"
    await end(*late)


async def test_whoever_comes_as_a_probe_is_due_does_not_go_before_those_who_wait() -> None:
    skew = 0.0
    outage = Outage("s", random=lambda: 0.0, clock=lambda: asyncio.get_running_loop().time() + skew)
    outage.refused(REFUSED)
    first = asyncio.create_task(outage.turn())
    await asyncio.sleep(1.0)
    skew = 0.5  # as where the loop was held up, and the timer is late
    late = asyncio.create_task(outage.turn())
    await asyncio.sleep(0.1)
    assert not late.done() and not first.done()
    await asyncio.sleep(0.4)
    assert first.done() and not late.done()
    await end(late)


async def test_a_probe_due_in_one_outage_is_not_due_in_the_next() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    await asyncio.sleep(5.0)
    gate.outage.pass_on()
    gate.outage.answered()
    gate.outage.refused(REFUSED)
    waiting = asyncio.create_task(gate.wait())
    await asyncio.sleep(0.7)
    assert gate.came == []
    await end(waiting)


async def test_a_turn_that_nobody_took_in_one_outage_is_not_left_for_the_next() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    gate.outage.pass_on()
    gate.outage.answered()
    gate.outage.refused(REFUSED)
    waiting = asyncio.create_task(gate.wait())
    await asyncio.sleep(0.7)
    assert gate.came == []
    await end(waiting)


async def test_a_new_outage_begins_at_the_first_pace_again() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    await end(*gate.waiters(1))
    first = gate.waiters(100)
    await asyncio.sleep(300.0)
    gate.outage.answered()
    await asyncio.gather(*first)
    began = asyncio.get_running_loop().time()
    gate.outage.refused(REFUSED)
    await gate.wait()
    assert 1.5 <= gate.came[-1][0] - began <= 3.0


async def test_with_the_end_of_an_outage_no_probe_is_due() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    tasks = gate.waiters(3)
    await asyncio.sleep(0.1)
    gate.outage.answered()
    assert gate.outage._timer is None
    await end(*tasks)


async def test_one_that_comes_as_a_probe_is_due_does_not_overtake_those_who_wait() -> None:
    now = 0.0
    outage = Outage("s", random=lambda: 0.0, clock=lambda: now)
    outage.refused(REFUSED)
    waiting = asyncio.create_task(outage.turn())
    await asyncio.sleep(0)
    now = 2.0  # the loop is late: the timer has not fired
    late = asyncio.create_task(outage.turn())
    await asyncio.sleep(0)
    assert not late.done()
    await waiting
    assert not late.done()
    await end(late)


async def test_a_probe_whose_task_is_cancelled_in_the_very_turn_is_handed_on() -> None:
    gate = Gate(draw=lambda: 0.0)
    gate.outage.refused(REFUSED)
    first, second = gate.waiters(2)
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(gate.outage._timer.when(), first.cancel)  # type: ignore[union-attr]
    await asyncio.sleep(2.0)
    assert first.cancelled() and second.done() and len(gate.came) == 1


async def test_a_renewal_that_waits_is_the_next_probe_and_renewals_take_turns() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    others = gate.waiters(3)
    order: list[str] = []

    async def renew(name: str) -> None:
        while True:
            await gate.wait(renewal=True)
            order.append(name)

    renewals = [asyncio.create_task(renew(name)) for name in "ab"]
    await asyncio.sleep(60.0)
    assert order[:6] == [*"ababab"] and len(gate.came) == len(order)
    assert gate.outage.waiting == 3 + 2
    await end(*others, *renewals)


@pytest.mark.parametrize("came", [100.0, 103.0, 119.0, 200.0])
async def test_a_renewal_waits_no_longer_than_ten_seconds_after_the_last_probe(came: float) -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    others = gate.waiters(100)
    await asyncio.sleep(came)
    probed = gate.came[-1][0]
    await gate.wait(renewal=True)
    assert max(came, probed + 5.0) <= gate.came[-1][0] <= max(came, probed + 10.0) + 1e-3
    waiting = asyncio.create_task(gate.wait(renewal=True))
    await asyncio.sleep(10.0)
    assert waiting.done(), "and so on"
    await end(*others)


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.9])
async def test_renewals_that_wait_together_are_the_probes_one_after_the_other_with_jitter(
    draw: float,
) -> None:
    gate = Gate(draw=lambda: draw)
    gate.outage.refused(REFUSED)
    others = gate.waiters(100)
    await asyncio.sleep(200.0)
    probed = gate.came[-1][0]
    renewals = [asyncio.create_task(gate.wait(renewal=True)) for _ in range(3)]
    await asyncio.wait(renewals)
    times = [time for time, _ in gate.came[-3:]]
    between = 5.0 * (1.0 + draw)
    assert times[0] == pytest.approx(max(200.0, probed + between), abs=0.01)
    assert times[1:] == pytest.approx([times[0] + between, times[0] + 2 * between], abs=0.01)
    await end(*others)


async def test_a_renewal_cancelled_in_the_very_turn_of_its_probe_hands_it_on() -> None:
    gate = Gate(draw=lambda: 0.0)
    gate.outage.refused(REFUSED)
    renewal, (other,) = asyncio.create_task(gate.wait(renewal=True)), gate.waiters(1)
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(gate.outage._timer.when(), renewal.cancel)  # type: ignore[union-attr]
    await asyncio.sleep(2.0)
    assert renewal.cancelled() and other.done() and len(gate.came) == 1


async def test_a_waiter_cancelled_while_it_waits_or_is_spread_leaves_nothing_behind() -> None:
    gate = Gate()
    gate.outage.refused(REFUSED)
    first, second = gate.waiters(2)
    await asyncio.sleep(0.1)
    await end(first)
    assert gate.outage.waiting == 1
    gate.outage.answered()
    await asyncio.sleep(0)
    await end(second)
    assert gate.outage.waiting == 0 and gate.came == []


@pytest.mark.parametrize("window", [-1.0, float("nan")])
async def test_a_window_is_no_negative_time(window: float) -> None:
    with pytest.raises(ConfigError, match="spread"):
        Door(ScriptedTransport(), limiter=Limiter(None), observers=Observers(), spread=window)


# --- what the door takes for an outage ---


def door(*script: Scripted | BaseException | None) -> tuple[Door, ScriptedTransport]:
    transport = ScriptedTransport(*script)
    return Door(transport, limiter=Limiter(None), observers=Observers(), random=lambda: 0.0), transport


async def ask(one: Door) -> None:
    await asyncio.gather(one.call(GET, retry=False), return_exceptions=True)


@pytest.mark.parametrize(
    ("failure", "begins"),
    [
        (ConnectFailed("refused"), True),
        (ConnectFailed("untrusted", permanent=True), False),
        (ConnectFailed("none of 32 connections was free", local=True), False),
        (ConnectionLost("reset"), False),
        (status(503), False),
    ],
)
async def test_an_outage_begins_with_a_refused_connection_alone(
    failure: Scripted | BaseException, begins: bool
) -> None:
    one, _ = door(failure)
    await ask(one)
    assert one.outage.lasts is begins
    await one.close()


DROPPED = ConnectionLost("reset", dropped=True)


@pytest.mark.parametrize(
    ("paths", "script", "begins"),
    [
        ("aba", [DROPPED] * 3, True),
        ("aaab", [DROPPED] * 4, True),
        ("ab", [DROPPED] * 2, False),
        ("aaaaa", [DROPPED] * 5, False),  # what is asked for may be what is not borne
        ("abab", [DROPPED, DROPPED, status(503), DROPPED], False),
        ("abcde", [ConnectionLost("no answer in time")] * 5, False),
        ("abcde", [DROPPED, ConnectionLost("an idle connection was closed"), DROPPED], False),
    ],
)
async def test_connections_dropped_in_a_row_begin_an_outage(
    paths: str, script: list[Scripted | BaseException], begins: bool
) -> None:
    one, _ = door(*script)
    for path, _ in zip(paths, script, strict=False):
        await asyncio.gather(one.call(Request("GET", f"/{path}"), retry=False), return_exceptions=True)
    assert one.outage.lasts is begins
    await one.close()


async def test_an_outage_of_dropped_connections_says_so_and_ends_with_any_answer() -> None:
    one, _ = door(*[DROPPED] * 3, status(503))
    for path in "abc":
        await asyncio.gather(one.call(Request("GET", f"/{path}"), retry=False), return_exceptions=True)
    with pytest.raises(ConnectFailed, match=r"still drops connections.*reset"):
        await one.call(GET, probing=True, within=0.1)
    with pytest.raises(ServerUnavailable):
        await one.call(GET, retry=False)
    assert not one.outage.lasts
    await one.close()


@pytest.mark.parametrize("answer", [Scripted(), status(404), status(503), status(401)])
async def test_any_answer_to_anybody_ends_it(answer: Scripted) -> None:
    one, _ = door(REFUSED, answer)
    await ask(one)
    await ask(one)
    assert not one.outage.lasts


async def test_a_connection_that_is_lost_does_not_end_it() -> None:
    one, _ = door(REFUSED, ConnectionLost("reset"))
    await ask(one)
    await ask(one)
    assert one.outage.lasts
    await one.close()


async def test_a_connection_that_fails_because_the_client_closes_is_no_outage() -> None:
    transport = Driven(lambda _: REFUSED, latency=1.0)
    one = Door(transport, limiter=Limiter(None), observers=Observers())
    call = asyncio.create_task(one.call(GET, retry=False))
    await asyncio.sleep(0.5)
    await one.close()
    with pytest.raises(ConnectFailed):
        await call
    assert not one.outage.lasts and one.outage._timer is None


async def test_one_that_yields_sends_nothing_once_the_server_is_away() -> None:
    transport = ScriptedTransport(REFUSED, status(404), Scripted())
    limiter = Limiter(0.1, 1)
    one = Door(transport, limiter=limiter, observers=Observers(), random=lambda: 0.0)
    await ask(one)
    waiting = [asyncio.create_task(one.open(GET, yielding=True)) for _ in range(3)]
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(transport.sent) == 1
    for task in waiting:
        with pytest.raises(ConnectFailed, match="still refuses connections"):
            task.result()
    assert asyncio.get_running_loop().time() == pytest.approx(10.0, abs=0.1), "and took no token"
    with pytest.raises(NotFound):
        await one.open(GET)
    await one.close()


async def test_a_place_is_given_back_by_one_that_yields() -> None:
    one, _ = door(REFUSED)
    await ask(one)
    with pytest.raises(ConnectFailed):
        await one.admit(GET, place=one.lists, yielding=True)
    assert one.lists.count == 0
    await one.close()


async def test_the_first_try_of_a_renewal_goes_at_once_and_its_repeats_are_the_probes() -> None:
    transport = Driven(lambda _: REFUSED)
    one = Door(transport, limiter=Limiter(None), observers=Observers(), random=lambda: 0.0)
    await ask(one)
    others = [asyncio.create_task(one.call(GET, probing=True)) for _ in range(5)]
    await asyncio.sleep(0.5)
    with pytest.raises(ConnectFailed) as failed:
        await one.call(RENEWAL, probing=True)
    assert failed.value.attempts == 5
    assert transport.times == pytest.approx([0.0, 0.5, 1.5, 4.5, 9.5, 15.9], abs=1e-3)
    assert {request.resource for request in transport.sent[1:]} == {RENEWAL.resource}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await one.close()


@pytest.mark.parametrize("seconds", [3.0, 9.0, 25.0, 60.0, 120.0])
@pytest.mark.parametrize("seed", range(4))
async def test_a_lease_of_15_s_is_renewed_in_time_once_the_server_is_back(seconds: float, seed: int) -> None:
    clock, draw = asyncio.get_running_loop().time, random.Random(seed).random
    back = 5.0 + seconds
    transport = Driven(lambda _: REFUSED if 5.0 <= clock() < back else Scripted(), latency=0.01)
    one = Door(transport, limiter=Limiter(None), observers=Observers(), random=draw)
    renewed: list[float] = []

    async def holder() -> None:
        while True:
            try:
                await one.call(RENEWAL, probing=True)
                renewed.append(clock())
            except ConnectFailed:
                pass
            await asyncio.sleep(5.0)

    async def informer() -> None:
        while True:
            await one.outage.turn(30.0)
            await asyncio.gather(one.open(GET), return_exceptions=True)
            await asyncio.sleep(1.0)

    tasks = [asyncio.create_task(holder()), *(asyncio.create_task(informer()) for _ in range(3))]
    await asyncio.sleep(back + 60.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert next(at for at in renewed if at > back) - back < 15.0
    await one.close()


async def test_a_flapping_server_is_asked_at_the_pace_of_a_backoff() -> None:
    draw = random.Random(2)
    transport = Driven(lambda _: REFUSED if draw.random() < 0.5 else status(503), latency=0.01)
    one = Door(transport, limiter=Limiter(None), observers=Observers(), random=draw.random)

    async def informer() -> None:
        while True:
            await one.outage.turn(30.0)
            try:
                await one.open(GET)
            except ServerUnavailable:
                await asyncio.sleep(5.0)
            except ConnectFailed:
                pass

    tasks = [asyncio.create_task(informer()) for _ in range(10)]
    await asyncio.sleep(600.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(transport.sent) < 10 * 600 / 5
    await one.close()


async def test_a_410_says_that_history_is_lost_only_soon_after_an_outage() -> None:
    gate = Outage("http://x", random=random.Random(1).random)
    gate.expired(30.0)
    assert not gate.history_lost
    gate.refused(ConnectFailed("refused"))
    gate.answered()
    await asyncio.sleep(31.0)
    gate.expired(30.0)
    assert not gate.history_lost
    gate.refused(ConnectFailed("refused"))
    gate.answered()
    await asyncio.sleep(29.0)
    gate.expired(30.0)
    assert gate.history_lost
    gate.refused(ConnectFailed("refused"))
    assert not gate.history_lost


@pytest.mark.parametrize("way", ["call", "follow"])
async def test_callers_that_waited_for_admission_when_it_began_wait_for_their_turn(way: str) -> None:
    clock = asyncio.get_running_loop().time
    transport = Driven(lambda _: REFUSED if clock() < 30.0 else Scripted())
    limiter = Limiter(2.0, 1)
    one = Door(transport, limiter=limiter, observers=Observers(), random=lambda: 0.0)

    async def ask() -> None:
        if way == "call":
            await one.call(GET, probing=True)
        else:
            await one.follow(GET)

    calls = [asyncio.create_task(ask()) for _ in range(50)]
    await asyncio.sleep(30.0)
    assert 4 <= len(transport.sent) <= 7, "the one that was refused first, and probes"
    await asyncio.gather(*calls)
    assert one._in_flight.count == 0 and one.waiting == 0
    assert len(transport.sent) <= 7 + 50
    assert transport.most_within(1.0) <= 1 + 2 + 1
