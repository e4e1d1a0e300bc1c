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

from ..api.errors import ApiError, FlowTimeout
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
_SLOW_AT_LEAST: Final = 1.0  # seconds, and
_SLOW_IN_A_ROW: Final = 3  # answers of one kind: one alone may have waited for a webhook
_RATE_WINDOW: Final = 5.0
_INSTANT: Final = 1e-6  # seconds: loops do not tell shorter waits from none

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
        self._latency: LRUCache[tuple[str, str], tuple[float, int]] = LRUCache(_REMEMBERED)

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
            for one in {**self._levels, **self._tight}.values()
        ]
        return tuple(sorted(found, key=lambda one: (one.rate is None and not one.paused, -one.rejections)))

    async def admit(
        self, request: Request, lane: Lane, passed: set[Limiter], *, within: float | None = None
    ) -> None:
        """Wait until what *request* belongs to may be asked.

        *passed*: the brakes that it has passed; those that it passes here are added.
        *within*: seconds it may take.

        Raises `FlowTimeout` before it waits where that cannot be met. Cancelled: nothing is taken.
        """
        started = self._clock()
        for level in self._brakes(request, lane):
            left = None if within is None else max(0.0, started + within - self._clock())
            await self._hold(level, lane, passed, left)

    def lets(self, request: Request, lane: Lane, passed: set[Limiter]) -> bool:
        """Whether *request* may go now: much may have happened while it waited elsewhere."""
        now = self._clock()
        for level in self._brakes(request, lane):
            brake = level.limiter
            if level.paused_until > now:
                if brake is not None:
                    passed.discard(brake)
                return False
            if brake is not None and brake not in passed:
                if not brake.try_acquire():
                    return False
                passed.add(brake)
        return True

    def _brakes(self, request: Request, lane: Lane) -> list[_Level]:
        if lane is Lane.LEASE or not self._tight:
            return []
        names = (self._level_name(request, lane), _api_name(request))
        return [self._tight[name] for name in names if name in self._tight]

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
        held_by = self._level_name(request, lane)
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
                if lane is not Lane.LEASE:
                    level.count(now)
            level.rejections += 1
            if lane is not Lane.LEASE:
                self._fall(level, now, _FALL, _HOLD, f"{error.code} {error.reason}".rstrip())
                self._pause(level, now, error.retry_after)
            return
        if error is None or error.code < 500:
            api = self._known(_api_name(request))
            if api is not None:
                api.answers += 1
                if lane is not Lane.LEASE:
                    api.count(now)
            before = self._known(held_by)  # its level may not have been known then
            for one in {id(one): one for one in (level, api, before) if one is not None}.values():
                self._rise(one, now)
        if latency is not None and lane is not Lane.LEASE and self._slower(request, latency):
            self._fall(level, now, _FALL_BY_LATENCY, _HOLD_BY_LATENCY, f"answers take {latency:.2g} s")

    # --- one level ---

    async def _hold(self, level: _Level, lane: Lane, passed: set[Limiter], within: float | None) -> None:
        started = self._clock()
        while True:
            now = self._clock()
            left = None if within is None else max(0.0, started + within - now)
            pause, brake = max(0.0, level.paused_until - now), level.limiter
            if brake is not None and brake not in passed:
                expected = max(pause, brake.expected_wait(lane))
            else:
                expected = pause
            if left is not None and expected > left:
                raise _too_long(level, lane, left, expected)
            if pause > _INSTANT:  # it may grow meanwhile
                await asyncio.sleep(pause)
                continue
            level.paused_until = 0.0
            if brake is None:
                self._loosen(level)
                return
            if brake in passed:
                return
            await brake.acquire(lane)
            if level.paused_until <= self._clock():
                passed.add(brake)
                return

    def _tighten(self, level: _Level) -> None:
        self._tight[level.name] = level
        while len(self._tight) > _REMEMBERED:
            oldest = self._tight.pop(next(iter(self._tight)))
            oldest.paused_until = 0.0
            if oldest.limiter is not None:
                oldest.limiter.set_rate(None)  # lets go of whoever waits
                oldest.limiter = None

    def _loosen(self, level: _Level) -> None:
        if self._tight.get(level.name) is level:
            del self._tight[level.name]

    def _fall(self, level: _Level, now: float, factor: float, hold: float, reason: str) -> None:
        if now - level.fell_at < hold:
            return
        if level.limiter is None:
            recent, configured = level.recent_rate(now), self._qps()
            level.full = max(recent, _NOMINAL) if configured is None else configured
            level.target = min(level.full, max(recent, level.full * _FALL**2))
        level.fell_at = level.risen_at = now
        level.target = max(level.target * factor, _LEAST)
        self._tighten(level)
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
                self._loosen(level)
            self._observers(PressureChanged(level.name, None, 0.0, "well again"))
        elif level.limiter.qps is None or level.target > 1.05 * level.limiter.qps:
            level.limiter.set_rate(level.target, _burst(level.target))

    def _pause(self, level: _Level, now: float, retry_after: float | None) -> None:
        if not retry_after or retry_after <= 0:
            return
        until = now + retry_after + min(retry_after, CAP) * self._random()
        if until > level.paused_until:
            level.paused_until = until
            self._tighten(level)
            rate = None if level.limiter is None else level.target
            self._observers(PressureChanged(level.name, rate, until - now, "Retry-After"))

    def _slower(self, request: Request, latency: float) -> bool:
        """Whether answers of this kind have become several times slower than they used to be."""
        usual, in_a_row = self._latency.get(_kind(request), (latency, 0))
        slow = latency > max(_SLOW_AT_LEAST, _SLOW * usual)
        usual += (latency - usual) * (0.01 if latency > usual else 0.2)
        self._latency[_kind(request)] = (usual, in_a_row + 1 if slow else 0)
        return slow and in_a_row + 1 >= _SLOW_IN_A_ROW

    def _known(self, name: str) -> _Level | None:
        """The level of that name, also where it holds something back but was not asked for long."""
        return self._tight.get(name) or self._levels.get(name)

    def _level(self, name: str) -> _Level:
        level = self._levels[name] = self._known(name) or _Level(name)
        return level

    def _level_name(self, request: Request, lane: Lane) -> str:
        return self._level_of.get(_kind(request)) or f"lane {lane}"


def _too_long(level: _Level, lane: Lane, within: float, expected: float) -> FlowTimeout:
    brake = level.limiter
    queued = 0 if brake is None else sum(brake.waiting_in(one) for one in Lane if one <= lane)
    return FlowTimeout(
        f"not admitted within {within:g} s: the server shows overload, so {level.name} is held back, "
        f"this for about {expected:.3g} s ({queued} requests wait before it, lane {lane}); allow more time",
        lane=str(lane),
        queued=queued,
        expected=expected,
    )


def _burst(rate: float) -> int:
    return max(1, int(rate))


def _kind(request: Request) -> tuple[str, str]:
    return request.verb, request.resource


def _api_name(request: Request) -> str:
    """The group and version of *request*: `"api apps/v1"`, `"api v1"`; `"api version"` for `/version`."""
    parts = request.path.split("/")
    named = {"apis": parts[2:4], "api": parts[2:3]}.get("".join(parts[1:2]), parts[1:2])
    return f"api {'/'.join(named)}"
