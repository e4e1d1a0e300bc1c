"""The way between client and server, which a test can hold up: watches, lists, and the answers to writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from kresilient.api.errors import ConnectionLost
from kresilient.testing.server import MemoryApiServer
from kresilient.transport.base import Request, Response

ANSWERED_LATE: ContextVar[float] = ContextVar("answered_late", default=0.0)
"""Seconds that the answer to what this task sends is on its way."""


class Network:
    """A `Transport` to an in-memory server. `watches` and `lists` let their bodies pass while set, *latency*
    seconds after they were sent.
    """

    latency = 0.0

    def __init__(self, server: MemoryApiServer) -> None:
        self._transport = server.transport()
        self.watches, self.lists = asyncio.Event(), asyncio.Event()
        self._server = object()
        self.open()

    def server_is_another(self) -> None:
        """What the old one sent, and has not arrived, is lost."""
        self._server = object()

    def open(self) -> None:
        self.watches.set()
        self.lists.set()

    @property
    def server(self) -> str:
        return self._transport.server

    async def send(self, request: Request) -> Response:
        gate = {"watch": self.watches, "list": self.lists}.get(request.verb, _open_gate())
        latency = self.latency if request.verb in ("watch", "list") else ANSWERED_LATE.get()
        server = self._server

        def check() -> None:
            if self._server is not server:
                raise ConnectionLost(f"{request.what}: the server reset the connection")

        return Held(await self._transport.send(request), gate, latency, check)

    async def close(self) -> None:
        await self._transport.close()


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


class Held:
    """A response whose body waits for its gate; *check* raises where it is lost meanwhile."""

    def __init__(
        self, response: Response, gate: asyncio.Event, latency: float, check: Callable[[], None]
    ) -> None:
        self._response = response
        self._gate = gate
        self._latency = latency
        self._check = check

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def wire_bytes(self) -> int:
        return self._response.wire_bytes

    async def read(self, limit: int | None = None) -> bytes:
        body = await self._response.read(limit)
        await asyncio.sleep(self._latency)
        await self._gate.wait()
        self._check()
        return body

    def chunks(self) -> AsyncIterator[bytes]:
        return _Chunks(self._response.chunks(), self._gate, self._latency, self._check)

    async def close(self) -> None:
        await self._response.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Chunks:
    """Pieces that were sent, but arrive only while the gate is open; a cancelled reader loses none."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        gate: asyncio.Event,
        latency: float,
        check: Callable[[], None],
    ) -> None:
        self._check = check
        self._chunks = chunks
        self._gate = gate
        self._latency = latency
        self._sent: bytes | None = None
        self._due = 0.0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        clock = asyncio.get_running_loop().time
        if self._sent is None:
            self._sent = await anext(self._chunks)
            self._due = clock() + self._latency
        await asyncio.sleep(self._due - clock())
        await self._gate.wait()
        self._check()
        sent, self._sent = self._sent, None
        return sent
