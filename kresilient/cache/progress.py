"""Who waits for a cache to reach a version, or to lose an object."""

from __future__ import annotations

import asyncio

from ..api.versions import version_number

__all__ = ["Progress"]


class Progress:
    """Waits for the versions that one store reaches."""

    __slots__ = ("_ended", "_least", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._least: float = float("inf")
        self._ended: BaseException | None = None

    def reaching(self, version: str, now: str) -> asyncio.Future[None]:
        """Done when the store, which stands at *now*, has reached *version*; at once where the two do not
        compare. Cancel it, or it waits for ever."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        awaited, stands = version_number(version), version_number(now) if now else -1
        if self._ended is not None:
            future.set_exception(self._ended)
            future.exception()
        elif awaited is None or stands is None or stands >= awaited:
            future.set_result(None)
        else:
            self._waiting[future] = awaited
            self._least = min(self._least, awaited)
            future.add_done_callback(self._left)
        return future

    def at(self, version: str) -> None:
        """The store stands at *version*."""
        if not self._waiting or (reached := version_number(version)) is None or reached < self._least:
            return
        for future, awaited in tuple(self._waiting.items()):
            if awaited <= reached and not future.done():
                future.set_result(None)
                del self._waiting[future]
        self._least = min(self._waiting.values(), default=float("inf"))

    def end(self, error: BaseException) -> None:
        """The store goes no further."""
        self._ended = error
        waiting, self._waiting, self._least = self._waiting, {}, float("inf")
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever left meanwhile need not hear of it

    def _left(self, future: asyncio.Future[None]) -> None:
        self._waiting.pop(future, None)
