"""What only a strict decoder minds (KEP-2885): fields given twice, and fields that a type does not have.

Which of them is told first, and in which words, is that of `sigs.k8s.io/json` and of the handlers of
`k8s.io/apiserver/pkg/endpoints`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from . import wire
from .request_text import as_text, replaced
from .request_yaml import repeated_keys

__all__ = [
    "duplicate_fields",
    "heeded",
    "patch_faults",
    "repeated_fields",
    "strict_faults",
    "unknown_fields",
    "yaml_faults",
]

_OPERATION: Final = frozenset({"op", "path", "from", "value"})
_YAML: Final = "yaml: unmarshal errors:\n"


def strict_faults(
    obj: Any, repeated: Iterable[str], unknown: Iterable[str], *, prefix: str = ""
) -> list[str]:
    """The faults of *obj*, in the order in which a decoder comes by them.

    A field that is unknown is that alone, however often it is given. *prefix* is put before each.
    """
    places = {path: place for place, path in enumerate(_paths(obj))}
    strange = list(unknown)
    beyond = tuple(f"{path}{end}" for path in strange for end in ".[")
    twice = [path for path in repeated if path not in strange and not path.startswith(beyond)]
    told = [(path, f"{prefix}unknown field {_quoted(path)}") for path in strange]
    told += [(path, f"{prefix}duplicate field {_quoted(path)}") for path in twice]
    told.sort(key=lambda one: places.get(one[0], len(places)))
    return list(dict.fromkeys(fault for _, fault in told))


def _paths(value: Any, path: str = "") -> Iterable[str]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _paths(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _paths(one, f"{path}[{index}]")


def unknown_fields(paths: Iterable[str]) -> list[str]:
    """The faults that the fields at *paths* are, in this order."""
    return [f"unknown field {_quoted(path)}" for path in paths]


def duplicate_fields(paths: Iterable[str]) -> list[str]:
    """The faults that the fields at *paths*, which are given again, are, in this order."""
    return list(dict.fromkeys(f"duplicate field {_quoted(path)}" for path in paths))


def _quoted(path: str) -> str:
    return wire.encode(path).decode()


def patch_faults(kind: str, text: bytes, patch: Any) -> list[str]:
    """What is wrong with *text*, that of the *patch* of *kind*, by itself: not with what it makes."""
    if kind == "apply":
        return yaml_faults(text)
    if kind != "json":
        return duplicate_fields(repeated_fields(text))
    operations = patch if isinstance(patch, list) else []
    unknown = [
        f"[{index}].{key}"
        for index, one in enumerate(operations)
        if isinstance(one, dict)
        for key in one
        if key not in _OPERATION
    ]
    return strict_faults(operations, repeated_fields(text), unknown, prefix="json patch ")


def yaml_faults(text: bytes) -> list[str]:
    """What is wrong with *text*, which is YAML, or JSON that is read as YAML. Raises `Unreadable`."""
    try:
        if not repeated_fields(text):
            return []
        text = text.replace(b"\t", b" ")  # between tokens alone, where a loader of YAML wants none
    except ValueError:
        pass  # it is no JSON
    said = repeated_keys(text)
    return [said] if said else []


def heeded(faults: list[str], validation: str, warnings: list[str]) -> str:
    """Why *faults* are refused where the *validation* is strict; else *warnings* takes them, if they are
    wanted, and nothing is refused."""
    if not faults or validation == "Ignore":
        return ""
    if validation == "Strict":
        return ", ".join(faults)
    for fault in faults:
        told = fault.removeprefix(_YAML)
        warnings += [line.strip() for line in told.split("\n")] if told != fault else [fault]
    return ""


# --- twice -------------------------------------------------------------------------------------------


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
