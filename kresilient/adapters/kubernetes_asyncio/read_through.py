"""Reads that an informer can answer exactly, answered from its memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from ...api.errors import ConfigError, InvalidName, NotSyncedError, PoisonObject, SelectorError, StaleError
from ...api.field_selectors import FieldSelector
from ...api.label_selectors import LabelSelector
from ...api.objects import KubeObject
from ...api.resources import Key, Resource
from ...api.versions import version_number
from ...cache.lookup import look_up, store_of
from ...cache.shared import SharedInformer
from ...cache.store import Store
from ...client import Client
from ...flow.answers import Answer
from ...transport.base import Request
from ..request_info import RequestInfo
from .calls import Call
from .own_writes import OwnWrites, key_of
from .type_meta import with_type, without_type

__all__ = ["ReadThrough"]

_JSON: Final = {"Content-Type": "application/json"}
_WRITES: Final = ("create", "update", "patch", "delete", "deletecollection")
_WITHOUT_EFFECT: Final = ("pretty", "timeoutSeconds", "allowWatchBookmarks", "watch")


class ReadThrough:
    """Answers gets and lists from the synced informers of *client*, where the answer is the server's own.

    That is: the informer holds whole objects (no `View`, `strip`, `transform` or `metadata_only`) of the
    namespace that is asked for; the selectors are equal, or the informer has none and they can be evaluated
    here; no version is demanded that it has not reached, and no page. What it does not hold is asked of the
    server, never taken for absent, and so is everything where it has not yet seen what was written through
    the same `ResilientApiClient`. It may be behind the writes of others, as every cache is.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._writes = OwnWrites(self._held)

    def answer(self, call: Call) -> Answer | None:
        """The answer to *call*, or None where the server has to be asked."""
        info, resource = call.info, call.info.resource
        if resource is None or resource.subresource or info.verb not in ("get", "list"):
            return None
        asked = _Asked.of(call.request)
        if asked is None:
            return None
        for shared in self._client.caches(resource):
            try:
                store = store_of(shared, info.namespace)
            except (ConfigError, NotSyncedError, StaleError):
                continue
            if not self._fresh(store, info, asked):
                continue
            body = _one(shared, info) if info.verb == "get" else _all(shared, store, info, asked)
            if body is not None:
                return Answer(200, _JSON, body)
        return None

    def begun(self, call: Call) -> Callable[[bytes | None], None]:
        """A request goes to the server. Call the result with the body of its success, or with None where
        nobody knows whether it was carried out; not at all where it certainly was not."""
        info, resource = call.info, call.info.resource
        if resource is None:
            return lambda body: None
        if info.verb == "list" and (doubt := self._writes.doubt(resource)) is not None:
            return lambda body: self._writes.listed(resource, body or b"", doubt)
        if info.verb not in _WRITES or dict(call.request.query).get("dryRun"):
            return lambda body: None
        before = self._held(resource, key_of(info))

        def ended(body: bytes | None) -> None:
            if body is None:
                self._writes.in_doubt(info)
            else:
                self._writes.wrote(info, body, before=before)

        return ended

    def _fresh(self, store: Store, info: RequestInfo, asked: _Asked) -> bool:
        assert info.resource is not None
        if asked.version not in ("", "0"):
            reached, due = version_number(store.version), version_number(asked.version)
            if reached is None or due is None or reached < due:
                return False
        return self._writes.seen(info.resource, store, key_of(info) if info.verb == "get" else None)

    def _held(self, resource: Resource, key: Key) -> set[str]:
        stores = [store for shared in self._client.caches(resource.parent) for store in shared.stores]
        return {obj.uid for store in stores if (obj := store.table.objects.get(key)) is not None}


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options of a read that a cache can honour."""

    version: str = ""
    labels: str = ""
    fields: str = ""
    limit: int = 0

    @classmethod
    def of(cls, request: Request) -> _Asked | None:
        accept = next((value for name, value in request.headers.items() if name.lower() == "accept"), "")
        if request.method != "GET" or accept not in ("", "*/*", "application/json"):
            return None  # tables, parts and other encodings are the server's to make
        query = {name: value for name, value in request.query if name not in _WITHOUT_EFFECT}
        match, limit = query.pop("resourceVersionMatch", ""), query.pop("limit", "0")
        version = query.pop("resourceVersion", "")
        labels, fields = query.pop("labelSelector", ""), query.pop("fieldSelector", "")
        # With a limit and without a match, a version other than "0" means Exact.
        exact = match not in ("", "NotOlderThan") or (limit != "0" and not match and version not in ("", "0"))
        if query or exact or not limit.isdecimal():
            return None
        try:
            labels, fields = str(LabelSelector.parse(labels)), str(FieldSelector.parse(fields))
        except SelectorError:
            return None
        return cls(version, labels, fields, int(limit))


def _one(shared: SharedInformer, info: RequestInfo) -> bytes | None:
    try:
        known = look_up(shared, key_of(info))
    except (ConfigError, InvalidName, PoisonObject):
        return None
    return None if known.object is None else with_type(known.object)


def _all(shared: SharedInformer, store: Store, info: RequestInfo, asked: _Asked) -> bytes | None:
    resource, options, table = shared.options.resource, shared.options, store.table
    if table.quarantined or table.nameless or version_number(store.version) is None:
        return None
    found: Iterable[KubeObject] = (table.objects[key] for key in table.keys(info.namespace))
    if asked.labels != options.label_selector:
        if options.label_selector:
            return None
        labels = LabelSelector.parse(asked.labels)
        found = (obj for obj in found if labels.matches(obj.meta.labels))
    if asked.fields != options.field_selector:
        if options.field_selector:
            return None
        try:
            matches = FieldSelector.parse(asked.fields).compile(resource)
        except SelectorError:
            return None
        found = filter(matches, found)
    items = list(found)
    kind = resource.kind or (items[0].kind if items else "")
    if not kind or (asked.limit and len(items) > asked.limit):
        return None
    # A list of custom resources is made without a type, and shows what a typed one leaves out.
    meta = (
        {"resourceVersion": store.version}
        if resource.kind
        else {"continue": "", "resourceVersion": store.version}
    )
    head = {"kind": f"{kind}List", "apiVersion": resource.api_version, "metadata": meta}
    joined = b",".join(without_type(obj, resource) for obj in items)
    return msgspec.json.encode(head)[:-1] + b',"items":[' + joined + b"]}"
