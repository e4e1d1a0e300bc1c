"""What a pass through the limiter costs where nobody waits, beside what its meter costs alone.

Both are asked in turn, in one process, so that a noisy machine is noisy to both.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from aiolimiter import AsyncLimiter

from kresilient.flow.lanes import Lane
from kresilient.flow.limiter import Limiter

from .report import Row, machine, progress

__all__ = ["LimiterReport", "measure"]

_PASSES: Final = 20_000
_LIMIT: Final = 3.0
_PLENTY: Final = 10**9


@dataclass(frozen=True, slots=True)
class LimiterReport:
    """Microseconds of each round of passes: through aiolimiter alone, through the limiter, and with a lane
    and a deadline given."""

    meter: list[float]
    limiter: list[float]
    deadline: list[float]
    row: Row
    on: dict[str, Any]

    @property
    def met(self) -> bool:
        return self.row.met

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}

    def table(self) -> str:
        lines = ["| an uncontended pass | µs |", "|---|---|"]
        for name, rounds in (
            ("aiolimiter alone", self.meter),
            ("Limiter.acquire()", self.limiter),
            ("Limiter.acquire(lane, within=)", self.deadline),
        ):
            lines.append(f"| {name} | {median(rounds):.2f} ({min(rounds):.2f}–{max(rounds):.2f}) |")
        met = "met" if self.met else "NOT met"
        lines += ["", "| row | value | allowed | |", "|---|---|---|---|"]
        lines.append(f"| {self.row.claim} | {self.row.value:.2f} | {self.row.limit:g} | {met} |")
        return "\n".join(lines)


def measure(*, rounds: int) -> LimiterReport:
    """Pass *rounds* times some 20,000 requests through each, in turn."""
    progress(f"{rounds} rounds of {_PASSES:,} passes through each, in turn …")
    return asyncio.run(_measure(rounds))


async def _measure(rounds: int) -> LimiterReport:
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
    alone, ours, deadline = (taken for taken, _ in sides)
    ratio = median(mine / its for mine, its in zip(ours, alone, strict=True))
    row = Row("an uncontended pass, as a multiple of aiolimiter's own", ratio, _LIMIT)
    return LimiterReport(alone, ours, deadline, row, machine("aiolimiter"))
