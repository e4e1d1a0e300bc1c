"""Informers: handles on a shared cache, read from memory, with a feed of its changes.

Equal arguments share one cache (`shared.py`), and so one watch; it stops when the last handle is closed.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar, cast

from ..api.errors import LifecycleError, SyncError
from ..api.objects import KubeObject
from ..api.resources import Key, split_key
from ..api.views import View
from ..observe.events import Observers
from .cached_reads import CachedReads, running_loop
from .events import Event
from .feed import Feed
from .footprint import Footprint, footprint_of
from .health import InformerHealth
from .shared import SharedInformer, Spawn, health_of
from .subscription import EventStream, Handlers, Subscription

__all__ = ["Informer", "running_loop"]

T = TypeVar("T")

_LIVE: weakref.WeakSet[Informer[Any]] = weakref.WeakSet()


def _orphan_all() -> None:
    for informer in tuple(_LIVE):
        informer._orphaned()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_orphan_all)


class Informer(CachedReads[T]):
    """A handle on a shared cache: read it, follow it, close it.

    Made by `Client.informer`; use it as an async context manager, or `start` and `close` it. Reads answer
    from memory. `get`, `list`, `by_index`, `keys`, `len` and `footprint` may be called from any thread;
    everything else belongs to the event loop it was started on.
    """

    def __init__(
        self,
        describe: str,
        acquire: Callable[[], Awaitable[SharedInformer]],
        release: Callable[[SharedInformer], Awaitable[None]],
        *,
        view: type[View] | None,
        observe: Observers,
        spawn: Spawn,
        serve_stale_for: float | None = None,
    ) -> None:
        super().__init__(describe, view=view, serve_stale_for=serve_stale_for)
        self._acquire = acquire
        self._release = release
        self._observe = observe
        self._spawn = spawn
        self._starting = asyncio.Lock()
        self._subscriptions: list[Subscription[T]] = []
        self._streams: list[Feed] = []
        _LIVE.add(self)

    # --- life ---

    async def start(self) -> Self:
        """Join, or begin, the shared cache; returns without waiting for it to sync.

        Raises `LifecycleError` after `close`. Cancelled: nothing was joined.
        """
        async with self._starting:
            if self._closed:
                raise LifecycleError(f"the informer of {self._describe} is closed: make a new one")
            if self._shared is None:
                shared = await self._acquire()
                if cast(bool, self._closed):
                    await self._release(shared)
                    raise LifecycleError(f"the informer of {self._describe} was closed while it started")
                self._shared = shared
                if len(shared.stores) == 1 and self._serve_stale_for is None:
                    self._only = shared.stores[0]
                self._loop = asyncio.get_running_loop()
        return self

    async def close(self, *, drain: bool = False, timeout: float = 10.0) -> None:
        """Leave the cache; the last handle to leave stops its watch. Idempotent.

        Handlers of this handle get what is pending first where *drain* says so, for at most *timeout*
        seconds. Raises `LifecycleError` from another event loop; nothing has changed then. Cancelled:
        handlers and watch are cancelled at once.
        """
        await self._end(drain=drain, timeout=timeout, caller=asyncio.current_task())

    async def _end(self, *, drain: bool, timeout: float, caller: asyncio.Task[Any] | None) -> None:
        """`close`, on behalf of *caller*, who may be one of the handlers."""
        if self._closed:
            return
        self._check_loop()
        self._closed = True
        shared, self._shared, self._only = self._shared, None, None
        if shared is None:
            return
        try:
            await asyncio.gather(
                *(one._end(drain=drain, timeout=timeout, caller=caller) for one in self._subscriptions)
            )
        finally:
            for feed in self._streams:
                shared.detach(feed)
                feed.close()
            await self._release(shared)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def synced(self, timeout: float | None = None, *, fail_fast: bool = True) -> None:
        """Wait until the cache holds a whole list.

        *timeout* is in seconds. With *fail_fast* a refusal (401, 403, 404, a rejected selector) is raised
        at once; without, it is retried until the time is over.

        Raises `SyncError` with the last reason. Cancelled: nothing has changed; the cache goes on syncing.
        """
        shared = self._on_loop()
        try:
            async with asyncio.timeout(timeout):
                await shared.wait_synced(fail_fast=fail_fast)
        except TimeoutError as error:
            if isinstance(error, SyncError):
                raise
            reason = shared.reason or "the list is still being read"
            raise SyncError(f"{shared.name} did not sync within {timeout} s: {reason}") from None

    async def wait_for(
        self, resource_version: str, *, key: Key | None = None, timeout: float | None = None
    ) -> None:
        """Wait until the cache itself has reached *resource_version*, own writes apart.

        The version is one of this resource: of an object, a list or a write; where versions are no numbers
        they do not compare, and it returns at once. A selective or quiet watch may reach it only with the
        server's next bookmark, about a minute later.

        Args:
            key: wait for the namespace of this key only, where the informer follows several.
            timeout: seconds; None for as long as it takes.

        Raises `SyncError` where the time passes, saying where the cache stands and why, and `LifecycleError`
        where the informer ends before. Cancelled: nothing has changed.
        """
        shared = self._on_loop()
        reflectors = list(shared.reflectors.values())
        if key is not None:
            reflectors = [shared.reflectors[self._place(shared, split_key(key)[0])]]
        waits = [reflector.reaching(resource_version) for reflector in reflectors]
        try:
            async with asyncio.timeout(timeout):
                for wait in waits:
                    await wait
        except TimeoutError:
            stands = ", ".join(reflector.store.version or "nothing" for reflector in reflectors)
            reason = shared.reason or "the watch has not brought it yet"
            raise SyncError(
                f"{shared.name} did not reach version {resource_version} within {timeout} s; it stands at "
                f"{stands}: {reason}"
            ) from None
        finally:
            for wait in waits:
                wait.cancel()

    # --- the feed ---

    def add_handler(
        self,
        *,
        on_add: Callable[[T], Awaitable[None] | None] | None = None,
        on_update: Callable[[T, T], Awaitable[None] | None] | None = None,
        on_delete: Callable[[T], Awaitable[None] | None] | None = None,
        on_event: Callable[[Event[T]], Awaitable[None] | None] | None = None,
        concurrency: int = 1,
        max_backlog: int = 1000,
    ) -> Subscription[T]:
        """Call plain or async functions on every change, beginning with an add for all that is held.

        Args:
            on_add: gets the object.
            on_update: gets the object as this handler saw it last, and as it is now.
            on_delete: gets the last state known.
            on_event: gets the whole `Event`, before the others.
            concurrency: how many events may be handled at once; those of one key never are.
            max_backlog: pending events above which they merge per key.

        Returns a `Subscription`: `await subscription.synced()` waits until the handler was given all that
        was there; `close` ends it.
        """
        shared = self._on_loop()
        handlers = Handlers(on_add=on_add, on_update=on_update, on_delete=on_delete, on_event=on_event)
        feed = Feed(
            handlers.name,
            informer=shared.name,
            max_backlog=max_backlog,
            observe=self._observe,
            consumers=concurrency,
        )
        subscription = Subscription(
            feed,
            handlers,
            convert=self._converter,
            observe=self._observe,
            spawn=self._spawn,
            left=shared.detach,
        )
        shared.attach(feed)
        self._subscriptions = [one for one in self._subscriptions if not one.closed]
        self._subscriptions.append(subscription)
        return subscription

    def events(self, *, max_backlog: int = 1000) -> EventStream[T]:
        """The same feed, pulled: `async for event in informer.events()`.

        Ends when the informer closes; raises its error where it crashed.
        """
        shared = self._on_loop()
        feed = Feed("events()", informer=shared.name, max_backlog=max_backlog, observe=self._observe)
        shared.attach(feed)
        self._streams = [one for one in self._streams if not one.closed]
        self._streams.append(feed)
        return EventStream(feed, convert=self._converter, left=shared.detach)

    # --- how it stands ---

    @property
    def has_synced(self) -> bool:
        """Whether it may be read."""
        return self._shared is not None and self._shared.synced

    @property
    def resource_version(self) -> str:
        """The version the cache stands at; `""` where it is of several namespaces."""
        shared = self._synced()
        return shared.stores[0].version if len(shared.stores) == 1 else ""

    @property
    def contact_age(self) -> float:
        """Seconds since the server was last heard (a list, an event, a bookmark); infinite before that.

        It says that the server is there, not that the cache is current: see `proved_age`. Of several
        namespaces, the oldest. A failure is no contact.
        """
        return self._started().contact_age

    @property
    def proved_age(self) -> float:
        """Seconds since when the cache is known to hold all that had been written; infinite before that.

        A consistent read of the server shows it, once the cache has reached that read's version; the read's
        beginning counts. Events and bookmarks alone prove nothing: the server that sends them may lag. Of
        several namespaces, the oldest.
        """
        return self._started().proved_age

    @property
    def health(self) -> InformerHealth:
        """A picture of its state, for probes."""
        shared = self._shared
        if shared is None:
            return InformerHealth(self._describe, False, "closed" if self._closed else "not started", 0)
        return health_of(shared, serve_stale_for=self._serve_stale_for)

    def unready(self, *, max_contact_age: float | None = None) -> str:
        """Why it should not be relied on now, in words; `""` where it should: see `Client.ready`."""
        shared = self._shared
        if shared is None or not shared.synced:
            reason = shared.reason if shared is not None else "closed" if self._closed else "not started"
            return f"{self._describe} has not synced" + (f": {reason}" if reason else "")
        if any(reflector.health.denied for reflector in shared.reflectors.values()):
            return f"{shared.name} is refused: {shared.reason}"
        limits = [limit for limit in (max_contact_age, self._serve_stale_for) if limit is not None]
        if limits and shared.contact_age > min(limits):
            why = f": {shared.reason}" if shared.reason else ""
            return f"{shared.name} has not heard the server for {shared.contact_age:.0f} s{why}"
        return ""

    def footprint(self, *, top: int = 10) -> Footprint:
        """What it holds in memory, with the *top* (1 to 1000) largest namespaces and owners; `print` it.

        Looks at every object, for 20 to 40 µs where it is a pod of 7 KB. It may be called from any thread,
        and a large cache is better measured in one (`asyncio.to_thread`). Objects, and so memory, are those
        of the cache that equal informers share; before the first list is complete there are none. Raises
        `ConfigError` for another *top*, `LifecycleError` where the informer is not started or closed.
        """
        return footprint_of(self._started(), top=top)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "synced" if self.has_synced else "not synced"
        return f"<Informer of {self._describe}, {state}>"

    # --- the parts ---

    def _orphaned(self) -> None:
        """In a forked child: nobody keeps the cache fresh here."""
        self._forked, self._closed, self._shared, self._only = True, True, None, None

    @property
    def _converter(self) -> Callable[[Event[KubeObject]], Event[T]] | None:
        return None if self._view is None else self._event

    def _event(self, event: Event[KubeObject]) -> Event[T]:
        old = None if event.old is None else self._out(event.old)
        return Event(event.type, event.key, self._out(event.object), old, event.initial, event.source)
