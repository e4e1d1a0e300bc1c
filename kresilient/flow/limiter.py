"""Admission: a token bucket in front of every request, with lanes."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import Final

from ..api.errors import ConfigError, FlowTimeout, LifecycleError
from .lanes import Lane
from .meter import Meter

__all__ = ["AGED_AFTER", "AGED_TURN", "Limiter"]

AGED_AFTER: Final = 10.0
"""Seconds of waiting after which a request of a lower lane is let in between those of higher ones."""

AGED_TURN: Final = 4  # every fourth token goes to one that aged, if there is one

_Line = OrderedDict["asyncio.Future[None]", float]  # who waits, and since when


class Limiter:
    """Lets *burst* requests pass at once and *qps* a second after that.

    The bucket starts full. One dispatcher takes a token and *then* picks who gets it: lanes in order
    (lease, write, read, list), and within a lane whoever came first. So that nobody starves, every fourth
    token that no lease wants goes to the one of the later lanes that waited longest, if that is more than
    10 s. Several clients may hold one limiter; it serves one event loop at a time.

    Args:
        qps: requests a second; None admits everything at once.
        burst: requests that may pass together after a rest.

    Raises `ConfigError` unless qps > 0 and burst >= 1.
    """

    __slots__ = (
        "__weakref__",
        "_lines",
        "_loop",
        "_meter",
        "_of",
        "_shares",
        "_timer",
        "_turn",
        "_waiting",
        "_whole",
        "burst",
        "qps",
    )

    def __init__(self, qps: float | None = 20.0, burst: int = 40) -> None:
        _check(qps, burst)
        self.qps, self.burst = qps, burst
        self._whole = (qps, burst)  # before others took their share
        self._of: Limiter | None = None
        self._shares: list[tuple[float, Limiter]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._meter: Meter | None = None
        self._lines: tuple[_Line, ...] = tuple(OrderedDict() for _ in Lane)
        self._waiting = 0
        self._turn = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many callers wait to be admitted now."""
        return self._waiting

    def waiting_in(self, lane: Lane) -> int:
        """How many of them wait in *lane*."""
        return len(self._lines[lane])

    def expected_wait(self, lane: Lane = Lane.READ) -> float:
        """Seconds that one who comes now would wait in *lane*, if nobody comes later into a lane before it.

        Raises `LifecycleError` as `acquire` does.
        """
        meter = self._metered()
        if meter is None:
            return 0.0
        return meter.wait(1.0 + sum(len(line) for line in self._lines[: lane + 1]))

    def check(self, lane: Lane, within: float) -> None:
        """Raise the `FlowTimeout` of one who came now and could not be admitted *within* so many seconds."""
        if (expected := self.expected_wait(lane)) > within:
            raise self._overdue(lane, within, expected)

    async def acquire(
        self, lane: Lane = Lane.READ, *, within: float | None = None, first: bool = False
    ) -> float:
        """Wait for admission; return the seconds waited.

        *within*: seconds it may take; None for as long as it takes.
        *first*: before all who wait in its lane, for one that stood in line already and gave its token back.

        Raises:
            FlowTimeout: *within* cannot be met (said before waiting), or was not; no token was taken.
            LifecycleError: used from another event loop while its own still runs.

        Cancelled: no token is taken; one that was just handed out goes to the next in line.
        """
        meter = self._metered()
        if meter is None or (not self._waiting and meter.take()):
            return 0.0
        loop = asyncio.get_running_loop()
        came = loop.time()
        if within is not None and not first:
            self.check(lane, within)
        line, turn = self._lines[lane], loop.create_future()
        line[turn] = came
        if first:
            line.move_to_end(turn, last=False)
        self._waiting += 1
        if self._timer is None:
            self._dispatch()
        deadline = None if within is None else loop.call_at(came + within, self._expire, lane, turn, within)
        try:
            await turn
        except BaseException:
            if line.pop(turn, None) is not None:
                self._left()
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back()
            raise
        finally:
            if deadline is not None:
                deadline.cancel()
        return loop.time() - came

    def try_acquire(self) -> bool:
        """Take a token if one is free and nobody waits for it. Raises `LifecycleError` as `acquire` does."""
        meter = self._metered()
        return meter is None or (not self._waiting and meter.take())

    def give_back(self) -> None:
        """Give a token back that was not used after all: the next in line gets it."""
        meter = self._metered()
        if meter is not None:
            meter.give_back()
            if self._waiting:
                self._again()

    def set_rate(self, qps: float | None, burst: int | None = None) -> None:
        """Change the figures from now on, for those who wait too; *burst* stays as it is where None.

        Tokens that are there stay, up to the new burst. Shares keep their part of the whole. Raises
        `ConfigError` as the constructor does, and for a share: that follows the limiter it is of.
        """
        if self._of is not None:
            raise ConfigError(f"{self!r} is a share of {self._of!r}: change that one")
        burst = self._whole[1] if burst is None else burst
        _check(qps, burst)
        _split(burst, [fraction for fraction, _ in self._shares])
        self._set_whole(qps, burst)

    def share(self, fraction: float) -> Limiter:
        """A limiter of its own with *fraction* of this one's whole rate and burst, which this one gives up.

        The burst is rounded down, but no limiter's is below 1. The share starts with its part of the free
        tokens. Raises `ConfigError` unless the shares sum to less than 1 and every one can have a burst.
        """
        if not 0 < fraction < 1 or sum(share for share, _ in self._shares) + fraction >= 1:
            given = ", ".join(f"{share:g}" for share, _ in self._shares) or "none"
            raise ConfigError(f"shares must sum to less than 1; {given} given, {fraction!r} asked for")
        _split(self._whole[1], [*(one for one, _ in self._shares), fraction])
        share = Limiter(self.qps, 1)
        share._of = self
        meter = self._metered_if_bound()
        if meter is not None:
            part = fraction / (1.0 - sum(one for one, _ in self._shares))
            free = meter.free()
            share._loop, share._meter = self._loop, Meter(meter.qps, meter.burst, free=free * part)
            self._meter = Meter(meter.qps, meter.burst, free=free * (1.0 - part))
        self._shares.append((fraction, share))
        self._set_whole(*self._whole)
        return share

    # --- the dispatcher ---

    def _dispatch(self) -> None:
        """Hand out the tokens there are, and come back when there is another."""
        self._timer = None
        meter = self._meter
        while self._waiting and (meter is None or meter.take()):
            while self._waiting and (turn := self._next()).cancelled():
                pass  # its task was cancelled, and has not run since
            if turn.cancelled():
                if meter is not None:
                    meter.give_back()
            else:
                turn.set_result(None)
        if self._waiting and meter is not None and self._loop is not None:
            self._timer = self._loop.call_later(meter.wait(), self._dispatch)

    def _next(self) -> asyncio.Future[None]:
        self._waiting -= 1
        lease, *others = self._lines
        if lease:
            return lease.popitem(last=False)[0]
        self._turn = (self._turn + 1) % AGED_TURN
        heads = [line for line in others if line]
        line = heads[0]
        if not self._turn and len(heads) > 1 and self._loop is not None:
            oldest = min(heads[1:], key=lambda one: next(iter(one.values())))
            if self._loop.time() - next(iter(oldest.values())) >= AGED_AFTER:
                line = oldest
        return line.popitem(last=False)[0]

    def _left(self) -> None:
        """A waiter left the line by itself."""
        self._waiting -= 1
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._dispatch()

    def _expire(self, lane: Lane, turn: asyncio.Future[None], within: float) -> None:
        if turn.done():
            return  # its task was cancelled in this very turn of the loop, and leaves the line by itself
        line, meter = self._lines[lane], self._meter
        place = next(place for place, one in enumerate(line) if one is turn)
        queued = sum(len(one) for one in self._lines[:lane]) + place
        expected = 0.0 if meter is None else meter.wait(1.0 + queued)
        del line[turn]
        turn.set_exception(self._overdue(lane, within, expected, queued))
        self._left()

    def _overdue(self, lane: Lane, within: float, expected: float, queued: int | None = None) -> FlowTimeout:
        if queued is None:
            queued = sum(len(line) for line in self._lines[: lane + 1])
        return FlowTimeout(
            f"not admitted within {within:g} s: {queued} requests wait before it (lane {lane}), which takes "
            f"about {expected:.3g} s at {_rate(self.qps, self.burst)}; allow more time or raise qps",
            lane=str(lane),
            queued=queued,
            expected=expected,
        )

    # --- the meter ---

    def _metered(self) -> Meter | None:
        """The meter, bound to the running loop; None where nothing is limited."""
        if self.qps is None:
            return None
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._meter is None:
            self._bind(loop, self.qps)
        return self._meter

    def _metered_if_bound(self) -> Meter | None:
        return self._meter if self._loop is not None and self._loop is running_loop() else None

    def _bind(self, loop: asyncio.AbstractEventLoop, qps: float) -> None:
        if self._loop is not None and self._loop is not loop and not self._loop.is_closed():
            raise LifecycleError(f"{self!r} belongs to another event loop that still runs: give each its own")
        if self._loop is not loop:  # whoever waits in a loop that was closed is gone
            for line in self._lines:
                line.clear()
            self._waiting, self._timer = 0, None
        self._loop, self._meter = loop, Meter(qps, self.burst)

    def _set_whole(self, qps: float | None, burst: int) -> None:
        self._whole = (qps, burst)
        rest, parts = _split(burst, [fraction for fraction, _ in self._shares])
        left = 1.0 - sum(fraction for fraction, _ in self._shares)
        self._set_own(None if qps is None else qps * left, rest)
        for (fraction, share), part in zip(self._shares, parts, strict=True):
            share._set_whole(None if qps is None else qps * fraction, part)

    def _set_own(self, qps: float | None, burst: int) -> None:
        self.qps, self.burst = qps, burst
        meter = self._metered_if_bound()
        if qps is None or meter is None:
            self._meter = None
        elif (meter.qps, meter.burst) != (qps, burst):
            self._meter = meter.at(qps, burst)
        if self._waiting and self._loop is not None and not self._loop.is_closed():
            self._again()

    def __repr__(self) -> str:
        return f"Limiter({_rate(self.qps, self.burst)}, waiting={self._waiting})"


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _check(qps: float | None, burst: int) -> None:
    number = isinstance(qps, (int, float)) and not isinstance(qps, bool)
    if qps is not None and not (number and qps > 0 and math.isfinite(qps)):
        raise ConfigError(f"qps must be a positive number, or None for no limit; got {qps!r}")
    if isinstance(burst, bool) or not isinstance(burst, int) or burst < 1:
        raise ConfigError(f"burst must be a whole number of at least 1; got {burst!r}")


def _split(burst: int, fractions: list[float]) -> tuple[int, list[int]]:
    """The burst that is left, and the one of each share."""
    parts = [max(1, int(burst * fraction)) for fraction in fractions]
    rest = burst - sum(parts)
    if rest < 1:
        raise ConfigError(f"a burst of {burst} is too small for {len(parts)} shares and a rest")
    return rest, parts


def _rate(qps: float | None, burst: int) -> str:
    return "unlimited" if qps is None else f"qps={qps:g}, burst={burst}"
