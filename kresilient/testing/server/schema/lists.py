"""Lists that are sets or maps: no element, or no key, twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import wire
from ..causes import duplicate, invalid_value
from ..statuses import Cause
from .structure import Schema, additional

__all__ = ["LIST_KEYS", "LIST_TYPE", "aligned", "key_of", "list_faults"]

LIST_TYPE = "x-kubernetes-list-type"
LIST_KEYS = "x-kubernetes-list-map-keys"


def list_faults(schema: Schema | None, value: Any, path: str = "") -> Iterator[Cause]:
    """What breaks `x-kubernetes-list-type` anywhere in *value*."""
    if schema is None:
        return
    if isinstance(value, dict):
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        others = additional(schema)
        if others is not None:
            for key in sorted(value):
                yield from list_faults(others, value[key], f"{path}[{key}]")
        for key in sorted(value.keys() & properties.keys()):
            yield from list_faults(properties[key], value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        yield from _twice(schema, value, path)
        for index, one in enumerate(value):
            yield from list_faults(schema.get("items"), one, f"{path}[{index}]")


def _twice(schema: Schema, items: list[Any], path: str) -> Iterator[Cause]:
    kind = schema.get(LIST_TYPE)
    if kind == "map":
        for index, one in enumerate(items):
            if one is not None and not isinstance(one, dict):
                why = "must be an object for an array of list-type map"
                yield invalid_value(f"{path}[{index}]", one, why)
                return
    elif kind != "set":
        return
    keys = [one if kind == "set" else key_of(schema, one) for one in items]
    seen: dict[bytes, int] = {}
    for index, key in enumerate(keys):
        encoded = wire.encode_sorted(key)
        seen[encoded] = seen.get(encoded, 0) + 1
        if seen[encoded] == 2:
            yield duplicate(f"{path}[{index}]", key)


def key_of(schema: Schema, item: Any) -> dict[str, Any]:
    """The fields of *item* that tell it from others in a list of type map."""
    names = schema.get(LIST_KEYS) or ()
    return {name: item[name] for name in names if isinstance(item, dict) and name in item}


def aligned(schema: Schema | None, old: Any, new: Any) -> Any:
    """*old* with the elements of its sets and maps in the order in which *new* has them.

    That order means nothing: two values that differ in it alone are equal.
    """
    if schema is None or type(new) is not type(old):
        return old
    if isinstance(old, dict):
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        others = additional(schema)
        return {
            key: aligned(properties.get(key, others), one, new[key]) if key in new else one
            for key, one in old.items()
        }
    if not isinstance(old, list) or schema.get(LIST_TYPE) not in ("set", "map"):
        return old
    known = {_identity(schema, one): one for one in old}
    if len(known) < len(old):
        return old  # an element twice: neither set nor map
    ordered = [
        aligned(schema.get("items"), known.pop(identity), one)
        for one in new
        if (identity := _identity(schema, one)) in known
    ]
    return ordered + list(known.values())


def _identity(schema: Schema, item: Any) -> bytes:
    return wire.encode_sorted(item if schema.get(LIST_TYPE) == "set" else key_of(schema, item))
