"""The token bucket: how many pass, in which order, and what a cancelled waiter costs (nothing)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from kresilient.api.errors import ConfigError, LifecycleError
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
