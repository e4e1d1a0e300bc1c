"""The caches of one server in this process, or rather on one event loop, whichever client began them."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary, WeakSet

from .shared import SharedInformer

__all__ = ["joined", "left", "neighbours"]

_caches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, WeakSet[SharedInformer]]] = (
    WeakKeyDictionary()
)


def joined(server: str, cache: SharedInformer) -> None:
    """*cache* follows *server* from now on."""
    _caches.setdefault(asyncio.get_running_loop(), {}).setdefault(server, WeakSet()).add(cache)


def left(server: str, cache: SharedInformer) -> None:
    """*cache* follows it no more. Idempotent."""
    servers = _caches.get(asyncio.get_running_loop(), {})
    if (caches := servers.get(server)) is not None:
        caches.discard(cache)
        if not caches:
            del servers[server]


def neighbours(server: str) -> tuple[SharedInformer, ...]:
    """The caches that follow *server* on the running loop."""
    return tuple(_caches.get(asyncio.get_running_loop(), {}).get(server, ()))
