"""How long, and in how much memory, a client comes to hold every pod of a cluster.

Three sides read the same pods from the same server over loopback HTTP, each in a process of its own, one
after the other: kresilient's informer, kubernetes_asyncio's typed list, and the floor, which holds nothing.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from statistics import median
from typing import Any, Final

from .process import BenchmarkFailed, Server, measured

__all__ = ["Report", "Row", "compare"]

KRESILIENT: Final = "kresilient"
TYPED: Final = "kubernetes_asyncio"
FLOOR: Final = "floor"

_REPEATS: Final = 3
"""How often the two quick sides run in each round, around one run of the slow one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One claim: *value* has to stay below *limit*."""

    claim: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value < self.limit


@dataclass(slots=True)
class Report:
    """All that was measured.

    Attributes:
        samples: for each side what each of its runs reported, with the server's CPU seconds.
        rows: the claims.
    """

    pods: int
    rounds: int
    machine: dict[str, Any]
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def met(self) -> bool:
        return all(row.met for row in self.rows)

    def middle(self, side: str, figure: str) -> float:
        return median(float(sample[figure]) for sample in self.samples[side])

    def as_dict(self) -> dict[str, Any]:
        rows = [{**asdict(row), "met": row.met} for row in self.rows]
        return {"pods": self.pods, "rounds": self.rounds, "machine": self.machine, "rows": rows} | {
            "samples": self.samples
        }


def compare(*, pods: int, rounds: int) -> Report:
    """Run all sides alternately, *rounds* times, on *pods* pods.

    Raises `BenchmarkFailed` where a side fails, or does not hold the pods that the server has.
    """
    report = Report(pods, rounds, _machine())
    _progress(f"seeding a server with {pods:,} pods")
    with Server(pods) as server:
        for number in range(1, rounds + 1):
            for side in (FLOOR, KRESILIENT, TYPED, *(FLOOR, KRESILIENT) * (_REPEATS - 1)):
                sample = _run(side, server, pods)
                report.samples.setdefault(side, []).append(sample)
                _progress(
                    f"round {number}/{rounds}: {side:<18} {sample['sync_s']:8.2f} s"
                    f" {sample['peak_rss_mb']:8,.0f} MB"
                )
    report.rows = _rows(report)
    return report


def _run(side: str, server: Server, pods: int) -> dict[str, Any]:
    watch = ("kresilient.cli", "watch", "v1/pods", "-A", "--once", "--stats", "--server", server.url)
    command = {
        KRESILIENT: watch,
        TYPED: ("benchmarks.typed_list", server.url),
        FLOOR: ("benchmarks.floor", server.url),
    }[side]
    before = server.cpu_s()
    sample = measured("-m", *command, timeout=60 + pods / 30)
    sample["server_cpu_s"] = round(server.cpu_s() - before, 2)
    if side != FLOOR and sample["objects"] != pods:
        raise BenchmarkFailed(f"{side} came to hold {sample['objects']:,} pods, the server has {pods:,}")
    return sample


def _rows(report: Report) -> list[Row]:
    ratio = report.middle(KRESILIENT, "sync_s") / report.middle(TYPED, "sync_s")
    peak = max(sample["peak_rss_mb"] for sample in report.samples[KRESILIENT])
    size = report.middle(FLOOR, "bytes") / 1e6  # counted by another than the one that is judged
    return [
        Row("sync time, as a share of kubernetes_asyncio's typed list", ratio, 0.1),
        Row("peak memory, against 60 MB + 1.6 × the bytes of the list", peak, 60 + 1.6 * size, "MB"),
    ]


def _machine() -> dict[str, Any]:
    packages = ("aiohttp", "kubernetes-asyncio", "msgspec")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        **{package: version(package) for package in packages},
    }


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
