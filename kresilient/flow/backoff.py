"""Exponential backoff with jitter, which forgets its failures once things have stayed healthy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..api.errors import ConfigError

__all__ = ["BASE", "CAP", "FACTOR", "RESET_AFTER", "Backoff", "spread"]

# client-go's numbers (tools/cache/reflector.go): 800 ms, doubling, cap 30 s, jitter factor 1.0 (so a wait
# lasts up to 60 s), reset after 2 min. An operator who knows one knows the other.
BASE: Final = 0.8
FACTOR: Final = 2.0
CAP: Final = 30.0
RESET_AFTER: Final = 120.0


class Backoff:
    """How long to wait before the next try of one thing that fails.

    The wait is `d × (1 + random())`, with d from *base* growing by *factor* up to *cap*; the jitter comes
    after the cap, so that a fleet is spread at the cap too. The failures are forgotten when the thing was
    healthy without a break for *reset_after* seconds before it failed again: from the first life sign
    (`healthy`) after the last failure (`delay`) up to the next failure.

    Args:
        base: the first d, in seconds.
        factor: by which d grows; at least 1.
        cap: the largest d, in seconds.
        reset_after: seconds of health after which d starts from *base* again.
        clock: monotonic seconds (`loop.time`).
        random: uniform in [0, 1).
    """

    __slots__ = (
        "_base",
        "_cap",
        "_clock",
        "_factor",
        "_failures",
        "_healthy_since",
        "_next",
        "_random",
        "_reset",
    )

    def __init__(
        self,
        *,
        base: float = BASE,
        factor: float = FACTOR,
        cap: float = CAP,
        reset_after: float = RESET_AFTER,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        if not (0 < base <= cap and factor >= 1 and reset_after >= 0):
            raise ConfigError(
                f"a backoff needs 0 < base <= cap, factor >= 1 and reset_after >= 0; got base={base}, "
                f"cap={cap}, factor={factor}, reset_after={reset_after}"
            )
        self._base, self._factor, self._cap, self._reset = base, factor, cap, reset_after
        self._clock, self._random = clock, random
        self._next = base
        self._failures = 0
        self._healthy_since: float | None = None

    @property
    def failures(self) -> int:
        """Failures counted since the last reset."""
        return self._failures

    def delay(self, floor: float | None = None) -> float:
        """Count a failure that happened now; return the seconds to wait before the next try.

        *floor* is what the server asked to wait (Retry-After, in seconds): the wait is never shorter, and
        is itself spread upward, so that those who were told the same number do not return as one.
        """
        since, self._healthy_since = self._healthy_since, None
        if since is not None and self._clock() - since >= self._reset:
            self.reset()
        current, self._next = self._next, min(self._cap, self._next * self._factor)
        self._failures += 1
        return spread(current, self._random, floor=floor, most=self._cap)

    def healthy(self) -> None:
        """Note a life sign now: a success, or data on a stream."""
        if self._healthy_since is None:
            self._healthy_since = self._clock()

    def reset(self) -> None:
        """Forget every failure."""
        self._next, self._failures = self._base, 0

    def __repr__(self) -> str:
        return f"Backoff(failures={self._failures}, next={self._next:g}s, cap={self._cap:g}s)"


def spread(
    delay: float, random: Callable[[], float], *, floor: float | None = None, most: float = CAP
) -> float:
    """*delay* with up to as much again on top, and never below *floor*.

    A wait at the floor is spread over as much again, but over no more than *most* seconds.
    """
    share = random()
    wait = delay * (1.0 + share)
    if floor is not None and floor > 0:
        wait = max(wait, floor + min(floor, most) * share)
    return wait
