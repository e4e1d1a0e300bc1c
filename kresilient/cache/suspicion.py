"""The suspicion that the server's history went back, until it is proved or refuted."""

from __future__ import annotations

import asyncio

from .states import WriteBehind

__all__ = ["Suspicion"]


class Suspicion:
    """What one reflector has to look into when it next watches, and who waits for the outcome."""

    __slots__ = ("_ended", "_open", "_raised", "_waiting")

    def __init__(self) -> None:
        self._raised: WriteBehind | None = None
        self._open = self._ended = False
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def raised(self) -> bool:
        """Whether there is one that was not taken up."""
        return self._raised is not None

    def suspect(self, reason: str) -> None:
        if self._raised is None:
            self._raised = WriteBehind(reason)
        self._open = True

    def take(self) -> WriteBehind | None:
        """Take it up; None where there is none."""
        raised, self._raised = self._raised, None
        return raised

    def settled(self) -> asyncio.Future[None] | None:
        """Done once it is known whether the history went back; None where nothing is suspected, or nobody is
        left to look. Cancel it, or it waits for ever."""
        if not self._open or self._ended:
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    def refuted(self) -> None:
        """It did not go back, as far as was suspected when that was taken up."""
        if self._raised is None:
            self.settle()

    def end(self) -> None:
        """Nobody will know."""
        self._ended = True
        self.settle()

    def settle(self) -> None:
        """It went back."""
        self._open = self._raised is not None
        for future in tuple(self._waiting):
            if not future.done():
                future.set_result(None)
