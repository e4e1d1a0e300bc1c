"""Before an answer begins: it comes late, or never, or the connection is reset."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..epoch import Reset
from .effect import Effect, Exchange

__all__ = ["Act", "Hang", "Hold", "Late", "NoAnswer"]


class Late(Effect):
    """Nothing but the delay that the fault has."""

    alone = False


class NoAnswer(Effect):
    """The connection is reset instead of answered."""

    async def before(self, exchange: Exchange) -> None:
        raise Reset


class Hang(Effect):
    """An answer that never begins."""

    async def before(self, exchange: Exchange) -> None:
        await exchange.held()


@dataclass(frozen=True, slots=True)
class Hold(Effect):
    """The request waits until the fault is lifted, and is then answered as ever."""

    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def before(self, exchange: Exchange) -> None:
        await exchange.paused(self.released)

    def lift(self) -> None:
        self.released.set()


@dataclass(frozen=True, slots=True)
class Act(Effect):
    """Something happens to the server just before the request is answered."""

    action: Callable[[Exchange], Awaitable[None] | None]

    async def before(self, exchange: Exchange) -> None:
        happening = self.action(exchange)
        if happening is not None:
            await happening
