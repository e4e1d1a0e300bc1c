"""kubernetes_asyncio: a typed watch: `python -m benchmarks.sides.typed_events URL EVENTS`."""

from __future__ import annotations

import asyncio
import sys

from kubernetes_asyncio import client, watch

from ..process import end_with_stdin
from .stream import PATIENCE, Stream


async def main(url: str, events: int) -> None:
    async with client.ApiClient(client.Configuration(host=url)) as api, asyncio.timeout(PATIENCE):
        core = client.CoreV1Api(api)
        listed = await core.list_pod_for_all_namespaces()
        stream, left = Stream(url, events, opened=False), events
        watching = watch.Watch().stream(
            core.list_pod_for_all_namespaces, resource_version=listed.metadata.resource_version
        )
        async for _ in watching:
            left -= 1
            if not left:
                break
        stream.end()


if __name__ == "__main__":
    end_with_stdin()
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
