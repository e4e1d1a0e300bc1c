"""What a handler is told: one change of one object."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from ..api.resources import Key

__all__ = ["Event", "EventType", "Source"]

T = TypeVar("T")


class EventType(StrEnum):
    """What happened to the object."""

    ADDED = "added"
    UPDATED = "updated"
    DELETED = "deleted"


class Source(StrEnum):
    """How the cache came to know."""

    LIST = "list"
    """The first list of the cache, or what it held when the handler came."""
    RELIST = "relist"
    """A later list: the watch had missed the change, intermediate states included."""
    WATCH = "watch"
    WRITE = "write"
    """A write of this process, told as soon as it was acknowledged; the watch does not tell of it again."""


class Event(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One change, as one subscriber sees it.

    Attributes:
        type: `added`, `updated` or `deleted`.
        key: `"namespace/name"`, or `"name"` at cluster scope.
        object: the newest state known; for a delete the last state there was.
        old: what this subscriber saw last; None for an add.
        initial: True for the adds that bring a new subscriber up to date.
        source: how the cache came to know.
    """

    type: EventType
    key: Key
    object: T
    old: T | None
    initial: bool
    source: Source

    @property
    def new(self) -> T | None:
        """The new state; None for a delete."""
        return None if self.type is EventType.DELETED else self.object
