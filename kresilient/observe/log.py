"""Structured logs on the events: structlog over stdlib loggers, silent until the application configures
logging.

structlog is never configured globally: an application that uses it keeps its own settings, one that does
not gets plain records. A record's message is `what happened key=value …`; the same pairs stand as a dict in
the record's attribute `kresilient`, for formatters that write JSON. No body and no credential is ever among
them.

One rule keeps a server that is down from flooding the log: of messages that say the same (same event, same
subject, same reason but for numbers in it) the first is written at once, and further ones at most once in
`repeat_after` seconds, with how many were left out in between as `repeated`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Hashable, MutableMapping
from typing import Any, Final

from cachetools import LRUCache

from .events import (
    Admitted,
    BacklogMerging,
    CostlyList,
    Event,
    HandlerFailed,
    Listed,
    ObjectQuarantined,
    Observer,
    OutageBegan,
    OutageEnded,
    PressureChanged,
    ReflectorMoved,
    RequestFinished,
    RequestRetried,
    RetryDenied,
    Rewound,
    StaleEventIgnored,
    TaskCrashed,
    WriteNotSeen,
    loop_time,
)

__all__ = ["REPEAT_AFTER", "SLOW_ADMISSION", "log_observer"]

REPEAT_AFTER: Final = 60.0
"""Seconds within which messages that say the same are written once."""

SLOW_ADMISSION: Final = 0.05
"""Seconds of waiting for admission above which it is logged, as client-go does."""

_REMEMBERED: Final = 1024
_LONGEST: Final = 300

logging.getLogger("kresilient").addHandler(logging.NullHandler())


def log_observer(
    logger_name: str = "kresilient",
    *,
    repeat_after: float = REPEAT_AFTER,
    clock: Callable[[], float] | None = None,
) -> Observer:
    """An observer that writes each event to the stdlib logger of its part, below *logger_name*.

    Parts are `flow` (the door), `reflector`, `handler` (subscriptions) and `task`. Levels: faults of a
    reflector (moves that have a reason) WARNING, its lists INFO, its ordinary moves DEBUG; retries and slow
    admissions INFO, finished requests DEBUG; quarantine, failed handlers and crashed tasks ERROR, with the
    traceback where there is one.

    Args:
        logger_name: the parent of the loggers.
        repeat_after: seconds within which messages that say the same are written once.
        clock: monotonic seconds; the running loop's time where None.
    """
    if _heard(logging.getLogger(logger_name)):
        import structlog  # noqa: F401  # now, for it takes 50 ms, and the first fault is no time for that
    return _Log(logger_name, repeat_after, clock or loop_time)


def _heard(logger: logging.Logger) -> bool:
    """Whether what *logger* writes goes anywhere."""
    at: logging.Logger | None = logger
    while at is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False


_Line = tuple[str, int, str, dict[str, Any], Hashable | None]
"""The part, the level, what happened, its pairs, and what makes a repetition (None: nothing does)."""


class _Log:
    def __init__(self, name: str, repeat_after: float, clock: Callable[[], float]) -> None:
        self._name = name
        self._repeat_after = repeat_after
        self._clock = clock
        self._loggers: dict[str, Any] = {}
        self._told: LRUCache[Hashable, tuple[float, int]] = LRUCache(_REMEMBERED)

    def __call__(self, event: Event) -> None:
        describe = _DESCRIBED.get(type(event))
        if describe is None or (line := describe(event)) is None:
            return
        part, level, message, pairs, same = line
        plain = logging.getLogger(f"{self._name}.{part}")
        if not plain.isEnabledFor(level) or not _heard(plain):
            return
        if same is not None:
            repeated = self._repeated((type(event), level, same))
            if repeated is None:
                return
            if repeated:
                pairs["repeated"] = repeated
        self._bound(part, plain).log(level, message, **pairs)

    def _bound(self, part: str, plain: logging.Logger) -> Any:
        if part not in self._loggers:
            import structlog  # not before it is needed: it brings in rich where that is installed

            self._loggers[part] = structlog.wrap_logger(
                plain,
                processors=[structlog.stdlib.filter_by_level, _render],
                wrapper_class=structlog.stdlib.BoundLogger,
                context_class=dict,
            )
        return self._loggers[part]

    def _repeated(self, same: Hashable) -> int | None:
        """How many messages that say *same* were left out before this one; None to leave this out too."""
        now = self._clock()
        since, left_out = self._told.get(same, (None, 0))
        if since is not None and 0 <= now - since < self._repeat_after:
            self._told[same] = (since, left_out + 1)
            return None
        self._told[same] = (now, 0)
        return left_out


def _render(logger: Any, method: str, pairs: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """The last processor: the arguments of the stdlib logger's method."""
    message = str(pairs.pop("event"))
    error = pairs.pop("exc_info", None)
    fields = {key: _bounded(value) for key, value in pairs.items()}
    text = " ".join([message, *(f"{key}={_quoted(value)}" for key, value in fields.items())])
    return (text,), {"exc_info": error, "extra": {"kresilient": {"event": message, **fields}}}


def _bounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, str) and len(value) > _LONGEST:
        return value[:_LONGEST] + "…"
    return value


def _quoted(value: Any) -> str:
    text = str(value)
    plain = text.isprintable() and text and not any(char in text for char in " \"'=")
    return text if plain else repr(text)


_NUMBERS = re.compile(r"\d+")


def _kind(reason: str) -> str:
    """*reason* without its numbers: ports, versions and times make no other message of it."""
    return _NUMBERS.sub("#", reason[:_LONGEST])


