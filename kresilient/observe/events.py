"""The events that the library reports, and the hub that hands them on.

Every number and log line comes from one of these. An observer is a plain callable; it must return soon and
may not block. One that raises is reported to the log, at most once a minute, and gets the next event.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

import msgspec

__all__ = [
    "Admitted",
    "BacklogMerging",
    "CostlyList",
    "Event",
    "HandlerFailed",
    "Listed",
    "ObjectQuarantined",
    "Observer",
    "Observers",
    "OutageBegan",
    "OutageEnded",
    "PressureChanged",
    "ReflectorMoved",
    "RequestFinished",
    "RequestRetried",
    "RetryDenied",
    "Rewound",
    "StaleEventIgnored",
    "TaskCrashed",
    "WriteNotSeen",
    "loop_time",
]

_REPORT_EVERY: Final = 60.0


class Event(msgspec.Struct, frozen=True):
    """The base of all observable events."""


# --- the door ----------------------------------------------------------------------------------------


class Admitted(Event, frozen=True):
    """Admission let a request pass in its `lane` after `waited` seconds."""

    verb: str
    resource: str
    waited: float
    lane: str = ""


class RequestFinished(Event, frozen=True):
    """One attempt was answered (`status`), or failed before an answer (`status` 0, `error` says how).

    `duration` is seconds from sending to the end of a unary body, or to the headers of a stream.
    """

    verb: str
    resource: str
    path: str
    status: int
    duration: float
    attempt: int
    error: str = ""


class RequestRetried(Event, frozen=True):
    """An attempt failed and will be repeated after `delay` seconds."""

    verb: str
    resource: str
    attempt: int
    delay: float
    reason: str


class RetryDenied(Event, frozen=True):
    """An attempt failed, and the retry budget of the client allows no repeat now."""

    verb: str
    resource: str
    attempt: int
    reason: str


class PressureChanged(Event, frozen=True):
    """A priority level, lane or API is held to `rate` requests a second from now (None: to none of its own),
    and not asked for `paused` seconds."""

    level: str
    rate: float | None
    paused: float
    reason: str


class OutageBegan(Event, frozen=True):
    """The server refuses connections, or drops one after another: from here one probe at a time asks, and
    every informer waits."""

    server: str
    reason: str


class OutageEnded(Event, frozen=True):
    """The server answers again after `seconds` and so many `probes`; the `waiting` informers come back spread
    over a window."""

    server: str
    seconds: float
    probes: int
    waiting: int


class CostlyList(Event, frozen=True):
    """A call site lists everything, or everything in a namespace, again and again where an informer
    (`instead`) would answer from memory. Told once for each site and resource."""

    resource: str
    site: str
    interval: float
    instead: str


# --- the reflector -----------------------------------------------------------------------------------


class ReflectorMoved(Event, frozen=True):
    """A reflector took one row of the ListWatch table."""

    reflector: str
    row: str
    state: str
    delay: float
    reason: str


class Listed(Event, frozen=True):
    """A whole list replaced the cache: counts of objects, and of the differences delivered."""

    reflector: str
    strategy: str
    resource_version: str
    objects: int
    added: int
    updated: int
    deleted: int
    bytes: int
    wire_bytes: int
    duration: float


class ObjectQuarantined(Event, frozen=True):
    """An object did not decode and was set aside under its key (empty where even that is unreadable)."""

    reflector: str
    key: str
    reason: str


class StaleEventIgnored(Event, frozen=True):
    """A watch event was not newer than the object held."""

    reflector: str
    key: str
    resource_version: str


class Rewound(Event, frozen=True):
    """The server's history went back (a restored etcd): the cache follows it, and says so.

    By then the new history may have come past `from_version` again.
    """

    reflector: str
    from_version: str
    to_version: str


class WriteNotSeen(Event, frozen=True):
    """The watch of an informer has not brought an own write within `seconds`, and what the write was answered
    with could not be shown in its place: only the server can tell whether it belongs there."""

    informer: str
    key: str
    version: str
    seconds: float


# --- subscriptions and tasks -------------------------------------------------------------------------


class HandlerFailed(Event, frozen=True):
    """A handler raised; it gets the next event all the same."""

    informer: str
    handler: str
    key: str
    error: BaseException


class BacklogMerging(Event, frozen=True):
    """A handler fell behind by `pending` events: from here its events are merged per key."""

    informer: str
    handler: str
    pending: int


class TaskCrashed(Event, frozen=True):
    """A task of the library's own ended with an unforeseen error: a bug, please report it."""

    task: str
    error: BaseException


Observer = Callable[[Event], None]


def loop_time() -> float:
    """The running loop's time, or the monotonic clock's outside a loop."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


@dataclass(slots=True, eq=False)
class _Seat:
    """An observer, when a failure of it was last reported, and how many were not since."""

    observer: Observer
    reported: float | None = None
    unreported: int = 0
    key: Hashable = field(init=False)  # tells it from others, also where it cannot be hashed

    def __post_init__(self) -> None:
        try:
            hash(self.observer)
        except TypeError:
            self.key = id(self.observer)
        else:
            self.key = self.observer


class Observers:
    """Hands each event to every observer, in the order they were added.

    Args:
        clock: monotonic seconds; the running loop's time where None.
    """

    __slots__ = ("__weakref__", "_clock", "_seats")

    def __init__(self, *observers: Observer, clock: Callable[[], float] | None = None) -> None:
        self._seats = tuple(_Seat(observer) for observer in observers)
        self._clock = clock or loop_time

    def add(self, observer: Observer) -> None:
        self._seats += (_Seat(observer),)

    def remove(self, observer: Observer) -> None:
        """Stop calling *observer*; one that was never added is no error."""
        self._seats = tuple(seat for seat in self._seats if seat.observer is not observer)

    def __call__(self, event: Event, told: set[tuple[Hashable, Event]] | None = None) -> None:
        """Hand *event* to each observer; with *told*, to those only that are not in it yet with this event,
        and note them there."""
        for seat in self._seats:
            if told is not None:
                if (seat.key, event) in told:
                    continue
                told.add((seat.key, event))
            try:
                seat.observer(event)
            except Exception:  # an observer's bug must not become the cache's
                self._report(seat, event)

    def _report(self, seat: _Seat, event: Event) -> None:
        now = self._clock()
        if seat.reported is not None and 0 <= now - seat.reported < _REPORT_EVERY:
            seat.unreported += 1
            return
        logging.getLogger("kresilient.observe").exception(
            "the observer %r raised on %s (%d failures since the last report)",
            seat.observer,
            type(event).__name__,
            seat.unreported,
        )
        seat.reported, seat.unreported = now, 0
