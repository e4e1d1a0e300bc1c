"""Custom resources in a table: the columns that their definition declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .. import wire
from . import jsonpath
from .printer import AGE, NAME, Object, Printer, column, since

__all__ = ["custom_printer"]

_DEFAULT: Final = (
    {
        "name": "Age",
        "type": "date",
        "description": AGE["description"],
        "jsonPath": ".metadata.creationTimestamp",
    },
)
"""What is shown where a version declares no columns."""


def custom_printer(declared: Sequence[Mapping[str, Any]]) -> Printer:
    """Shows the name and then the columns of `additionalPrinterColumns`, or the age without any."""
    declared = declared or _DEFAULT
    read = [(one["type"], _path(one["jsonPath"])) for one in declared]

    def cells(obj: Object, now: float) -> list[Any]:
        return [obj["metadata"]["name"], *(_cell(kind, path, obj, now) for kind, path in read)]

    return Printer((NAME, *map(_column, declared)), cells)


def _path(text: str) -> jsonpath.Path | None:
    try:
        return jsonpath.parse(text)
    except ValueError:
        return None


def _column(declared: Mapping[str, Any]) -> dict[str, Any]:
    path = declared["jsonPath"]
    text = declared.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
    shown = column(declared["name"], text, declared["type"], form=declared.get("format") or "")
    return shown | {"priority": declared.get("priority") or 0}


def _cell(kind: str, path: jsonpath.Path | None, obj: Object, now: float) -> Any:
    """The first value that *path* leads to, if it is of the column's type; else None."""
    try:
        found = path.find(obj) if path is not None else []
    except (LookupError, TypeError):
        return None
    value = found[0] if found else None
    match kind, value:
        case _, None:
            return None
        case "string", _:
            return _text(value)
        case (("integer" | "number" | "boolean"), bool()):
            return value if kind == "boolean" else None
        case "integer", int() | float():
            return int(value)
        case "number", int() | float():
            return value
        case "date", str():
            try:
                return since(value, now)
            except ValueError:
                return "<invalid>"
    return None


def _text(value: Any) -> str:
    """*value* as Go prints it; what has parts as JSON."""
    if isinstance(value, str):
        return value
    return wire.encode_sorted(value).decode()
