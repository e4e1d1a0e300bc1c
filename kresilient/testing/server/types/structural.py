"""The type of a custom resource, made from its structural schema (`x-kubernetes-*` and all)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .schema import ANY, DEDUCED, Field, List, Map, Scalar, Struct, Type, builtin_types

__all__ = ["custom_type"]

_SCALARS = {
    ("integer", "int32"): "int32",
    ("integer", ""): "int64",
    ("number", ""): "float64",
    ("string", ""): "string",
    ("boolean", ""): "bool",
}


def custom_type(kind: str, schema: Mapping[str, Any] | None) -> Struct:
    """The type of a custom kind: its metadata is that of every object, the rest is what *schema* says.

    Without a schema, fields have the type that their values show.
    """
    made = Struct(kind, object=True, open=schema is None)
    if schema is not None:
        _fill(made, schema)
    for name in ("apiVersion", "kind"):
        made.fields[name] = Field(name, Scalar("string"))
    meta = builtin_types()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]
    made.fields["metadata"] = Field("metadata", meta)
    return made


def _fill(struct: Struct, schema: Mapping[str, Any]) -> None:
    required = schema.get("required") or ()
    struct.open = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    struct.atomic = schema.get("x-kubernetes-map-type") == "atomic"
    for name, one in sorted((schema.get("properties") or {}).items()):
        struct.fields[name] = Field(
            name, _type(one), pointer=True, required=name in required, default=_key_default(one)
        )


def _key_default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return default if isinstance(default, str) else ""


def _type(schema: Mapping[str, Any]) -> Type:
    if schema.get("x-kubernetes-int-or-string"):
        return Scalar("IntOrString")
    kind = schema.get("type") or ""
    if kind == "array":
        items = schema.get("items")
        element = _type(items) if isinstance(items, Mapping) else ANY
        listed = schema.get("x-kubernetes-list-type")
        keys = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if listed == "map" else ()
        return List(element, keys, listed == "set")
    if kind == "object" or schema.get("properties"):
        additional = schema.get("additionalProperties")
        atomic = schema.get("x-kubernetes-map-type") == "atomic"
        if isinstance(additional, Mapping):
            return Map(_type(additional), atomic)
        if additional:
            return Map(DEDUCED, atomic)
        if schema.get("x-kubernetes-embedded-resource"):
            return custom_type("", schema)
        struct = Struct("")
        _fill(struct, schema)
        return struct
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return DEDUCED
    name = _SCALARS.get((kind, schema.get("format") or "")) or _SCALARS.get((kind, ""))
    return Scalar(name) if name else ANY
