"""Own writes over a base that the reflector alone writes.

The table that is read is the base with the own writes in it, so reads cost what they always do. Beside it
stands what the base has where the two differ. An own write is shown from its acknowledgement until the base
has reached its version; a deleted uid is shown no more, until the base has confirmed that it is gone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final

import msgspec
from cachetools import LRUCache

from ..api.objects import KubeObject
from ..api.resources import Key
from ..api.versions import is_older, later, version_number
from .store import Store, Table

__all__ = ["Change", "Overlay"]

_UNCONFIRMED: Final = 4096
"""What is remembered at least of keys under which neither the base nor readers have anything: deletes, and
writes of objects outside of the cache."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """What readers saw under a key, and what they see now."""

    key: Key
    before: KubeObject | None
    after: KubeObject | None


@dataclass(slots=True)
class _Own:
    """A write at *version* that the base, where the key holds *base*, has not reached."""

    version: int
    object: KubeObject | None  # None: it is outside of what the cache holds
    base: KubeObject | None
    sent: float


@dataclass(slots=True)
class _Gone:
    """A uid whose delete was acknowledged.

    It existed, or was deleted, at *version*; `there` tells that the base would hold it, were it not gone.
    """

    key: Key
    version: int | None
    there: bool
    lists: int
    sent: float


class Overlay:
    """Writes the table of one store: as the base has it, and as own writes have it over that.

    The base's methods are the reflector's; `wrote` and `deleted` are for writes that were acknowledged. Each
    returns what changed for readers, None where nothing did.
    """

    __slots__ = (
        "_bound_at",
        "_consistent",
        "_gone",
        "_lists",
        "_newest",
        "_own",
        "_settling",
        "_store",
        "_unseen",
        "touched",
    )

    def __init__(self, store: Store) -> None:
        self._store = store
        self._own: dict[Key, _Own] = {}
        self._gone: dict[str, _Gone] = {}  # by uid
        self._unseen: LRUCache[str, None] = LRUCache(_UNCONFIRMED)  # of those, the ones nothing else bounds
        self._settling: list[tuple[int, bool, str]] = []  # a heap: what to look at once a version is reached
        self._bound_at = 4 * _UNCONFIRMED  # when pending
        self._lists = 0
        self._newest = 0
        self._consistent = False  # the list that was asked for last
        self.touched: set[Key] | None = None
        """While somebody compares tables over several turns of the loop: the keys written meanwhile."""

    @property
    def settles(self) -> bool:
        """Whether `advance` may have something to do."""
        return bool(self._settling)

    @property
    def pending(self) -> int:
        """Own writes that the base has not reached, deletes included."""
        return len(self._own) + len(self._gone)

    @property
    def seen(self) -> str:
        """The version that the server has certainly reached: that of the base, or of a later own write."""
        return later(self._store.version, str(self._newest)) if self._newest else self._store.version

    # --- the base ----------------------------------------------------------------------------------------

    def is_gone(self, uid: str) -> bool:
        """Whether the delete of *uid* was acknowledged, and the base has not confirmed it."""
        return uid in self._gone

    def base(self, key: Key) -> KubeObject | None:
        """What the reflector last wrote under *key*."""
        own = self._own.get(key)
        return self._store.table.objects.get(key) if own is None else own.base

    def put(self, key: Key, obj: KubeObject) -> Change | None:
        """The base has *obj* under *key*."""
        if not self._own and not self._gone:
            table = self._store.table
            before = table.objects.get(key)
            table.put(key, obj)
            return Change(key, before, obj)
        gone = self._gone.get(obj.meta.uid)
        if gone is not None:
            self._found(obj.meta.uid, gone)
        return self._written(key, None if gone is not None else obj, obj.meta.resource_version)

    def remove(self, key: Key, uid: str = "", version: str = "") -> Change | None:
        """The base has nothing under *key* any more: *uid* left it at *version*, as far as that is known."""
        if (gone := self._gone.get(uid)) is not None:
            number = version_number(version)
            if gone.version is None or number is None or number >= gone.version:
                self._forget_gone(uid)
            else:  # it left the selector, and may come back before its end
                gone.there = False
                self._settle_at(gone.version, uid, gone=True)
        return self._written(key, None, version)

    def advance(self, version: str) -> list[Change]:
        """The base has reached *version*: what it has of the writes up to there is what there is."""
        if not self._settling:
            return []
        reached = version_number(version)
        if reached is None:
            return self._shown(self._clear())
        keys: set[Key] = set()
        while self._settling and self._settling[0][0] <= reached:
            at, is_gone, name = heappop(self._settling)
            if is_gone:
                gone = self._gone.get(name)
                if gone is not None and gone.version == at and not gone.there:
                    self._forget_gone(name)
            elif (own := self._own.get(name)) is not None and own.version == at:
                keys.add(name)
        return self._shown({key: self._own.pop(key) for key in keys})

    def begin_list(self, *, consistent: bool) -> None:
        """A list of the server is asked for now. One that is *consistent* shows what was deleted before as
        gone; any other may be older than the delete, or even than what was deleted."""
        self._lists += 1
        self._consistent = consistent

    def rebase(self, table: Table, version: str) -> set[Key]:
        """Make *table*, a list of *version*, what readers are to see; `Store.swap` it in at once.

        Returns the keys where own writes stand, or stood, over the base.
        """
        reached = version_number(version)
        affected = set(self._own)
        for uid, gone in tuple(self._gone.items()):
            if uid not in self._gone:
                continue  # another one took its place among those remembered
            affected.add(gone.key)
            held = table.objects.get(gone.key)
            if held is not None and held.meta.uid == uid:
                table.remove(gone.key)
                self._found(uid, gone)
                continue
            gone.there = False
            if gone.version is None or reached is None:
                if self._consistent and gone.lists < self._lists:
                    self._forget_gone(uid)
                else:
                    self._remember(uid)
            elif gone.version <= reached:
                self._forget_gone(uid)
            else:
                self._settle_at(gone.version, uid, gone=True)
        if reached is None:
            self._clear()
            return affected
        for key, own in tuple(self._own.items()):
            if own.version <= reached:
                del self._own[key]
                continue
            own.base = table.objects.get(key)
            _set(table, key, own.object)
        return affected

    def forget(self, *, since: float = math.inf) -> set[Key]:
        """The history went back, and what was written in it may be undone, but not what was sent *since*, a
        loop time. Returns the keys concerned."""
        gone = {uid: one for uid, one in self._gone.items() if one.sent < since}
        own = {key for key, one in self._own.items() if one.sent < since}
        for uid in gone:
            self._forget_gone(uid)
        for key in own:
            del self._own[key]
        self._newest = max((one.version for one in self._own.values()), default=0)
        self._resettle()
        return own | {one.key for one in gone.values()}

    # --- own writes --------------------------------------------------------------------------------------

    def wrote(
        self, key: Key, uid: str, version: str, obj: KubeObject | None, *, sent: float = -math.inf
    ) -> Change | None:
        """A write left *key* at *version*; *obj* is what is kept of it, None outside of what the cache holds.
        It was *sent* at a loop time, or who knows when.

        Ignored where the base has reached that version, where a later write is known, and where versions do
        not compare. Of a uid whose delete was acknowledged nothing is shown, nor of what it followed upon.
        """
        number = version_number(version)
        if number is None:
            return None
        if uid in self._gone:
            obj = None
        if self._reached(number):
            return self._repaired(key, version, obj)
        self._newest = max(self._newest, number)
        own = self._own.get(key)
        if own is None:
            self._own[key] = _Own(number, obj, self._store.table.objects.get(key), sent)
        elif own.version < number:
            own.version, own.object, own.sent = number, obj, sent
        else:
            return None
        self._settle_at(number, key, gone=False)
        return self._show(key, obj)

    def deleted(self, key: Key, uid: str, version: str = "", *, sent: float = -math.inf) -> Change | None:
        """The delete of *uid*, sent at a loop time, was acknowledged: it was there, or was deleted, at
        *version*."""
        if not uid or uid in self._gone:
            return None
        number, own, base = version_number(version), self._own.get(key), self.base(key)
        there = base is not None and base.meta.uid == uid
        shown = own is not None and own.object is not None and own.object.meta.uid == uid
        if not there and not shown and number is not None and self._reached(number):
            return None  # the base has seen its end
        self._newest = max(self._newest, number or 0)
        self._gone[uid] = _Gone(key, number, there, self._lists, sent)
        if not there and number is not None:
            self._settle_at(number, uid, gone=True)
        elif not there:
            self._remember(uid)
        base = None if there else base
        if not there and number is not None and not self._reached(number):
            if own is not None and own.version > number:
                return None  # a later one of that name
            self._own[key] = _Own(
                number, None, base, sent
            )  # whatever the base still has to show there is older
            self._settle_at(number, key, gone=False)
            return self._show(key, None)
        if own is None:
            return self._show(key, base)
        own.base = base
        if not shown:
            return None
        own.object = None  # nor is there anything older
        return self._show(key, None)

    # --- the parts ---------------------------------------------------------------------------------------

    def _written(self, key: Key, obj: KubeObject | None, version: str) -> Change | None:
        """The base has *obj* under *key* since *version*."""
        own = self._own.get(key)
        if own is None:
            return self._show(key, obj)
        own.base = obj
        number = version_number(version)
        if number is None or number < own.version:
            return None  # where it is unknown, `advance` settles it
        del self._own[key]
        if obj is not None and number == own.version and own.object is not None:
            return None  # the echo: readers have seen it
        return self._show(key, obj)

    def _shown(self, settled: dict[Key, _Own]) -> list[Change]:
        """The base shows through under the keys of *settled*."""
        changes = []
        for key, own in settled.items():
            if key in self._store.table.quarantined:
                continue  # what was shown is its last good state
            if (change := self._show(key, own.base)) is not None:
                changes.append(change)
        return changes

    def _show(self, key: Key, obj: KubeObject | None) -> Change | None:
        if not self._store.synced:
            return None  # the first list brings it
        table = self._store.table
        before = table.objects.get(key)
        if self.touched is not None:
            self.touched.add(key)
        if before is not obj or obj is None:
            _set(table, key, obj)
        return None if before is obj else Change(key, before, obj)

    def _repaired(self, key: Key, version: str, obj: KubeObject | None) -> Change | None:
        """The base has reached *version*, where an own write left *obj*. Where it could not read what it has
        under *key*, an older state stands for that: this one is nearer to it."""
        table = self._store.table
        held, error = table.objects.get(key), table.quarantined.get(key)
        unread = error is not None or table.nameless
        if held is None or not unread or not is_older(held.meta.resource_version, version):
            return None
        change = self._show(key, obj)
        if error is not None:
            table.quarantined[key] = error
        return change

    def _reached(self, version: int) -> bool:
        """Whether the base shows what was written at *version*; True where that can never be told."""
        if not self._store.synced:
            return False
        base = version_number(self._store.version)
        return base is None or base >= version

    def _clear(self) -> dict[Key, _Own]:
        own, self._own = self._own, {}
        self._resettle()
        return own

    def _remember(self, uid: str) -> None:
        if uid not in self._unseen and len(self._unseen) == _UNCONFIRMED:
            self._gone.pop(self._unseen.popitem()[0], None)
        self._unseen[uid] = None

    def _found(self, uid: str, gone: _Gone) -> None:
        """The base would hold *uid*, which bounds for how long it is remembered."""
        gone.there = True
        self._unseen.pop(uid, None)

    def _forget_gone(self, uid: str) -> None:
        del self._gone[uid]
        self._unseen.pop(uid, None)

    def _bound(self) -> None:
        """Where the base is not brought further for long, forget the oldest of what hides nothing known."""
        own = sorted((one.version, key) for key, one in self._own.items() if one.object is one.base is None)
        for _, key in own[:-_UNCONFIRMED]:
            del self._own[key]
        gone = sorted(
            (one.version, uid) for uid, one in self._gone.items() if one.version is not None and not one.there
        )
        for _, uid in gone[:-_UNCONFIRMED]:
            self._forget_gone(uid)
        self._bound_at = max(4 * _UNCONFIRMED, 2 * self.pending)

    def _settle_at(self, version: int, name: str, *, gone: bool) -> None:
        heappush(self._settling, (version, gone, name))
        if self.pending > self._bound_at:
            self._bound()
        if len(self._settling) > 2 * self.pending + 64:  # a key that is written again and again in an outage
            self._resettle()

    def _resettle(self) -> None:
        """Leave out of the heap what is settled already."""
        self._settling = [(own.version, False, key) for key, own in self._own.items()]
        self._settling += [
            (one.version, True, uid)
            for uid, one in self._gone.items()
            if one.version is not None and not one.there
        ]
        heapify(self._settling)


def _set(table: Table, key: Key, obj: KubeObject | None) -> None:
    if obj is None:
        table.remove(key)
    else:
        table.put(key, obj)
