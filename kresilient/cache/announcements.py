"""What subscribers are told of: each change of the cache as events, in the order in which it came to be.

The changes of one run of the watch are handed on together, when it pauses; nobody else has a turn before.
Those of a relist are handed on over several turns of the loop, and a later change of a key not before them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..api.objects import KubeObject
from ..api.resources import Key
from .events import Event, EventType, Source
from .overlay import Change

__all__ = ["Announcements", "Recipient"]

Recipient = Callable[[Sequence[Event[KubeObject]]], None]
"""Takes events without waiting."""


class Announcements:
    """Tells of the changes of one cache.

    Args:
        recipients: where a change of the cache as it is now has to go.
    """

    __slots__ = ("_events", "_held", "_listeners", "_recipients", "_relisted")

    def __init__(self, recipients: Callable[[], Sequence[Recipient]]) -> None:
        self._recipients = recipients
        self._events: list[Event[KubeObject]] = []
        self._held = False
        self._relisted: dict[Key, Change] = {}  # told to nobody yet
        self._listeners: Sequence[Recipient] = ()  # who hears of those

    def hold(self) -> None:
        """Collect what changes from now on, until `release`, before which nobody else may have a turn."""
        self._held = True

    def release(self) -> None:
        """Hand on what was collected."""
        self._held = False
        self.flush()

    def flush(self) -> None:
        """Hand on what was collected so far."""
        if self._events:
            events, self._events = self._events, []
            for push in self._recipients():
                push(events)

    def tell(
        self,
        key: Key,
        before: KubeObject | None,
        after: KubeObject | None,
        source: Source,
        *,
        last: KubeObject | None = None,
    ) -> None:
        """*key* held *before* and now holds *after*; *last* is the last state of what was deleted."""
        if self._relisted:
            self.tell_relisted(key)
        if before is not None and after is not None and before.meta.uid == after.meta.uid:
            self._events.append(Event(EventType.UPDATED, key, after, before, False, source))
        else:
            self._events += events_of(key, before, after, source, last=last)
        if not self._held:
            self.flush()

    # --- a relist ---

    def relisted(self, changes: dict[Key, Change], listeners: Sequence[Recipient]) -> None:
        """A relist made *changes*, of which *listeners* are to be told, key by key: see `tell_relisted`."""
        self._relisted, self._listeners = changes, listeners

    def tell_relisted(self, key: Key) -> None:
        """Tell of what a relist changed under *key*, unless that was done."""
        change = self._relisted.pop(key, None)
        if change is not None:
            events = events_of(change.key, change.before, change.after, Source.RELIST)
            for push in self._listeners:
                push(events)


def events_of(
    key: Key,
    before: KubeObject | None,
    after: KubeObject | None,
    source: Source,
    *,
    last: KubeObject | None = None,
) -> tuple[Event[KubeObject], ...]:
    """The change from *before* to *after* as events: two where *key* has become another object."""
    if before is None:
        assert after is not None
        return (Event(EventType.ADDED, key, after, None, False, source),)
    if after is None:
        return (Event(EventType.DELETED, key, before if last is None else last, before, False, source),)
    if before.meta.uid == after.meta.uid:
        return (Event(EventType.UPDATED, key, after, before, False, source),)
    return (
        Event(EventType.DELETED, key, before, before, False, source),
        Event(EventType.ADDED, key, after, None, False, source),
    )
