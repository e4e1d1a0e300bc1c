"""When two values of a type are the same to the server (`equality.Semantic` of apimachinery)."""

from __future__ import annotations

from typing import Any

from .quantity import value as amount
from .schema import ANY, Field, List, Map, Scalar, Struct, Type

__all__ = ["same"]

_UNKNOWN = Field("", ANY)


def same(kind: Type, one: Any, other: Any) -> bool:
    """Whether *one* and *other*, both decoded as *kind*, are the same: quantities by what they amount to, and
    lists and maps that are empty as those that are not there."""
    if one == other or (isinstance(kind, List | Map) and not one and not other):
        return True
    if one is None or other is None:
        return False
    match kind:
        case Scalar():
            return kind.name == "Quantity" and amount(one) == amount(other)
        case Struct(fields=fields):
            names = one.keys() | other.keys()
            return all(
                same(fields.get(name, _UNKNOWN).type, one.get(name), other.get(name)) for name in names
            )
        case List():
            return len(one) == len(other) and all(
                same(kind.element, *pair) for pair in zip(one, other, strict=True)
            )
        case Map():
            return one.keys() == other.keys() and all(
                same(kind.element, value, other[key]) for key, value in one.items()
            )
    raise TypeError(kind)
