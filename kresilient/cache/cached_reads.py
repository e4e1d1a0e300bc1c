"""Reads of a cache through a handle on it: one object, those that match, those that an index files."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast, overload

from ..api.errors import ConfigError, LifecycleError, NotSyncedError, PoisonObject, SelectorError
from ..api.field_selectors import FieldSelector
from ..api.label_selectors import LabelSelector
from ..api.objects import KubeObject
from ..api.resources import Key, join_key, split_key
from ..api.views import View, view_of
from .bounded_reads import Bound, Fallback
from .shared import SharedInformer
from .store import Store, Table

__all__ = ["CachedReads", "running_loop"]

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


class CachedReads(Generic[T]):
    """What can be read of a shared cache while a handle on it is open.

    Args:
        describe: what it holds, for messages.
        view: what objects are shown as; None as they are.
        serve_stale_for: seconds without contact for which plain reads answer; None for ever.
    """

    def __init__(self, describe: str, *, view: type[View] | None, serve_stale_for: float | None) -> None:
        self._describe = describe
        self._view = view
        self._serve_stale_for = serve_stale_for
        self._shared: SharedInformer | None = None
        self._only: Store | None = None  # the store, where there is just one, readable whatever its age
        self._closed = self._forked = False
        self._loop: asyncio.AbstractEventLoop | None = None

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

    # --- the parts ---

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
