"""The caches of one server in this process, or rather on one event loop, whichever client began them."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from weakref import WeakKeyDictionary, WeakSet

from .shared import SharedInformer

__all__ = ["joined", "left", "neighbours"]

_caches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, WeakSet[SharedInformer]]] = (
    WeakKeyDictionary()
)


def joined(route: Hashable, cache: SharedInformer) -> None:
    """*cache* follows the server at *route* (`route_of`) from now on."""
    _caches.setdefault(asyncio.get_running_loop(), {}).setdefault(route, WeakSet()).add(cache)


def left(route: Hashable, cache: SharedInformer) -> None:
    """*cache* follows it no more. Idempotent."""
    servers = _caches.get(asyncio.get_running_loop(), {})
    if (caches := servers.get(route)) is not None:
        caches.discard(cache)
        if not caches:
            del servers[route]


def neighbours(route: Hashable) -> tuple[SharedInformer, ...]:
    """The caches that follow the server at *route* on the running loop."""
    return tuple(_caches.get(asyncio.get_running_loop(), {}).get(route, ()))
