"""Who reads a prepared watch: `python -m benchmarks.sides.events URL EVENTS [--as SIDE] …`.

Prints the CPU and the time that the events took, from just before they are sent until the last was handled:
neither what is imported for it nor the list before them.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import Any, Final

import aiohttp

from ..process import BenchmarkFailed, end_with_stdin
from .stream import PATIENCE, Stream


async def kresilient(asked: argparse.Namespace) -> None:
    """An informer with so many handlers; with *body* each looks at `spec` and `status`."""
    import kresilient as kr

    left: int = asked.events * asked.handlers
    body: bool = asked.body
    done = asyncio.Event()

    def updated(old: kr.KubeObject, new: kr.KubeObject) -> None:
        nonlocal left
        if body:
            new["spec"], new["status"]
        left -= 1
        if not left:
            done.set()

    async with (
        kr.connect(server=asked.url, qps=None) as client,
        client.informer("v1/pods") as informer,
    ):
        # Handlers that are slower than the stream are told of every event all the same: none is merged.
        handlers = [
            informer.add_handler(on_update=updated, max_backlog=asked.events) for _ in range(asked.handlers)
        ]
        for handler in handlers:
            await handler.synced(PATIENCE)
        stream = Stream(asked.url, asked.events)
        try:
            async with asyncio.timeout(PATIENCE):
                await done.wait()
        except TimeoutError:
            raise BenchmarkFailed(f"{left:,} events never came") from None
        stream.end()


async def headers(asked: argparse.Namespace) -> None:
    """The floor: read with aiohttp, framed, and each header decoded."""
    from kresilient.api.wire import WatchDecoder

    decoder = WatchDecoder()
    await _read(asked, lambda piece: len(list(decoder.feed(piece))))


async def bodies(asked: argparse.Namespace) -> None:
    """The floor of handlers that look at bodies: read with aiohttp, framed, and loaded by orjson, once for
    each handler. It runs where orjson is, with the peers."""
    import orjson

    handlers: int = asked.handlers
    rest = b""

    def take(piece: bytes) -> int:
        nonlocal rest
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            for _ in range(handlers):
                orjson.loads(line)
        return len(lines)

    await _read(asked, take)


async def _read(asked: argparse.Namespace, take: Callable[[bytes], int]) -> None:
    left: int = asked.events
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{asked.url}/api/v1/pods?watch=1") as answer,
        asyncio.timeout(PATIENCE),
    ):
        stream = Stream(asked.url, asked.events)
        while left > 0:
            piece = await answer.content.readany()
            if not piece:
                raise BenchmarkFailed(f"the stream ended with {left:,} events to come")
            left -= take(piece)
        stream.end()


_SIDES: Final[dict[str, Any]] = {one.__name__: one for one in (kresilient, headers, bodies)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("events", type=int)
    parser.add_argument("--as", dest="side", choices=_SIDES, default="kresilient")
    parser.add_argument("--handlers", type=int, default=1)
    parser.add_argument("--body", action="store_true")
    asked = parser.parse_args()
    asyncio.run(_SIDES[asked.side](asked))


if __name__ == "__main__":
    end_with_stdin()
    main()
