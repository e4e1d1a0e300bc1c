"""Ends a wait when nothing was heard for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Silence"]


class Silence:
    """A time limit that moves, as an async context manager: `TimeoutError` once it is due.

    *due* tells the loop time at which that is, as things stand. It is asked only when a timer runs out, for a
    timer for each sign of life costs more than to look at what came. Where it may have become sooner, `look`.
    """

    __slots__ = ("_due", "_limit", "_loop", "_timer")

    def __init__(self, due: Callable[[], float]) -> None:
        self._due = due
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self.look()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def expired(self) -> bool:
        """Whether it was due: the wait ends, or has ended, for that."""
        return self._limit.expired()

    def look(self) -> None:
        """Ask anew when it is due."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due(), self._run_out)

    def _run_out(self) -> None:
        assert self._timer is not None
        if self.expired():
            return
        due = self._due()
        # A timer may run out a moment early; and what is due at once, whenever it is asked, is due.
        if due > max(self._timer.when(), self._loop.time()):
            self._timer = self._loop.call_at(due, self._run_out)
        else:
            self._limit.reschedule(due)
