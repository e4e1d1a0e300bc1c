"""What a pass through the limiter costs where nobody waits, beside what its meter costs alone.

Both are asked in turn, in one process, so that a noisy machine is noisy to both.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiolimiter import AsyncLimiter

from kresilient.flow.lanes import Lane
from kresilient.flow.limiter import Limiter

from .report import Options, Report, Row, progress

__all__ = ["run"]

_PASSES: Final = 20_000
_LIMIT: Final = 3.0
_PLENTY: Final = 10**9
_CASES: Final = ("aiolimiter alone", "Limiter.acquire()", "Limiter.acquire(lane, within=)")


def run(options: Options) -> Report:
    """Pass some 20,000 requests through each, in turn, round by round."""
    rounds = options.rounds_of(15, quick=3)
    progress(f"{rounds} rounds of {_PASSES:,} passes through each, in turn …")
    return asyncio.run(_measure(rounds))


async def _measure(rounds: int) -> Report:
    meter, limiter = AsyncLimiter(_PLENTY, 1.0), Limiter(float(_PLENTY), _PLENTY)
    sides: list[tuple[list[float], Callable[[], Awaitable[Any]]]] = [
        ([], meter.acquire),
        ([], limiter.acquire),
        ([], lambda: limiter.acquire(Lane.WRITE, within=5.0)),
    ]
    gc.disable()
    try:
        for _ in range(rounds):
            for taken, acquire in sides:
                started = time.perf_counter()
                for _ in range(_PASSES):
                    await acquire()
                taken.append((time.perf_counter() - started) / _PASSES * 1e6)
            gc.collect()
    finally:
        gc.enable()
    report = Report("limiter: what a pass costs where nobody waits")
    for case, (taken, _) in zip(_CASES, sides, strict=True):
        for microseconds in taken:
            report.add({"through": case}, {"pass_us": microseconds})
    ratios = [ours / alone for (alone, ours) in zip(sides[0][0], sides[1][0], strict=True)]
    report.rows = [Row.of("an uncontended pass, in those of aiolimiter alone", ratios, _LIMIT)]
    return report