def _admitted(event: Admitted) -> _Line | None:
    if event.waited <= SLOW_ADMISSION:
        return None
    pairs = {"verb": event.verb, "resource": event.resource, "waited": event.waited}
    return "flow", logging.INFO, "waited for admission", pairs, (event.verb, event.resource)


def _finished(event: RequestFinished) -> _Line:
    pairs: dict[str, Any] = {
        "verb": event.verb,
        "resource": event.resource,
        "path": event.path,
        "status": event.status,
        "duration": event.duration,
        "attempt": event.attempt,
    }
    if event.error:
        pairs["error"] = event.error
    return "flow", logging.DEBUG, "request failed" if event.error else "request finished", pairs, None


def _retried(event: RequestRetried) -> _Line:
    pairs = {
        "verb": event.verb,
        "resource": event.resource,
        "attempt": event.attempt,
        "delay": event.delay,
        "reason": event.reason,
    }
    return "flow", logging.INFO, "retrying", pairs, (event.verb, event.resource, _kind(event.reason))


def _retry_denied(event: RetryDenied) -> _Line:
    pairs = {
        "verb": event.verb,
        "resource": event.resource,
        "attempt": event.attempt,
        "reason": event.reason,
    }
    same = (event.verb, event.resource, _kind(event.reason))
    return "flow", logging.WARNING, "not retried: the retry budget is spent", pairs, same


def _pressure(event: PressureChanged) -> _Line:
    pairs = {"of": event.level, "rate": event.rate, "paused": event.paused, "reason": event.reason}
    level = logging.INFO if event.rate is None and not event.paused else logging.WARNING
    return "flow", level, "pressure changed", pairs, (event.level, _kind(event.reason))


def _outage_began(event: OutageBegan) -> _Line:
    pairs = {"server": event.server, "reason": event.reason}
    return "flow", logging.WARNING, "the server cannot be reached", pairs, event.server


def _outage_ended(event: OutageEnded) -> _Line:
    pairs = {
        "server": event.server,
        "seconds": event.seconds,
        "probes": event.probes,
        "waiting": event.waiting,
    }
    return "flow", logging.WARNING, "the server answers again", pairs, event.server


def _costly(event: CostlyList) -> _Line:
    pairs = {
        "resource": event.resource,
        "site": event.site,
        "interval": event.interval,
        "instead": event.instead,
    }
    return "flow", logging.WARNING, "a whole list is polled", pairs, None


def _moved(event: ReflectorMoved) -> _Line:
    pairs: dict[str, Any] = {"reflector": event.reflector, "row": event.row, "state": event.state}
    if not event.reason:
        return "reflector", logging.DEBUG, "reflector moved", pairs, None
    pairs |= {"delay": event.delay, "reason": event.reason}
    same = (event.reflector, event.row, _kind(event.reason))
    return "reflector", logging.WARNING, "reflector fault", pairs, same


def _listed(event: Listed) -> _Line:
    pairs = {
        "reflector": event.reflector,
        "strategy": event.strategy,
        "resource_version": event.resource_version,
        "objects": event.objects,
        "added": event.added,
        "updated": event.updated,
        "deleted": event.deleted,
        "bytes": event.bytes,
        "duration": event.duration,
    }
    return "reflector", logging.INFO, "listed", pairs, None


def _quarantined(event: ObjectQuarantined) -> _Line:
    pairs = {"reflector": event.reflector, "key": event.key, "reason": event.reason}
    return "reflector", logging.ERROR, "object set aside", pairs, (event.reflector, event.key)


def _stale(event: StaleEventIgnored) -> _Line:
    pairs = {"reflector": event.reflector, "key": event.key, "resource_version": event.resource_version}
    return "reflector", logging.DEBUG, "stale event ignored", pairs, None


def _rewound(event: Rewound) -> _Line:
    pairs = {
        "reflector": event.reflector,
        "from_version": event.from_version,
        "to_version": event.to_version,
    }
    return "reflector", logging.WARNING, "the server's history went back", pairs, (event.reflector,)


def _write_not_seen(event: WriteNotSeen) -> _Line:
    pairs = {
        "informer": event.informer,
        "key": event.key,
        "resource_version": event.version,
        "seconds": event.seconds,
    }
    return "reflector", logging.WARNING, "own write not seen by the watch", pairs, (event.informer,)


def _handler_failed(event: HandlerFailed) -> _Line:
    pairs = {
        "informer": event.informer,
        "handler": event.handler,
        "key": event.key,
        "exc_info": event.error,
    }
    same = (event.informer, event.handler, type(event.error))
    return "handler", logging.ERROR, "handler failed", pairs, same


def _merging(event: BacklogMerging) -> _Line:
    pairs = {"informer": event.informer, "handler": event.handler, "pending": event.pending}
    message = "handler fell behind, merging its events"
    return "handler", logging.WARNING, message, pairs, (event.informer, event.handler)


def _crashed(event: TaskCrashed) -> _Line:
    pairs = {"task": event.task, "exc_info": event.error}
    return "task", logging.ERROR, "task crashed: a bug, please report it", pairs, None


_DESCRIBED: Final[dict[type[Event], Callable[[Any], _Line | None]]] = {
    Admitted: _admitted,
    RequestFinished: _finished,
    RequestRetried: _retried,
    RetryDenied: _retry_denied,
    PressureChanged: _pressure,
    OutageBegan: _outage_began,
    OutageEnded: _outage_ended,
    CostlyList: _costly,
    ReflectorMoved: _moved,
    Listed: _listed,
    ObjectQuarantined: _quarantined,
    StaleEventIgnored: _stale,
    Rewound: _rewound,
    WriteNotSeen: _write_not_seen,
    HandlerFailed: _handler_failed,
    BacklogMerging: _merging,
    TaskCrashed: _crashed,
}
