"""Fields that a JSON text gives more than once, which a decoder takes in silence."""

from __future__ import annotations

import json
from typing import Any

from .request_text import as_text, replaced

__all__ = ["repeated_fields"]


def repeated_fields(text: bytes) -> list[str]:
    """The paths of the fields that *text*, which is JSON, gives again: `spec.ports[0].port`."""
    found: dict[int, list[str]] = {}
    kept: list[Any] = []  # an id is one object's only while that lives

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if not valid:
            pairs = [(replaced(key), value) for key, value in pairs]
        obj = dict(pairs)
        if len(obj) == len(pairs) and not found:  # as nearly always
            return obj
        seen: set[str] = set()
        paths = []
        for key, value in pairs:
            if key in seen:
                paths.append(key)
            seen.add(key)
            paths += [f"{key}{path}" for path in _within(value, found)]
        if paths:
            found[id(obj)] = paths
            kept.append(obj)
        return obj

    plain = as_text(text)
    valid = "\\u" not in plain and replaced(plain) == plain
    return [path.removeprefix(".") for path in _within(json.loads(plain, object_pairs_hook=made), found)]


def _within(value: Any, found: dict[int, list[str]]) -> list[str]:
    """The paths in *value*, each with what leads to it from there."""
    if isinstance(value, dict):
        return [f".{path}" for path in found.get(id(value), ())]
    if isinstance(value, list):
        return [f"[{index}]{path}" for index, one in enumerate(value) for path in _within(one, found)]
    return []
