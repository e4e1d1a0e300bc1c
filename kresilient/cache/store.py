"""The store: objects by key, with their indexes. The reflector alone writes it.

A relist builds a new `Table` beside the one being read and swaps it in with one assignment, so a reader
sees the old state or the new one, whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Mapping
from sys import getsizeof

import msgspec

from ..api.errors import PoisonObject
from ..api.objects import KubeObject
from ..api.resources import Key
from .index import Extract, Index

__all__ = ["Store", "Table", "differences", "same"]

IndexFailure = Callable[[str, Key, Exception], None]


class Table:
    """One consistent state: objects, their order, and their indexes."""

    __slots__ = (
        "__weakref__",
        "_changes",
        "_failed",
        "_indexes",
        "_namespaces",
        "_order",
        "nameless",
        "objects",
        "quarantined",
    )

    def __init__(self, indexes: Mapping[str, Extract], failed: IndexFailure) -> None:
        self.objects: dict[Key, KubeObject] = {}
        self.quarantined: dict[Key, PoisonObject] = {}
        self.nameless = False
        """Whether something was set aside whose key is unreadable: it may be any object that is not here."""
        self._indexes = {name: Index(extract) for name, extract in indexes.items()}
        self._namespaces: dict[str, set[Key]] = {}
        self._changes = 0  # of the set of keys
        # The sorted keys, made when first asked for and then kept, and the change they stand at: a thread
        # may have sorted them while one came, and what it made is then not used again.
        self._order: tuple[int, list[Key]] | None = None
        self._failed = failed

    def adopt(self, key: Key, obj: KubeObject, held: Table) -> None:
        """Put *obj*, or what *held* has under *key* where that is the same, with what its indexes know of it.

        So a relist takes the memory of what it changes, not of all that it reads, and extracts nothing twice.
        """
        before = held.objects.get(key)
        if before is None or not same(before, obj):
            self.put(key, obj)
        else:
            self._put(key, before)
            for name, index in self._indexes.items():
                if not index.adopt(key, held._indexes[name]):
                    self._file(name, index, key, before)

    def put(self, key: Key, obj: KubeObject) -> None:
        self._put(key, obj)
        if self._indexes:
            for name, index in self._indexes.items():
                self._file(name, index, key, obj)

    def _file(self, name: str, index: Index, key: Key, obj: KubeObject) -> None:
        if (error := index.put(key, obj)) is not None:
            self._failed(name, key, error)

    def _put(self, key: Key, obj: KubeObject) -> None:
        objects = self.objects
        if key in objects:
            objects[key] = obj
        else:
            namespace = obj.meta.namespace
            if (keys := self._namespaces.get(namespace)) is None:
                self._namespaces[namespace] = {key}
            else:
                keys.add(key)
            if self._order is None:  # as while a list is read
                objects[key] = obj
                self._changes += 1
            else:
                order = self._kept_order()
                objects[key] = obj
                if order is not None:
                    order.insert(bisect_left(order, key), key)
                self._changed(order)
        if self.quarantined:
            self.quarantined.pop(key, None)

    def remove(self, key: Key) -> KubeObject | None:
        self.quarantined.pop(key, None)
        order = self._kept_order()
        obj = self.objects.pop(key, None)
        if obj is None:
            return None
        if order is not None:
            del order[bisect_left(order, key)]
        self._changed(order)
        keys = self._namespaces[obj.meta.namespace]
        keys.discard(key)
        if not keys:
            del self._namespaces[obj.meta.namespace]
        for index in self._indexes.values():
            index.remove(key)
        return obj

    def keys(self, namespace: str | None = None) -> list[Key]:
        """The keys, of one namespace or all, in order; a list of the caller's own."""
        if namespace is not None:
            return sorted(self._namespaces.get(namespace, ()))
        changes, order = self._changes, self._kept_order()
        if order is None:
            order = sorted(self.objects)
            self._order = (changes, order)
        return order.copy()

    def _kept_order(self) -> list[Key] | None:
        kept = self._order
        return kept[1] if kept is not None and kept[0] == self._changes else None

    def _changed(self, order: list[Key] | None) -> None:
        self._changes += 1
        self._order = None if order is None else (self._changes, order)

    def by_index(self, name: str, value: Hashable) -> list[Key]:
        return self._indexes[name].keys(value)

    def index_values(self, name: str) -> list[Hashable]:
        return self._indexes[name].values()

    def container_bytes(self) -> int:
        """The memory of its dictionaries and indexes, without the objects; callable from any thread."""
        order, namespaces = self._order, list(self._namespaces.values())
        size = getsizeof(self.objects) + getsizeof(self._namespaces) + sum(map(getsizeof, namespaces))
        size += sum(index.container_bytes() for index in self._indexes.values())
        return size if order is None else size + getsizeof(order[1])


class Store:
    """The current table, and the version it stands at. *begun* is told of each new table."""

    __slots__ = ("_begun", "_failed", "_indexes", "synced", "table", "version")

    def __init__(
        self,
        indexes: Mapping[str, Extract],
        failed: IndexFailure,
        *,
        begun: Callable[[Table], None] | None = None,
    ) -> None:
        self._indexes = indexes
        self._failed = failed
        self._begun = begun
        self.table = self.new_table()
        self.version = ""
        self.synced = False

    def new_table(self) -> Table:
        """An empty table with the same indexes, to be filled beside this one."""
        table = Table(self._indexes, self._failed)
        if self._begun is not None:
            self._begun(table)
        return table

    def swap(self, table: Table, version: str) -> None:
        """Make *table* the state, at *version*."""
        self.table = table
        self.version = version
        self.synced = True


Difference = tuple[Key, KubeObject | None, KubeObject | None]


def differences(old: Table, new: Table, *, pause_every: int) -> Iterator[Difference | None]:
    """(key, before, after) for every object that is not the same in both; deletes come first.

    The bytes decide, not the version: a server whose history went back may have used a version twice. But a
    watch says of what type an object is, and a list does not: that makes no other object. One that is the
    same becomes that of *old* in *new* too: the one that subscribers were given. None comes after every
    *pause_every* keys compared, for others to have a turn; what they write to *old* then may be missed.
    """
    compared = 0
    for key in tuple(old.objects):
        if key not in new.objects and (before := old.objects.get(key)) is not None:
            yield key, before, None
        compared += 1
        if not compared % pause_every:
            yield None
    for key, after in new.objects.items():
        held = old.objects.get(key)
        if held is None or not same(held, after):
            yield key, held, after
        else:
            new.objects[key] = held
        compared += 1
        if not compared % pause_every:
            yield None


def same(one: KubeObject, other: KubeObject) -> bool:
    """Whether the two are one state of one object: in a list, in an event, or as a write was answered."""
    if one is other:
        return True
    if one.meta.resource_version != other.meta.resource_version or one.meta.uid != other.meta.uid:
        return False
    return one == other or _untyped(one) == _untyped(other)


def _untyped(obj: KubeObject) -> bytes:
    """The bytes of *obj* as a list has them."""
    raw, head = obj.raw, f'{{"kind":"{obj.kind}","apiVersion":"{obj.api_version}",'.encode()
    if raw.startswith(head):  # as every server of Go writes it
        return b"{" + raw[len(head) :]
    fields = _fields.decode(raw)
    if "kind" not in fields:
        return raw
    return _encoder.encode(
        {name: value for name, value in fields.items() if name not in ("kind", "apiVersion")}
    )


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()
