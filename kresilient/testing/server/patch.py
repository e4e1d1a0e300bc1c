"""Patches: JSON patch (RFC 6902), merge patch (RFC 7396), and the way to strategic merge patch."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

from . import wire
from .kinds import ApiResource
from .request_text import too_deep
from .statuses import Refused, bad_request, too_large, unpatchable, unprocessable
from .strategic import strategic_merge
from .types.schema import builtin_types

__all__ = ["applied", "merged"]

_TYPE_META: Final = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)
_SCHEME: Final = '"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
MOST_OPERATIONS: Final = 10_000
"""How many operations a JSON patch may have (`maxJSONPatchOperations`)."""


def applied(
    resource: ApiResource, obj: dict[str, Any], patch: Any, kind: str, *, strict: bool = True
) -> dict[str, Any]:
    """*obj* after *patch* of *kind* `json`, `merge` or `strategic`. *obj* is not changed.

    Where nothing is *strict*, the members of JSON operations are not looked at before they are carried out.
    Raises `Refused`: 400 for a patch of the wrong shape, 422 for operations that do not apply, or for what
    they make where that is no object of its kind.
    """
    if kind == "json":
        changed = _operations(copy.deepcopy(obj), patch, strict=strict)
    elif not isinstance(patch, dict):
        changed = _shapeless(obj, patch, kind)
    elif kind == "merge":
        changed = merged(obj, patch)
    else:
        changed = strategic_merge(resource.type, obj, patch)
    if not isinstance(changed, dict):
        raise _unreadable(
            changed, f"couldn't get version/kind; json parse error: {_cannot(changed, _TYPE_META)}"
        )
    if kind != "strategic" and not resource.custom:
        _check_kind(obj, changed)
    metadata = changed.get("metadata")
    if metadata is None:
        return {**changed, "metadata": {}}
    if not isinstance(metadata, dict):
        raise _unreadable(changed, _cannot(metadata, "v1.ObjectMeta", field=f"{resource.kind}.metadata"))
    return changed


def _cannot(value: Any, wanted: str, *, field: str = "") -> str:
    """What a decoder says of *value* where there ought to be one of the type *wanted*."""
    place = f"struct field {field} of" if field else "value of"
    return f"json: cannot unmarshal {_go_type(value)} into Go {place} type {wanted}"


def _unreadable(changed: Any, why: str) -> Refused:
    return unpatchable(wire.encode(changed).decode(), why)


def _shapeless(obj: dict[str, Any], patch: Any, kind: str) -> dict[str, Any]:
    """*obj* after a *patch* that is no object. Raises `Refused` (400)."""
    if patch is None:
        if kind == "merge":
            raise bad_request("Invalid JSON Patch")
        return obj
    prefix = "error decoding patch: " if kind == "merge" else ""
    raise bad_request(prefix + _cannot(patch, "map[string]interface {}"))


def _check_kind(obj: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    """Raises `Refused` (422) where a patch made *obj* one of another kind; to take the kind away does not."""
    kind, version = (changed.get(name) or obj.get(name) for name in ("kind", "apiVersion"))
    if (kind, version) == (obj.get("kind"), obj.get("apiVersion")):
        return
    group, _, number = version.rpartition("/") if isinstance(version, str) else ("", "", "")
    if isinstance(kind, str) and builtin_types().of_kind(group, number, kind) is not None:
        package = obj["apiVersion"].rpartition("/")[0].partition(".")[0] or "core"
        why = f"converting ({number}.{kind}) to ({package}.{obj['kind']}): unknown conversion"
    else:
        named = (
            f"no kind {wire.encode(kind).decode()} is registered for version {wire.encode(version).decode()}"
        )
        why = f"{named} in scheme {_SCHEME}"
    raise _unreadable(changed, why)


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


def _operations(doc: Any, operations: Any, *, strict: bool) -> Any:
    if not isinstance(operations, list):
        raise bad_request(f"error decoding patch: {_cannot(operations, '[]handlers.jsonPatchOp')}")
    if strict:
        _check_operations(operations)
    if len(operations) > MOST_OPERATIONS:
        raise too_large(
            f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(operations)}"
        )
    for one in operations:
        if not isinstance(one, dict):
            raise bad_request(_cannot(one, "jsonpatch.Operation"))
        try:
            doc = _operate(doc, one)
        except (KeyError, IndexError, TypeError, ValueError):
            raise unprocessable() from None
        if too_deep(doc):  # a copy into itself doubles it
            raise unprocessable()
    return doc


def _check_operations(operations: list[Any]) -> None:
    """Raises `Refused` (400) where *operations* are not of the type that a strict decoder reads them as."""
    for one in operations:
        members = {} if one is None else one
        fault = "" if isinstance(members, dict) else _cannot(one, "handlers.jsonPatchOp")
        for name in () if fault else ("op", "path", "from"):
            if not isinstance(members.get(name), str | None):
                fault = fault or _cannot(members[name], "string", field=f"jsonPatchOp.{name}")
        if fault:
            raise bad_request(f"error decoding patch: {fault}")


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
