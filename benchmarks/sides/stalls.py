"""How long an event loop does not come round."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Final, Self

__all__ = ["Stalls"]

_TICK: Final = 0.001


class Stalls:
    """A task that wants to wake each millisecond, as an async context manager: how late it was at most."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._late = 0.0
        self._busy = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    def taken(self) -> tuple[float, float]:
        """The longest stall since the last call, in ms: by the clock, and as CPU time of the loop's thread,
        which does not grow where others have the machine."""
        found = self._late * 1000, self._busy * 1000
        self._late = self._busy = 0.0
        return found

    async def _tick(self) -> None:
        while True:
            slept, busy = time.perf_counter(), time.thread_time()
            await asyncio.sleep(_TICK)
            self._late = max(self._late, time.perf_counter() - slept - _TICK)
            self._busy = max(self._busy, time.thread_time() - busy)
