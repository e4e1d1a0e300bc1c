"""What each of many informers in one process costs: its memory, its CPU, and the server's requests.

A hundred informers each follow the pods of a node; then a hundred equal ones, which share one watch. Each run
is a process of its own. The requests are those that the server counted.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final
from urllib.request import ProxyHandler, build_opener

from .process import BenchmarkFailed, Server, measured
from .report import Options, Report, Row, progress

__all__ = ["run"]

_PER_NODE: Final = 30
_REST: Final = 5.0
_COUNTED: Final = re.compile(r'^apiserver_request_total\{[^}]*resource="pods"[^}]*\} (\d+)$', re.MULTILINE)
_OPEN: Final = re.compile(r"^apiserver_longrunning_requests\{", re.MULTILINE)
_FAREWELL: Final = 20.0
_DIRECT: Final = build_opener(ProxyHandler({}))


def run(options: Options) -> Report:
    """Run both kinds round by round."""
    rounds = options.rounds_of(3)
    count, rest = (20, 1.0) if options.quick else (100, _REST)
    report = Report(f"informers: {count} in one process, of {_PER_NODE} pods each; what one costs")
    progress(f"seeding a server with {count * _PER_NODE:,} pods")
    with Server.seeded(count * _PER_NODE) as server:
        for number in range(1, rounds + 1):
            progress(f"round {number}/{rounds}")
            for name, options_ in (("a node each", ()), ("all the same", ("--equal",))):
                figures = _round(server, count, rest, *options_)
                report.add({"informers": name}, figures)
    report.rows = [
        Row.of(
            "requests until a node's informer is synced",
            report.samples("requests", informers="a node each"),
            1,
            "",
        ),
        Row.of(
            "requests for each of equal informers",
            report.samples("requests", informers="all the same"),
            1 / count,
            "",
        ),
        Row.of(
            "memory of an informer, in the bytes of its pods",
            report.samples("held_x", informers="a node each"),
            1.5,
        ),
    ]
    return report


def _round(server: Server, count: int, rest: float, *options: str) -> dict[str, Any]:
    before = _requests(server)
    found = measured(
        *("-m", "benchmarks.sides.informers", server.url, str(count), "--rest", str(rest), *options),
        timeout=200,
    )
    if found.pop("objects") != count * _PER_NODE:
        raise BenchmarkFailed(f"{count} informers do not hold {_PER_NODE} pods each")
    held = found["held_kb"] * 1e3 / (found.pop("object_bytes") / count)
    return {"requests": (_requests(server) - before) / count, "held_x": held, **found}


def _requests(server: Server) -> int:
    """Requests about pods that the server has ended; all of them, once no watch is open."""
    deadline = time.monotonic() + _FAREWELL
    while True:
        with _DIRECT.open(f"{server.url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        if not _OPEN.search(text):
            return sum(map(int, _COUNTED.findall(text)))
        if time.monotonic() > deadline:
            raise BenchmarkFailed(
                f"{_FAREWELL:.0f} s after its client had ended the server still served a watch"
            )
        time.sleep(0.05)
