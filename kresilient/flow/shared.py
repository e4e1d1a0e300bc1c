"""What the clients of one server share within a process, or rather within an event loop.

It outlives them: a program that makes a client for each call would else begin each with a full burst and a
fresh retry budget.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from .budget import RetryBudget
from .in_flight import MAX_LISTS, InFlight
from .limiter import Limiter

__all__ = ["shared_budget", "shared_limiter", "shared_lists"]

_SERVERS: Final = 256
_FIGURES: Final = 64


@dataclass(slots=True)
class _Server:
    limiters: LRUCache[tuple[float | None, int], Limiter] = field(default_factory=lambda: LRUCache(_FIGURES))
    budget: RetryBudget = field(default_factory=RetryBudget)
    lists: InFlight = field(default_factory=lambda: InFlight(MAX_LISTS))


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


def shared_lists(server: str) -> InFlight:
    """The places for lists of informers of *server* on this loop: only so many are read at once."""
    return _of(server).lists


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
