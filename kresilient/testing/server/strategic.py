"""Strategic merge patch: a merge that knows by which field the elements of a list are told apart.

The rules are those of `k8s.io/apimachinery/pkg/util/strategicpatch`, directives included: `$patch`,
`$retainKeys`, `$setElementOrder/FIELD` and `$deleteFromPrimitiveList/FIELD`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from .go_words import go_value
from .statuses import Refused, bad_request, internal, unprocessable
from .types.schema import DEDUCED, Field, List, Map, Struct, Type

__all__ = ["strategic_merge"]

_PATCH: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder"
_DELETE: Final = "$deleteFromPrimitiveList"
_DIRECTIVE: Final = object()
_MAP: Final = "map[string]interface {}"
_LIST: Final = "[]interface {}"
_GO_KINDS: Final = {dict: _MAP, list: _LIST, str: "string", bool: "bool", int: "int64", float: "float64"}
_UNKNOWN: Final = Field("", DEDUCED)


def strategic_merge(kind: Struct, target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """*target* of the type *kind* with *patch* applied; neither is changed.

    Raises `Refused`: 400 for keys to retain or to delete of a wrong form, 422 for a list of lists, and 500 as
    the server does for all else that it cannot merge: an unknown `$patch`, a list element without its merge
    key or of another type than the rest, an order that is none.
    """
    return _merge_map(kind, target, patch)


def _merge_map(kind: Type, target: Mapping[str, Any] | None, patch: Mapping[str, Any]) -> dict[str, Any]:
    if _PATCH in patch:
        directive = patch[_PATCH]
        if directive == "replace":
            return {key: _without_nulls(value) for key, value in patch.items() if key != _PATCH}
        if directive == "delete":
            return {}
        raise _unknown(directive, patch)
    before = target or {}
    result = dict(before)
    _retain(result, patch)
    orders = [(_named(key, _ORDER), order) for key, order in patch.items() if key.startswith(_ORDER)]
    for name, order in orders:
        _check_order(kind, before, patch, name, order)
    for key, value in patch.items():
        if key.startswith(_ORDER) or key == _RETAIN:
            continue
        deleting = key.startswith(_DELETE)
        name = _named(key, _DELETE) if deleting else key
        if value is None:
            result.pop(name, None)
        elif name in result and _go_kind(result[name]) == _go_kind(value):
            result[name] = _merge_value(_field(kind, name), result[name], value, deleting=deleting)
        elif not deleting:
            _put(result, name, value)
    for name, order in orders:
        _set_order(_field(kind, name), result, before, patch, name, order)
    return result


def _named(key: str, prefix: str) -> str:
    """The field that the directive *key* is about."""
    directive, slash, name = key.partition("/")
    if directive != prefix or not slash:
        of = "primitive list" if prefix == _DELETE else "setElementOrder list"
        raise bad_request(f"invalid patch format of {of}")
    return name


def _merge_value(field: Field, held: Any, value: Any, *, deleting: bool) -> Any:
    if isinstance(value, dict):
        if "replace" in field.strategy:
            return _without_nulls(value)
        return _merge_map(field.type, held, value)
    if isinstance(value, list):
        if "merge" in field.strategy:
            return _merge_list(field, held, value, deleting=deleting)
        return _without_nulls(value)
    return value


def _put(result: dict[str, Any], name: str, value: Any) -> None:
    """Take *value*, which there is nothing to merge with; an object with a `$patch` is none."""
    taken = _undirected(_without_nulls(value))
    if taken is _DIRECTIVE:
        result.pop(name, None)
    else:
        result[name] = taken


def _field(kind: Type, name: str) -> Field:
    """How the field *name* is merged; one that the type does not have, by what its value shows."""
    if isinstance(kind, Struct):
        return kind.fields.get(name, _UNKNOWN)
    return Field(name, kind.element) if isinstance(kind, Map) else _UNKNOWN


def _retain(result: dict[str, Any], patch: Mapping[str, Any]) -> None:
    if _RETAIN not in patch:
        return
    kept = patch[_RETAIN]
    if not isinstance(kept, list) or not all(isinstance(one, str) for one in kept):
        raise bad_request("invalid patch format of retainKeys")
    said = {
        key for key, value in patch.items() if value is not None and not key.startswith((_DELETE, _ORDER))
    }
    if not said - {_RETAIN} <= set(kept):
        raise bad_request("invalid patch format of retainKeys")
    for key in result.keys() - set(kept):
        del result[key]


# --- lists -------------------------------------------------------------------------------------------


def _merge_list(field: Field, held: list[Any], patch: list[Any], *, deleting: bool) -> list[Any]:
    if not held and not patch:
        return held
    if _element_kind(held, patch) != _MAP:
        if deleting:
            return [one for one in held if one not in patch]
        both = list(dict.fromkeys([*held, *patch]))
        return _arranged(both, patch, held, lambda one: one)
    key = field.merge_key
    element = field.type.element if isinstance(field.type, List) else DEDUCED
    gone, replaced = set(), False
    for one in patch:
        if _PATCH not in one:
            continue
        directive = one[_PATCH]
        if directive == "delete":
            gone.add(_identity(key, one))
        elif directive == "replace":
            replaced = True
        elif directive == "merge":
            raise internal("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown(directive, one)
    wanted = [one for one in patch if _PATCH not in one]
    if replaced:
        for one in wanted:
            _identity(key, one)
        return [_without_nulls(one) for one in wanted]
    merged = [one for one in held if _hashable(one.get(key)) not in gone]
    places: dict[Any, int] = {}
    for at, one in enumerate(merged):
        places.setdefault(_hashable(one.get(key)), at)  # of equal ones the first is meant
    for one in wanted:
        named = _identity(key, one)
        if named in places:
            merged[places[named]] = _merge_map(element, merged[places[named]], one)
        else:
            places[named] = len(merged)
            merged.append(_undirected(_without_nulls(one)))
    return _arranged(merged, wanted, held, lambda one: one.get(key))


def _element_kind(held: list[Any], patch: list[Any]) -> str:
    """The type that all elements have, as Go names it. Raises `Refused` where there is no such type."""
    kinds = {_go_kind(one) for one in (*held, *patch)}
    if _LIST in kinds:
        raise unprocessable()
    if len(kinds) > 1:
        raise internal(f"list element types are not identical: {go_value([held, patch])}")
    if not kinds:
        raise internal(f"no elements in any of the given slices: {go_value([held, patch])}")
    return kinds.pop()


def _identity(key: str, one: Mapping[str, Any]) -> Any:
    """What the element *one* is told apart by. Raises `Refused` (500) where it does not say."""
    if one.get(key) is None:
        raise internal(f"map: {go_value(one)} does not contain declared merge key: {key}")
    return _hashable(one[key])


def _check_order(
    kind: Type, before: Mapping[str, Any], patch: Mapping[str, Any], name: str, order: Any
) -> None:
    """Whether *order*, that of the field *name*, is a list and has all that the patch says, in its order.
    Raises `Refused` (500)."""
    for one in [order, *(source[name] for source in (before, patch) if name in source)]:
        if not isinstance(one, list):
            raise internal(f"expected a []interface {{}}, but received a {_go_kind(one)}")
    if isinstance(kind, Struct) and not kind.open and name not in kind.fields:
        raise internal(f'unable to find api field in struct {kind.kind} for the json field "{name}"')
    said = patch.get(name) or []
    key = _field(kind, name).merge_key
    if not order or not said:
        return
    wanted = [one for one in said if not (isinstance(one, dict) and _PATCH in one)]
    met = 0
    for one in order:
        if met < len(wanted) and _key_of(key, wanted[met]) == _key_of(key, one):
            met += 1
    if met < len(wanted):
        raise internal(
            f"the order in patch list:\n{go_value(said)}\n doesn't match {_ORDER} list:\n{go_value(order)}"
        )


def _key_of(key: str, one: Any) -> Any:
    if not key:
        return _hashable(one)
    if not isinstance(one, dict):
        raise internal(f"expected a {_MAP}, but received a {_go_kind(one)}")
    return _identity(key, one)


def _set_order(
    field: Field,
    result: dict[str, Any],
    before: Mapping[str, Any],
    patch: Mapping[str, Any],
    name: str,
    order: list[Any],
) -> None:
    items, held = result.get(name), before.get(name) or []
    if not isinstance(items, list):
        return
    _element_kind(held, patch.get(name) or [])
    merge_key = field.merge_key
    identity: Callable[[Any], Any] = (
        (lambda one: one.get(merge_key) if isinstance(one, dict) else one) if merge_key else (lambda one: one)
    )
    result[name] = _arranged(items, order, held, identity)


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


def _without_nulls(value: Any) -> Any:
    """*value* without nulls, which say that something has to go."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _undirected(value: Any) -> Any:
    """*value* without the objects in it that are a `$patch`; `_DIRECTIVE` where it is one itself."""
    if isinstance(value, dict):
        if _PATCH in value:
            return _DIRECTIVE
        kept = ((key, _undirected(one)) for key, one in value.items())
        return {key: one for key, one in kept if one is not _DIRECTIVE}
    if isinstance(value, list):
        return [one for one in map(_undirected, value) if one is not _DIRECTIVE]
    return value


def _go_kind(value: Any) -> str:
    """The type of *value* as Go prints it."""
    if value is None:
        return "%!s(<nil>)"
    return next(name for kind, name in _GO_KINDS.items() if isinstance(value, kind))


def _unknown(directive: Any, patch: Mapping[str, Any]) -> Refused:
    return internal(f"unknown patch type: {_as_text(directive)} in map: {go_value(patch)}")


def _as_text(value: Any) -> str:
    """*value* as `fmt` prints it with `%s`."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_as_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_as_text, value))}]"
    return "%!s(<nil>)" if value is None else f"%!s({_go_kind(value)}={go_value(value)})"
