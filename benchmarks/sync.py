"""How long, and in how much memory, a client comes to hold every pod of a cluster.

Three sides read the same pods from the same server over loopback HTTP, each in a process of its own, one
after the other: kresilient's informer, kubernetes_asyncio's typed list, and the floor, which holds nothing.
"""

from __future__ import annotations

from typing import Final

from .process import BenchmarkFailed, Server, measured
from .report import Options, Report, Row, progress

__all__ = ["run"]

KRESILIENT: Final = "kresilient"
TYPED: Final = "kubernetes_asyncio"
FLOOR: Final = "floor"

_REPEATS: Final = 3
"""How often the two quick sides run in each round, around one run of the slow one."""


def run(options: Options) -> Report:
    """Run all sides alternately, round by round, on one server."""
    pods, rounds = options.pods_of(30_000), options.rounds_of(1)
    report = Report(f"sync: from nothing to {pods:,} pods in memory")
    progress(f"seeding a server with {pods:,} pods")
    with Server.seeded(pods) as server:
        for number in range(1, rounds + 1):
            for side in (FLOOR, KRESILIENT, TYPED, *(FLOOR, KRESILIENT) * (_REPEATS - 1)):
                sample = _run(side, server, pods)
                report.add({"side": side}, sample)
                progress(
                    f"round {number}/{rounds}: {side:<18} {sample['sync_s']:8.2f} s"
                    f" {sample['peak_mb']:8,.0f} MB"
                )
    report.rows = _rows(report)
    return report


def _run(side: str, server: Server, pods: int) -> dict[str, float]:
    watch = ("kresilient.cli", "watch", "v1/pods", "-A", "--once", "--stats", "--server", server.url)
    command = {
        KRESILIENT: watch,
        TYPED: ("benchmarks.typed_list", server.url),
        FLOOR: ("benchmarks.floor", server.url),
    }[side]
    before = server.cpu_s()
    sample = measured("-m", *command, timeout=60 + pods / 30)
    if side != FLOOR and sample["objects"] != pods:
        raise BenchmarkFailed(f"{side} came to hold {sample['objects']:,} pods, the server has {pods:,}")
    return {
        "sync_s": sample["sync_s"],
        "cpu_s": sample["cpu_s"],
        "server_cpu_s": server.cpu_s() - before,
        "peak_mb": sample["peak_rss_mb"],
        "body_mb": sample["bytes"] / 1e6,
    }


def _rows(report: Report) -> list[Row]:
    ratio = report.median("sync_s", side=KRESILIENT) / report.median("sync_s", side=TYPED)
    peak = max(report.samples("peak_mb", side=KRESILIENT))
    size = report.median("body_mb", side=FLOOR)  # counted by another than the one that is judged
    return [
        Row("sync time, as a share of kubernetes_asyncio's typed list", ratio, 0.1),
        Row("peak memory, against 60 MB + 1.6 × the bytes of the list", peak, 60 + 1.6 * size, "MB"),
    ]
