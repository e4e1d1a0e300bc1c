"""The token bucket against any schedule: whatever callers do, so many pass and no more."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from kresilient.flow.lanes import Lane
from kresilient.flow.limiter import Limiter
from kresilient.testing.simulation import run_virtual

_SECONDS = 10.0


async def admitted(qps: float, burst: int, waiters: int, cancelled: float, draw: Random) -> int:
    """How many pass in ten seconds when *waiters* callers ask again as soon as they pass, in lanes of their
    own choice, and a share of them is *cancelled* and replaced at random moments."""
    limiter, passed, over = Limiter(qps, burst), 0, False

    async def ask() -> None:
        nonlocal passed
        while not over:
            await limiter.acquire(draw.choice(list(Lane)))
            passed += not over

    clock = asyncio.get_running_loop().time
    tasks = [asyncio.create_task(ask()) for _ in range(waiters)]
    gone: list[asyncio.Task[None]] = []
    end = clock() + _SECONDS
    while clock() < end - 1e-6:
        await asyncio.sleep(min(draw.random(), end - clock()))
        for index in range(waiters):
            if draw.random() < cancelled:
                tasks[index].cancel()
                gone.append(tasks[index])
                tasks[index] = asyncio.create_task(ask())
    over = True
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, *gone, return_exceptions=True)
    assert limiter.waiting == 0
    return passed


@settings(max_examples=60, deadline=None)
@given(
    qps=st.floats(0.5, 60.0),
    burst=st.integers(1, 30),
    waiters=st.integers(1, 60),
    cancelled=st.floats(0.0, 0.9),
    seed=st.integers(0, 2**32),
)
def test_what_passes_is_the_burst_and_the_rate_within_a_percent_or_a_token(
    qps: float, burst: int, waiters: int, cancelled: float, seed: int
) -> None:
    passed = run_virtual(admitted(qps, burst, waiters, cancelled, Random(seed)))
    expected = burst + qps * _SECONDS
    assert abs(passed - expected) <= max(1.0, expected / 100) + 1e-9  # for the sum of floats
