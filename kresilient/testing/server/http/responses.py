"""A reply as it goes out over HTTP: in one piece or in chunks, packed where the client takes it."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

from aiohttp import HttpVersion11, web

from ..epoch import Reset
from ..handler_chain import Reply
from ..negotiation import accepts_gzip
from .connections import reset

__all__ = ["aborted", "closing", "send"]

_GZIP_ABOVE: Final = 128 * 1024


async def send(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Send *reply*: as one piece with its length where it is one, else chunked as it is made."""
    async with contextlib.aclosing(reply.chunks) as chunks:
        if reply.streaming:
            return await _stream(request, reply, [], chunks)
        first = await anext(chunks, b"")
        second = await anext(chunks, None)
        gzip = len(first) > _GZIP_ABOVE and accepts_gzip(request.headers.get("Accept-Encoding", ""))
        if second is not None or gzip:
            pieces = [first] if second is None else [first, second]
            return await _stream(request, reply, pieces, chunks, gzip=gzip)
    response = web.Response(status=reply.status, headers=reply.headers, body=first)
    if not request.content.is_eof():  # the rest of a body that is too large stays unread
        response.force_close()
    await response.prepare(request)
    await response.write_eof()
    return response


async def _stream(
    request: web.BaseRequest,
    reply: Reply,
    pieces: list[bytes],
    chunks: AsyncIterator[bytes],
    *,
    gzip: bool = False,
) -> web.StreamResponse:
    """Send *pieces* and then *chunks* as a chunked body."""
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    else:
        response.force_close()  # the end of the body is the end of the connection
    packer = zlib.compressobj(1, wbits=31) if gzip else None
    if gzip:
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    await response.prepare(request)

    async def send(piece: bytes) -> None:
        if packer is not None:  # zlib lets go of the interpreter, so a thread keeps the loop free
            piece = await asyncio.to_thread(packer.compress, piece)
        if piece:
            await response.write(piece)

    for piece in pieces:
        await send(piece)
    try:
        async for piece in chunks:
            await send(piece)
    except Reset:
        await _flushed(request)
        raise
    if packer is not None:
        await response.write(packer.flush())
    await response.write_eof()
    return response


async def _flushed(request: web.BaseRequest) -> None:
    """Wait until what was written has gone out: a reset drops what is still in the buffer."""
    transport = request.transport
    if transport is not None and not transport.is_closing():
        transport.set_write_buffer_limits(0)  # from now on writing is paused until nothing is left
        with contextlib.suppress(ConnectionError):  # reset by the other side
            await request.writer.drain()


def closing(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer that is the connection's last: where the next request would begin is not known."""
    response = web.Response(status=status, body=body, headers=headers)
    response.force_close()
    return response


def aborted(request: web.BaseRequest) -> web.StreamResponse:
    """Nothing more is sent: the connection is reset."""
    if request.transport is not None:
        reset(request.transport)
    return web.Response()
