"""What is known of a server's priority levels, and how far each is held back, for all its clients together.

What is shared is a *share*: the part of its own rate that each limiter may send to a level. So clients with
different figures are slowed down alike, and each knows what it had of late.
"""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from ..observe.audience import Audience
from .limiter import Limiter

__all__ = ["REMEMBERED", "Level", "Levels"]

REMEMBERED: Final = 256
"""Kinds of requests whose level is known; levels and latencies as many."""

_DEEPEST: Final = 0.25  # of its rate, however little it had of late: from where it falls the first time
_LEAST: Final = 0.2  # requests a second that always remain
_NOMINAL: Final = 20.0  # requests a second to rise to where none are configured, if it had no more of late
_RISE_WITHIN: Final = 60.0  # seconds of success from nothing to the whole rate
_RATE_WINDOW: Final = 5.0


class _Part:
    """What one limiter has of a level: the requests it sent there of late, and its brake."""

    __slots__ = ("brake", "counted", "counted_before", "nominal", "slot")

    def __init__(self) -> None:
        self.brake: Limiter | None = None
        self.nominal = _NOMINAL
        self.slot, self.counted, self.counted_before = 0, 0, 0

    def count(self, now: float) -> None:
        slot = int(now / _RATE_WINDOW)
        if slot != self.slot:
            self.counted_before = self.counted if slot == self.slot + 1 else 0
            self.slot, self.counted = slot, 0
        self.counted += 1

    def recent_rate(self, now: float) -> float:
        """Requests a second of late: this window's, and what still counts of the one before."""
        into = now / _RATE_WINDOW - self.slot
        if into >= 2.0:
            return 0.0
        if into >= 1.0:
            return self.counted * (2.0 - into) / _RATE_WINDOW
        return (self.counted + self.counted_before * (1.0 - into)) / _RATE_WINDOW

    def full(self, limiter: Limiter) -> float:
        return self.nominal if limiter.qps is None else limiter.qps


class Level:
    """A priority level, a lane or an API: loose until something presses it."""

    __slots__ = (
        "_parts",
        "answers",
        "fell_at",
        "name",
        "paused_until",
        "rejections",
        "risen_at",
        "schema",
        "share",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.share: float | None = None
        """The part of its rate that each limiter may send here; None for all of it."""
        self.paused_until = 0.0
        self.fell_at = self.risen_at = float("-inf")
        self.answers = self.rejections = 0
        self.schema = ""
        self._parts: WeakKeyDictionary[Limiter, _Part] = WeakKeyDictionary()

    def count(self, limiter: Limiter, now: float) -> None:
        """Note a request that *limiter* let pass."""
        self._part(limiter).count(now)

    def rate(self, limiter: Limiter) -> float | None:
        """Requests a second that those of *limiter* are held to; None where they are not."""
        return None if self.share is None else self._rate(limiter, self._part(limiter))

    def brake(self, limiter: Limiter) -> Limiter | None:
        """What holds the requests of *limiter* to that rate."""
        if self.share is None:
            return None
        part = self._part(limiter)
        if part.brake is None:
            part.brake = _braking(self._rate(limiter, part))
        return part.brake

    def fall(self, limiter: Limiter, factor: float, now: float) -> None:
        """Lower everybody's share, for an answer to a request of *limiter*."""
        self._part(limiter)
        parts = list(self._parts.items())
        if self.share is None:
            # The first time it falls from what it had: the part of its rate that the busiest one made use of.
            used = _DEEPEST
            for one, part in parts:
                part.nominal = max(part.recent_rate(now), _NOMINAL)
                used = max(used, part.recent_rate(now) / part.full(one))
            self.share = min(1.0, used)
        least = _LEAST / max(part.full(one) for one, part in parts)
        self.share = min(self.share, max(self.share * factor, least))
        self.fell_at = self.risen_at = now
        for one, part in parts:
            rate = self._rate(one, part)
            if part.brake is None:
                part.brake = _braking(rate)
            else:
                part.brake.set_rate(rate, _burst(rate))

    def rise(self, now: float) -> bool:
        """Add what a second of success is worth, at most; return whether it is well again by that."""
        if self.share is None:
            return False
        self.share += min(1.0, now - self.risen_at) / _RISE_WITHIN
        self.risen_at = now
        if self.share >= 1.0:
            self.release()
            return True
        for limiter, part in list(self._parts.items()):
            rate, brake = self._rate(limiter, part), part.brake
            if brake is not None and (brake.qps is None or rate > 1.05 * brake.qps):
                brake.set_rate(rate, _burst(rate))
        return False

    def release(self) -> None:
        """Let everybody send what it may, and whoever waits go."""
        self.share = None
        for part in list(self._parts.values()):
            if part.brake is not None:
                part.brake.set_rate(None)
                part.brake = None

    def _rate(self, limiter: Limiter, part: _Part) -> float:
        return max((self.share or 0.0) * part.full(limiter), _LEAST)

    def _part(self, limiter: Limiter) -> _Part:
        part = self._parts.get(limiter)
        if part is None:
            part = self._parts[limiter] = _Part()
        return part


class Levels:
    """The levels of one server.

    Attributes:
        tight: those that hold something back, by name.
        kinds: the level that a verb on a resource was in last, whoever asked.
        latencies: what answers to a verb on a resource take, and how many in a row were slow.
        audience: hears of changes, each hub as those see it who send by its limiter.
    """

    __slots__ = ("_seen", "audience", "kinds", "latencies", "tight")

    def __init__(self) -> None:
        self._seen: LRUCache[str, Level] = LRUCache(REMEMBERED)
        self.tight: dict[str, Level] = {}
        self.kinds: LRUCache[tuple[str, str], str] = LRUCache(REMEMBERED)
        self.latencies: LRUCache[tuple[str, str], tuple[float, int]] = LRUCache(REMEMBERED)
        self.audience: Audience[Limiter] = Audience()

    def all(self) -> tuple[Level, ...]:
        """Every level that is remembered."""
        return tuple({**self._seen, **self.tight}.values())

    def known(self, name: str) -> Level | None:
        """The level of that name, also where it holds something back but was not asked for long."""
        return self.tight.get(name) or self._seen.get(name)

    def level(self, name: str) -> Level:
        """The level of that name, made if it is new."""
        level = self._seen[name] = self.known(name) or Level(name)
        return level

    def tighten(self, level: Level) -> None:
        """Note that *level* holds something back."""
        self.tight[level.name] = level
        while len(self.tight) > REMEMBERED:
            oldest = self.tight.pop(next(iter(self.tight)))
            oldest.paused_until = 0.0
            oldest.release()

    def loosen(self, level: Level) -> None:
        """Note that *level* holds nothing back."""
        if self.tight.get(level.name) is level:
            del self.tight[level.name]


def _braking(rate: float) -> Limiter:
    return Limiter(rate, _burst(rate))


def _burst(rate: float) -> int:
    return max(1, int(rate))
