"""What was written through this client, so that no cache that has not seen it answers a read after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from ...api.resources import Key, Resource, join_key
from ...api.versions import later, version_number
from ...cache.store import Store
from ..request_info import RequestInfo

__all__ = ["OwnWrites", "key_of"]

_MOST_GONE: Final = 1000  # deletes of one resource that some cache has not seen yet

_Place = tuple[str, str]


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    uid: str = ""
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    finalizers: list[str] | None = None


class _Details(msgspec.Struct):
    uid: str = ""


class _Written(msgspec.Struct):
    kind: str = ""
    metadata: _Meta | None = None
    details: _Details | None = None


_decoder: Final = msgspec.json.Decoder(_Written)


class OwnWrites:
    """Tells whether a cache is as new as the writes of this client.

    A write whose answer has a version is seen once the cache has reached it; a delete once the cache no
    longer holds the uid. After any other (a lost answer, a delete of a collection, an eviction) the resource
    is *unsettled* until the next list from the server, whose version the cache then has to reach.
    """

    def __init__(self, held: Callable[[Resource, Key], set[str]]) -> None:
        """*held* tells the uids that the caches of a resource hold under a key."""
        self._held = held
        self._floors: dict[_Place, str] = {}
        self._gone: dict[_Place, dict[Key, str]] = {}
        self._unsettled: dict[_Place, object] = {}

    def wrote(self, info: RequestInfo, body: bytes, *, before: set[str]) -> None:
        """Note a write that was carried out; *before* are the uids that caches had under its key then."""
        assert info.resource is not None
        place = _place(info.resource)
        try:
            written = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            written = _Written()
        meta = written.metadata or _Meta()
        if written.kind == "Status":
            uid = written.details.uid if written.details is not None else ""
            if info.verb == "delete" and uid and uid in before:
                self._removed(info, uid)
            else:
                self.in_doubt(info)
        elif meta.resource_version and info.verb != "deletecollection":
            self._floors[place] = later(meta.resource_version, self._floors.get(place, ""))
            stays = meta.finalizers or meta.deletion_grace_period_seconds
            if (info.verb == "delete" or meta.deletion_timestamp is not None) and not stays:
                self._removed(info, meta.uid)
        else:
            self.in_doubt(info)

    def in_doubt(self, info: RequestInfo) -> None:
        """Note a write whose outcome, or whose version, nobody knows."""
        assert info.resource is not None
        place = _place(info.resource)
        self._unsettled[place] = object()
        self._gone.pop(place, None)

    def doubt(self, resource: Resource) -> object | None:
        """What makes *resource* unsettled now; hand it to `listed` with the list that was begun now."""
        return self._unsettled.get(_place(resource))

    def listed(self, resource: Resource, body: bytes, doubt: object) -> None:
        """A list from the server, begun while *doubt* was there, has shown the outcome."""
        place = _place(resource)
        if self._unsettled.get(place) is not doubt:
            return
        try:
            meta = _decoder.decode(body).metadata
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if meta is not None and meta.resource_version:
            self._floors[place] = later(meta.resource_version, self._floors.get(place, ""))
            del self._unsettled[place]

    def seen(self, resource: Resource, store: Store, key: Key | None) -> bool:
        """Whether *store* has all that was written to *resource*, or to its object *key*."""
        place = _place(resource)
        if place in self._unsettled:
            return False
        if floor := self._floors.get(place):
            reached, due = version_number(store.version), version_number(floor)
            if reached is None or due is None or reached < due:
                return False
        gone = self._gone.get(place)
        if not gone:
            return True
        objects = store.table.objects
        still = [one for one, uid in gone.items() if (obj := objects.get(one)) is not None and obj.uid == uid]
        return not still if key is None else key not in still

    def _removed(self, info: RequestInfo, uid: str) -> None:
        assert info.resource is not None
        resource, place = info.resource, _place(info.resource)
        gone = self._gone.setdefault(place, {})
        gone[key_of(info)] = uid
        if len(gone) > _MOST_GONE:
            gone = {key: one for key, one in gone.items() if one in self._held(resource, key)}
            self._gone[place] = gone
            if len(gone) > _MOST_GONE:
                self.in_doubt(info)


def key_of(info: RequestInfo) -> Key:
    """The key of the object that a request names."""
    cluster_wide = info.resource is not None and info.resource.namespaced is False
    return join_key(None if cluster_wide else info.namespace, info.name)


def _place(resource: Resource) -> _Place:
    return resource.group, resource.plural
