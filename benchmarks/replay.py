"""A transport that replays prepared bytes: what a client does with them, without server, socket or TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Final, Self

from kresilient.transport.base import Request

__all__ = ["Replay", "pieces"]

_PIECE: Final = 64 << 10
"""Bytes that a busy socket hands over at once."""


def pieces(frames: Iterable[bytes]) -> list[bytes]:
    """*frames* as they come from a socket: cut anywhere."""
    body = b"".join(frames)
    return [body[start : start + _PIECE] for start in range(0, len(body), _PIECE)]


class Replay:
    """A server of one streaming list: it sends *initial*, then, once `go` is set, *events*; then nothing.

    Between two pieces others have their turn, as when a socket is waited for.
    """

    server = "memory://replay"

    def __init__(self, initial: Iterable[bytes], events: Iterable[bytes] = ()) -> None:
        self._initial, self._events = initial, events
        self.go = asyncio.Event()

    async def send(self, request: Request) -> _Answer:
        """Answer the only request that is expected."""
        assert ("sendInitialEvents", "true") in request.query, request.what
        return _Answer(self._body())

    async def _body(self) -> AsyncGenerator[bytes, None]:
        for piece in self._initial:
            yield piece
            await asyncio.sleep(0)
        await self.go.wait()
        for piece in self._events:
            yield piece
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing is open."""


class _Answer:
    status = 200
    headers: Mapping[str, str] = {"Content-Type": "application/json"}  # as the protocol has it
    wire_bytes = 0

    def __init__(self, body: AsyncGenerator[bytes, None]) -> None:
        self._body = body

    async def read(self, limit: int | None = None) -> bytes:
        raise AssertionError("a stream is not read whole")

    def chunks(self) -> AsyncIterator[bytes]:
        return self._body

    async def close(self) -> None:
        await self._body.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
