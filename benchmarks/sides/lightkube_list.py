"""lightkube, async: all pods as its models: `python -m benchmarks.sides.lightkube_list URL`."""

from __future__ import annotations

import asyncio
import sys

from lightkube import AsyncClient, KubeConfig
from lightkube.config.models import Cluster, User
from lightkube.resources.core_v1 import ConfigMap, Pod

from ..process import Span, end_with_stdin


async def main(url: str) -> None:
    config = KubeConfig.from_one(cluster=Cluster(server=url), user=User(token="any"))
    async with AsyncClient(config, trust_env=False) as client:
        async for _ in client.list(ConfigMap, namespace="*"):  # what is loaded and made once
            pass
        span = Span()
        found = [pod async for pod in client.list(Pod, namespace="*")]
        span.end(objects=len(found))


if __name__ == "__main__":
    end_with_stdin()
    asyncio.run(main(sys.argv[1]))
