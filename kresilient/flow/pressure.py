"""Pressure: each part of a server that shows overload is asked less, and only that part.

What the server's priority and fairness puts into one priority level (KEP-1040; the answer's headers say
which) is slowed down together; where there are no such headers, a lane is. A 503 concerns one API group and
version, for an aggregated API may be down alone. The rate falls multiplicatively and rises additively, as in
TCP's congestion control.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from ..api.errors import ApiError
from ..observe.events import Observers, PressureChanged, loop_time
from ..transport.base import Request
from .backoff import CAP
from .lanes import Lane
from .limiter import Limiter

__all__ = ["LevelPressure", "Pressure"]

_LEVEL_HEADER: Final = "X-Kubernetes-PF-PriorityLevel-UID"
_SCHEMA_HEADER: Final = "X-Kubernetes-PF-FlowSchema-UID"

_FALL: Final = 0.5
_FALL_BY_LATENCY: Final = 0.8
_HOLD: Final = 1.0  # seconds: answers to what was sent before the last fall say nothing new
_HOLD_BY_LATENCY: Final = 5.0
_RISE_WITHIN: Final = 60.0  # seconds of success from nothing to the whole rate
_LEAST: Final = 0.2  # requests a second that always remain
_NOMINAL: Final = 20.0  # requests a second to rise to where none are configured, if it had no more of late
_SLOW: Final = 4.0  # times as slow as usual, and
_SLOW_AT_LEAST: Final = 1.0  # seconds
_RATE_WINDOW: Final = 5.0

_REMEMBERED: Final = 256  # kinds of requests whose level is known; levels and latencies as many


@dataclass(frozen=True, slots=True)
class LevelPressure:
    """How one priority level (or lane, or API) stands.

    Attributes:
        level: the uid of the priority level, `"lane read"`, or `"api metrics.k8s.io/v1beta1"`.
        rate: requests a second it is held to now; None while it is well.
        paused: seconds until it is asked again.
        answers: answers that were seen of it.
        rejections: of these, 429 or 503.
        flow_schema: the uid of the flow schema that matched last.
    """

    level: str
    rate: float | None
    paused: float
    answers: int
    rejections: int
    flow_schema: str


class _Level:
    """One brake: it is loose until something presses it."""

    __slots__ = (
        "answers",
        "counted",
        "counted_before",
        "fell_at",
        "full",
        "limiter",
        "name",
        "paused_until",
        "rejections",
        "risen_at",
        "schema",
        "slot",
        "target",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.limiter: Limiter | None = None
        self.target = self.full = 0.0
        self.paused_until = 0.0
        self.fell_at = self.risen_at = float("-inf")
        self.answers = self.rejections = 0
        self.schema = ""
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


class Pressure:
    """Holds requests back where the server shows overload; leases never.

    Args:
        qps: the configured rate, to which a level rises back; where None, to the rate it had of late, or 20.
        observers: hear `PressureChanged`.
        clock: monotonic seconds; the running loop's time where None.
        random: uniform in [0, 1), so that a fleet told to come back in a second does not come as one.
    """

    def __init__(
        self,
        *,
        qps: Callable[[], float | None],
        observers: Observers,
        random: Callable[[], float],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._qps = qps
        self._observers = observers
        self._random = random
        self._clock = clock or loop_time
        self._levels: LRUCache[str, _Level] = LRUCache(_REMEMBERED)
        self._tight: dict[str, _Level] = {}  # those that hold something back
        self._level_of: LRUCache[tuple[str, str], str] = LRUCache(_REMEMBERED)
        self._latency: LRUCache[tuple[str, str], tuple[float, float]] = LRUCache(_REMEMBERED)

    @property
    def levels(self) -> tuple[LevelPressure, ...]:
        """Every level seen, worst first."""
        now = self._clock()
        found = [
            LevelPressure(
                one.name,
                None if one.limiter is None else one.target,
                max(0.0, one.paused_until - now),
                one.answers,
                one.rejections,
                one.schema,
            )
            for one in self._levels.values()
        ]
        return tuple(sorted(found, key=lambda one: (one.rate is None and not one.paused, -one.rejections)))

    async def admit(self, request: Request, lane: Lane) -> None:
        """Wait until what *request* belongs to may be asked. Cancelled: nothing is taken."""
        if lane is Lane.LEASE or not self._tight:
            return
        for name in (self._level_name(request, lane), _api_name(request)):
            level = self._tight.get(name)
            if level is not None:
                await self._hold(level, lane)

    def answered(
        self,
        request: Request,
        lane: Lane,
        headers: Mapping[str, str],
        error: ApiError | None,
        latency: float | None,
    ) -> None:
        """Learn from one answer.

        *error*: what a failed one is. *latency*: seconds it took, of a request that is worth comparing.
        """
        now = self._clock()
        if uid := headers.get(_LEVEL_HEADER):
            self._level_of[_kind(request)] = uid
        level = self._level(self._level_name(request, lane))
        level.answers += 1
        level.schema = headers.get(_SCHEMA_HEADER) or level.schema
        if lane is not Lane.LEASE:
            level.count(now)
        if error is not None and error.code in (429, 503):
            if error.status.has_cause("DisruptionBudget"):
                return  # the answer of an eviction, no overload
            if error.code == 503:
                level = self._level(_api_name(request))
                level.answers += 1
                level.count(now)
            level.rejections += 1
            if lane is not Lane.LEASE:
                self._fall(level, now, _FALL, _HOLD, f"{error.code} {error.reason}".rstrip())
                self._pause(level, now, error.retry_after)
            return
        if error is None or error.code < 500:
            api = self._levels.get(_api_name(request))
            for one in (level, *(() if api is None else (api,))):
                self._rise(one, now)
        if latency is not None and lane is not Lane.LEASE and self._slower(request, latency):
            self._fall(level, now, _FALL_BY_LATENCY, _HOLD_BY_LATENCY, f"answers take {latency:.2g} s")

    # --- one level ---

    async def _hold(self, level: _Level, lane: Lane) -> None:
        while (left := level.paused_until - self._clock()) > 0:  # noqa: ASYNC110  (it may grow meanwhile)
            await asyncio.sleep(left)
        level.paused_until = 0.0
        if level.limiter is not None:
            await level.limiter.acquire(lane)
        else:
            self._tight.pop(level.name, None)

    def _fall(self, level: _Level, now: float, factor: float, hold: float, reason: str) -> None:
        if now - level.fell_at < hold:
            return
        if level.limiter is None:
            recent, configured = level.recent_rate(now), self._qps()
            level.full = max(recent, _NOMINAL) if configured is None else configured
            level.target = min(level.full, max(recent, level.full * _FALL**2))
        level.fell_at = level.risen_at = now
        level.target = max(level.target * factor, _LEAST)
        self._tight[level.name] = level
        if level.limiter is None:
            level.limiter = Limiter(level.target, _burst(level.target))
        else:
            level.limiter.set_rate(level.target, _burst(level.target))
        self._observers(PressureChanged(level.name, level.target, 0.0, reason))

    def _rise(self, level: _Level, now: float) -> None:
        """Add what a second of success is worth, at most."""
        if level.limiter is None:
            return
        level.target += level.full / _RISE_WITHIN * min(1.0, now - level.risen_at)
        level.risen_at = now
        if level.target >= level.full:
            level.limiter.set_rate(None)  # lets go of whoever waits
            level.limiter = None
            if level.paused_until <= now:
                self._tight.pop(level.name, None)
            self._observers(PressureChanged(level.name, None, 0.0, "well again"))
        elif level.limiter.qps is None or level.target > 1.05 * level.limiter.qps:
            level.limiter.set_rate(level.target, _burst(level.target))

    def _pause(self, level: _Level, now: float, retry_after: float | None) -> None:
        if not retry_after or retry_after <= 0:
            return
        until = now + retry_after + min(retry_after, CAP) * self._random()
        if until > level.paused_until:
            level.paused_until = until
            self._tight[level.name] = level
            rate = None if level.limiter is None else level.target
            self._observers(PressureChanged(level.name, rate, until - now, "Retry-After"))

    def _slower(self, request: Request, latency: float) -> bool:
        """Whether answers of this kind have become several times slower than they used to be."""
        fast, usual = self._latency.get(_kind(request), (latency, latency))
        fast += (latency - fast) * 0.3
        usual += (latency - usual) * (0.01 if latency > usual else 0.2)
        self._latency[_kind(request)] = (fast, usual)
        return latency > usual and fast > max(_SLOW_AT_LEAST, _SLOW * usual)

    def _level(self, name: str) -> _Level:
        level = self._levels.get(name)
        if level is None:
            level = self._levels[name] = _Level(name)
        return level

    def _level_name(self, request: Request, lane: Lane) -> str:
        return self._level_of.get(_kind(request)) or f"lane {lane}"


def _burst(rate: float) -> int:
    return max(1, int(rate))


def _kind(request: Request) -> tuple[str, str]:
    return request.verb, request.resource


def _api_name(request: Request) -> str:
    """The group and version of *request*: `"api apps/v1"`, `"api v1"`."""
    parts = request.path.split("/")
    named = parts[2:4] if parts[1:2] == ["apis"] else parts[2:3]
    return f"api {'/'.join(named)}"
