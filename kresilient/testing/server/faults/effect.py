"""What a fault does to one exchange: the stages at which it may step in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..activity import Activity
from ..answers import Answer
from ..epoch import Epoch, Reset, until
from ..requests import Call, RequestRecord

if TYPE_CHECKING:
    from .replica import Replica

__all__ = ["Effect", "Exchange", "Pieces"]

Pieces = AsyncGenerator[bytes, None]
"""The body of an answer as it is sent. Whoever reads one closes it (`contextlib.aclosing`)."""


@dataclass(slots=True, eq=False)
class Exchange:
    """One request on its way through the server, as a fault sees it."""

    call: Call
    record: RequestRecord
    epoch: Epoch
    activity: Activity

    @property
    def is_watch(self) -> bool:
        return self.record.verb == "watch"

    async def sleep(self, seconds: float) -> None:
        """Wait *seconds* of loop time, or until the server stops. Raises `Reset` where it was killed."""
        await until(self.epoch.over, seconds)
        if self.epoch.killed:
            raise Reset

    async def held(self) -> None:
        """Never go on: wait until the server stops, then raise `Reset`. Nobody waits for such a request."""
        self.activity.ends(self.record)
        await self.epoch.over.wait()
        raise Reset

    async def paused(self, go_on: asyncio.Event) -> None:
        """Wait for *go_on*. Raises `Reset` where the server stops before. `settled` does not wait for it."""
        self.activity.rests(self.record)
        waiting = [asyncio.ensure_future(event.wait()) for event in (self.epoch.over, go_on)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        if not go_on.is_set():
            raise Reset
        self.activity.wakes(self.record)


class Effect:
    """What a fault does. Each stage does nothing by default, and an effect overrides those it needs.

    `streaming` says that it minds when each piece goes out. `alone` is False where a request may meet this
    fault and others besides.
    """

    streaming: ClassVar[bool] = False
    alone: ClassVar[bool] = True

    def met(self, record: RequestRecord) -> None:
        """*record* met the fault, and nothing has happened to it yet."""

    def spent(self) -> None:
        """No request can meet the fault any more, though it was not taken back."""

    async def before(self, exchange: Exchange) -> None:
        """Before the request is looked at. May wait; raises `Reset` for no answer at all."""

    def replica(self, exchange: Exchange) -> Replica | None:
        """Who answers in place of the server's own state."""
        return None

    def answer(self, exchange: Exchange) -> Answer | None:
        """What is answered in place of the server's own answer."""
        return None

    def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        """*pieces* as they are sent."""
        return pieces

    def lift(self) -> None:
        """The fault was taken back."""
