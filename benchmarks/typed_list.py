"""One typed list of all pods by kubernetes_asyncio: `python -m benchmarks.typed_list URL`."""

from __future__ import annotations

import asyncio
import json
import sys

from kubernetes_asyncio import client

from .process import Clock, end_with_stdin, peak_rss_mb


async def main(url: str) -> None:
    async with client.ApiClient(client.Configuration(host=url)) as api:
        api.set_default_header("Accept-Encoding", "identity")  # the same bytes for everybody
        pods = client.CoreV1Api(api)
        clock = Clock()
        found = await pods.list_pod_for_all_namespaces()
        wall, cpu = clock.read()
        peak = peak_rss_mb()
        size = len(api.last_response.data.encode())
    print(
        json.dumps(
            {
                "objects": len(found.items),
                "bytes": size,
                "wire_bytes": size,
                "sync_s": round(wall, 3),
                "cpu_s": round(cpu, 3),
                "peak_rss_mb": round(peak, 1),
                "requests": 1,
            }
        )
    )


if __name__ == "__main__":
    end_with_stdin()
    asyncio.run(main(sys.argv[1]))
