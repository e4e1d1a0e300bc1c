"""The text of a request body as plain data: what JSON has, and no deeper than the server can go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import msgspec

from . import wire
from .types.untyped import untyped

__all__ = ["DEEPEST", "Unreadable", "as_text", "in_order", "plain", "read_json", "replaced", "too_deep"]

DEEPEST: Final = 100
"""How deep lists and objects may lie in each other; `encoding/json` goes to 10,000, which Python cannot."""
_MOST: Final = 1_000_000
"""Values that a YAML document may unfold to; aliases of aliases would come to more than memory holds."""
_BEYOND: Final = 2**1024 - 2**970
"""From here on an integer is nearer to the next power of two than to the largest float."""
_LONG: Final = re.compile(rb"[0-9]{309}")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class Unreadable(ValueError):
    """A text that is neither JSON nor YAML, or beyond what is taken; the message says why."""


def read_json(text: bytes) -> Any:
    """*text*, which is JSON. Raises `Unreadable`."""
    try:
        value = wire.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        value = _replaced_json(text, error)
    if text.count(b"{") + text.count(b"[") > DEEPEST and too_deep(value):
        raise Unreadable("exceeded max depth")
    if _LONG.search(text):
        _check_numbers(value)
    return value


def _check_numbers(value: Any) -> None:
    """Raises `Unreadable` for an integer in *value* that no float can hold, which Go would make of it."""
    for one in _within(value) if isinstance(value, dict | list) else (value,):
        if isinstance(one, int) and abs(one) >= _BEYOND:
            raise Unreadable(f"json: cannot unmarshal number {one} into Go value of type float64")
        if isinstance(one, dict | list):
            _check_numbers(one)


def _replaced_json(text: bytes, fault: Exception) -> Any:
    """*text*, which a strict decoder refuses, with what is no character replaced, as `encoding/json` does."""
    try:
        return plain(json.loads(as_text(text), parse_constant=_no_constant))
    except ValueError:
        raise Unreadable(str(fault)) from None
    except RecursionError:
        raise Unreadable("exceeded max depth") from None


def _no_constant(name: str) -> float:
    raise ValueError(name)


def as_text(data: bytes) -> str:
    """*data* decoded, with half a surrogate pair for every byte that is no UTF-8: see `replaced`."""
    return data.decode("utf-8", "surrogateescape")


def replaced(text: str) -> str:
    """*text* with U+FFFD for each half of a surrogate pair that stands alone, as Go has it."""
    return _SURROGATES.sub("\ufffd", text)


def in_order(value: Any) -> Any:
    """*value* with the keys of every object sorted, as what Go makes of a map."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(one) for one in value] if isinstance(value, list) else value


def too_deep(value: Any) -> bool:
    """Whether *value* goes deeper than `DEEPEST`, or into more values than there may be."""
    level: list[Any] = [value]
    for _ in range(DEEPEST + 1):
        level = [inner for one in level for inner in _within(one) if isinstance(inner, dict | list | set)]
        if not level:
            return False
        if len(level) > _MOST:
            break
    return True


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def plain(value: Any) -> Any:
    """*value*, made by a YAML or a lenient JSON decoder, as what JSON has. Raises `Unreadable`."""
    match value:
        case str():
            return replaced(value)
        case dict():
            return {_key(key): plain(one) for key, one in value.items()}
        case list():
            return [plain(one) for one in value]
        case set():
            return {_key(one): None for one in value}
        case date():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "replace")
        case float() if value - value != 0:  # infinite, or no number
            raise Unreadable(f"json: unsupported value: {value}")
        case float():
            return untyped(value)
    return value


def _key(key: Any) -> str:
    match key:
        case str():
            return replaced(key)
        case bool():
            return "true" if key else "false"
        case int() | float():
            return str(key)
        case date():
            return key.isoformat()
    raise Unreadable(f"unsupported map key of type: {type(key).__name__}")
