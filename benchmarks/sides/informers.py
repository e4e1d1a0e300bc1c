"""Many informers in one process: `python -m benchmarks.sides.informers URL COUNT [--equal] [--rest SECONDS]`.

Each follows the pods of a node of its own; with `--equal` all follow those of one node. The first is there
before anything is measured: what a client costs by itself does not count. Prints what each further one costs
until it is synced, and at rest.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from contextlib import AsyncExitStack
from typing import Final

import kresilient as kr
from kresilient.testing.server.seed import node_name

from ..process import end_with_stdin, rss_mb

_PATIENCE: Final = 100.0


async def main(asked: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(kr.connect(server=asked.url, qps=None))

        async def follow(node: str) -> kr.Informer[kr.KubeObject]:
            informer = client.informer("v1/pods", field_selector=f"spec.nodeName={node}")
            await stack.enter_async_context(informer)
            await informer.add_handler(on_event=_heard).synced(_PATIENCE)
            return informer

        first = await follow(node_name(0))
        gc.collect()
        held, cpu, wall = rss_mb(), time.process_time(), time.perf_counter()
        further = asked.count - 1
        async with asyncio.TaskGroup() as group:
            nodes = [node_name(0 if asked.equal else number) for number in range(1, asked.count)]
            tasks = [group.create_task(follow(node)) for node in nodes]
        synced_cpu, synced_wall = time.process_time() - cpu, time.perf_counter() - wall
        informers = [first, *(task.result() for task in tasks)]
        gc.collect()
        held = rss_mb() - held
        cpu = time.process_time()
        await asyncio.sleep(asked.rest)
        resting = time.process_time() - cpu
        found = {
            "objects": sum(map(len, informers)),
            "object_bytes": sum(len(pod.raw) for informer in informers for pod in informer.list()),
            "sync_s": synced_wall,
            "sync_cpu_ms": synced_cpu / further * 1e3,
            "held_kb": held / further * 1e3,
            "rest_cpu_us": resting / asked.rest / asked.count * 1e6,
        }
    print(json.dumps(found))


def _heard(event: kr.Event[kr.KubeObject]) -> None:
    """A handler that has nothing to do."""


if __name__ == "__main__":
    end_with_stdin()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--equal", action="store_true")
    parser.add_argument("--rest", type=float, default=5.0)
    asyncio.run(main(parser.parse_args()))
