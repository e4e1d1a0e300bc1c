"""Objects as the server sent them: JSON bytes with a decoded header.

The header (name, namespace, uid, version, labels) is decoded once, on arrival; the body is decoded when
somebody asks, and only the part asked for, into fresh plain data. So nobody can change what a cache holds,
and what nobody reads costs nothing but its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec

from .errors import PoisonObject
from .fields import FieldPath
from .resources import Key

__all__ = ["KubeObject", "ObjectMeta"]

T = TypeVar("T")
_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})
_ABSENT: Final = object()


class ObjectMeta(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The part of `metadata` that is decoded when an object arrives."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels_: dict[str, str] | None = msgspec.field(default=None, name="labels")
    deletion_timestamp: str | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels, read-only."""
        return _NO_LABELS if self.labels_ is None else MappingProxyType(self.labels_)


class Header(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What is decoded of every object: its type, where it carries one, and its header."""

    metadata: ObjectMeta
    kind: str = ""
    api_version: str = ""


_header_decoder: Final = msgspec.json.Decoder(Header)


@lru_cache(maxsize=1024)
def in_common(text: str) -> str:
    """*text* as the one string that all objects of a kind hold, rather than a copy in each."""
    return text


@lru_cache(maxsize=1024)
def _labels_in_common(labels: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {name: in_common(value) for name, value in labels}


def shared_header(meta: ObjectMeta) -> ObjectMeta:
    """*meta* with what other objects have too (namespace, labels) held once for all of them."""
    labels = meta.labels_
    return ObjectMeta(
        meta.name,
        in_common(meta.namespace),
        meta.uid,
        meta.resource_version,
        labels and _labels_in_common(tuple(labels.items())),
        meta.deletion_timestamp,
    )


class KubeObject(msgspec.Struct, frozen=True, gc=False, eq=False, repr_omit_defaults=True):
    """One Kubernetes object: immutable bytes, a decoded header, and the body on access.

    `obj["spec"]` decodes only `spec`, each time anew, so the result is the caller's to change. Equality is
    that of the bytes. Safe to read from any thread.

    Attributes:
        raw: the JSON exactly as it is held. Items of a built-in list carry no `kind` and `apiVersion`.
        meta: the decoded header.
        kind, api_version: the object's type, taken from its list where it carries none itself.
    """

    raw: bytes
    meta: ObjectMeta
    kind: str = ""
    api_version: str = ""

    @classmethod
    def decode(cls, raw: bytes, *, kind: str = "", api_version: str = "") -> KubeObject:
        """The object in *raw*; *kind* and *api_version* serve where it carries none.

        Raises `PoisonObject` where it is no JSON object with a name, or is no valid UTF-8.
        """
        try:
            header = _header_decoder.decode(raw)
            if not raw.isascii():
                raw.decode()  # msgspec skips the body unseen
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PoisonObject(f"an object does not decode: {error}") from error
        if not header.metadata.name:
            raise PoisonObject("an object has no metadata.name")
        return cls(
            raw, header.metadata, in_common(header.kind) or kind, in_common(header.api_version) or api_version
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> KubeObject:
        """The object that *data* describes. Raises `PoisonObject` where it has no name."""
        try:
            raw = msgspec.json.encode(data)
        except (TypeError, ValueError) as error:
            raise PoisonObject(f"an object does not encode as JSON: {error}") from error
        return cls.decode(raw)

    # --- the header ---

    @property
    def key(self) -> Key:
        """`"namespace/name"`, or `"name"` at cluster scope."""
        meta = self.meta  # `join_key`, without the call
        return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name

    @property
    def name(self) -> str:
        return self.meta.name

    @property
    def namespace(self) -> str:
        """The namespace, `""` at cluster scope."""
        return self.meta.namespace

    @property
    def uid(self) -> str:
        return self.meta.uid

    @property
    def resource_version(self) -> str:
        return self.meta.resource_version

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels, read-only."""
        return self.meta.labels

    @property
    def annotations(self) -> dict[str, str]:
        """The annotations, decoded on access."""
        return self.field("metadata.annotations", default={})  # type: ignore[no-any-return]

    @property
    def deleting(self) -> bool:
        """Whether deletion was asked for and waits for finalizers or a grace period."""
        return self.meta.deletion_timestamp is not None

    # --- the body ---

    def __getitem__(self, field: str) -> Any:
        value = _top_level(field).decode(self.raw).value
        if value is msgspec.UNSET:
            if field == "kind" and self.kind:
                return self.kind
            if field == "apiVersion" and self.api_version:
                return self.api_version
            raise KeyError(field)
        return value

    def get(self, field: str, default: Any = None) -> Any:
        """The top-level *field*, decoded anew, or *default* where it is absent."""
        try:
            return self[field]
        except KeyError:
            return default

    def __contains__(self, field: object) -> bool:
        return isinstance(field, str) and self.get(field, _ABSENT) is not _ABSENT

    def keys(self) -> list[str]:
        """The names of the top-level fields."""
        fields = list(_raw_fields.decode(self.raw))
        if self.kind and "kind" not in fields:
            fields[:0] = ["apiVersion", "kind"]
        return fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def field(self, path: str, default: Any = None) -> Any:
        """The value at a field path such as `spec.containers[0].image`, or *default*; see `FieldPath`."""
        return FieldPath.parse(path).value(self.raw, default)

    def to_dict(self) -> dict[str, Any]:
        """The whole object as fresh plain data, with `apiVersion` and `kind` filled in."""
        data: dict[str, Any] = msgspec.json.decode(self.raw)
        if self.kind and "kind" not in data:
            data = {"apiVersion": self.api_version, "kind": self.kind, **data}
        return data

    def as_type(self, kind: type[T]) -> T:
        """The object decoded into *kind*, anything msgspec can decode into.

        Raises `msgspec.ValidationError` where the object has another shape.
        """
        return msgspec.json.decode(self.raw, type=kind)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KubeObject) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"<{self.kind or 'object'} {self.key} at {self.resource_version or 'no version'}>"


_raw_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _TopLevel(msgspec.Struct):
    value: Any = msgspec.UNSET


@lru_cache(maxsize=256)
def _top_level(field: str) -> msgspec.json.Decoder[_TopLevel]:
    kind = msgspec.defstruct(
        "TopLevel", [("value", Any, msgspec.UNSET)], rename={"value": field}, bases=(_TopLevel,)
    )
    return msgspec.json.Decoder(kind)
