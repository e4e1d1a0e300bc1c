"""What every side of `events` does: have the events sent, count them, and say what they took."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Final
from urllib.parse import urlsplit

from ..process import BenchmarkFailed, Clock

__all__ = ["PATIENCE", "Stream", "go"]

PATIENCE: Final = 100.0
"""Seconds for all of the events."""


def go(url: str, events: int) -> None:
    """Have the server at *url* send so many *events* to its watch, once there is one.

    Raises `BenchmarkFailed` where there is none, or fewer events were prepared.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    connection.request("POST", f"/go?events={events}")
    answer = connection.getresponse()
    connection.close()
    if answer.status != 200:
        raise BenchmarkFailed(f"{events:,} events cannot be sent: {answer.reason}")


class Stream:
    """The events that a side waits for, from just before they are sent.

    Where its watch is opened only as it is read, they are asked for in a thread, and sent when it is open.
    """

    def __init__(self, url: str, events: int, *, opened: bool = True) -> None:
        self.events = events
        self._clock = Clock()
        if opened:
            go(url, events)
        else:
            threading.Thread(target=go, args=(url, events), daemon=True).start()

    def end(self) -> None:
        """The last was handled: print the JSON line."""
        wall, cpu = self._clock.read()
        print(json.dumps({"per_s": self.events / wall, "cpu_us": cpu / self.events * 1e6}), flush=True)
