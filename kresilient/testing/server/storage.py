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


_head = msgspec.json.Decoder(_Head)
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
        self._history = history

    # --- writing -----------------------------------------------------------------------------------------

    def record(self, change: Change) -> None:
        """Take *change* into the objects and the history."""
        self.place(change.new.key, change.after)
        self.changes.append(change)
        for node in change.nodes:
            self._changes_by_node.setdefault(node, deque()).append(change)
        if len(self.changes) > self._history:
            self.compacted = self._forget_oldest().version

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
        if old is not None and old.node:
            self._leave_node(old)
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
        if stored.node:
            self.by_node.setdefault(stored.node, set()).add(key)

    def _leave_node(self, old: Stored) -> None:
        keys = self.by_node[old.node]
        keys.discard(old.key)
        if not keys:
            del self.by_node[old.node]

    def load(self, objects: Iterable[Stored]) -> None:
        """Add many objects at once, without events."""
        for stored in objects:
            if stored.key not in self.objects:
                self.keys.append(stored.key)
            elif (old := self.objects[stored.key]).node:
                self._leave_node(old)
            self.objects[stored.key] = stored
            if stored.node:
                self.by_node.setdefault(stored.node, set()).add(stored.key)
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
