"""The token bucket: how many pass, in which order, and what a cancelled waiter costs (nothing)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from kresilient.api.errors import ConfigError, FlowTimeout, LifecycleError
from kresilient.flow.lanes import Lane
from kresilient.flow.limiter import Limiter

virtual = pytest.mark.looptime


async def admitted_within(limiter: Limiter, seconds: float, waiters: int) -> int:
    """How many calls pass in *seconds* when *waiters* tasks each ask again as soon as they pass."""
    passed = 0

    async def ask() -> None:
        nonlocal passed
        while True:
            await limiter.acquire()
            passed += 1
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(ask()) for _ in range(waiters)]
    await asyncio.sleep(seconds)
    count = passed
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return count


@virtual
@pytest.mark.parametrize("waiters", [1, 1_000])
@pytest.mark.parametrize(("qps", "burst"), [(20.0, 40), (5.0, 10), (3.0, 1), (0.7, 2), (7.3, 11)])
async def test_ten_seconds_admit_the_burst_and_the_rate(qps: float, burst: int, waiters: int) -> None:
    count = await admitted_within(Limiter(qps, burst), 10.0, waiters)
    assert abs(count - (burst + qps * 10.0)) <= 1


@virtual
@pytest.mark.parametrize("seed", range(3))
async def test_cancelled_waiters_take_no_token(seed: int) -> None:
    draw = random.Random(seed)
    limiter, passed = Limiter(20.0, 40), 0

    async def ask() -> None:
        nonlocal passed
        await limiter.acquire()
        passed += 1

    tasks: list[asyncio.Task[None]] = []
    deadline = asyncio.get_running_loop().time() + 10.0
    while asyncio.get_running_loop().time() < deadline:
        tasks += [asyncio.create_task(ask()) for _ in range(30)]
        await asyncio.sleep(0.1)
        for task in draw.sample(tasks, len(tasks) // 10):
            task.cancel()
    assert abs(passed - 240) <= 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert limiter.waiting == 0


@virtual
async def test_waiters_pass_in_the_order_they_came_even_past_newcomers() -> None:
    limiter, order = Limiter(10.0, 1), list[int]()

    async def ask(number: int) -> None:
        await limiter.acquire()
        order.append(number)

    tasks = []
    for number in range(50):
        tasks.append(asyncio.create_task(ask(number)))
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    assert order == list(range(50))


@virtual
async def test_the_head_of_the_line_may_leave_and_the_next_moves_up() -> None:
    limiter = Limiter(1.0, 1)
    await limiter.acquire()
    head = asyncio.create_task(limiter.acquire())
    second = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0.5)
    head.cancel()
    assert await second == pytest.approx(1.0, abs=1e-3)
    assert head.cancelled()


@virtual
async def test_it_tells_how_long_the_wait_was() -> None:
    limiter = Limiter(2.0, 2)
    assert [await limiter.acquire() for _ in range(2)] == [0.0, 0.0]
    assert await limiter.acquire() == pytest.approx(0.5, abs=1e-3)


@virtual
async def test_a_rest_fills_the_bucket_again_but_no_further() -> None:
    limiter = Limiter(10.0, 5)
    for _ in range(5):
        await limiter.acquire()
    await asyncio.sleep(1_000)
    assert [await limiter.acquire() for _ in range(5)] == [0.0] * 5
    assert await limiter.acquire() > 0.0


async def test_no_limit_admits_everything_at_once() -> None:
    limiter = Limiter(qps=None)
    assert sum([await limiter.acquire() for _ in range(10_000)]) == 0.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limiter(0.0),
        lambda: Limiter(-1.0),
        lambda: Limiter(float("nan")),
        lambda: Limiter(float("inf")),
        lambda: Limiter(1.0, 0),
        lambda: Limiter(1.0, 1.5),  # type: ignore[arg-type]
        lambda: Limiter(1.0, True),
    ],
)
def test_numbers_that_make_no_limiter_are_refused(make: Callable[[], Limiter]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_it_serves_one_loop_after_the_other_but_not_two_at_once() -> None:
    limiter = Limiter(1_000.0, 1)
    asyncio.run(limiter.acquire())  # type: ignore[arg-type]
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(limiter.acquire())
        with pytest.raises(LifecycleError, match="another event loop"):
            asyncio.run(limiter.acquire())  # type: ignore[arg-type]
    finally:
        loop.close()


def test_a_line_of_waiters_in_one_loop_leaves_the_next_loop_free() -> None:
    limiter = Limiter(1_000.0, 1)

    async def line() -> list[float]:
        return await asyncio.gather(*(limiter.acquire() for _ in range(3)))

    for _ in range(2):
        assert len(asyncio.run(line())) == 3


def test_its_repr_tells_the_rate() -> None:
    assert repr(Limiter(20.0, 40)) == "Limiter(qps=20, burst=40, waiting=0)"
    assert repr(Limiter(None)) == "Limiter(unlimited, waiting=0)"


# --- lanes ---


async def line_up(limiter: Limiter, *lanes: Lane) -> tuple[list[asyncio.Task[None]], list[Lane]]:
    """Waiters of an empty bucket, in this order; the list fills with lanes as they pass."""
    order: list[Lane] = []

    async def ask(lane: Lane) -> None:
        await limiter.acquire(lane)
        order.append(lane)

    while limiter.try_acquire():
        pass
    tasks = []
    for lane in lanes:
        tasks.append(asyncio.create_task(ask(lane)))
        await asyncio.sleep(0)
    return tasks, order


@virtual
async def test_lanes_pass_in_order_and_within_a_lane_who_came_first() -> None:
    limiter = Limiter(10.0, 1)
    lanes = [Lane.LIST, Lane.READ, Lane.WRITE, Lane.LEASE] * 2
    tasks, order = await line_up(limiter, *lanes)
    await asyncio.gather(*tasks)
    assert order == sorted(lanes)


@virtual
@pytest.mark.parametrize("qps", [5.0, 50.0, 500.0])
async def test_in_a_saturated_list_lane_a_lease_waits_one_token_interval_at_most(qps: float) -> None:
    limiter = Limiter(qps, 10)
    bulk, _ = await line_up(limiter, *[Lane.LIST] * 1_000)
    draw = random.Random(3)
    for _ in range(20):
        await asyncio.sleep(draw.random())
        assert await limiter.acquire(Lane.LEASE) <= 1.0 / qps * 1.01
        bulk += [asyncio.create_task(limiter.acquire(Lane.LIST)) for _ in range(600)]  # type: ignore[misc]
    for task in bulk:
        task.cancel()
    await asyncio.gather(*bulk, return_exceptions=True)


@virtual
async def test_who_waited_long_in_a_later_lane_is_let_in_between() -> None:
    limiter = Limiter(10.0, 1)
    tasks, order = await line_up(limiter, Lane.LIST, *[Lane.WRITE] * 300)
    await asyncio.sleep(9.0)
    assert Lane.LIST not in order  # it is not aged yet
    await asyncio.sleep(2.0)
    assert Lane.LIST in order
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@virtual
async def test_aged_lists_do_not_push_out_more_than_a_quarter_of_the_writes() -> None:
    limiter = Limiter(10.0, 1)
    tasks, order = await line_up(limiter, *[Lane.LIST] * 500, *[Lane.WRITE] * 500)
    await asyncio.sleep(30.0)
    late = order[120:]
    assert 0.22 <= late.count(Lane.LIST) / len(late) <= 0.28
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# --- rate, to the token ---


@virtual
@pytest.mark.parametrize("waiters", [1, 1_000])
@pytest.mark.parametrize("qps", [5.0, 50.0, 500.0])
@pytest.mark.parametrize("seed", range(2))
async def test_the_rate_holds_under_random_cancellation_in_all_lanes(
    qps: float, waiters: int, seed: int
) -> None:
    draw, burst, seconds = random.Random(seed), 10, 10.0
    limiter, passed, cancelled = Limiter(qps, burst), 0, 0
    over = asyncio.Event()

    async def ask() -> None:
        nonlocal passed
        while not over.is_set():
            await limiter.acquire(draw.choice(list(Lane)))
            if not over.is_set():
                passed += 1

    tasks = [asyncio.create_task(ask()) for _ in range(waiters)]
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while clock() < end - 1e-9:
        await asyncio.sleep(min(draw.random() * 0.05, end - clock()))
        for index in draw.sample(range(waiters), max(1, waiters // 50)):
            cancelled += tasks[index].cancel()
            tasks.append(tasks[index])  # to be awaited in the end
            tasks[index] = asyncio.create_task(ask())
    over.set()
    expected = burst + qps * seconds
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert cancelled > 100
    assert limiter.waiting == 0
    assert abs(passed - expected) <= max(1.0, expected * 0.01)


@virtual
async def test_a_waiter_cancelled_in_the_very_turn_it_was_let_in_hands_its_token_on() -> None:
    limiter = Limiter(1.0, 1)
    await limiter.acquire()
    first = asyncio.create_task(limiter.acquire())
    second = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    # The dispatcher's timer fires at 1 s and a little; the cancellation lands in the same turn, behind it.
    when = limiter._timer.when()  # type: ignore[union-attr]
    loop.call_at(when, first.cancel)
    assert await second == pytest.approx(1.0, abs=1e-2)
    assert first.cancelled()


# --- deadlines ---


@virtual
async def test_a_deadline_that_cannot_be_met_is_said_before_waiting() -> None:
    limiter = Limiter(2.0, 1)
    tasks, _ = await line_up(limiter, *[Lane.WRITE] * 10, *[Lane.LIST] * 10)
    clock = asyncio.get_running_loop().time
    started = clock()
    with pytest.raises(
        FlowTimeout, match=r"10 requests wait before it \(lane read\), which takes about 5\.5 s"
    ) as caught:
        await limiter.acquire(Lane.READ, within=5.0)
    assert clock() == started
    assert (caught.value.lane, caught.value.queued) == ("read", 10)
    assert caught.value.expected == pytest.approx(5.5, abs=1e-2)
    assert await limiter.acquire(Lane.READ, within=6.0) == pytest.approx(5.5, abs=1e-2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@virtual
async def test_a_deadline_overtaken_by_a_higher_lane_takes_no_token() -> None:
    limiter = Limiter(1.0, 1)
    await limiter.acquire()
    late = asyncio.create_task(limiter.acquire(Lane.LIST, within=1.5))
    await asyncio.sleep(0.5)
    writes = [asyncio.create_task(limiter.acquire(Lane.WRITE)) for _ in range(3)]
    with pytest.raises(FlowTimeout):
        await late
    assert asyncio.get_running_loop().time() == pytest.approx(1.5, abs=1e-6)
    assert [round(await write, 1) for write in writes] == [0.5, 1.5, 2.5]
    assert limiter.waiting == 0


@virtual
async def test_no_time_at_all_is_enough_where_a_token_is_free() -> None:
    limiter = Limiter(1.0, 1)
    assert await limiter.acquire(within=0.0) == 0.0
    with pytest.raises(FlowTimeout):
        await limiter.acquire(within=0.0)


@virtual
async def test_try_acquire_takes_a_free_token_but_never_one_that_somebody_waits_for() -> None:
    limiter = Limiter(10.0, 2)
    assert [limiter.try_acquire() for _ in range(3)] == [True, True, False]
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    assert not limiter.try_acquire()
    await waiting
    await asyncio.sleep(0.1)
    assert limiter.try_acquire()


# --- changing rates and shares ---


@virtual
async def test_a_changed_rate_holds_at_once_for_those_who_wait() -> None:
    limiter = Limiter(0.001, 1)
    await limiter.acquire()
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(1.0)
    limiter.set_rate(10.0)
    assert await waiting == pytest.approx(1.1, abs=1e-2)
    limiter.set_rate(None)
    assert await limiter.acquire() == 0.0
    limiter.set_rate(1.0, 3)
    assert repr(limiter) == "Limiter(qps=1, burst=3, waiting=0)"


@virtual
async def test_those_who_wait_pass_when_the_limit_is_lifted() -> None:
    limiter = Limiter(0.001, 1)
    tasks, order = await line_up(limiter, *[Lane.READ] * 5)
    limiter.set_rate(None)
    await asyncio.gather(*tasks)
    assert (len(order), limiter.waiting) == (5, 0)


@virtual
async def test_changing_the_rate_makes_no_tokens() -> None:
    limiter = Limiter(1.0, 10)
    for _ in range(10):
        await limiter.acquire()
    for burst in (40, 10, 40, 5, 40):
        limiter.set_rate(1.0, burst)
        assert not limiter.try_acquire()
    await asyncio.sleep(3.01)
    assert [limiter.try_acquire() for _ in range(4)] == [True, True, True, False]


@virtual
async def test_a_lower_burst_keeps_no_more_tokens_than_it_holds() -> None:
    limiter = Limiter(1.0, 40)
    assert limiter.try_acquire()
    limiter.set_rate(1.0, 3)
    assert [limiter.try_acquire() for _ in range(4)] == [True, True, True, False]


@virtual
async def test_shares_sum_to_the_whole_and_follow_it() -> None:
    whole = Limiter(100.0, 40)
    assert whole.try_acquire()
    bulk = whole.share(0.25)
    assert (whole.qps, whole.burst, bulk.qps, bulk.burst) == (75.0, 30, 25.0, 10)
    counts = [await admitted_within(one, 10.0, 5) for one in (whole, bulk)]
    assert sum(counts) <= 40 + 100.0 * 20 + 2
    whole.set_rate(20.0, 8)
    assert (whole.qps, whole.burst, bulk.qps, bulk.burst) == (15.0, 6, 5.0, 2)
    with pytest.raises(ConfigError, match="is a share of"):
        bulk.set_rate(50.0)


@virtual
async def test_a_share_takes_its_part_of_the_free_tokens_only() -> None:
    whole = Limiter(0.001, 40)
    for _ in range(20):
        assert whole.try_acquire()
    share = whole.share(0.5)
    passed = [0, 0]
    for index, one in enumerate((whole, share)):
        while one.try_acquire():
            passed[index] += 1
    assert sum(passed) <= 20


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 0.8, float("nan")])
def test_shares_that_leave_nothing_are_refused(fraction: float) -> None:
    whole = Limiter(10.0, 40)
    whole.share(0.3)
    with pytest.raises(ConfigError, match="shares must sum to less than 1"):
        whole.share(fraction)


def test_a_burst_too_small_to_be_shared_is_refused_and_changes_nothing() -> None:
    whole = Limiter(10.0, 1)
    with pytest.raises(ConfigError, match="too small"):
        whole.share(0.5)
    assert (whole.qps, whole.burst) == (10.0, 1)


@virtual
@pytest.mark.parametrize("burst", [1, 2, 5])
async def test_a_token_that_is_given_back_late_neither_is_lost_nor_stops_the_dispatcher(burst: int) -> None:
    limiter = Limiter(2.0, burst)
    for _ in range(burst):
        assert limiter.try_acquire()
    await asyncio.sleep(0.25)  # half a token came in meanwhile
    limiter.give_back()
    if burst == 1:
        assert limiter.try_acquire() and not limiter.try_acquire(), "the bucket holds one in all"
        limiter.give_back()
    waiting = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
    waits = [await one for one in waiting]
    first = 0.5 if burst == 1 else 0.25
    assert waits == pytest.approx([0.0, first, first + 0.5], abs=0.01)


@virtual
@pytest.mark.parametrize("seed", range(4))
async def test_tokens_given_back_at_random_change_the_rate_by_nothing(seed: int) -> None:
    draw, burst = random.Random(seed), 1 + seed
    limiter = Limiter(5.0, burst)
    used = 0

    async def ask() -> None:
        nonlocal used
        while True:
            await limiter.acquire(draw.choice(list(Lane)), first=draw.random() < 0.3)
            await asyncio.sleep(draw.random() * 0.01)
            if draw.random() < 0.5:
                limiter.give_back()
                await asyncio.sleep(draw.random() * 0.3)
            else:
                used += 1

    tasks = [asyncio.create_task(ask()) for _ in range(40)]
    await asyncio.sleep(60.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert 0.95 * 5.0 * 60 <= used <= burst + 5.0 * 60


@virtual
async def test_a_waiter_cancelled_in_the_very_turn_of_its_deadline_leaves_the_line_in_order() -> None:
    limiter = Limiter(0.1, 1)
    await limiter.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5.0):
            await limiter.acquire(within=5.0, first=True)
    assert limiter.waiting == 0
    assert await limiter.acquire() == pytest.approx(5.0, abs=0.1), "and the next token is handed out"


@virtual
async def test_one_that_was_late_is_told_of_those_before_it_only() -> None:
    limiter = Limiter(0.1, 1)
    await limiter.acquire()
    before = [asyncio.create_task(limiter.acquire(lane)) for lane in (Lane.READ, Lane.LIST)]
    late = asyncio.create_task(limiter.acquire(Lane.READ, within=25.0))
    await asyncio.sleep(0)
    behind = [asyncio.create_task(limiter.acquire(Lane.WRITE)) for _ in range(2)]
    behind += [asyncio.create_task(limiter.acquire(Lane.READ)) for _ in range(5)]
    await asyncio.sleep(25.0)
    with pytest.raises(FlowTimeout) as caught:
        await late
    assert (caught.value.queued, caught.value.expected) == (1, pytest.approx(15.0, abs=0.1))
    for task in (*before, *behind):
        task.cancel()
