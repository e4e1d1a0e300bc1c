"""The port that the server listens on, and that stays its own while it does not."""

from __future__ import annotations

import asyncio
import socket
import ssl

from .connections import Connections

__all__ = ["Port"]


class Port:
    """A port of 127.0.0.1: free at first, listened on, or held, so that attempts to connect are refused and
    nobody else can take it.

    `number` is 0 until one is picked, and then kept.
    """

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self._listener: asyncio.Server | None = None
        self._held: socket.socket | None = None

    @property
    def listens(self) -> bool:
        """Whether connections are taken, or are about to be."""
        return self._listener is not None

    @property
    def held(self) -> bool:
        """Whether it is the server's own without being listened on."""
        return self._held is not None

    async def listen(self, connections: Connections, context: ssl.SSLContext | None) -> None:
        """Hand whoever connects to *connections*. Raises `OSError` where the port is taken."""
        held = self._hold()
        loop = asyncio.get_running_loop()
        # Not yet serving, it is here without a pause, in which another could do the same.
        self._listener = await loop.create_server(
            connections, sock=held, ssl=context, backlog=4096, start_serving=False
        )
        self._held = None
        await self._listener.start_serving()

    def stop_listening(self) -> None:
        """Let it be anybody's. Idempotent."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def hold(self) -> None:
        """Hold it without listening. Idempotent; raises `OSError` where somebody else has taken it."""
        self.stop_listening()
        self._hold()

    def _hold(self) -> socket.socket:
        if self._held is not None:
            return self._held
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", self.number))
        except BaseException:
            held.close()
            raise
        self.number = held.getsockname()[1]
        self._held = held
        return held

    def let_go(self) -> None:
        """Hold it no longer. Idempotent."""
        held, self._held = self._held, None
        if held is not None:
            held.close()
