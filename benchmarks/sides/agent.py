"""An agent, as it runs on every node of a cluster: `python -m benchmarks.sides.agent URL DIRECTORY NODE`.

It finds its cluster as a pod does: by the environment, and the service account in DIRECTORY. It prints what
it holds at rest, once a handler was given all pods of NODE.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final
from urllib.parse import urlsplit

import kresilient as kr
from kresilient.transport.load import load_config

from ..process import end_with_stdin, peak_rss_mb, rss_mb

_PATIENCE: Final = 60.0
_REST: Final = 2.0


async def main(url: str, directory: str, node: str) -> None:
    parts = urlsplit(url)
    environ = {"KUBERNETES_SERVICE_HOST": str(parts.hostname), "KUBERNETES_SERVICE_PORT": str(parts.port)}
    pod = await load_config(environ=environ, service_account_directory=directory)
    async with (
        kr.connect(pod) as client,
        client.informer(
            "v1/pods", field_selector=f"spec.nodeName={node}", index=["metadata.namespace"]
        ) as pods,
    ):
        await pods.add_handler(on_event=_heard).synced(_PATIENCE)
        cpu = time.process_time()
        await asyncio.sleep(_REST)
        found = {
            "objects": len(pods),
            "rss_mb": rss_mb(),
            "peak_mb": peak_rss_mb(),
            "start_cpu_s": cpu,
            "rest_cpu_ms": (time.process_time() - cpu) / _REST * 1e3,
        }
    print(json.dumps(found))


def _heard(event: kr.Event[kr.KubeObject]) -> None:
    """A handler that has nothing to do."""


if __name__ == "__main__":
    end_with_stdin()
    asyncio.run(main(*sys.argv[1:]))
