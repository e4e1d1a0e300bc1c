"""What one subscriber has not handled yet: lossless up to a bound, then merged per key.

Order is that of arrival; events of one key never overtake each other, and no two of them are out at once.
Above `limit` pending events each further one is merged into the last pending event of its key, so the
backlog is bounded by the limit plus two events per live key, and the last state always arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from ..api.objects import KubeObject
from ..api.resources import Key
from .events import Event, EventType
from .store import same

__all__ = ["Backlog", "SerialBacklog", "merge"]

T = TypeVar("T")


class _Pending(Generic[T]):
    """The events of one key, and how many tickets in the queue stand for them."""

    __slots__ = ("busy", "events", "skipped", "tickets")

    def __init__(self) -> None:
        self.events: list[Event[T]] = []  # rarely more than one
        self.tickets = 0
        self.busy = False
        self.skipped = 0


class Backlog(Generic[T]):
    """Pending events, taken with `pop` and given back with `done`."""

    __slots__ = ("_by_key", "_limit", "_queue", "merging", "pending")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_key: dict[Key, _Pending[T]] = {}
        self._queue: deque[Key] = deque()  # a ticket for each event, in order of arrival
        self.pending = 0
        self.merging = False
        """True from the first merge until the backlog is empty."""

    def extend(self, events: Iterable[Event[T]]) -> None:
        """Add each of *events* behind those of its key."""
        for event in events:
            self.push(event)

    def push(self, event: Event[T]) -> None:
        """Add *event* behind those of its key."""
        key = event.key
        entry = self._by_key.get(key)
        if entry is None:
            entry = self._by_key[key] = _Pending()
        if self.pending >= self._limit and entry.events:
            self.merging = True
            merged = merge(entry.events.pop(), event)
            self.pending += len(merged) - 1
            entry.events.extend(merged)
        else:
            entry.events.append(event)
            self.pending += 1
        while entry.tickets + entry.skipped < len(entry.events):
            entry.tickets += 1
            self._queue.append(key)
        if len(self._queue) > 2 * self.pending + 1024:
            self._drop_stale_tickets()

    def take(self, event: Event[T]) -> Event[T]:
        """Make the key of *event*, which was never pushed, busy; give it back with `done`."""
        entry = self._by_key.get(event.key)
        if entry is None:
            entry = self._by_key[event.key] = _Pending()
        entry.busy = True
        return event

    def pop(self) -> Event[T] | None:
        """The next event whose key is not busy, and make its key busy; None where there is none."""
        while self._queue:
            key = self._queue.popleft()
            entry = self._by_key[key]
            entry.tickets -= 1
            if entry.busy:
                entry.skipped += 1  # `done` hands it on
            elif entry.events:
                return self._take(entry)
            elif not entry.tickets:
                del self._by_key[key]  # it was annihilated
        return None

    def done(self, key: Key) -> Event[T] | None:
        """Give *key* back. Where the turn of its next event has come already, that one is returned."""
        entry = self._by_key[key]
        entry.busy = False
        while entry.skipped:
            entry.skipped -= 1
            if entry.events:
                return self._take(entry)
        if not entry.events and not entry.tickets:
            del self._by_key[key]
        return None

    def clear(self) -> int:
        """Drop everything pending; returns how much that was. Keys that are out stay busy."""
        dropped, self.pending, self.merging = self.pending, 0, False
        self._queue.clear()
        for key, entry in list(self._by_key.items()):
            entry.events.clear()
            entry.tickets = entry.skipped = 0
            if not entry.busy:
                del self._by_key[key]
        return dropped

    def _take(self, entry: _Pending[T]) -> Event[T]:
        entry.busy = True
        self.pending -= 1
        if not self.pending:
            self.merging = False
        return entry.events.pop(0)

    def _drop_stale_tickets(self) -> None:
        """Forget the tickets of annihilated events, so that churn behind a stuck handler costs no memory."""
        kept: deque[Key] = deque()
        for key in self._queue:
            entry = self._by_key[key]
            if entry.tickets + entry.skipped > len(entry.events):
                entry.tickets -= 1
                if not entry.tickets and not entry.events and not entry.busy:
                    del self._by_key[key]
            else:
                kept.append(key)
        self._queue = kept


class SerialBacklog(Generic[T]):
    """A backlog whose consumer has dealt with each event when he takes the next.

    No key is ever out then, so that up to the bound a queue is all it takes. What comes above it, and what
    waited before, goes through a `Backlog`, until that is empty.
    """

    __slots__ = ("_limit", "_merged", "_queue")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: deque[Event[T]] = deque()
        self._merged: Backlog[T] | None = None

    @property
    def pending(self) -> int:
        return len(self._queue) if self._merged is None else self._merged.pending

    @property
    def merging(self) -> bool:
        """True from the first merge until the backlog is empty."""
        return self._merged is not None and self._merged.merging

    def extend(self, events: Sequence[Event[T]]) -> None:
        """Add *events* behind those of their keys."""
        if self._merged is None:
            if len(self._queue) + len(events) <= self._limit:
                self._queue.extend(events)
                return
            self._merged = Backlog(self._limit)
            self._merged.extend(self._queue)
            self._queue.clear()
        self._merged.extend(events)

    def pop(self) -> Event[T] | None:
        """The next event; None where there is none."""
        if self._merged is None:
            return self._queue.popleft() if self._queue else None
        event = self._merged.pop()
        if event is not None:
            self._merged.done(event.key)
        if not self._merged.pending:
            self._merged = None
        return event

    def clear(self) -> int:
        """Drop everything pending; returns how much that was."""
        dropped, self._merged = self.pending, None
        self._queue.clear()
        return dropped


def merge(first: Event[T], then: Event[T]) -> list[Event[T]]:
    """Two successive events of one key as the fewest that lead from and to the same states.

    Never across uids: another object under the same name stays a delete and an add. What ends where it began,
    as it may once a server went back, is no event.
    """
    if then.type is EventType.DELETED:
        if first.type is EventType.ADDED:
            return []
        if first.type is EventType.UPDATED:
            return [_event(EventType.DELETED, then, old=first.old)]
        return [first, then]
    if first.type is EventType.ADDED:
        return [_event(EventType.ADDED, then, old=None, initial=first.initial)]
    if first.type is EventType.DELETED and (
        then.type is EventType.UPDATED or _uid(first.object) != _uid(then.object)
    ):
        return [first, then]
    return [] if _same(first.old, then.object) else [_event(EventType.UPDATED, then, old=first.old)]


def _event(kind: EventType, last: Event[T], *, old: T | None, initial: bool = False) -> Event[T]:
    return Event(kind, last.key, last.object, old, initial, last.source)


def _uid(obj: object) -> object:
    return getattr(obj, "uid", None)


def _same(one: object, other: object) -> bool:
    return isinstance(one, KubeObject) and isinstance(other, KubeObject) and same(one, other)
