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
from .levels import REMEMBERED, Level, Levels
from .limiter import Limiter

__all__ = ["LevelPressure", "Pressure"]

_LEVEL_HEADER: Final = "X-Kubernetes-PF-PriorityLevel-UID"
_SCHEMA_HEADER: Final = "X-Kubernetes-PF-FlowSchema-UID"

_FALL: Final = 0.5
_FALL_BY_LATENCY: Final = 0.8
_HOLD: Final = 1.0  # seconds: answers to what was sent before the last fall say nothing new
_HOLD_BY_LATENCY: Final = 5.0
_SLOW: Final = 4.0  # times as slow as usual, and
_SLOW_AT_LEAST: Final = 1.0  # seconds, and
_SLOW_IN_A_ROW: Final = 3  # answers of one kind: one alone may have waited for a webhook
_INSTANT: Final = 1e-6  # seconds: loops do not tell shorter waits from none


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


class Pressure:
    """Holds the requests of one client back where the server shows overload; leases never.

    Args:
        limiter: what paces the client: a level is held to a share of its rate, and rises back to it; where
            it has none, to the rate it had of late, or 20.
        observers: hear `PressureChanged` until it is closed.
        clock: monotonic seconds; the running loop's time where None.
        random: uniform in [0, 1), so that a fleet told to come back in a second does not come as one.
        levels: what the clients of the server have learned together; its own where None.
    """

    def __init__(
        self,
        *,
        limiter: Limiter,
        observers: Observers,
        random: Callable[[], float],
        clock: Callable[[], float] | None = None,
        levels: Levels | None = None,
    ) -> None:
        self._limiter = limiter
        self._observers = observers
        self._random = random
        self._clock = clock or loop_time
        self._server = Levels() if levels is None else levels
        # Another user's requests may be in another level: what it has seen itself goes before the others'.
        self._level_of: LRUCache[tuple[str, str], str] = LRUCache(REMEMBERED)
        self._server.audience.join(observers, limiter)

    def close(self) -> None:
        """Let its observers hear nothing more."""
        self._server.audience.leave(self._observers)

    @property
    def levels(self) -> tuple[LevelPressure, ...]:
        """Every level seen, worst first."""
        now = self._clock()
        found = [
            LevelPressure(
                one.name,
                one.rate(self._limiter),
                max(0.0, one.paused_until - now),
                one.answers,
                one.rejections,
                one.schema,
            )
            for one in self._server.all()
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
            brake = level.brake(self._limiter)
            if level.paused_until > now:
                if brake is not None:
                    passed.discard(brake)
                return False
            if brake is not None and brake not in passed:
                if not brake.try_acquire():
                    return False
                passed.add(brake)
        return True

    def _brakes(self, request: Request, lane: Lane) -> list[Level]:
        tight = self._server.tight
        if lane is Lane.LEASE or not tight:
            return []
        names = (self._level_name(request, lane), _api_name(request))
        return [tight[name] for name in names if name in tight]

    def answered(
        self,
        request: Request,
        lane: Lane,
        headers: Mapping[str, str],
        error: ApiError | None,
        latency: float | None,
    ) -> None:
        """Learn from one answer.

        *error*: what a failed one is. *latency*: seconds to its headers; compared with those of its like.
        """
        now, server = self._clock(), self._server
        held_by = self._level_name(request, lane)
        if uid := headers.get(_LEVEL_HEADER):
            self._level_of[_kind(request)] = server.kinds[_kind(request)] = uid
        level = server.level(self._level_name(request, lane))
        level.schema = headers.get(_SCHEMA_HEADER) or level.schema
        self._count(level, lane, now)
        if error is not None and error.code in (429, 503):
            if error.status.has_cause("DisruptionBudget"):
                return  # the answer of an eviction, no overload
            if error.code == 503:
                level = server.level(_api_name(request))
                self._count(level, lane, now)
            level.rejections += 1
            if lane is not Lane.LEASE:
                self._fall(level, now, _FALL, _HOLD, f"{error.code} {error.reason}".rstrip())
                self._pause(level, now, error.retry_after)
            return
        if error is None or error.code < 500:
            api = server.known(_api_name(request))
            if api is not None:
                self._count(api, lane, now)
            before = server.known(held_by)  # its level may not have been known then
            for one in {id(one): one for one in (level, api, before) if one is not None}.values():
                self._rise(one, now)
        likes = None if latency is None or lane is Lane.LEASE else _likes(request)
        if latency is not None and likes is not None and self._slower(likes, latency):
            self._fall(level, now, _FALL_BY_LATENCY, _HOLD_BY_LATENCY, f"answers take {latency:.2g} s")

    def _count(self, level: Level, lane: Lane, now: float) -> None:
        level.answers += 1
        if lane is not Lane.LEASE:
            level.count(self._limiter, now)

    # --- one level ---

    async def _hold(self, level: Level, lane: Lane, passed: set[Limiter], within: float | None) -> None:
        started = self._clock()
        while True:
            now = self._clock()
            left = None if within is None else max(0.0, started + within - now)
            pause, brake = max(0.0, level.paused_until - now), level.brake(self._limiter)
            if brake is not None and brake not in passed:
                expected = max(pause, brake.expected_wait(lane))
            else:
                expected = pause
            if left is not None and expected > left:
                raise _too_long(level, brake, lane, left, expected)
            if pause > _INSTANT:  # it may grow meanwhile
                await asyncio.sleep(pause)
                continue
            level.paused_until = 0.0
            if brake is None:
                self._server.loosen(level)
                return
            if brake in passed:
                return
            try:
                await brake.acquire(lane, within=left)
            except FlowTimeout as error:
                raise _too_long(level, brake, lane, left or 0.0, error.expected) from None
            if level.paused_until <= self._clock():
                passed.add(brake)
                return

    def _fall(self, level: Level, now: float, factor: float, hold: float, reason: str) -> None:
        if now - level.fell_at < hold:
            return
        level.fall(self._limiter, factor, now)
        self._server.tighten(level)
        self._tell(level, 0.0, reason)

    def _rise(self, level: Level, now: float) -> None:
        if level.rise(now):
            if level.paused_until <= now:
                self._server.loosen(level)
            self._tell(level, 0.0, "well again")

    def _pause(self, level: Level, now: float, retry_after: float | None) -> None:
        if not retry_after or retry_after <= 0:
            return
        until = now + retry_after + min(retry_after, CAP) * self._random()
        if until > level.paused_until:
            level.paused_until = until
            self._server.tighten(level)
            self._tell(level, until - now, "Retry-After")

    def _tell(self, level: Level, paused: float, reason: str) -> None:
        self._server.audience.tell(
            lambda limiter: PressureChanged(level.name, level.rate(limiter), paused, reason)
        )

    def _slower(self, likes: tuple[str, str], latency: float) -> bool:
        """Whether answers to its likes have become several times slower than they used to be."""
        usual, in_a_row = self._server.latencies.get(likes, (latency, 0))
        slow = latency > max(_SLOW_AT_LEAST, _SLOW * usual)
        usual += (latency - usual) * (0.01 if latency > usual else 0.2)
        self._server.latencies[likes] = (usual, in_a_row + 1 if slow else 0)
        return slow and in_a_row + 1 >= _SLOW_IN_A_ROW

    def _level_name(self, request: Request, lane: Lane) -> str:
        kind = _kind(request)
        return self._level_of.get(kind) or self._server.kinds.get(kind) or f"lane {lane}"


def _too_long(level: Level, brake: Limiter | None, lane: Lane, within: float, expected: float) -> FlowTimeout:
    queued = 0 if brake is None else sum(brake.waiting_in(one) for one in Lane if one <= lane)
    return FlowTimeout(
        f"not admitted within {within:g} s: the server shows overload, so {level.name} is held back, "
        f"this for about {expected:.3g} s ({queued} requests wait before it, lane {lane}); allow more time",
        lane=str(lane),
        queued=queued,
        expected=expected,
    )


def _kind(request: Request) -> tuple[str, str]:
    return request.verb, request.resource


def _likes(request: Request) -> tuple[str, str] | None:
    """What the time to its headers is compared with: requests that are as much work for the server.

    None for a whole list, whose headers come before or after its body was made, as servers differ, and for
    any other stream (a log), which is begun by somebody else.
    """
    if request.verb == "watch":  # the headers come before the first event, whatever is watched
        return "watch", _api_name(request)
    if request.verb == "list":
        query = dict(request.query)
        if not query.get("limit") or query.get("resourceVersion") == "0":  # the watch cache knows no limit
            return None
        asked = (f"{name}={query.get(name, '')}" for name in ("limit", "labelSelector", "fieldSelector"))
        return "list", "&".join((request.path, *asked))
    return None if request.streaming else _kind(request)


def _api_name(request: Request) -> str:
    """The group and version of *request*: `"api apps/v1"`, `"api v1"`; `"api version"` for `/version`."""
    parts = request.path.split("/")
    named = {"apis": parts[2:4], "api": parts[2:3]}.get("".join(parts[1:2]), parts[1:2])
    return f"api {'/'.join(named)}"
