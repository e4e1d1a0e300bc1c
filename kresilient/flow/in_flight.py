"""A cap on requests under way, beside the cap on their rate: a slow server is not asked ever more at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from ..api.errors import ConfigError
from .lanes import Lane
from .limiter import AGED_AFTER, AGED_TURN

__all__ = ["MAX_IN_FLIGHT", "MAX_LISTS", "RESERVED", "InFlight"]

MAX_IN_FLIGHT: Final = 30
"""Unary calls of one client under way at once; with the reserved ones that is what the HTTP transport's pool
holds."""

MAX_LISTS: Final = 4
"""Lists of informers under way at once, of all clients of one server on one event loop."""

RESERVED: Final = 2
"""Places for lease renewals beside those."""


_Line = OrderedDict["asyncio.Future[None]", float]  # who waits, and since when


class InFlight:
    """Lets *most* unary calls be under way at once, and *reserved* lease renewals beside them.

    Places are given in the order of the lanes, and within a lane in the order they were asked for; every
    fourth goes to whoever waited longest in a later lane, as in the limiter, once that is more than 10 s. A
    renewal finds a place even where slow requests hold all the common ones.

    Raises `ConfigError` unless both are whole numbers of at least 1.
    """

    __slots__ = ("__weakref__", "_lines", "_reserved", "_turn", "count", "most")

    def __init__(self, most: int = MAX_IN_FLIGHT, *, reserved: int = RESERVED) -> None:
        for figure in (most, reserved):
            if isinstance(figure, bool) or not isinstance(figure, int) or figure < 1:
                raise ConfigError(f"max_in_flight must be a whole number of at least 1; got {figure!r}")
        self.most = most
        self._reserved = reserved
        self._lines: tuple[_Line, ...] = tuple(OrderedDict() for _ in Lane)
        self._turn = 0
        self.count = 0
        """Calls under way now."""

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(len(line) for line in self._lines)

    def try_acquire(self, lane: Lane) -> bool:
        """Take a place, to be released, if one is free."""
        if not self._free(lane):
            return False
        self.count += 1
        return True

    async def acquire(self, lane: Lane) -> None:
        """Wait for a place; `release` it. Cancelled: none is taken."""
        if self.try_acquire(lane):
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        line = self._lines[lane]
        line[turn] = loop.time()
        try:
            await turn
        except BaseException:
            if line.pop(turn, None) is None and turn.done() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Give a place back: the next who may have it gets it."""
        self.count -= 1
        while (turn := self._next()) is not None:
            if not turn.done():  # its task may have been cancelled, and not run since
                self.count += 1
                turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        """Whose turn it is, taken out of its line; None where nobody may have a place now."""
        lease, *others = self._lines
        if lease and self._free(Lane.LEASE):
            return lease.popitem(last=False)[0]
        heads = [line for line in others if line]
        if not heads or not self._free(Lane.LIST):
            return None
        line = heads[0]
        self._turn = (self._turn + 1) % AGED_TURN
        if not self._turn and len(heads) > 1:
            oldest = min(heads[1:], key=lambda one: next(iter(one.values())))
            if asyncio.get_running_loop().time() - next(iter(oldest.values())) >= AGED_AFTER:
                line = oldest
        return line.popitem(last=False)[0]

    def _free(self, lane: Lane) -> bool:
        return self.count < self.most + (self._reserved if lane is Lane.LEASE else 0)
