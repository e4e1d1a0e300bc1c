"""The workloads by name: each is a module of this package with `run(options) -> Report`."""

from __future__ import annotations

from importlib import import_module
from typing import Final, Protocol, cast

from .report import Options, Report

__all__ = ["ASIDE", "WHOLE", "load"]

WHOLE: Final = (
    "sync",
    "peers",
    "memory",
    "relist",
    "growth",
    "events",
    "peer_events",
    "reads",
    "agent",
    "informers",
    "limiter",
    "write_through",
)
"""What a run without names does, in this order."""

ASIDE: Final = ("scale",)
"""What runs only when it is named: it measures the fake API server, no client."""


class Workload(Protocol):
    """What is asked of the module of a workload."""

    def run(self, options: Options) -> Report:
        """Measure. Raises `BenchmarkFailed` where a side fails, or does not do what it was to do."""


def load(name: str) -> Workload:
    """The workload of that *name*, imported only now: what others import is not in its memory."""
    return cast("Workload", import_module(f"{__package__}.{name}"))
