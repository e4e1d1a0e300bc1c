"""The floor: aiohttp reads the list of all pods and throws it away: `python -m benchmarks.floor URL`."""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp

from .process import BenchmarkFailed, Clock, end_with_stdin, peak_rss_mb


async def main(url: str) -> None:
    size = 0
    async with aiohttp.ClientSession(headers={"Accept-Encoding": "identity"}) as session:
        clock = Clock()
        async with session.get(f"{url}/api/v1/pods") as answer:
            if answer.status != 200:
                raise BenchmarkFailed(f"the list was answered with {answer.status}")
            while piece := await answer.content.readany():
                size += len(piece)
        wall, cpu = clock.read()
    print(
        json.dumps(
            {
                "objects": 0,
                "bytes": size,
                "wire_bytes": size,
                "sync_s": round(wall, 3),
                "cpu_s": round(cpu, 3),
                "peak_rss_mb": round(peak_rss_mb(), 1),
                "requests": 1,
            }
        )
    )


if __name__ == "__main__":
    end_with_stdin()
    asyncio.run(main(sys.argv[1]))
