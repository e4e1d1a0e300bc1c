"""What the server's answer to a write says of the object: how it is now, or that it is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from ..api.errors import PoisonObject, parse_status
from ..api.objects import KubeObject
from ..api.resources import Key, Resource

__all__ = ["Deleted", "Written", "acknowledged"]

_SHOWS_ITS_PARENT: Final = frozenset({"", "approval", "ephemeralcontainers", "finalize", "resize", "status"})
"""Subresources that answer with the object they belong to; a `Scale` is another one."""


@dataclass(frozen=True, slots=True)
class Written:
    """The object is now *object*."""

    key: Key
    object: KubeObject

    @property
    def uid(self) -> str:
        return self.object.uid

    @property
    def version(self) -> str:
        return self.object.resource_version


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object *uid* is no more; *version* is its last, or that of its delete, `""` if neither is known."""

    key: Key
    uid: str
    version: str


class _Finalizers(msgspec.Struct):
    finalizers: list[str] | None = None


class _Meta(msgspec.Struct, rename="camel"):
    finalizers: list[str] | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None


class _Ends(msgspec.Struct):
    metadata: _Meta
    spec: _Finalizers | None = None  # of a namespace, which has some there


class _AnyEnds(msgspec.Struct):
    metadata: _Meta


_ends: Final = msgspec.json.Decoder(_Ends)
_any_ends: Final = msgspec.json.Decoder(_AnyEnds)


def acknowledged(resource: Resource, verb: str, key: Key | None, body: bytes) -> Written | Deleted | None:
    """What *body*, which answered *verb* on *resource* with success, says of the object.

    None where it says nothing of an object of that very group, version and kind: a Status without a uid, a
    `Scale`, a review.
    """
    if resource.subresource not in _SHOWS_ITS_PARENT:
        return None
    try:
        obj = KubeObject.decode(body.rstrip(), kind=resource.kind, api_version=resource.api_version)
    except PoisonObject:
        obj = None
    if obj is None or (obj.kind == "Status" and obj.api_version == "v1"):
        return _status(verb, key, body)
    same_kind = not resource.kind or obj.kind == resource.kind
    if not obj.uid or obj.api_version != resource.api_version or not same_kind:
        return None
    if _gone(verb, obj):
        return Deleted(obj.key, obj.uid, obj.resource_version)
    return Written(obj.key, obj)


def _status(verb: str, key: Key | None, body: bytes) -> Deleted | None:
    status = parse_status(body) if verb == "delete" and key is not None else None
    if status is None or key is None or status.details is None or not status.details.uid:
        return None
    return Deleted(key, status.details.uid, "")


def _gone(verb: str, obj: KubeObject) -> bool:
    """Whether the server has removed *obj*, rather than marked it.

    It removes one when nothing holds it any more: no finalizer and no grace period (`BeforeDelete` and
    `ShouldDeleteDuringUpdate` of its registry).
    """
    if verb != "delete" and not obj.deleting:
        return False
    try:
        ends = _ends.decode(obj.raw)
    except msgspec.ValidationError:  # whatever that spec is, it is no namespace's
        ends = _Ends(_any_ends.decode(obj.raw).metadata)
    meta = ends.metadata
    if meta.finalizers or (ends.spec is not None and ends.spec.finalizers and obj.kind == "Namespace"):
        return False
    grace = meta.deletion_grace_period_seconds
    return not grace if verb == "delete" else grace == 0
