"""Patches: JSON patch (RFC 6902), merge patch (RFC 7396), and the way to strategic merge patch."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

from . import wire
from .kinds import ApiResource
from .request_text import too_deep
from .statuses import bad_request, too_large, unprocessable
from .strategic import strategic_merge

__all__ = ["applied", "merged"]

MOST_OPERATIONS: Final = 10_000
"""How many operations a JSON patch may have (`maxJSONPatchOperations`)."""


def applied(resource: ApiResource, obj: dict[str, Any], patch: Any, kind: str) -> dict[str, Any]:
    """*obj* after *patch* of *kind* `json`, `merge` or `strategic`. *obj* is not changed.

    Raises `Refused`: 400 for a patch of the wrong shape, 422 for operations that do not apply.
    """
    if kind == "json":
        changed = _operations(copy.deepcopy(obj), patch)
    elif not isinstance(patch, dict):
        raise bad_request(f"error decoding patch: json: cannot unmarshal {_go_type(patch)} into a map")
    elif kind == "merge":
        changed = merged(obj, patch)
    else:
        changed = strategic_merge(resource.type, obj, patch)
    if not isinstance(changed, dict) or not isinstance(changed.get("metadata"), dict):
        raise unprocessable()
    return changed


# --- RFC 7396 ----------------------------------------------------------------------------------------


def merged(target: Any, patch: Any) -> Any:
    """*target* with the merge patch *patch* applied: null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


# --- RFC 6902 ----------------------------------------------------------------------------------------


def _operations(doc: Any, operations: Any) -> Any:
    if not isinstance(operations, list):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {_go_type(operations)} into Go value of type "
            "[]handlers.jsonPatchOp"
        )
    if len(operations) > MOST_OPERATIONS:
        raise too_large(
            f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(operations)}"
        )
    for one in operations:
        if not isinstance(one, dict):
            raise bad_request(
                f"json: cannot unmarshal {_go_type(one)} into Go value of type jsonpatch.Operation"
            )
        try:
            doc = _operate(doc, one)
        except (KeyError, IndexError, TypeError, ValueError):
            raise unprocessable() from None
        if too_deep(doc):  # a copy into itself doubles it
            raise unprocessable()
    return doc


def _operate(doc: Any, one: Mapping[str, Any]) -> Any:
    path = _pointer(one["path"])
    match one["op"]:
        case "add":
            return _add(doc, path, copy.deepcopy(one["value"]))
        case "remove":
            _take(doc, path)
            return doc
        case "replace":
            value = copy.deepcopy(one["value"])
            if not path:
                return value
            _get(doc, path)
            parent = _get(doc, path[:-1])
            parent[_index(parent, path[-1])] = value
            return doc
        case "move":
            return _add(doc, path, _take(doc, _pointer(one["from"])))
        case "copy":
            return _add(doc, path, copy.deepcopy(_get(doc, _pointer(one["from"]))))
        case "test":
            if wire.encode_sorted(_get(doc, path)) != wire.encode_sorted(one["value"]):  # true is not 1
                raise ValueError("test failed")
            return doc
    raise ValueError(one["op"])


def _pointer(text: Any) -> list[str]:
    if text == "":
        return []
    if not isinstance(text, str) or not text.startswith("/"):
        raise ValueError(text)
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _index(parent: Any, part: str) -> Any:
    """Where *part* points in *parent*; a negative index counts from the end, as evanphx/json-patch has it."""
    return _place(part, len(parent)) if isinstance(parent, list) else part


def _place(part: str, size: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", part):
        raise ValueError(part)
    index = int(part)
    if not -size <= index < size:
        raise IndexError(part)
    return index % size


def _get(doc: Any, path: list[str]) -> Any:
    for part in path:
        doc = doc[_index(doc, part)]
    return doc


def _take(doc: Any, path: list[str]) -> Any:
    parent = _get(doc, path[:-1])
    if not isinstance(parent, dict | list):
        raise TypeError(path)
    return parent.pop(_index(parent, path[-1]))


def _add(doc: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _get(doc, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _place(last, len(parent) + 1), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise TypeError(last)
    return doc


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names = {dict: "object", list: "array", str: "string", int: "number", float: "number"}
    return names.get(type(value), "null")
