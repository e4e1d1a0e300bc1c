"""Informers: handles on a shared cache, read from memory, with a feed of its changes.

Equal arguments share one cache (`shared.py`), and so one watch; it stops when the last handle is closed.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, Self, TypeVar, cast, overload

from ..api.errors import (
    ConfigError,
    LifecycleError,
    NotSyncedError,
    PoisonObject,
    SelectorError,
    SyncError,
)
from ..api.field_selectors import FieldSelector
from ..api.label_selectors import LabelSelector
from ..api.objects import KubeObject
from ..api.resources import Key, join_key, split_key
from ..api.views import View, view_of
from ..observe.events import Observers
from .bounded_reads import Bound, Fallback
from .events import Event
from .footprint import Footprint, footprint_of
from .health import InformerHealth
from .shared import SharedInformer, Spawn, health_of
from .store import Store, Table
from .subscription import EventStream, Feed, Handlers, Subscription

__all__ = ["Informer", "running_loop"]

T = TypeVar("T")
Selector = str | Mapping[str, Any] | LabelSelector

_parsed_labels = lru_cache(maxsize=256)(LabelSelector.parse)
_parsed_fields = lru_cache(maxsize=256)(FieldSelector.parse)


def _labels(selector: Any) -> LabelSelector:
    return _parsed_labels(selector) if isinstance(selector, str) else LabelSelector.parse(selector)


def _fields(selector: Any) -> FieldSelector:
    return _parsed_fields(selector) if isinstance(selector, str) else FieldSelector.parse(selector)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_LIVE: weakref.WeakSet[Informer[Any]] = weakref.WeakSet()


def _orphan_all() -> None:
    for informer in tuple(_LIVE):
        informer._orphaned()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_orphan_all)


class Informer(Generic[T]):
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
        self._serve_stale_for = serve_stale_for
        self._describe = describe
        self._acquire = acquire
        self._release = release
        self._view = view
        self._observe = observe
        self._spawn = spawn
        self._shared: SharedInformer | None = None
        self._only: Store | None = None  # the store, where there is just one, readable whatever its age
        self._closed = self._forked = False
        self._starting = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
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

    # --- reads ---

    @overload
    def get(self, key: Key) -> T | None: ...
    @overload
    def get(
        self, key: Key, *, max_staleness: float, timeout: float = 10.0, fallback: Fallback | None = None
    ) -> Coroutine[Any, Any, T | None]: ...
    def get(
        self,
        key: Key,
        *,
        max_staleness: float | None = None,
        timeout: float = 10.0,
        fallback: Fallback | None = None,
    ) -> Any:
        """The object of this key, or None where there is none; with *max_staleness* it is to be awaited.

        Args:
            max_staleness: seconds; the answer holds all that was written before then. Where `proved_age` is
                within it, it comes from memory at once. Else one request, shared by all who wait, asks where
                the server stands, and the cache has to get there.
            timeout: seconds for showing that, and for the fallback.
            fallback: `"live"` reads the object from the server where it cannot be shown soon.

        Raises `NotSyncedError` before the first list is complete, `PoisonObject` for an object that exists
        but does not decode, `ConfigError` for a namespace that this informer does not hold, and `StaleError`
        in an outage longer than `serve_stale_for`; awaited, `StaleError` where the bound cannot be shown to
        hold, and what the live read raises. Cancelled: who else waits still gets an answer; the last one's
        request is given up.
        """
        if max_staleness is not None:
            return self._get_within(key, Bound.checked(max_staleness, timeout, fallback))
        store = self._only
        if store is None or not store.synced:
            store = self._store_of(key)
        table = store.table
        if not table.quarantined and (obj := table.objects.get(key)) is not None:
            return self._out(obj)
        return self._found(table, key)

    async def _get_within(self, key: Key, bound: Bound) -> T | None:
        self._on_loop()
        shared = self._synced()
        table = await shared.bounded[self._place(shared, split_key(key)[0])].object(key, bound)
        self._started()  # the handle may have been closed meanwhile
        return self._found(table, key)

    def _found(self, table: Table, key: Key) -> T | None:
        if table.quarantined and (poison := table.quarantined.get(key)) is not None:
            raise PoisonObject(f"{self._describe}: {key} is set aside: {poison}")
        obj = table.objects.get(key)
        if obj is None:
            namespace, _ = split_key(key)
            shared = self._started()
            if shared.options.namespaces is not None:
                self._held(shared, namespace)
            return None
        return self._out(obj)

    @overload
    def list(
        self,
        *,
        namespace: str | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
    ) -> builtins.list[T]: ...
    @overload
    def list(
        self,
        *,
        namespace: str | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
        max_staleness: float,
        timeout: float = 10.0,
        fallback: Fallback | None = None,
    ) -> Coroutine[Any, Any, builtins.list[T]]: ...
    def list(
        self,
        *,
        namespace: str | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
        max_staleness: float | None = None,
        timeout: float = 10.0,
        fallback: Fallback | None = None,
    ) -> Any:
        """The objects, of one *namespace* or all, in key order.

        Selectors are evaluated here. With *max_staleness* it is to be awaited: see `get`, which says what
        *timeout* and *fallback* are, too; a live read is then one of all that the informer holds.

        Raises `SelectorError` for one that does not parse or cannot be matched here, `ConfigError` for a
        namespace that this informer does not hold, and `NotSyncedError`; awaited, also as `get`.
        """
        shared = self._synced()
        labels = None if label_selector is None else _labels(label_selector)
        matches = None if field_selector is None else self._matcher(shared, field_selector)

        def selected(tables: Sequence[Table]) -> builtins.list[T]:
            found = []
            for obj in self._objects(shared, tables, namespace):
                if labels is not None and not labels.matches(obj.meta.labels):
                    continue
                if matches is not None and not matches(obj):
                    continue
                found.append(self._out(obj))
            return found

        if max_staleness is not None:
            bound = Bound.checked(max_staleness, timeout, fallback)
            return self._read_within(bound, selected, namespace)
        self._readable(namespace)
        return selected([store.table for store in shared.stores])

    @overload
    def by_index(self, name: str, value: Hashable) -> builtins.list[T]: ...
    @overload
    def by_index(
        self,
        name: str,
        value: Hashable,
        *,
        max_staleness: float,
        timeout: float = 10.0,
        fallback: Fallback | None = None,
    ) -> Coroutine[Any, Any, builtins.list[T]]: ...
    def by_index(
        self,
        name: str,
        value: Hashable,
        *,
        max_staleness: float | None = None,
        timeout: float = 10.0,
        fallback: Fallback | None = None,
    ) -> Any:
        """The objects that the declared index *name* files under *value*, in key order.

        With *max_staleness* it is to be awaited, as `list` is. Raises `ConfigError` where no such index was
        declared, and `NotSyncedError`; awaited, also as `get`.
        """
        shared = self._synced()
        self._check_index(shared, name)

        def filed(tables: Sequence[Table]) -> builtins.list[T]:
            found = []
            for table in tables:
                get = table.objects.get
                found += [obj for key in table.by_index(name, value) if (obj := get(key)) is not None]
            if len(tables) > 1:
                found.sort(key=lambda obj: obj.key)
            return [self._out(obj) for obj in found]

        if max_staleness is not None:
            return self._read_within(Bound.checked(max_staleness, timeout, fallback), filed)
        self._readable()
        return filed([store.table for store in shared.stores])

    async def _read_within(
        self,
        bound: Bound,
        read: Callable[[Sequence[Table]], builtins.list[T]],
        namespace: str | None = None,
    ) -> builtins.list[T]:
        """What *read* finds in tables that are new enough."""
        shared = self._on_loop()
        parts = [*shared.bounded.values()]
        if namespace is not None:
            parts = [shared.bounded[self._place(shared, namespace)]]
        tables = await asyncio.gather(*(part.table(bound) for part in parts), return_exceptions=True)
        self._started()  # the handle may have been closed meanwhile
        for table in tables:
            if isinstance(table, BaseException):
                raise table
        return read([table for table in tables if isinstance(table, Table)])

    def index_values(self, name: str) -> builtins.list[Hashable]:
        """Every value the declared index *name* knows."""
        shared = self._readable()
        self._check_index(shared, name)
        return list(dict.fromkeys(v for store in shared.stores for v in store.table.index_values(name)))

    def keys(self, *, namespace: str | None = None) -> builtins.list[Key]:
        """The keys, of one *namespace* or all, in order."""
        shared = self._readable(namespace)
        keys = [key for store in shared.stores for key in store.table.keys(namespace)]
        return sorted(keys) if len(shared.stores) > 1 else keys

    def __len__(self) -> int:
        return sum(len(store.table.objects) for store in self._readable().stores)

    def __contains__(self, key: object) -> bool:
        return any(key in store.table.objects for store in self._readable().stores)

    def __bool__(self) -> bool:
        return True  # an informer of nothing is still an informer

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
        feed = Feed(handlers.name, informer=shared.name, max_backlog=max_backlog, observe=self._observe)
        subscription = Subscription(
            feed,
            handlers,
            convert=self._event,
            concurrency=concurrency,
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
        return EventStream(feed, convert=self._event, left=shared.detach)

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

    def _started(self) -> SharedInformer:
        if self._shared is None:
            if self._forked:
                raise LifecycleError(
                    f"the informer of {self._describe} belongs to the parent process: make one after the fork"
                )
            raise LifecycleError(
                f"the informer of {self._describe} is "
                + ("closed: make a new one" if self._closed else "not started: use `async with`, or start()")
            )
        return self._shared

    def _on_loop(self) -> SharedInformer:
        shared = self._started()
        self._check_loop()
        return shared

    def _check_loop(self) -> None:
        if self._loop is not None and running_loop() is not self._loop:
            raise LifecycleError(
                f"the informer of {self._describe} belongs to another event loop: from a thread, "
                "client.call_soon_threadsafe leads there"
            )

    def _readable(self, namespace: str | None = None) -> SharedInformer:
        """The cache, of which *namespace* (None for all) may be read now by whoever sets no bound."""
        shared = self._synced()
        if namespace is None:
            shared.check_contact(self._serve_stale_for)
        else:
            shared.check_contact(self._serve_stale_for, shared.reflectors[self._place(shared, namespace)])
        return shared

    def _synced(self) -> SharedInformer:
        shared = self._started()
        if not shared.synced:
            why = f" ({shared.reason})" if shared.reason else ""
            raise NotSyncedError(
                f"the informer of {self._describe} has not synced{why}: await informer.synced() first"
            )
        return shared

    def _held(self, shared: SharedInformer, namespace: str | None) -> str | None:
        """*namespace*, which this cache holds; raises where it cannot know of it."""
        places = shared.options.namespaces
        if places is not None and namespace not in places:
            raise ConfigError(
                f"the informer of {self._describe} holds the namespaces {', '.join(places)}, not {namespace}"
            )
        return namespace

    def _place(self, shared: SharedInformer, namespace: str | None) -> str | None:
        """Where *shared* has what is of *namespace*; raises where it cannot know of it."""
        return None if shared.options.namespaces is None else self._held(shared, namespace)

    def _store_of(self, key: Key) -> Store:
        shared = self._synced()
        if self._only is not None:
            return self._only
        reflector = shared.reflectors[self._place(shared, split_key(key)[0])]
        shared.check_contact(self._serve_stale_for, reflector)
        return reflector.store

    def _objects(
        self, shared: SharedInformer, tables: Sequence[Table], namespace: str | None
    ) -> builtins.list[KubeObject]:
        if namespace is not None:
            self._held(shared, namespace)
        found: builtins.list[KubeObject] = []
        for table in tables:
            get = table.objects.get
            found += [obj for key in table.keys(namespace) if (obj := get(key)) is not None]
        if len(tables) > 1 and namespace is None:
            found.sort(key=lambda obj: join_key(obj.meta.namespace, obj.meta.name))
        return found

    def _matcher(self, shared: SharedInformer, selector: Any) -> Callable[[KubeObject], bool]:
        fields = _fields(selector)
        for requirement in fields.requirements:
            if not shared.intake.keeps(requirement.field):
                raise SelectorError(
                    f"the informer of {self._describe} drops {requirement.field}: it cannot be selected by"
                )
        return fields.compile(shared.options.resource)

    def _check_index(self, shared: SharedInformer, name: str) -> None:
        declared = [one for one, _ in shared.options.index]
        if name not in declared:
            raise ConfigError(
                f"the informer of {self._describe} has no index {name!r}; declared are {declared}: "
                f"add it to index= of client.informer"
            )

    def _out(self, obj: KubeObject) -> T:
        return cast(T, obj if self._view is None else view_of(self._view, obj))

    def _event(self, event: Event[KubeObject]) -> Event[T]:
        if self._view is None:
            return cast(Event[T], event)
        old = None if event.old is None else self._out(event.old)
        return Event(event.type, event.key, self._out(event.object), old, event.initial, event.source)
