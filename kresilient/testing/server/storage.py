"""What the server stores of one resource: its objects as bytes in key order, and what happened to them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from . import wire
from .statuses import too_old, unlistable

__all__ = ["Change", "Collection", "Stored"]


class _Metadata(msgspec.Struct, gc=False):
    uid: str = ""
    labels: dict[str, str] | None = None


class _Head(msgspec.Struct, gc=False):
    metadata: _Metadata


class _Owner(msgspec.Struct, gc=False):
    uid: str = ""


class _OwnedMetadata(msgspec.Struct, rename="camel", gc=False):
    owner_references: list[_Owner] = []


class _Owned(msgspec.Struct, gc=False):
    metadata: _OwnedMetadata


_head = msgspec.json.Decoder(_Head)
_owned = msgspec.json.Decoder(_Owned)
_top_level = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True, eq=False)
class Stored:
    """One object at one version.

    `item` is the object as it stands in a list of a built-in resource: without kind and apiVersion (a
    custom resource's keeps its kind, whose place is among the sorted keys). `poison` bytes are served as
    they are, in lists and events, whatever they hold. `node` is a pod's `spec.nodeName`. `shape` is that
    under which a custom resource's item stands as it is, and `seen` what it last was under another.
    """

    key: str
    version: int
    item: bytes
    node: str = ""
    poison: bool = False
    _labels: Mapping[str, str] | None = None
    shape: object = None
    seen: Stored | None = None
    _uid: str | None = None
    _owners: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def namespace(self) -> str:
        return self.key.rpartition("/")[0]

    @property
    def labels(self) -> Mapping[str, str]:
        if self._labels is None:
            self._labels = self._header().labels or {}
        return self._labels

    @property
    def uid(self) -> str:
        if self._uid is None:
            self._uid = self._header().uid
        return self._uid

    @property
    def owners(self) -> tuple[str, ...]:
        """The uids in `metadata.ownerReferences`, in their order."""
        if self._owners is None:
            self._owners = ()
            if not self.poison and b'"ownerReferences"' in self.item:
                self._owners = self._owner_uids()
        return self._owners

    def _owner_uids(self) -> tuple[str, ...]:
        try:
            references = _owned.decode(self.item).metadata.owner_references
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ()
        return tuple(one.uid for one in references if one.uid)

    @property
    def marked(self) -> bool:
        """Whether its deletion has been asked for (`metadata.deletionTimestamp`)."""
        return (
            not self.poison
            and b'"deletionTimestamp"' in self.item
            and "deletionTimestamp" in self.decode()["metadata"]
        )

    def _header(self) -> _Metadata:
        try:
            return _head.decode(self.item).metadata
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _Metadata()

    def get(self, key: str, /) -> Any:
        """The top-level field *key*, decoded afresh, or None: what a field selector reads."""
        try:
            raw = _top_level.decode(self.item).get(key)
            return None if raw is None else wire.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def decode(self) -> dict[str, Any]:
        """The item as fresh plain data; raises `msgspec.DecodeError` for a poisonous one."""
        decoded: dict[str, Any] = wire.decode(self.item)
        return decoded

    def full(self, header: bytes) -> bytes:
        """The whole object, with the kind and apiVersion that *header* holds."""
        return self.item if self.poison else header + self.item[1:]


@dataclass(slots=True, eq=False, frozen=True)
class Change:
    """What one write did to one key. `new` of a deletion is the last state at the deletion's version."""

    type: str
    version: int
    new: Stored
    old: Stored | None

    @property
    def after(self) -> Stored | None:
        """What the key holds afterwards."""
        return None if self.type == "DELETED" else self.new

    @property
    def nodes(self) -> set[str]:
        """The nodes of a pod before and after."""
        nodes = {self.new.node} if self.old is None else {self.new.node, self.old.node}
        nodes.discard("")
        return nodes


class Collection:
    """The objects of one resource, and the last *history* changes to them.

    `compacted` is the oldest version whose successors are all still known: a watch may begin there, and a
    list may be had as it was there.
    """

    def __init__(self, *, history: int, compacted: int) -> None:
        self.objects: dict[str, Stored] = {}
        self.keys: list[str] = []
        self.changes: deque[Change] = deque()
        self.compacted = compacted
        self.by_node: dict[str, set[str]] = {}
        self._changes_by_node: dict[str, deque[Change]] = {}
        self.by_owner: dict[str, set[str]] = {}
        self._history = history

    # --- writing -----------------------------------------------------------------------------------------

    def record(self, change: Change) -> None:
        """Take *change* into the objects and the history."""
        self.place(change.new.key, change.after)
        self._remember(change)
        if len(self.changes) > self._history:
            self.compacted = self._forget_oldest().version

    def _remember(self, change: Change) -> None:
        self.changes.append(change)
        for node in change.nodes:
            self._changes_by_node.setdefault(node, deque()).append(change)

    def _forget_oldest(self) -> Change:
        change = self.changes.popleft()
        for node in change.nodes:  # whose own oldest change this is
            same = self._changes_by_node[node]
            same.popleft()
            if not same:
                del self._changes_by_node[node]
        return change

    def place(self, key: str, stored: Stored | None) -> None:
        """Let *key* hold *stored*, or nothing, without a trace in the history."""
        old = self.objects.get(key)
        if old is not None:
            self._leave_indexes(old)
        if stored is None:
            if old is not None:
                del self.objects[key]
                del self.keys[bisect_left(self.keys, key)]
            return
        if old is None:
            if not self.keys or self.keys[-1] < key:
                self.keys.append(key)
            else:
                insort(self.keys, key)
        self.objects[key] = stored
        self._enter_indexes(stored)

    def _enter_indexes(self, stored: Stored) -> None:
        if stored.node:
            self.by_node.setdefault(stored.node, set()).add(stored.key)
        for uid in stored.owners:
            self.by_owner.setdefault(uid, set()).add(stored.key)

    def _leave_indexes(self, old: Stored) -> None:
        if old.node:
            _leave(self.by_node, old.node, old.key)
        for uid in old.owners:
            _leave(self.by_owner, uid, old.key)

    def load(self, objects: Iterable[Stored]) -> None:
        """Add many objects at once, without events."""
        for stored in objects:
            if stored.key not in self.objects:
                self.keys.append(stored.key)
            else:
                self._leave_indexes(self.objects[stored.key])
            self.objects[stored.key] = stored
            self._enter_indexes(stored)
        self.keys.sort()

    # --- history -----------------------------------------------------------------------------------------

    def compact(self, version: int) -> None:
        """Forget the changes up to *version*."""
        while self.changes and self.changes[0].version <= version:
            self._forget_oldest()
        self.compacted = max(self.compacted, version)

    def since(self, version: int, *, node: str = "") -> list[Change]:
        """The changes after *version*, oldest first; of one *node*, those of objects that are or were there.

        Raises `Refused` (410) where some are gone.
        """
        if version < self.compacted:
            raise too_old(version, self.compacted)
        found: list[Change] = []
        for change in reversed(self._changes_by_node.get(node, ()) if node else self.changes):
            if change.version <= version:
                break
            found.append(change)
        found.reverse()
        return found

    def undone(self, version: int) -> dict[str, Stored | None]:
        """What the keys that changed after *version* held at it. Raises `Refused` (410) where unknown."""
        if version < self.compacted:
            raise unlistable()
        held: dict[str, Stored | None] = {}
        for change in reversed(self.changes):
            if change.version <= version:
                break
            held[change.new.key] = change.old
        return held

    def rewind(self, version: int) -> None:
        """Let the objects be as they were at *version*, as a restored backup would; history ends there."""
        for key, stored in self.undone(version).items():
            self.place(key, stored)
        self.changes.clear()
        self._changes_by_node.clear()
        self.compacted = version

    def as_of(self, version: int) -> Collection:
        """What there was at *version*, with the history up to it. Raises `Refused` (410) where unknown."""
        other = Collection(history=self._history, compacted=min(self.compacted, version))
        keys, held = self.at(version)
        found = (held[key] if key in held else self.objects[key] for key in keys)
        other.load(stored for stored in found if stored is not None)
        for change in self.changes:
            if change.version <= version:
                other._remember(change)
        return other

    # --- reading -----------------------------------------------------------------------------------------

    def keys_in(self, namespace: str, keys: list[str] | None = None) -> tuple[int, int]:
        """Where the keys of *namespace* (of all, where empty) begin and end in *keys*."""
        keys = self.keys if keys is None else keys
        if not namespace:
            return 0, len(keys)
        return bisect_left(keys, namespace + "/"), bisect_left(keys, namespace + "0")

    def at(self, version: int | None) -> tuple[list[str], Mapping[str, Stored | None]]:
        """The keys at *version* (None: now), and those objects that differ from today's."""
        held = {} if version is None else self.undone(version)
        if not held:
            return self.keys, held
        present = {key for key, stored in held.items() if stored is not None}
        keys = [key for key in self.keys if key not in held or key in present]
        missing = sorted(present - self.objects.keys())
        return (sorted(keys + missing) if missing else keys), held

    def __iter__(self) -> Iterator[Stored]:
        return (self.objects[key] for key in self.keys)

    def __len__(self) -> int:
        return len(self.objects)


def _leave(index: dict[str, set[str]], value: str, key: str) -> None:
    keys = index.get(value, set())  # an owner may be named twice
    keys.discard(key)
    if not keys:
        index.pop(value, None)
