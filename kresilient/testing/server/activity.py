"""What the server still has to do: the requests that run, and whether anything is left to send for each."""

from __future__ import annotations

import asyncio
from typing import Final

from .broadcast import Broadcast
from .requests import RequestRecord

__all__ = ["Activity"]

_NAMED: Final = 5
"""Requests that a message names, at most."""


class Activity:
    """The requests that run. One is busy from when it comes until it ends, but for the time that it rests: a
    watch does while everything that concerns it has been sent."""

    def __init__(self) -> None:
        self._running: set[RequestRecord] = set()
        self._busy: set[RequestRecord] = set()
        self._turned = Broadcast()
        """Told when the server comes to rest, and when it is set to work."""

    def begins(self, record: RequestRecord) -> None:
        """*record* came."""
        self._running.add(record)
        self.wakes(record)

    def wakes(self, record: RequestRecord) -> None:
        """There is something to do for *record*; nothing where it has ended."""
        if record in self._running:
            self._busy.add(record)
            if len(self._busy) == 1:
                self._turned.tell()

    def rests(self, record: RequestRecord) -> None:
        """Nothing is left to do for *record*, until it wakes."""
        if record in self._busy:
            self._busy.discard(record)
            if not self._busy:
                self._turned.tell()

    def ends(self, record: RequestRecord) -> None:
        """*record* is over, or a fault holds it for ever: nothing more will come of it."""
        self._running.discard(record)
        self.rests(record)

    async def settled(self, *, quiet: float, timeout: float) -> None:
        """See `ApiServer.settled`."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    while self._busy:
                        await self._turned.wait()
                    if quiet <= 0 or await self._stays_at_rest(quiet):
                        return
        except TimeoutError:
            raise TimeoutError(self._unsettled(quiet, timeout)) from None

    async def _stays_at_rest(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._turned.wait()
        except TimeoutError:
            return True
        return False

    def _unsettled(self, quiet: float, timeout: float) -> str:
        if not self._busy:
            return f"the server was not at rest for {quiet:g} s at a time within {timeout:g} s"
        now = asyncio.get_running_loop().time()
        busy = sorted(self._busy, key=lambda record: record.start)
        named = [f"{_what(record)}, for {now - record.start:.1f} s" for record in busy[:_NAMED]]
        if len(busy) > _NAMED:
            named.append(f"and {len(busy) - _NAMED} more")
        return f"the server has not settled after {timeout:g} s; it still serves {'; '.join(named)}"


def _what(record: RequestRecord) -> str:
    """*record* in words: `list v1/pods (/api/v1/namespaces/default/pods) of curl/8.5`."""
    unread = ", whose answer is not read to its end" if record.code else ""
    return f"{record.verb} {record.resource} ({record.path}) of {record.user_agent or 'nobody'}{unread}"
