"""What the fake API server carries: 100,000 pods, and 2,500 watches of a node each.

The server is in a process of its own, and so is every phase of the load. A cost is the server's CPU time,
which others on the machine disturb less.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from .process import Server, measured
from .report import Row, machine, progress

__all__ = ["ScaleReport", "carry"]

_REQUESTS: Final = {"get": 4000, "list by node": 1000, "create": 1500, "patch": 1500}
_WATCHERS: Final = 2500
_FEW: Final = 25
_WRITES: Final = 1500
_SHARED_WRITES: Final = 40
_POD_BYTES: Final = 7_700


@dataclass(slots=True)
class ScaleReport:
    """All that was measured, and the claims."""

    pods: int
    machine: dict[str, Any]
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def met(self) -> bool:
        return all(row.met for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        rows = [{**asdict(row), "met": row.met} for row in self.rows]
        return {**asdict(self), "rows": rows}

    def table(self) -> str:
        """The figures, for people."""
        lines = [
            f"{self.pods:,} pods",
            ", ".join(f"{key} {value}" for key, value in self.machine.items()),
            "",
        ]
        lines += [f"{'requests':<34}{'in a second':>14}{'CPU µs each':>14}"]
        lines += [
            f"{name:<34}{one['per_s']:>14,.0f}{one['cpu_us']:>14,.0f}" for name, one in self.requests.items()
        ]
        lines += ["", f"{'watches':<34}{'frames/s':>14}{'CPU µs a frame':>16}{'p50 ms':>9}{'p99 ms':>9}"]
        lines += [
            f"{name:<34}{one['frames_per_s']:>14,.0f}{one['cpu_us']:>16,.0f}"
            f"{one['p50_ms']:>9,.1f}{one['p99_ms']:>9,.1f}"
            for name, one in self.events.items()
        ]
        lines += ["", *(f"{name:<34}{value:>14,.0f} MB" for name, value in self.memory_mb.items()), ""]
        lines += [
            f"{'met' if row.met else 'not met':<9}{row.claim}: {row.value:.2f}, allowed {row.limit:.2f}"
            for row in self.rows
        ]
        return "\n".join(lines)


def carry(*, pods: int) -> ScaleReport:
    """Measure every phase on a server of *pods* pods. Raises `BenchmarkFailed` where one fails."""
    report = ScaleReport(pods, machine("aiohttp", "msgspec"))
    progress(f"seeding a server with {pods:,} pods")
    with Server.bare(_POD_BYTES) as floor:
        report.requests["get, bare aiohttp"] = _requests(floor, "floor", _REQUESTS["get"])
    with Server.seeded(pods) as server:
        report.memory_mb["seeded"] = server.memory_mb()
        for kind, count in _REQUESTS.items():
            report.requests[kind] = _requests(server, kind, count)
            progress(f"{kind:<24} {report.requests[kind]['per_s']:10,.0f}/s")
        for name, watchers, writes, who in (
            (f"{_FEW} of a node each", _FEW, _WRITES, "nodes"),
            (f"{_WATCHERS:,} of a node each", _WATCHERS, _WRITES, "nodes"),
            (f"{_WATCHERS:,} of the same object", _WATCHERS, _SHARED_WRITES, "everybody"),
        ):
            report.events[name] = _events(server, watchers, writes, who)
            progress(f"{name:<24} {report.events[name]['frames_per_s']:10,.0f} frames/s")
        report.memory_mb["at most"] = server.memory_mb(peak=True)
    few, many, _ = report.events.values()
    get, bare = report.requests["get"], report.requests["get, bare aiohttp"]
    report.rows = [
        Row(
            "an event with 2,500 watches of a node each, in events with 25",
            many["cpu_us"] / few["cpu_us"],
            1.4,
        ),
        Row("a get, in bare answers of aiohttp", get["cpu_us"] / bare["cpu_us"], 4),
    ]
    return report


def _requests(server: Server, kind: str, count: int) -> dict[str, Any]:
    # What the load does first (it looks for pods) costs the server too, but is the same for one request.
    before = server.cpu_s()
    measured("-m", "benchmarks.scale_load", "requests", server.url, kind, "1", timeout=60)
    aside = server.cpu_s() - before
    before = server.cpu_s()
    found = measured("-m", "benchmarks.scale_load", "requests", server.url, kind, str(count), timeout=120)
    found["cpu_us"] = (server.cpu_s() - before - aside) / count * 1e6
    return found


def _events(server: Server, watchers: int, writes: int, who: str) -> dict[str, Any]:
    # Opening and closing the watches is no cost of an event: it is measured with two writes, and taken off.
    arguments = ("-m", "benchmarks.scale_load", "events", server.url, str(watchers))
    before = server.cpu_s()
    measured(*arguments, "2", who, timeout=120)
    aside = server.cpu_s() - before
    before = server.cpu_s()
    found = measured(*arguments, str(writes + 2), who, timeout=180)
    frames = found["frames"] * writes / (writes + 2)
    found["cpu_us"] = (server.cpu_s() - before - aside) / frames * 1e6
    return found
