"""What a watch event costs on its way to the handlers, beside what reading it costs at least.

A server in a process of its own sends a prepared stream of modified pods as fast as it is read. Each side is
a process too, one after the other, and its CPU time is what counts: others on the machine disturb it less.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from .process import Server, measured
from .report import Case, Options, Report, Row, progress, ratios

__all__ = ["prepared", "run", "side"]

_PODS: Final = 1000
_EVENTS: Final = 20_000
_HANDLERS: Final = (1, 10)
_LIMITS: Final = {1: 1.5, 10: 2.0}
_FLOOR: Final = "read, framed, headers decoded"


def run(options: Options) -> Report:
    """Send the events to every side in turn, round by round."""
    rounds = options.rounds_of(7)
    pods, events = (100, 2000) if options.quick else (_PODS, _EVENTS)
    report = Report(f"events: {events:,} modifications of {pods:,} pods, 7.7 KB each")
    with prepared(pods, events) as server:
        for number in range(1, rounds + 1):
            progress(f"round {number}/{rounds}")
            report.add({"side": _FLOOR}, side(server, "events", events, "--as", "headers"))
            for handlers in _HANDLERS:
                figures = side(server, "events", events, "--handlers", str(handlers))
                report.add(_case(handlers), figures)
    floor = report.samples("cpu_us", side=_FLOOR)
    for handlers in _HANDLERS:
        ours = report.samples("cpu_us", **_case(handlers))
        claim = f"CPU of an event to {handlers} handler{'s' * (handlers > 1)}, in that of the floor"
        report.rows.append(Row.of(claim, ratios(ours, floor), _LIMITS[handlers]))
    return report


def _case(handlers: int) -> Case:
    return {"side": "kresilient", "handlers": handlers}


def prepared(pods: int, events: int) -> Server:
    """A server of *events* modifications of *pods* pods."""
    progress(f"a server prepares {events:,} events")
    return Server("-m", "benchmarks.prepared_server", str(pods), str(events), patience=60)


def side(
    server: Server, module: str, events: int, *options: str, python: str = sys.executable
) -> dict[str, Any]:
    """What it takes a *module* of the sides to be sent so many *events*. Raises `BenchmarkFailed`."""
    command = ("-m", f"benchmarks.sides.{module}", server.url, str(events), *options)
    return measured(*command, timeout=150, python=python)
