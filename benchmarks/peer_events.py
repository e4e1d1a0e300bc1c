"""What watch events cost where bodies are looked at, beside orjson, and what they cost in other clients.

The server and the measure are those of `events`. The floor and the other clients run in an environment of
their own; a client that takes longer for an event is sent fewer of them.
"""

from __future__ import annotations

from typing import Final

from .events import prepared, side
from .peer_environment import python_of_peers
from .report import Case, Options, Report, Row, progress, ratios

__all__ = ["run"]

_PODS: Final = 1000
_EVENTS: Final = 6000
_HANDLERS: Final = (1, 10)
_LIMITS: Final = {1: 1.5, 10: 2.0}
_FLOOR: Final = "read, framed, orjson.loads"
_PEERS: Final = {
    "kubernetes, its informer": ("kubernetes_events", 4),
    "kubernetes_asyncio, a typed watch": ("typed_events", 6),
    "lightkube, a watch": ("lightkube_events", 1),
    "kr8s, a watch": ("kr8s_events", 12),
}
"""The module of each, and of how many events it is sent one."""

_PEER_ROUNDS: Final = 3


def run(options: Options) -> Report:
    """Send the events to every side in turn, round by round."""
    rounds = options.rounds_of(5)
    pods, events = (100, 600) if options.quick else (_PODS, _EVENTS)
    python = python_of_peers()
    report = Report("peer_events: what an event costs where its body is looked at, and in other clients")
    with prepared(pods, events) as server:
        for number in range(1, rounds + 1):
            progress(f"round {number}/{rounds}")
            for handlers in _HANDLERS:
                asked = ("--handlers", str(handlers))
                floor = side(server, "events", events, "--as", "bodies", *asked, python=python)
                report.add(_case(_FLOOR, handlers), floor)
                ours = side(server, "events", events, "--body", *asked)
                report.add(_case("kresilient", handlers), ours)
            if number <= _PEER_ROUNDS:
                for name, (module, part) in _PEERS.items():
                    figures = side(server, module, max(1, events // part), python=python)
                    report.add({"side": name, "handlers": 1}, figures)
    for handlers in _HANDLERS:
        cpu, least = (report.samples("cpu_us", **_case(one, handlers)) for one in ("kresilient", _FLOOR))
        claim = (
            f"CPU of an event whose body {handlers} handler{'s' * (handlers > 1)} read, in that of the floor"
        )
        report.rows.append(Row.of(claim, ratios(cpu, least), _LIMITS[handlers]))
    return report


def _case(name: str, handlers: int) -> Case:
    return {
        "side": name,
        "handlers": handlers,
        "each reads": "spec, status" if name == "kresilient" else "all",
    }
