"""The floors, which hold nothing: `python -m benchmarks.sides.floor KIND URL [--ca FILE] [--form FORM]`.

`aiohttp` and a blocking `socket` read what an informer would read, and throw it away. `pass` reads it first;
what is measured is that it splits it, and decodes each header, piece by piece as it came, and keeps none.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import ssl
import zlib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from kresilient.api.wire import ListDecoder, WatchDecoder, WatchEvent

from ..process import BenchmarkFailed, Span, end_with_stdin
from .requests import END, FORMS, path

_TAIL: Final = 2048
"""No end of a streaming list is longer: its bookmark, and how its chunk ends."""

_BUFFER: Final = 256 * 1024


def with_aiohttp(asked: argparse.Namespace) -> None:
    sizes: list[int] = []
    span = asyncio.run(_read(asked, lambda piece: sizes.append(len(piece))))
    span.end(objects=0, size=sum(sizes))


def one_pass(asked: argparse.Namespace) -> None:
    pieces: list[bytes] = []
    asyncio.run(_read(asked, pieces.append))
    span = Span()
    objects = _split_frames(pieces) if asked.form == "stream" else _split_list(pieces)
    span.end(objects=objects, size=sum(map(len, pieces)))


def with_a_socket(asked: argparse.Namespace) -> None:
    if asked.form == "gzip":
        raise BenchmarkFailed("the floor of a socket unpacks nothing: ask for another form")
    parts = urlsplit(asked.url)
    address = (parts.hostname or "", parts.port or 0)
    trust = ssl.create_default_context(cafile=asked.ca) if asked.ca else None
    request = f"GET {path(asked.form)} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    buffer = bytearray(_BUFFER)
    size, tail = 0, b""
    span = Span()
    connection = socket.create_connection(address, timeout=60)
    if trust is not None:
        connection = trust.wrap_socket(connection, server_hostname=parts.hostname)
    with connection:
        connection.sendall(request.encode())
        while count := connection.recv_into(buffer):
            if not size and b" 200 " not in buffer[:20]:
                raise BenchmarkFailed(f"the list was answered with {bytes(buffer[:20])!r}")
            size += count
            tail = (tail + buffer[max(count - _TAIL, 0) : count])[-_TAIL:]
            if asked.form == "stream" and END in tail:
                break
    span.end(objects=0, size=size)


# --- the parts -------------------------------------------------------------------------------------------


async def _read(asked: argparse.Namespace, each: Callable[[bytes], object]) -> Span:
    """Read all pods with aiohttp, *each* piece as it comes; the span from just before the request."""
    tls: Any = ssl.create_default_context(cafile=asked.ca) if asked.ca else True
    headers = {"Accept-Encoding": "gzip" if asked.form == "gzip" else "identity"}
    unpack = zlib.decompressobj(wbits=31).decompress if asked.form == "gzip" else None
    tail = b""
    async with aiohttp.ClientSession(asked.url, headers=headers, auto_decompress=False) as session:
        async with session.get("/api/v1/configmaps", ssl=tls) as first:  # what is made once
            await first.read()
        span = Span()
        async with session.get(path(asked.form), ssl=tls) as answer:
            if answer.status != 200:
                raise BenchmarkFailed(f"the list was answered with {answer.status}")
            while piece := await answer.content.readany():
                each(piece if unpack is None else unpack(piece))
                if asked.form == "stream":
                    tail = (tail + piece[-_TAIL:])[-_TAIL:]
                    if END in tail:
                        break
    return span


def _split_frames(pieces: list[bytes]) -> int:
    frames, objects = WatchDecoder(), 0
    for piece in pieces:
        for frame in frames.feed(piece):
            objects += isinstance(frame, WatchEvent)
    return objects


def _split_list(pieces: list[bytes]) -> int:
    items, objects = ListDecoder(), 0
    for piece in pieces:
        objects += len(items.feed(piece))
    return objects + len(items.close()[0])


KINDS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "aiohttp": with_aiohttp,
    "socket": with_a_socket,
    "pass": one_pass,
}

if __name__ == "__main__":
    end_with_stdin()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("url")
    parser.add_argument("--ca", default="")
    parser.add_argument("--form", choices=FORMS, default="stream")
    asked = parser.parse_args()
    KINDS[asked.kind](asked)
