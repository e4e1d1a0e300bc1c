"""The answer to a request over sockets: its body in pieces, and whether it came to its end."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import hdrs

from ..api.errors import ConnectionLost
from .base import Request
from .config import ClusterConfig
from .failures import read_failed

__all__ = ["HttpResponse"]

_INFLATE_STEP = 1 << 18


class HttpResponse:
    """An aiohttp response as the `Response` of the protocol.

    *done* is called with it once it holds no connection any more.
    """

    __slots__ = ("_config", "_cut", "_done", "_gunzip", "_raw", "_request", "wire_bytes")

    def __init__(
        self,
        raw: aiohttp.ClientResponse,
        request: Request,
        config: ClusterConfig,
        *,
        done: Callable[[HttpResponse], None],
    ) -> None:
        self._config = config
        self._done = done
        self._request = request
        self._raw = raw
        self.wire_bytes = 0
        gzipped = "gzip" in raw.headers.get(hdrs.CONTENT_ENCODING, "").lower()
        self._gunzip = _Gunzip() if gzipped else None
        self._cut = _reset_of(raw)

    @property
    def status(self) -> int:
        return self._raw.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._raw.headers

    async def read(self, limit: int | None = None) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while limit is None or size < limit:
                piece = await self._piece()
                if not piece:
                    break
                parts.append(piece)
                size += len(piece)
        except BaseException:
            await self.close()
            raise
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return body if limit is None or size <= limit else body[:limit]

    def chunks(self) -> AsyncIterator[bytes]:
        # No generator: one that is cancelled is over, and the next read would take that for a clean end.
        return _Chunks(self._piece)

    async def _piece(self) -> bytes:
        """The next piece of the decompressed body; empty at its clean end."""
        while True:
            if self._gunzip is not None and self._gunzip.pending:
                piece = self._inflate(b"")
            else:
                piece = await self._receive()
                if not piece:
                    return b""
                self.wire_bytes += len(piece)
                if self._gunzip is not None:
                    piece = self._inflate(piece)
            if piece:
                return piece

    async def _receive(self) -> bytes:
        content, silence = self._raw.content, None
        try:
            # What is there already takes no timer.
            piece = content.read_nowait()
            if not piece and self._request.stall is None:
                piece = await content.readany()
            elif not piece:
                async with asyncio.timeout(self._request.stall) as silence:
                    piece = await content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            closed = self._raw.closed
            self._drop()
            if silence is not None and silence.expired():
                raise ConnectionLost(
                    f"{self._request.what}: {self._config.server} was silent for {self._request.stall:g} s:"
                    " taken for dead"
                ) from error
            if closed:
                raise ConnectionLost(f"{self._request.what}: the response was closed here") from error
            timeout = f"no complete answer within {self._request.timeout or 0:g} s"
            raise read_failed(error, self._request, self._config, timeout=timeout) from error
        if not piece:
            unfinished = self._gunzip is not None and self.wire_bytes > 0 and not self._gunzip.complete
            if unfinished or (self._cut is not None and self._cut()):
                self._drop()
                raise ConnectionLost(
                    f"{self._request.what}: the answer of {self._config.server} was cut off before its end"
                )
            self._done(self)
        return piece

    def _inflate(self, data: bytes) -> bytes:
        assert self._gunzip is not None
        try:
            return self._gunzip(data)
        except zlib.error as error:
            self._drop()
            raise ConnectionLost(f"{self._request.what}: the answer's gzip is broken") from error

    def _drop(self) -> None:
        self._done(self)
        self._raw.close()

    async def close(self) -> None:
        self._done(self)
        if self._raw.content.at_eof():
            self._raw.release()
        else:
            self._raw.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Chunks:
    __slots__ = ("_next",)

    def __init__(self, step: Callable[[], Awaitable[bytes]]) -> None:
        self._next = step

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._next()
        if not piece:
            raise StopAsyncIteration
        return piece


class _Gunzip:
    """Inflates gzip in bounded steps, and knows whether what it got was complete.

    aiohttp could inflate by itself, but would take a gzip stream without its end for a whole one, and not
    every version of it counts the compressed bytes.
    """

    __slots__ = ("_engine", "_rest", "complete")

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=31)
        self._rest = b""
        self.complete = False

    @property
    def pending(self) -> bool:
        return bool(self._rest)

    def __call__(self, data: bytes) -> bytes:
        if self._engine.eof and (data or self._rest):  # one gzip member may follow another (RFC 1952)
            self._engine = zlib.decompressobj(wbits=31)
        piece = self._engine.decompress(self._rest + data if self._rest else data, _INFLATE_STEP)
        self.complete = self._engine.eof
        self._rest = self._engine.unused_data if self.complete else self._engine.unconsumed_tail
        return piece


def _reset_of(raw: aiohttp.ClientResponse) -> Callable[[], bool] | None:
    """For a body that only the end of the connection ends: tells whether that was a reset.

    aiohttp reports such a body as complete even then. A plain close cannot be told from a cut (RFC 9112, 8):
    API servers always send a length or chunks, only some proxies do not.
    """
    encoding = raw.headers.get(hdrs.TRANSFER_ENCODING, "").lower()
    if (
        hdrs.CONTENT_LENGTH in raw.headers
        or "chunked" in encoding
        or raw.connection is None
        or raw.connection.protocol is None
    ):
        return None
    closed = raw.connection.protocol.closed
    if closed is None:
        return None

    def reset() -> bool:
        return closed.done() and not closed.cancelled() and closed.exception() is not None

    closed.add_done_callback(lambda _: reset())  # so that asyncio does not report the exception as missed
    return reset
