"""A token bucket that is asked without waiting; `aiolimiter`'s leaky bucket does the counting."""

from __future__ import annotations

from typing import Final

from aiolimiter import AsyncLimiter

__all__ = ["Meter"]

_GRAIN: Final = 1 / 4096  # of a token
_SHORTEST: Final = 1e-6  # seconds: loops do not tell shorter waits from none


class Meter:
    """Counts tokens: *burst* at once, *qps* a second after that. Used within one running event loop.

    Args:
        qps: tokens a second.
        burst: tokens the bucket holds; at least 1.
        free: tokens in it now; full where None.
    """

    __slots__ = ("_bucket", "_spare", "burst", "qps")

    def __init__(self, qps: float, burst: int, *, free: float | None = None) -> None:
        self.qps, self.burst = qps, burst
        # A leaky bucket of this size, which leaks its whole content in `burst / qps` seconds.
        self._bucket = AsyncLimiter(burst, burst / qps)
        self._spare = 0.0  # tokens given back: the bucket itself takes none
        if free is not None and free < burst:
            _pass(self._bucket, burst - max(free, 0.0))

    def take(self) -> bool:
        """Take a token; False where there is no whole one."""
        if self._spare and self._take_spare():
            return True
        if not self._bucket.has_capacity():
            return False
        _pass(self._bucket, 1)
        return True

    def give_back(self) -> None:
        """Undo a `take`."""
        self._spare += 1.0

    def free(self) -> float:
        """Tokens that are there now, rounded down by a grain at most."""
        self._trim()
        return self._level() + self._spare

    def wait(self, tokens: float = 1.0) -> float:
        """Seconds until so many *tokens* are there (perhaps more than it holds at once), 0 if they are.

        Rounded up by a grain: the bucket's own timer aims at the exact instant and, where a rounding error
        leaves it short of that, fires again and again at the same time of a virtual clock.
        """
        missing = tokens - self.free()
        return max(missing / self.qps, _SHORTEST) if missing > 0 else 0.0

    def at(self, qps: float, burst: int) -> Meter:
        """A meter of other figures with the tokens of this one in it, as many as it can hold."""
        return Meter(qps, burst, free=min(self.free(), burst))

    def _level(self) -> float:
        if self._bucket.has_capacity(self.burst):
            return self.burst
        free, step = 0.0, 1.0
        while step < self.burst:
            step *= 2.0
        while step >= _GRAIN:
            if free + step <= self.burst and self._bucket.has_capacity(free + step):
                free += step
            step /= 2.0
        return free

    def _trim(self) -> None:
        """Together with what came in by time, what was given back fills the bucket and no more."""
        if self._spare:
            self._spare = min(self._spare, self.burst - self._level())

    def _take_spare(self) -> bool:
        """Take one of those that were given back, or what is left of it and the rest from the bucket."""
        self._trim()
        rest = 1.0 - self._spare
        if rest > 0.0:
            if not self._bucket.has_capacity(rest):
                return False
            _pass(self._bucket, rest)
        self._spare = max(0.0, -rest)
        return True


def _pass(bucket: AsyncLimiter, amount: float) -> None:
    """Let *bucket* count *amount*, for which it has room: its coroutine then ends without waiting."""
    try:
        bucket.acquire(amount).send(None)
    except StopIteration:
        return
    raise AssertionError("the bucket had room and waited all the same")
