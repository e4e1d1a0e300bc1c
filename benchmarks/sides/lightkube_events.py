"""lightkube, async: a watch into its models: `python -m benchmarks.sides.lightkube_events URL EVENTS`."""

from __future__ import annotations

import asyncio
import sys

from lightkube import AsyncClient, KubeConfig
from lightkube.config.models import Cluster, User
from lightkube.resources.core_v1 import Pod

from ..process import end_with_stdin
from .stream import PATIENCE, Stream


async def main(url: str, events: int) -> None:
    config = KubeConfig.from_one(cluster=Cluster(server=url), user=User(token="any"))
    async with AsyncClient(config, trust_env=False) as client, asyncio.timeout(PATIENCE):
        stream, left = Stream(url, events, opened=False), events
        async for _ in client.watch(Pod, namespace="*", resource_version="1"):
            left -= 1
            if not left:
                break
        stream.end()


if __name__ == "__main__":
    end_with_stdin()
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
