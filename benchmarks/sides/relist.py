"""kresilient: an informer that holds all pods lists them again: `python -m benchmarks.sides.relist PODS`.

It starts its server itself, in a process of its own, for it is the one to say when the server forgets.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Final

import kresilient as kr
from kresilient.observe.events import Event, Listed, ReflectorMoved

from ..process import BenchmarkFailed, Clock, Server, end_with_stdin, forget_peak, peak_rss_mb, rss_mb
from .informer import VARIANTS, options_of
from .requests import FORMS
from .stalls import Stalls

_WITHIN: Final = 300.0
_REST: Final = 1.5
"""Seconds for which an idle loop is looked at."""


async def main(asked: argparse.Namespace, server: Server) -> None:
    lists: asyncio.Queue[Listed] = asyncio.Queue()
    clock = Clock()

    def heard(event: Event) -> None:
        nonlocal clock
        if isinstance(event, ReflectorMoved) and event.state == "listing":
            clock = Clock()
        elif isinstance(event, Listed):
            lists.put_nowait(event)

    client = kr.connect(
        server=server.url, qps=None, spread=0.01, compression=asked.form == "gzip", observers=[heard]
    )
    async with client, Stalls() as stalls:
        async with client.informer("v1/configmaps") as nothing:
            await nothing.synced(_WITHIN)
        stalls.taken()
        await asyncio.sleep(_REST)
        idle_ms, idle_cpu_ms = stalls.taken()
        idle_mb = rss_mb()
        async with client.informer("v1/pods", **options_of(asked.form, asked.variant)) as pods:
            await pods.synced(_WITHIN)
            sync_ms, sync_cpu_ms = stalls.taken()
            while not lists.empty():
                lists.get_nowait()
            await asyncio.sleep(_REST)
            steady_mb = rss_mb()
            forget_peak()
            stalls.taken()
            changed = max(1, asked.pods // 100)
            server.tell(str(changed))
            async with asyncio.timeout(_WITHIN):
                listed = await lists.get()
            wall, cpu = clock.read()
            relist_ms, relist_cpu_ms = stalls.taken()
            if (listed.updated, len(pods)) != (changed, asked.pods):
                raise BenchmarkFailed(f"the relist brought {listed}, where {changed} pods had changed")
            found = {
                "objects": len(pods),
                "strategy": listed.strategy,
                "idle_mb": idle_mb,
                "steady_mb": steady_mb - idle_mb,
                "relist_mb": peak_rss_mb() - steady_mb,
                "relist_s": wall,
                "cpu_s": cpu,
                "idle_stall_ms": idle_ms,
                "sync_stall_ms": sync_ms,
                "relist_stall_ms": relist_ms,
                "idle_busy_ms": idle_cpu_ms,
                "sync_busy_ms": sync_cpu_ms,
                "relist_busy_ms": relist_cpu_ms,
            }
            print(json.dumps(found))


if __name__ == "__main__":
    end_with_stdin()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pods", type=int)
    parser.add_argument("--form", choices=FORMS, default="stream")
    parser.add_argument("--variant", choices=VARIANTS, default="whole")
    asked = parser.parse_args()
    with Server(
        "-m", "benchmarks.sides.relist_server", str(asked.pods), patience=30 + asked.pods / 500
    ) as server:
        asyncio.run(main(asked, server))
