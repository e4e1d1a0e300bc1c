"""The forms in which a client may ask for objects: whole, as metadata only, or as a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from . import wire
from .kinds import ApiResource
from .storage import Stored
from .types.decode import DecodeFault, decoded
from .types.schema import Struct, builtin_types

__all__ = ["CHUNK", "Form", "MetadataForm", "ObjectForm"]

CHUNK = 1 << 18
"""About how many bytes of a list are handed on at once."""

_metadata = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Form(ABC):
    """How objects of one resource are shown: `one` for a get or an event, `listed` for a list.

    `name` tells forms apart whose bytes differ, so that an event is encoded once for all who share one;
    `begins` tells that the first event of a watch is shown otherwise than the others.
    """

    name = "object"
    begins = False

    def __init__(self, resource: ApiResource) -> None:
        self.resource = resource

    @abstractmethod
    def one(self, stored: Stored) -> bytes:
        """One object by itself."""

    def more(self, stored: Stored) -> bytes:
        """One object in a watch that has shown one before."""
        return self.one(stored)

    def bookmark(self, version: int, *, initial_events_end: bool) -> bytes:
        """The object of a BOOKMARK event."""
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if initial_events_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        if self.resource.custom:
            metadata = dict(sorted(metadata.items()))
        return self.header + b'"metadata":' + wire.encode(metadata) + b"}"

    @property
    def header(self) -> bytes:
        """What a bookmark's object begins with."""
        if self.resource.custom:
            return self.resource.header + b'"kind":' + wire.encode(self.resource.kind) + b","
        return self.resource.header

    def at_version(self, stored: Stored, version: int) -> Stored:
        """*stored* as the object of a DELETED event: its content with the version of the deletion."""
        return at_version(stored, version, self.resource)

    def listed(
        self,
        items: list[Stored],
        version: int,
        *,
        continue_token: str = "",
        remaining: int = 0,
        shard: str = "",
    ) -> Iterator[bytes]:
        """A whole list in pieces of about `CHUNK` bytes; *shard* is the shard selector that it was cut by."""
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if continue_token:
            metadata["continue"] = continue_token
            if remaining:
                metadata["remainingItemCount"] = remaining
        if shard:
            metadata["shardInfo"] = {"selector": shard}
        head, tail = self._around(metadata)
        yield from _joined(head, (self._item(stored) for stored in self._ordered(items)), tail)

    def _ordered(self, items: list[Stored]) -> list[Stored]:
        """*items* in the order in which a list shows them."""
        return items

    @abstractmethod
    def _around(self, metadata: dict[str, Any]) -> tuple[bytes, bytes]:
        """What stands before and behind the items of a list."""

    @abstractmethod
    def _item(self, stored: Stored) -> bytes:
        """One object in a list."""


class ObjectForm(Form):
    """Whole objects. The list of a built-in resource holds items without kind and apiVersion, in the order
    of a Go struct; that of a custom resource has sorted keys and whole items."""

    def __init__(self, resource: ApiResource) -> None:
        super().__init__(resource)
        self.name = f"object {resource.api_version}"
        self._header = resource.header
        self._converted = resource.converted

    def one(self, stored: Stored) -> bytes:
        return self.resource.seen(stored).full(self._header)

    def _item(self, stored: Stored) -> bytes:
        if self.resource.custom:
            return self.one(stored)
        return self.resource.seen(stored).item if self._converted else stored.item

    def _around(self, metadata: dict[str, Any]) -> tuple[bytes, bytes]:
        kind, api_version = wire.encode(self.resource.list_kind), wire.encode(self.resource.api_version)
        if self.resource.custom:
            ordered = wire.encode_sorted({"continue": ""} | metadata)
            head = b'{"apiVersion":' + api_version + b',"items":['
            return head, b'],"kind":' + kind + b',"metadata":' + ordered + b"}\n"
        head = b'{"kind":' + kind + b',"apiVersion":' + api_version
        return head + b',"metadata":' + wire.encode(metadata) + b',"items":[', b"]}\n"


class MetadataForm(Form):
    """`PartialObjectMetadata` of `meta.k8s.io/v1`: nothing but the metadata."""

    _header = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1"'

    def __init__(self, resource: ApiResource) -> None:
        super().__init__(resource)
        self.name = f"metadata {resource.api_version}"

    @property
    def header(self) -> bytes:
        return self._header + b","

    def one(self, stored: Stored) -> bytes:
        shown = stored if self.resource.custom else self.resource.seen(stored)
        return self._header + b',"metadata":' + metadata_of(shown, self.resource) + b"}"

    _item = one

    def _around(self, metadata: dict[str, Any]) -> tuple[bytes, bytes]:
        head = b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":'
        return head + wire.encode(metadata) + b',"items":[', b"]}\n"


def metadata_of(stored: Stored, resource: ApiResource) -> bytes:
    """The object's metadata, also that of custom resources in the order of the Go struct."""
    try:
        raw = bytes(_metadata.decode(stored.item)["metadata"])
        return wire.encode(decoded(_object_meta(), wire.decode(raw))) if resource.custom else raw
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, DecodeFault):
        return b"{}"


def _object_meta() -> Struct:
    return builtin_types()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]


METADATA_ORDER: Final = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def ordered_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """*metadata* in the order of `metav1.ObjectMeta`, its maps sorted; what is no field of it is left out."""
    ordered = {key: metadata[key] for key in METADATA_ORDER if key in metadata}
    for key in ("labels", "annotations"):
        if isinstance(ordered.get(key), dict):
            ordered[key] = dict(sorted(ordered[key].items()))
    return ordered


def at_version(stored: Stored, version: int, resource: ApiResource) -> Stored:
    """*stored* with `metadata.resourceVersion` *version*; poison stays as it is."""
    item = stored.item
    if not stored.poison:
        decoded = stored.decode()
        decoded["metadata"]["resourceVersion"] = str(version)
        item = wire.encode_sorted(decoded) if resource.custom else wire.encode(decoded)
    return Stored(stored.key, version, item, stored.node, stored.poison, stored._labels, stored.shape)


def _joined(head: bytes, items: Iterable[bytes], tail: bytes) -> Iterator[bytes]:
    source = iter(items)
    pieces = [head]
    first = True
    while batch := list(islice(source, 16)):
        if not first:
            pieces.append(b",")
        pieces.append(b",".join(batch))
        first = False
        if sum(map(len, pieces)) >= CHUNK:
            yield b"".join(pieces)
            pieces = []
    pieces.append(tail)
    yield b"".join(pieces)
