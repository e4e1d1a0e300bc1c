"""Patches: JSON patch (RFC 6902), merge patch (RFC 7396), strategic merge patch, and apply as a merge."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from .kinds import ApiResource
from .statuses import bad_request, unprocessable

__all__ = ["applied", "merged"]

MERGE_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "ports": ("containerPort", "port"),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "secrets": ("name",),
    "taints": ("key",),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""Fields of built-in kinds whose lists merge by a key (`patchMergeKey`): the first that an element has."""

PRIMITIVE_LISTS: Final = frozenset({"finalizers"})
"""Lists of scalars that merge as sets (`patchStrategy: merge` without a key)."""


def applied(resource: ApiResource, obj: dict[str, Any], patch: Any, kind: str) -> dict[str, Any]:
    """*obj* after *patch* of *kind* `json`, `merge`, `strategic` or `apply`. *obj* is not changed.

    Raises `Refused`: 400 for a patch of the wrong shape, 422 for operations that do not apply.
    """
    if kind == "json":
        changed = _operations(copy.deepcopy(obj), patch)
    elif not isinstance(patch, dict):
        raise bad_request(f"error decoding patch: json: cannot unmarshal {_go_type(patch)} into a map")
    elif kind == "merge" or resource.custom:
        changed = merged(obj, patch)
    else:
        changed = _strategic(obj, patch)
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
    for one in operations:
        try:
            doc = _operate(doc, one)
        except (KeyError, IndexError, TypeError, ValueError):
            raise unprocessable() from None
    return doc


def _operate(doc: Any, one: Mapping[str, Any]) -> Any:
    path = _pointer(one["path"])
    match one["op"]:
        case "add":
            return _add(doc, path, one["value"])
        case "remove":
            _take(doc, path)
            return doc
        case "replace":
            if not path:
                return one["value"]
            _get(doc, path)
            parent = _get(doc, path[:-1])
            parent[_index(parent, path[-1])] = one["value"]
            return doc
        case "move":
            return _add(doc, path, _take(doc, _pointer(one["from"])))
        case "copy":
            return _add(doc, path, copy.deepcopy(_get(doc, _pointer(one["from"]))))
        case "test":
            if _get(doc, path) != one["value"]:
                raise ValueError("test failed")
            return doc
    raise ValueError(one["op"])


def _pointer(text: str) -> list[str]:
    if text == "":
        return []
    if not text.startswith("/"):
        raise ValueError(text)
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _index(parent: Any, part: str) -> Any:
    if not isinstance(parent, list):
        return part
    index = int(part)
    if index < 0 or (part != "0" and part.startswith("0")):
        raise ValueError(part)
    return index


def _get(doc: Any, path: list[str]) -> Any:
    for part in path:
        doc = doc[_index(doc, part)]
    return doc


def _take(doc: Any, path: list[str]) -> Any:
    parent = _get(doc, path[:-1])
    return parent.pop(_index(parent, path[-1]))


def _add(doc: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _get(doc, path[:-1]), path[-1]
    if isinstance(parent, list):
        index = len(parent) if last == "-" else _index(parent, last)
        if index > len(parent):
            raise IndexError(last)
        parent.insert(index, value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise TypeError(last)
    return doc


# --- strategic merge ---------------------------------------------------------------------------------


def _strategic(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "replace":
        return _clean({key: value for key, value in patch.items() if key != "$patch"})
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [one for one in result.get(field) or [] if one not in value]
        elif key.startswith("$setElementOrder/") or key == "$retainKeys":
            continue
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            order = patch.get(f"$setElementOrder/{key}")
            result[key] = _strategic_list(key, result.get(key), value, order)
        else:
            result[key] = _strategic(result.get(key), value)
    for key, order in patch.items():
        field = key.partition("/")[2]
        if key.startswith("$setElementOrder/") and field not in patch and isinstance(result.get(field), list):
            result[field] = _reordered(field, result[field], order)
    kept = patch.get("$retainKeys")
    if isinstance(kept, list):
        result = {key: value for key, value in result.items() if key in kept}
    return result


def _strategic_list(field: str, target: Any, patch: list[Any], order: Any) -> list[Any]:
    held = list(target) if isinstance(target, list) else []
    if field in PRIMITIVE_LISTS:
        return held + [one for one in patch if one not in held]
    if any(isinstance(one, dict) and one.get("$patch") == "replace" for one in patch):
        return [_clean(one) for one in patch if not (isinstance(one, dict) and "$patch" in one)]
    key = _merge_key(field, [*patch, *held])
    if key is None:
        return list(map(_clean, patch))
    added: list[Any] = []
    for one in patch:
        place = next((i for i, old in enumerate(held) if _key_of(old, key) == _key_of(one, key)), None)
        if isinstance(one, dict) and one.get("$patch") == "delete":
            if place is not None:
                del held[place]
        elif place is None:
            added.append(_strategic({}, one))
        else:
            held[place] = _strategic(held[place], one)
    # As in Go: what only the patch has comes before what only the server has, where no order is given.
    touched = {_key_of(one, key) for one in patch}
    kept = [one for one in held if _key_of(one, key) in touched]
    others = [one for one in held if _key_of(one, key) not in touched]
    result = _in_order(patch, kept + added, key) + others
    return _reordered(field, result, order) if isinstance(order, list) else result


def _in_order(patch: list[Any], items: list[Any], key: str) -> list[Any]:
    places = {_key_of(one, key): place for place, one in enumerate(patch)}
    return sorted(items, key=lambda one: places.get(_key_of(one, key), len(places)))


def _reordered(field: str, items: list[Any], order: list[Any]) -> list[Any]:
    key = _merge_key(field, items)
    wanted = [_key_of(one, key) if key and isinstance(one, dict) else one for one in order]

    def place(item: Any) -> int:
        value = _key_of(item, key) if key else item
        return wanted.index(value) if value in wanted else len(wanted)

    return sorted(items, key=place)


def _merge_key(field: str, items: list[Any]) -> str | None:
    candidates = MERGE_KEYS.get(field, ())
    objects = [one for one in items if isinstance(one, dict)]
    return next((key for key in candidates if objects and all(key in one for one in objects)), None)


def _key_of(item: Any, key: str | None) -> Any:
    return item.get(key) if isinstance(item, dict) and key else item


def _clean(value: Any) -> Any:
    """*value* without the directives of a strategic merge."""
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items() if not key.startswith("$")}
    return [_clean(one) for one in value] if isinstance(value, list) else value


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names = {dict: "object", list: "array", str: "string", int: "number", float: "number"}
    return names.get(type(value), "null")
