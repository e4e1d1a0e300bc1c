"""The informers of one client: its handles, and the caches that equal handles share."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import Any

from .api.errors import ConfigError
from .api.resources import Resource
from .api.views import View
from .cache.informer import Informer
from .cache.neighbours import joined, left, neighbours
from .cache.options import InformerOptions
from .cache.own_versions import OwnVersions
from .cache.shared import SharedInformer, Spawn
from .cache.timing import Timing
from .flow.door import Door
from .observe.events import Observers

__all__ = ["Informers"]


class Informers:
    """Begins a cache with the first handle on it, and stops it with the last. Iterated, it is the caches.

    Args:
        door: the way to the server; raises where the client cannot be used.
        route: what leads to the server, once the client is open.
        shares: whether own writes are shown to the caches of other clients with that route, and theirs here.
        observe, random, spawn, timing: as of `SharedInformer`.
        serve_stale_for: seconds without contact for which a cache is read, where its handle says nothing;
            None for ever.
    """

    def __init__(
        self,
        door: Callable[[], Door],
        *,
        route: Callable[[], Hashable],
        shares: bool,
        observe: Observers,
        random: Callable[[], float],
        spawn: Spawn,
        timing: Timing,
        serve_stale_for: float | None = None,
    ) -> None:
        self._serve_stale_for = _seconds(serve_stale_for)
        self._door = door
        self._route = route
        self._shares = shares
        self._observe = observe
        self._random = random
        self._spawn = spawn
        self._timing = timing
        self._shared: dict[InformerOptions, SharedInformer] = {}
        self._own_versions = OwnVersions()
        self.handles: set[Informer[Any]] = set()
        """Those that were started and not closed."""

    def __iter__(self) -> Iterator[SharedInformer]:
        return iter(tuple(self._shared.values()))

    def of(self, resource: Resource) -> tuple[SharedInformer, ...]:
        """The caches of *resource* that are held now."""
        return tuple(shared for options, shared in self._shared.items() if options.resource == resource)

    def near(self, resource: Resource) -> tuple[SharedInformer, ...]:
        """Those, and where they are shared the ones that other clients of the server hold on this loop."""
        if not self._shares:
            return self.of(resource)
        return tuple(one for one in neighbours(self._route()) if one.options.resource == resource)

    def wrote(self, resource: Resource, version: str) -> None:
        """A write of *resource* was acknowledged at *version*, `""` where that is not known: a cache to come
        shows it with its first list."""
        self._own_versions.wrote(resource, version)

    def handle(
        self,
        described: str,
        options: Callable[[], Awaitable[InformerOptions]],
        view: type[View] | None,
        serve_stale_for: float | None,
    ) -> Informer[Any]:
        """A handle, not started yet, on the cache of *options*, which are asked for when it is."""
        allowed = self._serve_stale_for if serve_stale_for is None else _seconds(serve_stale_for)

        async def acquire() -> SharedInformer:
            shared = self._join(await options())
            self.handles.add(handle)
            return shared

        async def release(shared: SharedInformer) -> None:
            self.handles.discard(handle)
            await self._leave(shared)

        handle: Informer[Any] = Informer(
            described,
            acquire,
            release,
            view=view,
            observe=self._observe,
            spawn=self._spawn,
            serve_stale_for=allowed,
        )
        return handle

    async def close(self, *, drain: bool, timeout: float, caller: asyncio.Task[Any] | None) -> None:
        """Close every handle, on behalf of *caller*, who may be one of the handlers; see `Informer.close`."""
        handles = tuple(self.handles)
        await asyncio.gather(*(one._end(drain=drain, timeout=timeout, caller=caller) for one in handles))

    def _join(self, options: InformerOptions) -> SharedInformer:
        door = self._door()
        shared = self._shared.get(options)
        if shared is None or shared.error is not None:
            shared = SharedInformer(
                options,
                door,
                observe=self._observe,
                random=self._random,
                spawn=self._spawn,
                timing=self._timing,
                serve_stale_for=self._serve_stale_for,
                own=self._own_versions.of(options.resource),
            )
            self._shared[options] = shared
            if self._shares:
                joined(self._route(), shared)
            shared.start()
        shared.handles += 1
        return shared

    async def _leave(self, shared: SharedInformer) -> None:
        shared.handles -= 1
        if not shared.handles:
            if self._shared.get(shared.options) is shared:
                del self._shared[shared.options]
            left(self._route(), shared)
            await shared.stop()


def _seconds(serve_stale_for: float | None) -> float | None:
    """The bound, None for none, which infinity is too. Raises `ConfigError`."""
    if serve_stale_for is not None and not serve_stale_for >= 0:
        raise ConfigError(f"serve_stale_for= must be seconds >= 0, or None; got {serve_stale_for!r}")
    return None if serve_stale_for == math.inf else serve_stale_for
