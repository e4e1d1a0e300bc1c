"""Structural schemas of custom resources: pruning, defaults, and the validation that clients run into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import wire
from .kinds import ApiResource
from .statuses import Cause, invalid

__all__ = ["conform"]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def conform(resource: ApiResource, obj: dict[str, Any]) -> dict[str, Any]:
    """*obj* with unknown fields pruned and defaults filled in. Raises `Refused` (422) where it is invalid.

    Known of the schema language: type, properties, additionalProperties, items, required, default, enum,
    minimum, maximum, nullable, x-kubernetes-int-or-string and x-kubernetes-preserve-unknown-fields.
    """
    schema = resource.schema
    if schema is None:
        return obj
    own = ("apiVersion", "kind", "metadata")
    body: dict[str, Any] = _shaped(schema, {key: value for key, value in obj.items() if key not in own})
    if causes := list(_faults(schema, body, "")):
        raise invalid(resource, obj["metadata"]["name"], *causes)
    return {key: obj[key] for key in own if key in obj} | body


def _shaped(schema: Mapping[str, Any], value: Any) -> Any:
    """*value* pruned and defaulted."""
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_shaped(schema["items"], one) for one in value]
    if not isinstance(value, dict):
        return value
    properties: Mapping[str, Any] = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    keep = bool(additional) or bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    shaped = {}
    for key, one in value.items():
        if key in properties:
            if one is None and "default" in properties[key] and not properties[key].get("nullable"):
                continue
            shaped[key] = _shaped(properties[key], one)
        elif keep:
            shaped[key] = _shaped(additional, one) if isinstance(additional, Mapping) else one
    for key, one in properties.items():
        if key not in shaped and "default" in one:
            shaped[key] = _shaped(one, wire.decode(wire.encode(one["default"])))
    return shaped


def _faults(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[Cause]:
    if value is None and schema.get("nullable"):
        return
    field = path or "<nil>"
    kind = schema.get("type")
    if kind and not schema.get("x-kubernetes-int-or-string"):
        fits = isinstance(value, _TYPES[kind]) and not (
            isinstance(value, bool) and kind in ("integer", "number")
        )
        if not fits:
            found = _type_of(value)
            said = f'Invalid value: "{found}": {field} in body must be of type {kind}: "{found}"'
            yield ("FieldValueTypeInvalid", said, field)
            return
    quoted = wire.encode(value).decode()
    if "enum" in schema and value not in schema["enum"]:
        listed = ", ".join(wire.encode(one).decode() for one in schema["enum"])
        yield ("FieldValueNotSupported", f"Unsupported value: {quoted}: supported values: {listed}", field)
    for bound, beyond, words in (("maximum", 1, "less"), ("minimum", -1, "greater")):
        limit = schema.get(bound)
        if limit is not None and isinstance(value, int | float) and (value - limit) * beyond > 0:
            said = f"Invalid value: {quoted}: {field} in body should be {words} than or equal to {limit}"
            yield ("FieldValueInvalid", said, field)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, one in enumerate(value):
            yield from _faults(schema["items"], one, f"{path}[{index}]")
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        for key in sorted({*properties, *schema.get("required", ())}):
            below = f"{path}.{key}" if path else key
            if key in value:
                yield from _faults(properties.get(key) or {}, value[key], below)
            elif key in schema.get("required", ()):
                yield ("FieldValueRequired", "Required value", below)


def _type_of(value: Any) -> str:
    for name, types in (("boolean", bool), ("integer", int), ("number", float), ("string", str)):
        if isinstance(value, types):
            return name
    return "null" if value is None else "array" if isinstance(value, list) else "object"
