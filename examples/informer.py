"""A shared cache of every pod: read it from memory, and hear of each change.

Run it against the cluster of your kubeconfig, or against `kresilient fake-apiserver --seed-pods 100`:

    python examples/informer.py
    python examples/informer.py http://127.0.0.1:8001
"""

from __future__ import annotations

import asyncio
import sys

import kresilient as kr


async def main(server: str | None = None) -> None:
    async with (
        kr.connect(server=server) as client,
        client.informer("v1/pods", index=["spec.nodeName"]) as pods,
    ):
        await pods.synced(timeout=30)  # SyncError says why not

        print(f"{len(pods)} pods on {len(pods.index_values('spec.nodeName'))} nodes")
        for pod in pods.list(label_selector="app.kubernetes.io/name=web")[:3]:
            print(f"{pod.key} runs {pod.field('spec.containers[0].image')}")

        async for event in pods.events():
            if not event.initial:
                print(f"{event.type} {event.key}", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:2]))
    except kr.KresilientError as error:
        sys.exit(f"informer: {error}")
    except KeyboardInterrupt:
        pass
