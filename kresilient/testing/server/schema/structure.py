"""Pruning and defaults by a structural schema.

The rules are those of `k8s.io/apiextensions-apiserver/pkg/apiserver/schema`: a field that the schema does not
name is dropped, a null where none is allowed counts as absent, and defaults fill in what is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..types.decode import DecodeFault, decoded
from ..types.schema import Struct, builtin_types

__all__ = [
    "EMBEDDED",
    "PRESERVE",
    "TYPE_FIELDS",
    "Schema",
    "additional",
    "defaulted",
    "object_meta",
    "pruned",
    "unpruned",
]

Schema = Mapping[str, Any]
"""A `JSONSchemaProps` as plain data."""

PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
EMBEDDED: Final = "x-kubernetes-embedded-resource"
TYPE_FIELDS: Final = ("apiVersion", "kind", "metadata")


def additional(schema: Schema) -> Schema | None:
    """The schema of the values that `properties` does not name, if there is one."""
    found = schema.get("additionalProperties")
    return found if isinstance(found, Mapping) else None


def pruned(schema: Schema, obj: Mapping[str, Any], unknown: list[str]) -> dict[str, Any]:
    """*obj*, a whole resource, without what *schema* does not know; the paths of that go to *unknown*.

    Raises `DecodeFault` for metadata of a wrong type.
    """
    dropped: list[str] = []
    result = _object({**schema, EMBEDDED: True}, obj, "", dropped)
    metadata = [path for path in dropped if path.startswith("metadata.")]
    unknown += metadata + sorted(path for path in dropped if not path.startswith("metadata."))
    return result


def unpruned(schema: Schema, value: Any) -> list[str]:
    """The paths in *value*, any part of an object, that *schema* does not know."""
    unknown: list[str] = []
    _pruned(schema, value, "", unknown)
    return unknown


def _pruned(schema: Schema | None, value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, dict):
        return _object(schema, value, path, unknown)
    if isinstance(value, list):
        return _list(schema, value, path, unknown)
    return value


def _list(schema: Schema | None, value: list[Any], path: str, unknown: list[str]) -> list[Any]:
    items = None if schema is None else schema.get("items")
    if schema is not None and schema.get(PRESERVE):
        if items is None:
            return value
        items = {**items, PRESERVE: True}
    return [_pruned(items, one, f"{path}[{index}]", unknown) for index, one in enumerate(value)]


def _object(schema: Schema | None, value: Mapping[str, Any], path: str, unknown: list[str]) -> dict[str, Any]:
    schema = schema or {}
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    kept: dict[str, Any] = {}
    for key, one in value.items():
        below = f"{path}.{key}" if path else key
        if schema.get(EMBEDDED) and key in TYPE_FIELDS:
            kept[key] = _metadata(one, below, unknown) if key == "metadata" else one
        elif key in properties:
            kept[key] = _pruned(properties[key], one, below, unknown)
        elif schema.get("additionalProperties") is not None:
            kept[key] = _pruned(additional(schema), one, below, unknown)
        elif schema.get(PRESERVE):
            kept[key] = one
        else:
            unknown.append(below)
    return kept


def _metadata(metadata: Any, path: str, unknown: list[str]) -> Any:
    """*metadata* as the server's own type has it; that of a resource inside is kept where it is wrong."""
    dropped: list[str] = []
    try:
        kept = decoded(object_meta(), metadata, unknown=dropped)
    except DecodeFault:
        if path == "metadata":
            raise
        return metadata
    unknown += [f"{path}.{inner}" for inner in dropped]
    return {key: one for key, one in kept.items() if one is not None}


def object_meta() -> Struct:
    """The type of all metadata."""
    return builtin_types()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]


def defaulted(schema: Schema | None, value: Any) -> Any:
    """*value* without the nulls that *schema* does not allow, and with its defaults."""
    if schema is None:
        return value
    if isinstance(value, list):
        return [defaulted(schema.get("items"), one) for one in value]
    if not isinstance(value, dict):
        return value
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    others = additional(schema)
    filled: dict[str, Any] = {}
    for key, one in value.items():
        inner = properties.get(key, others)
        if one is None and inner is not None and not inner.get("nullable"):
            continue
        filled[key] = defaulted(inner, one)
    for key, inner in properties.items():
        if key not in filled and inner.get("default") is not None:
            filled[key] = defaulted(inner, _copied(inner["default"]))
    return filled


def _copied(value: Any) -> Any:
    """A deep copy of plain data."""
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value
