"""Who reads a prepared watch: `python -m benchmarks.sides.events SIDE URL EVENTS [--handlers N] [--body]`.

Prints the CPU and the time that the events took, from just before they are sent until the last was handled:
neither what is imported for it nor the list before them.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from ..process import BenchmarkFailed, Clock, end_with_stdin

__all__ = ["PATIENCE", "go"]

PATIENCE: Final = 100.0
"""Seconds for all of the events."""


def go(url: str, events: int) -> None:
    """Have the server at *url* send so many *events* to its watches. Raises `BenchmarkFailed`."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    connection.request("POST", f"/go?events={events}")
    answer = connection.getresponse()
    connection.close()
    if answer.status != 200:
        raise BenchmarkFailed(f"{events:,} events cannot be sent: {answer.reason}")


async def kresilient(asked: argparse.Namespace) -> tuple[float, float]:
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
        for subscription in [informer.add_handler(on_update=updated) for _ in range(asked.handlers)]:
            await subscription.synced(PATIENCE)
        clock = Clock()
        go(asked.url, asked.events)
        try:
            async with asyncio.timeout(PATIENCE):
                await done.wait()
        except TimeoutError:
            raise BenchmarkFailed(f"{left:,} events never came: merged, or lost") from None
        return clock.read()


async def headers(asked: argparse.Namespace) -> tuple[float, float]:
    """The floor: read with aiohttp, framed, and each header decoded."""
    from kresilient.api.wire import WatchDecoder

    decoder = WatchDecoder()
    return await _read(asked, lambda piece: len(list(decoder.feed(piece))))


async def _read(asked: argparse.Namespace, take: Callable[[bytes], int]) -> tuple[float, float]:
    left: int = asked.events
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{asked.url}/api/v1/pods?watch=1") as answer,
        asyncio.timeout(PATIENCE),
    ):
        clock = Clock()
        go(asked.url, asked.events)
        while left > 0:
            piece = await answer.content.readany()
            if not piece:
                raise BenchmarkFailed(f"the stream ended with {left:,} events to come")
            left -= take(piece)
        return clock.read()


_SIDES: Final[dict[str, Any]] = {one.__name__: one for one in (kresilient, headers)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=_SIDES)
    parser.add_argument("url")
    parser.add_argument("events", type=int)
    parser.add_argument("--handlers", type=int, default=1)
    parser.add_argument("--body", action="store_true")
    asked = parser.parse_args()
    wall, cpu = asyncio.run(_SIDES[asked.side](asked))
    print(json.dumps({"per_s": asked.events / wall, "cpu_us": cpu / asked.events * 1e6}))


if __name__ == "__main__":
    end_with_stdin()
    main()
