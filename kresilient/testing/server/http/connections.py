"""The connections to the server that are open, and how they end: with an answer, a farewell or a reset."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from ..broadcast import Broadcast

__all__ = ["Connections", "reset"]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Connections(web.Server):
    """Knows the connections that are open, those that are being closed included."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **options: Any):
        async def busy(request: web.BaseRequest) -> web.StreamResponse:
            self._busy.add(request.protocol)
            try:
                return await handler(request)
            finally:
                self._busy.discard(request.protocol)

        super().__init__(busy, **options)
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._busy: set[web.RequestHandler] = set()
        self._lost = Broadcast()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._open[handler] = transport

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._open.pop(handler, None)
        self._lost.tell()

    def leave(self) -> None:
        """Close the connections that are idle now, and the others when they have answered."""
        for handler, transport in tuple(self._open.items()):
            if handler in self._busy:
                handler.close()
            else:
                transport.close()

    async def closed(self, patience: float) -> None:
        """Wait until every connection is closed; those that are not after *patience* seconds are cut."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._open:
                    await self._lost.wait()
        self.cut()
        while self._open:
            await self._lost.wait()

    def cut(self) -> None:
        """Let go of every connection now, without a farewell."""
        for transport in tuple(self._open.values()):
            transport.abort()


def reset(transport: asyncio.BaseTransport) -> None:
    """Close with RST, so that the peer sees a reset and no end of stream."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
