"""How long, and in how much memory, a client comes to hold every pod of a cluster.

Three sides read the same pods from the same server over loopback HTTP, each in a process of its own, one
after the other: kresilient's informer, kubernetes_asyncio's typed list, and the floor, which holds nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from .process import BenchmarkFailed, Server, measured
from .report import Row, machine, progress

__all__ = ["Report", "compare"]

KRESILIENT: Final = "kresilient"
TYPED: Final = "kubernetes_asyncio"
FLOOR: Final = "floor"

_REPEATS: Final = 3
"""How often the two quick sides run in each round, around one run of the slow one."""


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

    def table(self) -> str:
        """The figures, for people."""
        about = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        lines = [f"{self.pods:,} pods; medians, with the least and the most where they differ", about, ""]
        lines.append(f"{'':<20}{'runs':>5}" + "".join(f"{title:>24}" for title, _, _ in _COLUMNS))
        for side, samples in self.samples.items():
            cells = [
                _cell([sample[figure] / (1e6 if figure == "bytes" else 1) for sample in samples], form)
                for _, figure, form in _COLUMNS
            ]
            lines.append(f"{side:<20}{len(samples):>5}" + "".join(f"{cell:>24}" for cell in cells))
        lines.append("")
        for row in self.rows:
            form = ",.0f" if row.unit else ".4f"
            value, limit = (f"{number:{form}} {row.unit}".rstrip() for number in (row.value, row.limit))
            lines.append(f"{'met' if row.met else 'not met':<9}{row.claim}: {value}, allowed {limit}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        rows = [{**asdict(row), "met": row.met} for row in self.rows]
        return {"pods": self.pods, "rounds": self.rounds, "machine": self.machine, "rows": rows} | {
            "samples": self.samples
        }


def compare(*, pods: int, rounds: int) -> Report:
    """Run all sides alternately, *rounds* times, on *pods* pods.

    Raises `BenchmarkFailed` where a side fails, or does not hold the pods that the server has.
    """
    report = Report(pods, rounds, machine("aiohttp", "kubernetes-asyncio", "msgspec"))
    progress(f"seeding a server with {pods:,} pods")
    with Server.seeded(pods) as server:
        for number in range(1, rounds + 1):
            for side in (FLOOR, KRESILIENT, TYPED, *(FLOOR, KRESILIENT) * (_REPEATS - 1)):
                sample = _run(side, server, pods)
                report.samples.setdefault(side, []).append(sample)
                progress(
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


_COLUMNS = (
    ("sync s", "sync_s", ",.2f"),
    ("client CPU s", "cpu_s", ",.2f"),
    ("server CPU s", "server_cpu_s", ",.2f"),
    ("peak MB", "peak_rss_mb", ",.0f"),
    ("body MB", "bytes", ",.0f"),
)


def _cell(values: list[float], form: str) -> str:
    middle, least, most = (f"{value:{form}}" for value in (median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least}–{most})"
