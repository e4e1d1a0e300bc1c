"""The events that the library reports, and the hub that hands them on.

Every number and log line comes from one of these. An observer is a plain callable; it must return soon and
may not block. One that raises is reported to the log once and not called again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "Admitted",
    "BacklogMerging",
    "Event",
    "HandlerFailed",
    "Listed",
    "ObjectQuarantined",
    "Observer",
    "Observers",
    "ReflectorMoved",
    "RequestFinished",
    "RequestRetried",
    "Rewound",
    "StaleEventIgnored",
    "TaskCrashed",
]


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all observable events."""


# --- the door ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Admitted(Event):
    """The token bucket let a request pass after `waited` seconds."""

    verb: str
    resource: str
    waited: float


@dataclass(frozen=True, slots=True)
class RequestFinished(Event):
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


@dataclass(frozen=True, slots=True)
class RequestRetried(Event):
    """An attempt failed and will be repeated after `delay` seconds."""

    verb: str
    resource: str
    attempt: int
    delay: float
    reason: str


# --- the reflector -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReflectorMoved(Event):
    """A reflector took one row of the ListWatch table."""

    reflector: str
    row: str
    state: str
    delay: float
    reason: str


@dataclass(frozen=True, slots=True)
class Listed(Event):
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


@dataclass(frozen=True, slots=True)
class ObjectQuarantined(Event):
    """An object did not decode and was set aside under its key (empty where even that is unreadable)."""

    reflector: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class StaleEventIgnored(Event):
    """A watch event was not newer than the object held."""

    reflector: str
    key: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class Rewound(Event):
    """The server's history went back (a restored etcd): the cache follows it, and says so."""

    reflector: str
    from_version: str
    to_version: str


# --- subscriptions and tasks -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HandlerFailed(Event):
    """A handler raised; it gets the next event all the same."""

    informer: str
    handler: str
    key: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class BacklogMerging(Event):
    """A handler fell behind by `pending` events: from here its events are merged per key."""

    informer: str
    handler: str
    pending: int


@dataclass(frozen=True, slots=True)
class TaskCrashed(Event):
    """A task of the library's own ended with an unforeseen error: a bug, please report it."""

    task: str
    error: BaseException


Observer = Callable[[Event], None]


class Observers:
    """Hands each event to every observer, in the order they were added."""

    __slots__ = ("_observers",)

    def __init__(self, *observers: Observer) -> None:
        self._observers: tuple[Observer, ...] = observers

    def add(self, observer: Observer) -> None:
        self._observers += (observer,)

    def remove(self, observer: Observer) -> None:
        """Stop calling *observer*; one that was never added is no error."""
        self._observers = tuple(one for one in self._observers if one is not observer)

    def __call__(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # an observer's bug must not become the cache's
                self.remove(observer)
                logging.getLogger("kresilient.observe").exception(
                    "the observer %r raised on %s and is no longer called", observer, type(event).__name__
                )
