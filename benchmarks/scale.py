"""What the fake API server carries: 100,000 pods, and 2,500 watches of a node each.

The server is in a process of its own, and so is every phase of the load. A cost is the server's CPU time,
which others on the machine disturb less.
"""

from __future__ import annotations

from typing import Final

from .process import Server, measured
from .report import Options, Report, Row, progress

__all__ = ["run"]

_REQUESTS: Final = {"get": 4000, "list by node": 1000, "create": 1500, "patch": 1500}
_WATCHERS: Final = 2500
_FEW: Final = 25
_WRITES: Final = 1500
_SHARED_WRITES: Final = 40
_POD_BYTES: Final = 7_700


def run(options: Options) -> Report:
    """Measure every phase on one server."""
    pods = options.pods_of(100_000)
    report = Report(f"scale: what the fake API server carries, with {pods:,} pods")
    progress(f"seeding a server with {pods:,} pods")
    with Server.bare(_POD_BYTES) as floor:
        bare = _requests(floor, "floor", _REQUESTS["get"])
        report.add({"load": "get, bare aiohttp"}, bare)
    requests: dict[str, dict[str, float]] = {}
    events: list[dict[str, float]] = []
    with Server.seeded(pods) as server:
        seeded = server.memory_mb()
        for kind, count in _REQUESTS.items():
            requests[kind] = _requests(server, kind, count)
            report.add({"load": kind}, requests[kind])
            progress(f"{kind:<24} {requests[kind]['per_s']:10,.0f}/s")
        for name, watchers, writes, who in (
            (f"{_FEW} watches of a node each", _FEW, _WRITES, "nodes"),
            (f"{_WATCHERS:,} watches of a node each", _WATCHERS, _WRITES, "nodes"),
            (f"{_WATCHERS:,} watches of one object", _WATCHERS, _SHARED_WRITES, "everybody"),
        ):
            events.append(_events(server, watchers, writes, who))
            report.add({"load": name}, events[-1])
            progress(f"{name:<24} {events[-1]['per_s']:10,.0f} frames/s")
        report.add({"load": "seeded"}, {"memory_mb": seeded})
        report.add({"load": "at most"}, {"memory_mb": server.memory_mb(peak=True)})
    few, many, _ = events
    report.rows = [
        Row(
            f"an event with {_WATCHERS:,} watches of a node each, in events with {_FEW}",
            many["cpu_us"] / few["cpu_us"],
            1.4,
        ),
        Row("a get, in bare answers of aiohttp", requests["get"]["cpu_us"] / bare["cpu_us"], 4),
    ]
    return report


def _requests(server: Server, kind: str, count: int) -> dict[str, float]:
    # What the load does first (it looks for pods) costs the server too, but is the same for one request.
    before = server.cpu_s()
    measured("-m", "benchmarks.scale_load", "requests", server.url, kind, "1", timeout=60)
    aside = server.cpu_s() - before
    before = server.cpu_s()
    found = measured("-m", "benchmarks.scale_load", "requests", server.url, kind, str(count), timeout=120)
    return {"per_s": found["per_s"], "cpu_us": (server.cpu_s() - before - aside) / count * 1e6}


def _events(server: Server, watchers: int, writes: int, who: str) -> dict[str, float]:
    # Opening and closing the watches is no cost of an event: it is measured with two writes, and taken off.
    arguments = ("-m", "benchmarks.scale_load", "events", server.url, str(watchers))
    before = server.cpu_s()
    measured(*arguments, "2", who, timeout=120)
    aside = server.cpu_s() - before
    before = server.cpu_s()
    found = measured(*arguments, str(writes + 2), who, timeout=180)
    frames = found["frames"] * writes / (writes + 2)
    cpu = (server.cpu_s() - before - aside) / frames * 1e6
    figures = {name: found[name] for name in ("p50_ms", "p99_ms")}
    return {"per_s": found["frames_per_s"], "cpu_us": cpu, **figures}
