"""Whether the defaults of a schema are values that the schema takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..causes import invalid_value
from ..statuses import Cause
from .embedded import embedded_faults
from .keywords import Checks
from .structure import EMBEDDED, TYPE_FIELDS, Schema, unpruned

__all__ = ["default_faults"]


def default_faults(schema: Schema, path: str) -> list[Cause]:
    """What is wrong with the defaults in *schema*, a root schema at *path* that is structural."""
    return list(_faults({**schema, EMBEDDED: True}, path))


def _faults(schema: Schema, path: str) -> Iterator[Cause]:
    value = schema.get("default")
    if value is not None:
        where = f"{path}.default"
        if unpruned(schema, value):
            yield invalid_value(where, value, "must not have unknown fields")
        embedded = list(embedded_faults(schema, value, where))
        yield from embedded or Checks(schema).faults(value, field=where)
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield from _faults(items, f"{path}.items")
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    for name in sorted(properties):
        if not (schema.get(EMBEDDED) and name in TYPE_FIELDS):
            yield from _faults(properties[name], f"{path}.properties[{name}]")
