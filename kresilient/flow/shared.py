"""What the clients of one server share within a process, or rather within an event loop.

It outlives them: a program that makes a client for each call would else begin each with a full burst, a fresh
retry budget, and as if nobody had ever asked a server that is away, or that said when to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from .budget import RetryBudget
from .in_flight import MAX_LISTS, InFlight
from .levels import Levels
from .limiter import Limiter
from .outage import Outage

__all__ = [
    "shared_budget",
    "shared_in_flight",
    "shared_levels",
    "shared_limiter",
    "shared_lists",
    "shared_outage",
]

_SERVERS: Final = 256
_FIGURES: Final = 64


@dataclass(slots=True)
class _Server:
    limiters: LRUCache[tuple[float | None, int], Limiter] = field(default_factory=lambda: LRUCache(_FIGURES))
    budget: RetryBudget = field(default_factory=RetryBudget)
    in_flight: LRUCache[int, InFlight] = field(default_factory=lambda: LRUCache(_FIGURES))
    lists: InFlight = field(default_factory=lambda: InFlight(MAX_LISTS))
    levels: Levels = field(default_factory=Levels)
    outage: Outage | None = None


_servers: WeakKeyDictionary[asyncio.AbstractEventLoop, LRUCache[str, _Server]] = WeakKeyDictionary()


def shared_limiter(server: str, mine: Limiter) -> Limiter:
    """The limiter that clients of *server* with the same figures have on this loop; *mine* if it is new."""
    limiters = _of(server).limiters
    found = limiters.get((mine.qps, mine.burst))
    if found is None:
        found = limiters[mine.qps, mine.burst] = mine
    return found


def shared_budget(server: str) -> RetryBudget:
    """The retry budget of all clients of *server* on this loop that were given none of their own."""
    return _of(server).budget


def shared_in_flight(server: str, mine: InFlight) -> InFlight:
    """The places that clients of *server* with as many have on this loop; *mine* if that figure is new."""
    found = _of(server).in_flight
    return found.setdefault(mine.most, mine)


def shared_lists(server: str) -> InFlight:
    """The places for lists of informers of *server* on this loop: only so many are read at once."""
    return _of(server).lists


def shared_levels(server: str) -> Levels:
    """How far the priority levels of *server* are held back on this loop."""
    return _of(server).levels


def shared_outage(server: str, random: Callable[[], float]) -> Outage:
    """Whether *server* can be reached from this loop; *random* paces its probes, if it is new."""
    found = _of(server)
    if found.outage is None:
        found.outage = Outage(server, random=random)
    return found.outage


def _of(server: str) -> _Server:
    loop = asyncio.get_running_loop()
    servers = _servers.get(loop)
    if servers is None:
        for other in tuple(_servers):  # what a limiter holds of its loop would keep both alive
            if other.is_closed():
                del _servers[other]
        servers = _servers[loop] = LRUCache(_SERVERS)
    found = servers.get(server)
    if found is None:
        found = servers[server] = _Server()
    return found
