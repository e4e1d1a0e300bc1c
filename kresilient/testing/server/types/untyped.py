"""Numbers in values without a type, as `sigs.k8s.io/json` reads and `encoding/json` writes them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

__all__ = ["floating", "untyped"]

_INT64: Final = 2**63
_PLAIN: Final = 1e21
"""From here on Go writes a number with an exponent."""


def untyped(value: Any) -> Any:
    """*value* with its numbers as a server keeps those of a custom resource.

    What is written without fraction and exponent is an `int64`, all else a `float64`, of which Go writes a
    whole one without its point: `1.0` becomes `1`, and 2^63 the shortest digits that stand for it.
    """
    match value:
        case bool():
            return value
        case dict():
            return {key: untyped(one) for key, one in value.items()}
        case list():
            return [untyped(one) for one in value]
        case int() if not -_INT64 <= value < _INT64:
            return _float(float(value))
        case float():
            return _float(value)
    return value


def floating(value: Any) -> bool:
    """Whether a whole number in *value* is written with a point or an exponent (`1.0`, `1e3`): a `float64`,
    that is, until it has been stored, and an `int64` from then on."""
    match value:
        case dict():
            return any(map(floating, value.values()))
        case list():
            return any(map(floating, value))
        case float():
            return value.is_integer() and -_INT64 <= value < _INT64
    return False


def _float(value: float) -> int | float:
    return int(Decimal(repr(value))) if value.is_integer() and abs(value) < _PLAIN else value
