"""An object's bytes with its `kind` and `apiVersion` in them, or without.

Items of a built-in list carry neither, objects of a watch and of a get both: a cache holds either.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ...api.objects import KubeObject
from ...api.resources import Resource

__all__ = ["with_type", "without_type"]


class _TypeMeta(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""


_decoder: Final = msgspec.json.Decoder(_TypeMeta)


def with_type(obj: KubeObject) -> bytes:
    """The JSON of *obj* as a get has it."""
    if not obj.kind or _decoder.decode(obj.raw).kind:
        return obj.raw
    return _prefix(obj.kind, obj.api_version) + obj.raw.lstrip()[1:]


def without_type(obj: KubeObject, resource: Resource) -> bytes:
    """The JSON of *obj* as an item of a list of *resource* has it: custom resources keep their type."""
    prefix = _prefix(resource.kind, resource.api_version)
    return b"{" + obj.raw[len(prefix) :] if resource.kind and obj.raw.startswith(prefix) else obj.raw


def _prefix(kind: str, api_version: str) -> bytes:
    return b'{"kind":%s,"apiVersion":%s,' % (msgspec.json.encode(kind), msgspec.json.encode(api_version))
