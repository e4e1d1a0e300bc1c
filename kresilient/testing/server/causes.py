"""What is wrong with one field, in the words of `k8s.io/apimachinery/pkg/util/validation/field`.

Each function makes one `Cause`; `statuses.invalid` makes an answer of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from . import wire
from .statuses import Cause

__all__ = [
    "NIL",
    "OMITTED",
    "duplicate",
    "forbidden",
    "invalid_type",
    "invalid_value",
    "quoted",
    "required",
    "too_long",
    "too_many",
    "unsupported",
]

OMITTED: Final = object()
"""Stands for a value that a message does not show."""
NIL: Final = object()
"""Stands for a list that was never set."""


def required(field: str, detail: str = "") -> Cause:
    return _cause("FieldValueRequired", "Required value", field, OMITTED, detail)


def forbidden(field: str, detail: str) -> Cause:
    return _cause("FieldValueForbidden", "Forbidden", field, OMITTED, detail)


def duplicate(field: str, value: Any) -> Cause:
    return _cause("FieldValueDuplicate", "Duplicate value", field, value)


def invalid_value(field: str, value: Any, detail: str) -> Cause:
    return _cause("FieldValueInvalid", "Invalid value", field, value, detail)


def invalid_type(field: str, value: Any, detail: str) -> Cause:
    return _cause("FieldValueTypeInvalid", "Invalid value", field, value, detail)


def unsupported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """*value* is none of those *supported*."""
    listed = ", ".join(quoted(one) for one in supported)
    detail = f"supported values: {listed}" if listed else ""
    return _cause("FieldValueNotSupported", "Unsupported value", field, value, detail)


def too_long(field: str, limit: int) -> Cause:
    """A text of more than *limit* bytes, or characters."""
    detail = f"may not be more than {limit} {'byte' if limit == 1 else 'bytes'}"
    return _cause("FieldValueTooLong", "Too long", field, OMITTED, detail)


def too_many(field: str, count: int, limit: int) -> Cause:
    """*count* items, which are more than *limit*."""
    detail = f"must have at most {limit} {'item' if limit == 1 else 'items'}"
    return _cause("FieldValueTooMany", "Too many", field, count, detail)


def _cause(reason: str, title: str, field: str, value: Any, detail: str = "") -> Cause:
    shown = title if value is OMITTED else f"{title}: {_shown(value)}"
    return reason, f"{shown}: {detail}" if detail else shown, field


def _shown(value: Any) -> str:
    """*value* as Go's `%v` or its JSON has it; what is not set is the text `null`."""
    if value is None:
        return '"null"'
    if value is NIL:
        return "null"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, dict | list):
        return wire.encode_sorted(value).decode()
    return wire.encode(value).decode()


def quoted(text: str) -> str:
    """*text* as Go's `%q` has it, which escapes control characters and nothing that can be printed."""
    escaped = []
    for char in text:
        if char in _ESCAPES:
            escaped.append(_ESCAPES[char])
        elif char.isprintable():
            escaped.append(char)
        elif ord(char) < 0x80:
            escaped.append(f"\\x{ord(char):02x}")
        else:
            escaped.append(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
    return f'"{"".join(escaped)}"'


_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
