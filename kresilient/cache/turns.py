"""How long handlers keep the event loop before others get a turn.

Handlers that never wait would else hold up every timer, request and watch of the process for as long as there
is something to tell them. What one turn of the loop may cost is shared by all who have something to do.
"""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

__all__ = ["Turns", "turns_of"]

_TURN: Final = 0.005
"""Seconds of handling, by all handlers of a loop together, before everybody else gets a turn."""


class Turns:
    """The turns of one event loop, shared by those who hand events to handlers.

    `busy` is how many of them have something to do: each counts himself in and out.
    """

    __slots__ = ("busy",)

    def __init__(self) -> None:
        self.busy = 0

    @property
    def share(self) -> float:
        """Seconds after which one of the busy should give way."""
        return _TURN / max(self.busy, 1)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """The turns of *loop*, whoever its clients are."""
    return _turns.setdefault(loop, Turns())
