"""kr8s: all pods as its objects: `python -m benchmarks.sides.kr8s_list URL`."""

from __future__ import annotations

import asyncio
import sys
import warnings

import kr8s

from ..process import Span, end_with_stdin


async def main(url: str) -> None:
    api = await kr8s.asyncio.api(url=url)
    async for _ in api.get("configmaps", namespace=kr8s.ALL):  # what is loaded and made once
        pass
    span = Span()
    found = [pod async for pod in api.get("pods", namespace=kr8s.ALL)]
    span.end(objects=len(found))


if __name__ == "__main__":
    end_with_stdin()
    warnings.filterwarnings("ignore", "Kubernetes version .* is not supported")
    asyncio.run(main(sys.argv[1]))
