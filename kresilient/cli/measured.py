"""What a client does, counted from its events; and what the process spends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ..observe.events import Event, Listed, ReflectorMoved, RequestFinished

__all__ = ["Counts", "peak_rss_mb"]


class Counts:
    """An observer that counts requests and the bytes of lists.

    Attributes:
        on_fault: called with the reason of each fault that is not the same as the one before.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self.wire_bytes = 0
        self.on_fault: Callable[[str], None] | None = None
        self._fault = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, RequestFinished):
            self.requests += 1
        elif isinstance(event, Listed):
            self.bytes += event.bytes
            self.wire_bytes += event.wire_bytes
            self._fault = ""
        elif (
            isinstance(event, ReflectorMoved)
            and event.state == "waiting"
            and event.reason
            and event.reason != self._fault
        ):
            self._fault = event.reason
            if self.on_fault is not None:
                self.on_fault(event.reason)


def peak_rss_mb() -> float:
    """The most memory this process ever held, in MB (10⁶ bytes)."""
    try:
        # Not ru_maxrss: that one inherits the peak of the parent across exec.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    import resource  # not on every platform

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
