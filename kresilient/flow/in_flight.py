"""A cap on requests under way, beside the cap on their rate: a slow server is not asked ever more at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Final

from ..api.errors import ConfigError, FlowTimeout
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

_NEWEST: Final = 0.1  # the share of the last call in the usual time that a place is held

_Line = OrderedDict["asyncio.Future[None]", float]  # who waits, and since when


class InFlight:
    """Lets *most* unary calls be under way at once, and *reserved* lease renewals beside them.

    Places are given in the order of the lanes, and within a lane in the order they were asked for; every
    fourth goes to whoever waited longest in a later lane, as in the limiter, once that is more than 10 s. A
    renewal finds a place even where slow requests hold all the common ones.

    How long one has to wait is a guess: by how long places were held of late, and by how long none has become
    free.

    Raises `ConfigError` unless both are whole numbers of at least 1.
    """

    __slots__ = (
        "__weakref__",
        "_held",
        "_lines",
        "_moved_at",
        "_reserved",
        "_taken",
        "_turn",
        "count",
        "most",
    )

    def __init__(self, most: int = MAX_IN_FLIGHT, *, reserved: int = RESERVED) -> None:
        for figure in (most, reserved):
            if isinstance(figure, bool) or not isinstance(figure, int) or figure < 1:
                raise ConfigError(f"max_in_flight must be a whole number of at least 1; got {figure!r}")
        self.most = most
        self._reserved = reserved
        self._lines: tuple[_Line, ...] = tuple(OrderedDict() for _ in Lane)
        self._turn = 0
        self._taken: deque[float] = (
            deque()
        )  # when: the oldest first, for which of them is released is not said
        self._moved_at = 0.0  # when a place was last taken or released
        self._held: float | None = None  # seconds that a place is held, of late
        self.count = 0
        """Calls under way now."""

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(len(line) for line in self._lines)

    def expected_wait(self, lane: Lane) -> float | None:
        """Seconds that one who comes now would wait in *lane*, if nobody comes later into a lane before it;
        None where places are taken and none has been released yet."""
        return 0.0 if self._free(lane) else self._guess(lane, self._before(lane))

    def check(self, lane: Lane, within: float) -> None:
        """Raise the `FlowTimeout` of one who came now and would not get a place *within* so many seconds."""
        if (expected := self.expected_wait(lane)) is not None and expected > within:
            raise self._overdue(lane, within, self._before(lane), expected)

    def try_acquire(self, lane: Lane) -> bool:
        """Take a place, to be released, if one is free."""
        if not self._free(lane):
            return False
        self._take()
        return True

    async def acquire(self, lane: Lane, *, within: float | None = None) -> None:
        """Wait for a place; `release` it.

        *within*: seconds it may take; None for as long as it takes.

        Raises `FlowTimeout` where *within* cannot be met by what is known (said before waiting), or was not.
        Cancelled, or failed: none is taken.
        """
        if self.try_acquire(lane):
            return
        if within is not None:
            self.check(lane, within)
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        line = self._lines[lane]
        line[turn] = loop.time()
        deadline = None if within is None else loop.call_later(within, self._expire, lane, turn, within)
        try:
            await turn
        except BaseException:
            if line.pop(turn, None) is None and turn.done() and _given(turn):
                self.release()
            raise
        finally:
            if deadline is not None:
                deadline.cancel()

    def release(self) -> None:
        """Give a place back: the next who may have it gets it."""
        now = asyncio.get_running_loop().time()
        held = now - self._taken.popleft()
        self._held = held if self._held is None else self._held + (held - self._held) * _NEWEST
        self._moved_at = now
        self.count -= 1
        while (turn := self._next()) is not None:
            if not turn.done():  # its task may have been cancelled, and not run since
                self._take()
                turn.set_result(None)

    def _take(self) -> None:
        self.count += 1
        self._moved_at = asyncio.get_running_loop().time()
        self._taken.append(self._moved_at)

    def _before(self, lane: Lane) -> int:
        """How many wait before one who comes now."""
        return sum(len(line) for line in self._lines[: lane + 1])

    def _guess(self, lane: Lane, before: int) -> float | None:
        if self._held is None:
            return None
        return max(self._quiet(), (before + 1) * self._held / self._places(lane))

    def _quiet(self) -> float:
        return asyncio.get_running_loop().time() - self._moved_at

    def _expire(self, lane: Lane, turn: asyncio.Future[None], within: float) -> None:
        if turn.done():
            return  # its task was cancelled in this very turn of the loop, and leaves the line by itself
        line = self._lines[lane]
        place = next(place for place, one in enumerate(line) if one is turn)
        before = sum(len(one) for one in self._lines[:lane]) + place
        del line[turn]
        guess = self._guess(lane, before)
        turn.set_exception(self._overdue(lane, within, before, self._quiet() if guess is None else guess))

    def _overdue(self, lane: Lane, within: float, before: int, expected: float) -> FlowTimeout:
        return FlowTimeout(
            f"not admitted within {within:g} s: too many calls are under way ({self.count}), and {before} "
            f"wait before it for a place (lane {lane}), which takes some {expected:.3g} s by what is known; "
            "allow more time or raise max_in_flight",
            lane=str(lane),
            queued=before,
            expected=expected,
        )

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
        return self.count < self._places(lane)

    def _places(self, lane: Lane) -> int:
        return self.most + (self._reserved if lane is Lane.LEASE else 0)


def _given(turn: asyncio.Future[None]) -> bool:
    return not turn.cancelled() and turn.exception() is None
