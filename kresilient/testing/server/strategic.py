"""Strategic merge patch: a merge that knows by which field the elements of a list are told apart.

The rules are those of `k8s.io/apimachinery/pkg/util/strategicpatch`, directives included: `$patch`,
`$retainKeys`, `$setElementOrder/FIELD` and `$deleteFromPrimitiveList/FIELD`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from .go_words import go_value
from .statuses import bad_request, internal, unprocessable
from .types.schema import DEDUCED, Field, List, Map, Struct, Type

__all__ = ["strategic_merge"]

_PATCH: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_DELETE: Final = "$deleteFromPrimitiveList/"
_UNKNOWN: Final = Field("", DEDUCED)


def strategic_merge(kind: Struct, target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """*target* of the type *kind* with *patch* applied; neither is changed.

    Raises `Refused`: 400 for a directive of a wrong form, 422 for a list of lists and for fields beside those
    to retain, 500 for a list element without its merge key or of another type than the rest.
    """
    return _merge_map(kind, target, patch)


def _merge_map(kind: Type, target: Mapping[str, Any] | None, patch: Mapping[str, Any]) -> dict[str, Any]:
    directive = patch.get(_PATCH)
    if directive == "replace":
        return {key: _bare(value) for key, value in patch.items() if key != _PATCH}
    if directive == "delete":
        return {}
    if directive is not None:
        raise bad_request(f"unknown patch type found: {directive}")
    result = dict(target or {})
    _retain(result, patch)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            field, gone = key.removeprefix(_DELETE), value
            if not isinstance(gone, list):
                raise bad_request("invalid patch format of primitive list")
            held = result.get(field)
            if isinstance(held, list):
                result[field] = [one for one in held if one not in gone]
        elif key.startswith(_ORDER) or key == _RETAIN:
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = _merge_value(_field(kind, key), result.get(key), value)
    for key, order in patch.items():
        if key.startswith(_ORDER):
            _set_order(_field(kind, key.removeprefix(_ORDER)), result, target or {}, key, order)
    return result


def _merge_value(field: Field, held: Any, value: Any) -> Any:
    if isinstance(value, dict) and isinstance(held, dict):
        return _bare(value) if "replace" in field.strategy else _merge_map(field.type, held, value)
    if isinstance(value, list) and isinstance(held, list) and "merge" in field.strategy:
        return _merge_list(field, held, value)
    return _bare(value)


def _field(kind: Type, name: str) -> Field:
    """How the field *name* is merged; one that the type does not have, by what its value shows."""
    if isinstance(kind, Struct):
        return kind.fields.get(name, _UNKNOWN)
    return Field(name, kind.element) if isinstance(kind, Map) else _UNKNOWN


def _retain(result: dict[str, Any], patch: Mapping[str, Any]) -> None:
    kept = patch.get(_RETAIN)
    if kept is None:
        return
    if not isinstance(kept, list) or not all(isinstance(one, str) for one in kept):
        raise bad_request("invalid patch format of retainKeys")
    said = {key for key, value in patch.items() if key != _RETAIN and value is not None}
    if not said <= set(kept):
        raise unprocessable()
    for key in result.keys() - set(kept):
        del result[key]


# --- lists -------------------------------------------------------------------------------------------


def _merge_list(field: Field, held: list[Any], patch: list[Any]) -> list[Any]:
    kinds = {type(one) for one in (*held, *patch)}
    if list in kinds:
        raise unprocessable()
    if len(kinds) > 1:
        raise internal(f"list element types are not identical: {go_value([held, patch])}")
    if dict not in kinds:
        both = list(dict.fromkeys([*held, *patch]))
        return _arranged(both, patch, held, lambda one: one)
    key = field.merge_key
    element = field.type.element if isinstance(field.type, List) else DEDUCED
    if any(one.get(_PATCH) == "replace" for one in patch):
        return [_bare(one) for one in patch if _PATCH not in one]
    gone = {_identity(key, one) for one in patch if one.get(_PATCH) == "delete"}
    merged = [one for one in held if _hashable(one.get(key)) not in gone]
    places: dict[Any, int] = {}
    for at, one in enumerate(merged):
        places.setdefault(_hashable(one.get(key)), at)  # of equal ones the first is meant
    wanted = []
    for one in patch:
        named = _identity(key, one)
        if one.get(_PATCH) == "delete":
            continue
        wanted.append(one)
        if named in places:
            merged[places[named]] = _merge_map(element, merged[places[named]], one)
        else:
            places[named] = len(merged)
            merged.append(_bare(one))
    return _arranged(merged, wanted, held, lambda one: one.get(key))


def _identity(key: str, one: Mapping[str, Any]) -> Any:
    """What the element *one* is told apart by. Raises `Refused` (500) where it does not say."""
    if one.get(key) is None:
        raise internal(f"map: {go_value(one)} does not contain declared merge key: {key}")
    return _hashable(one[key])


def _set_order(field: Field, result: dict[str, Any], before: Mapping[str, Any], key: str, order: Any) -> None:
    name = key.removeprefix(_ORDER)
    items = result.get(name)
    if not isinstance(order, list):
        raise bad_request("invalid patch format of setElementOrder list")
    if not isinstance(items, list):
        return
    merge_key = field.merge_key
    identity: Callable[[Any], Any] = (
        (lambda one: one.get(merge_key) if isinstance(one, dict) else one) if merge_key else (lambda one: one)
    )
    held = before.get(name)
    result[name] = _arranged(items, order, held if isinstance(held, list) else [], identity)


def _arranged(
    items: list[Any], wanted: list[Any], held: list[Any], identity: Callable[[Any], Any]
) -> list[Any]:
    """*items* in order: those in *wanted* as they stand there, the others where *held* has them.

    One of the others goes before the first wanted one that stood behind it.
    """
    asked: dict[Any, int] = {}
    for at, one in enumerate(wanted):
        asked.setdefault(_hashable(identity(one)), at)
    places = {_hashable(identity(one)): at for at, one in reversed(list(enumerate(held)))}
    keyed = [(_hashable(identity(one)), one) for one in items]
    named = sorted((one for one in keyed if one[0] in asked), key=lambda one: asked[one[0]])
    others = sorted(
        (one for one in keyed if one[0] not in asked), key=lambda one: places.get(one[0], len(held))
    )
    result = []
    left = right = 0
    while left < len(named) and right < len(others):
        theirs, mine = places.get(named[left][0]), places.get(others[right][0])
        if mine is not None and theirs is not None and mine < theirs:
            result.append(others[right])
            right += 1
        else:
            result.append(named[left])
            left += 1
    return [one for _, one in result + named[left:] + others[right:]]


def _hashable(value: Any) -> Any:
    """What stands for *value* as a key: true is not 1."""
    return (type(value), value if isinstance(value, str | int | float | bool) else repr(value))


def _bare(value: Any) -> Any:
    """*value* without directives and without nulls, which say that something has to go."""
    if isinstance(value, dict):
        return {
            key: _bare(one)
            for key, one in value.items()
            if one is not None and key not in (_PATCH, _RETAIN) and not key.startswith((_ORDER, _DELETE))
        }
    return [_bare(one) for one in value] if isinstance(value, list) else value
