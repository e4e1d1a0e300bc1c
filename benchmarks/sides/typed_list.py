"""kubernetes_asyncio: a typed list: `python -m benchmarks.sides.typed_list URL`."""

from __future__ import annotations

import asyncio
import sys

from kubernetes_asyncio import client

from ..process import Span, end_with_stdin


async def main(url: str) -> None:
    async with client.ApiClient(client.Configuration(host=url)) as api:
        api.set_default_header("Accept-Encoding", "identity")  # the same bytes for everybody
        core = client.CoreV1Api(api)
        await core.list_config_map_for_all_namespaces(limit=1)  # what is loaded and made once
        span = Span()
        found = await core.list_pod_for_all_namespaces()
        span.end(objects=len(found.items))


if __name__ == "__main__":
    end_with_stdin()
    asyncio.run(main(sys.argv[1]))
