"""What a watch event costs on its way to the handlers, beside what reading it costs at least.

A server in a process of its own sends a prepared stream of modified pods as fast as it is read. Each side is
a process too, one after the other, and its CPU time is what counts: others on the machine disturb it less.
"""

from __future__ import annotations

from typing import Any, Final

from .process import Server, measured
from .report import Options, Report, Row, progress

__all__ = ["run"]

_PODS: Final = 1000
_EVENTS: Final = 20_000
_HANDLERS: Final = (1, 10)
_LIMITS: Final = {1: 1.5, 10: 2.0}
_FLOOR: Final = "read, framed, headers decoded"


def run(options: Options) -> Report:
    """Send the events to every side in turn, round by round."""
    rounds = options.rounds_of(5)
    pods, events = (100, 2000) if options.quick else (_PODS, _EVENTS)
    report = Report(f"events: {events:,} modifications of {pods:,} pods, 7.7 KB each")
    progress(f"a server prepares {events:,} events")
    with Server("-m", "benchmarks.prepared_server", str(pods), str(events), patience=60) as server:
        for number in range(1, rounds + 1):
            progress(f"round {number}/{rounds}")
            report.add({"side": _FLOOR}, _side(server, "headers", events))
            for handlers in _HANDLERS:
                case = {"side": "kresilient", "handlers": handlers, "each reads": "nothing"}
                report.add(case, _side(server, "kresilient", events, "--handlers", str(handlers)))
    floor = report.samples("cpu_us", side=_FLOOR)
    for handlers in _HANDLERS:
        case = {"side": "kresilient", "handlers": handlers, "each reads": "nothing"}
        ratios = [ours / its for ours, its in zip(report.samples("cpu_us", **case), floor, strict=True)]
        claim = f"CPU of an event to {handlers} handler{'s' * (handlers > 1)}, in that of the floor"
        report.rows.append(Row.of(claim, ratios, _LIMITS[handlers]))
    return report


def _side(server: Server, side: str, events: int, *options: str) -> dict[str, Any]:
    return measured("-m", "benchmarks.sides.events", side, server.url, str(events), *options, timeout=150)
