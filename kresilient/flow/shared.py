"""What the clients of one server share within a process, or rather within an event loop."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass, field

from .in_flight import MAX_LISTS, InFlight
from .limiter import Limiter

__all__ = ["shared_limiter", "shared_lists"]


@dataclass(slots=True)
class _Server:
    limiters: weakref.WeakValueDictionary[tuple[float | None, int], Limiter] = field(
        default_factory=weakref.WeakValueDictionary
    )
    lists: weakref.ref[InFlight] | None = None


_servers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Server]] = (
    weakref.WeakKeyDictionary()
)


def shared_limiter(server: str, mine: Limiter) -> Limiter:
    """The limiter that clients of *server* with the same figures have on this loop; *mine* if it is new."""
    return _of(server).limiters.setdefault((mine.qps, mine.burst), mine)


def shared_lists(server: str) -> InFlight:
    """The places for lists of informers of *server* on this loop: only so many are read at once."""
    place = _of(server)
    lists = place.lists() if place.lists is not None else None
    if lists is None:
        lists = InFlight(MAX_LISTS)
        place.lists = weakref.ref(lists)
    return lists


def _of(server: str) -> _Server:
    servers = _servers.setdefault(asyncio.get_running_loop(), {})
    if server not in servers:
        for name, one in tuple(servers.items()):  # those that nobody uses any more
            if not one.limiters and (one.lists is None or one.lists() is None):
                del servers[name]
        servers[server] = _Server()
    return servers[server]
