"""Who hears of what several clients share: the observers of each that is open."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from .events import Event, Observers

__all__ = ["Audience"]

T = TypeVar("T")


class Audience(Generic[T]):
    """The hubs of several clients, each with what its events are made for.

    It keeps none alive: one whose client is gone, closed or not, has left. An observer that was given to
    several of the clients hears the same event once.
    """

    __slots__ = ("_hubs",)

    def __init__(self) -> None:
        self._hubs: WeakKeyDictionary[Observers, T] = WeakKeyDictionary()

    def join(self, observers: Observers, sees: T) -> None:
        """Hand what happens from now on to *observers*, too; *sees* is what `tell` makes their events for."""
        self._hubs[observers] = sees

    def leave(self, observers: Observers) -> None:
        """Hand *observers* nothing more; those that never joined are no error."""
        self._hubs.pop(observers, None)

    def tell(self, event: Callable[[T], Event]) -> None:
        """Hand each hub its own *event*, in the order in which they joined."""
        told: set[tuple[Hashable, Event]] = set()
        for observers, sees in tuple(self._hubs.items()):
            observers(event(sees), told)
