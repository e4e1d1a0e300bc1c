"""One wake-up for everybody who waits."""

from __future__ import annotations

import asyncio

__all__ = ["Broadcast"]


class Broadcast:
    """Tells everybody who waits at that moment that something happened; what, they see for themselves.

    It belongs to no event loop: those who wait may be on one today and on another tomorrow.
    """

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Wait for the next `tell`. Cancelled: nothing is left behind."""
        told = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        try:
            await told
        finally:
            self._waiting.remove(told)

    def tell(self) -> None:
        for told in self._waiting:
            if not told.done():
                told.set_result(None)
