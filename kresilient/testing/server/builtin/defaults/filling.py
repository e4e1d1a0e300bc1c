"""How a default is set: where a client gave nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["each", "fill", "part"]

Object = dict[str, Any]


def part(obj: Object, name: str) -> Object:
    """The object in the field *name*, made where it is absent."""
    if not isinstance(obj.get(name), dict):
        obj[name] = {}
    part: Object = obj[name]
    return part


def fill(obj: Object, **values: Any) -> None:
    """Give *obj* those *values* of which it has none, or an empty text."""
    for name, value in values.items():
        if obj.get(name) in (None, ""):
            obj[name] = value


def each(obj: Object, name: str) -> Iterator[Object]:
    """The objects in the list *name*."""
    return (one for one in obj.get(name) or () if isinstance(one, dict))
