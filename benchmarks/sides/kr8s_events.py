"""kr8s: a watch into its objects: `python -m benchmarks.sides.kr8s_events URL EVENTS`."""

from __future__ import annotations

import asyncio
import sys
import warnings

import kr8s
from kr8s.asyncio.objects import Pod

from ..process import end_with_stdin
from .stream import PATIENCE, Stream


async def main(url: str, events: int) -> None:
    api = await kr8s.asyncio.api(url=url)
    async with asyncio.timeout(PATIENCE):
        stream, left = Stream(url, events, opened=False), events
        async for _ in api.watch(Pod, namespace=kr8s.ALL):  # type: ignore[arg-type]  # it takes classes too
            left -= 1
            if not left:
                break
        stream.end()


if __name__ == "__main__":
    end_with_stdin()
    warnings.filterwarnings("ignore", "Kubernetes version .* is not supported")
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
