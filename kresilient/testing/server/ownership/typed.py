"""Values walked by their types: the fields they have, how two differ, merging, and removing fields.

The rules are those of `structured-merge-diff`: a struct, a map and a list whose elements are told apart are
walked into; what is atomic, or empty on both sides, is one field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from kresilient.testing.server.types.schema import ANY, DEDUCED, List, Map, Scalar, Struct, Type
from kresilient.testing.server.wire import encode, same

from .fieldset import (
    Element,
    FieldSet,
    Path,
    described,
    element_of_field,
    element_of_keys,
    element_of_value,
)

__all__ = ["Difference", "TypedFault", "check", "compared", "fields_of", "merged", "named", "removed"]

MISSING: Final = type("Missing", (), {"__repr__": lambda self: "MISSING"})()


class TypedFault(ValueError):
    """A value that its type cannot hold; the message begins with the path."""


# --- which fields there are --------------------------------------------------------------------------


def fields_of(kind: Type, value: Any) -> FieldSet:
    """The fields that *value* has. Raises `TypedFault` for a list element without its keys."""
    found = FieldSet()
    _collect(kind, value, (), found)
    return found


def _collect(kind: Type, value: Any, path: Path, found: FieldSet) -> None:
    kind = _shape(kind, value)
    if _is_leaf(kind):
        found.insert(path)
    elif isinstance(kind, List):
        for element, one in _elements(kind, value, path):
            _collect(kind.element, one, (*path, element), found)
            found.insert((*path, element))
    else:
        for name, one in (value or {}).items():
            inner = _inner(kind, name)
            if inner is None:
                continue
            below = (*path, element_of_field(name))
            _collect(inner, one, below, found)
            if one is None or one == {} or not (isinstance(kind, Struct) and name in kind.fields):
                found.insert(below)


# --- how two differ ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Difference:
    """The fields that came, that have another value, and that went."""

    added: FieldSet = field(default_factory=FieldSet)
    modified: FieldSet = field(default_factory=FieldSet)
    removed: FieldSet = field(default_factory=FieldSet)

    def without(self, ignored: FieldSet) -> Difference:
        """The difference in all fields but *ignored* and those below them."""
        return Difference(
            self.added.without(ignored), self.modified.without(ignored), self.removed.without(ignored)
        )


def compared(kind: Type, old: Any, new: Any) -> Difference:
    """How *new* differs from *old*."""
    found = Difference()
    _compare(kind, old, new, (), found)
    return found


def _compare(kind: Type, old: Any, new: Any, path: Path, found: Difference) -> None:
    if same(old, new):  # most of what a write brings back; compared faster than a walk does it
        return
    kind = _shape(kind, old if new is MISSING else new)
    empty = not (old is not MISSING and old) and not (new is not MISSING and new)
    if _is_leaf(kind) or empty:
        if old is MISSING:
            found.added.insert(path)
        elif new is MISSING:
            found.removed.insert(path)
        else:
            found.modified.insert(path)
        return
    if isinstance(kind, List):
        _compare_elements(kind, old, new, path, found)
    else:
        ours = old if isinstance(old, dict) else {}
        theirs = new if isinstance(new, dict) else {}
        for name in ours.keys() | theirs.keys():
            inner = _inner(kind, name)
            if inner is not None:
                below = (*path, element_of_field(name))
                _compare(inner, ours.get(name, MISSING), theirs.get(name, MISSING), below, found)
    if old is MISSING:
        found.added.insert(path)
    elif new is MISSING:
        found.removed.insert(path)


def _compare_elements(kind: List, old: Any, new: Any, path: Path, found: Difference) -> None:
    ours, theirs = _grouped(kind, old, path), _grouped(kind, new, path)
    for element in ours.keys() | theirs.keys():
        left, right = ours.get(element, []), theirs.get(element, [])
        below = (*path, element)
        if len(left) <= 1 and len(right) <= 1:
            one = left[0] if left else MISSING
            other = right[0] if right else MISSING
            _compare(kind.element, one, other, below, found)
        elif not left:
            found.added.insert(below)
        elif not right:
            found.removed.insert(below)
        elif not same(left, right):
            found.modified.insert(below)


def _grouped(kind: List, value: Any, path: Path) -> dict[Element, list[Any]]:
    grouped: dict[Element, list[Any]] = {}
    if isinstance(value, list):
        for element, one in _elements(kind, value, path):
            grouped.setdefault(element, []).append(one)
    return grouped


# --- merging -----------------------------------------------------------------------------------------


def merged(kind: Type, live: Any, config: Any) -> Any:
    """*live* with all that *config* says; neither is changed."""
    kind = _shape(kind, config)
    if _is_leaf(kind) or config is None or live is None:
        return config
    if isinstance(kind, List):
        return _merge_lists(kind, live, config) if isinstance(live, list) else config
    if not isinstance(live, dict):
        return config
    result = dict(live)
    for name, one in config.items():
        inner = _inner(kind, name)
        if inner is None:
            result[name] = one
        else:
            result[name] = merged(inner, live[name], one) if name in live else one
    return result


def _merge_lists(kind: List, live: list[Any], config: list[Any]) -> list[Any]:
    """The elements of both, each once: those of *config* in its order, the others near where they were."""
    ours = list(_elements(kind, live, ()))
    theirs = list(_elements(kind, config, ()))
    held, wanted = dict(reversed(ours)), dict(theirs)
    shared = [element for element, _ in theirs if element in held]
    result: list[Any] = []
    done: set[Element] = set()

    def take(element: Element) -> None:
        done.add(element)
        if shared and shared[0] == element:
            shared.pop(0)
        one = wanted[element]
        result.append(merged(kind.element, held[element], one) if element in held else one)

    left = right = 0
    while left < len(ours) or right < len(theirs):
        if left < len(ours):
            element, one = ours[left]
            if right < len(theirs):
                if element == theirs[right][0]:
                    take(element)
                    left, right = left + 1, right + 1
                    continue
                if element in wanted and shared and shared[0] != element:
                    left += 1  # both have it, but in another order: the config's place counts
                    continue
            if element not in wanted:
                result.append(one)
                left += 1
                continue
            if element in done:
                left += 1
        if right < len(theirs):
            take(theirs[right][0])
            right += 1
    return result


# --- removing ----------------------------------------------------------------------------------------


def removed(kind: Type, value: Any, fields: FieldSet) -> Any:
    """*value* without *fields*; a map or list that ends empty becomes None."""
    kind = _shape(kind, value)
    if _is_leaf(kind) or not value or not fields:
        return value
    if isinstance(kind, List):
        left = []
        for element, one in _elements(kind, value, ()):
            if element not in fields.members:
                below = fields.children.get(element)
                left.append(one if below is None else removed(kind.element, one, below))
        return left or None
    result = {}
    for name, one in value.items():
        element = element_of_field(name)
        if element in fields.members:
            continue
        below, inner = fields.children.get(element), _inner(kind, name)
        result[name] = one if below is None or inner is None else removed(inner, one, below)
    return result or None


def named(kind: Type, fields: FieldSet) -> FieldSet:
    """*fields*, in which every field of a struct that has something below it is a member too."""
    members = set(fields.members)
    children = {}
    for element, below in fields.children.items():
        inner = _below(kind, element)
        if isinstance(kind, Struct) and element[0] == "f" and element[2:] in kind.fields:
            members.add(element)
        children[element] = named(inner, below)
    return FieldSet(members, children)


# --- checking ----------------------------------------------------------------------------------------


def check(kind: Type, value: Any, path: Path = ()) -> Iterator[TypedFault]:
    """What keeps *value* from being of the type *kind*: unknown fields, wrong shapes, keys that are missing
    or stand twice. Empty where it fits."""
    kind = _shape(kind, value)
    at = described(path)
    if value is None:
        return
    if isinstance(kind, Scalar):
        fault = _scalar_fault(kind, value)
        if fault:
            yield TypedFault(f"{at}: {fault}")
        return
    if isinstance(kind, List):
        if not isinstance(value, list):
            yield TypedFault(f"{at}: expected list, got {_shown(value)}")
            return
        if kind.atomic:
            for index, one in enumerate(value):
                yield from check(kind.element, one, (*path, f"i:{index}"))
            return
        try:
            elements = list(_elements(kind, value, path))
        except TypedFault as fault:
            yield fault
            return
        seen: set[Element] = set()
        for element, one in elements:
            if element in seen:
                yield TypedFault(f"{at}: duplicate entries for key {described((element,))}")
            seen.add(element)
            yield from check(kind.element, one, (*path, element))
        return
    if not isinstance(value, dict):
        yield TypedFault(f"{at}: expected map, got {_shown(value)}")
        return
    for name, one in value.items():
        below = (*path, element_of_field(name))
        inner = _inner(kind, name)
        if inner is None:
            yield TypedFault(f"{described(below)}: field not declared in schema")
        else:
            yield from check(inner, one, below)


_NUMERIC: Final = frozenset({"int32", "int64", "float64"})
_TEXT: Final = frozenset({"string", "bytes", "Time", "MicroTime", "Duration"})


def _scalar_fault(kind: Scalar, value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind.name in _NUMERIC and not is_number:
        return f"expected numeric (int or float), got {_shown(value)}"
    if kind.name in _TEXT and not isinstance(value, str):
        return f"expected string, got {_shown(value)}"
    if kind.name == "bool" and not isinstance(value, bool):
        return f"expected boolean, got {_shown(value)}"
    return ""


def _shown(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{encode(value).decode()}}}"


# --- walking -----------------------------------------------------------------------------------------


def _shape(kind: Type, value: Any) -> Type:
    """*kind*, where it is deduced from *value*: a map is walked into, a list is a leaf."""
    if kind == DEDUCED:
        return Map(DEDUCED) if isinstance(value, dict) else ANY
    return kind


def _is_leaf(kind: Type) -> bool:
    if isinstance(kind, List | Map | Struct):
        return kind.atomic
    return True


def _inner(kind: Type, name: str) -> Type | None:
    """The type of the field *name*; None where there is no such field."""
    if isinstance(kind, Map):
        return kind.element
    assert isinstance(kind, Struct)
    found = kind.fields.get(name)
    if found is not None:
        return found.type
    return DEDUCED if kind.open else None


def _below(kind: Type, element: Element) -> Type:
    if isinstance(kind, List):
        return kind.element
    if isinstance(kind, Map | Struct) and element[0] == "f":
        return _inner(kind, element[2:]) or DEDUCED
    return DEDUCED


def _elements(kind: List, value: Any, path: Path) -> Iterator[tuple[Element, Any]]:
    for one in value or ():
        yield _element(kind, one, path), one


def _element(kind: List, one: Any, path: Path) -> Element:
    if kind.set:
        if isinstance(one, dict | list) or one is None:
            raise TypedFault(
                f"{described(path)}: associative list without keys has an element that's not a scalar"
            )
        return element_of_value(one)
    if not isinstance(one, dict):
        what = "a null element" if one is None else "non-map elements"
        raise TypedFault(f"{described(path)}: associative list with keys may not have {what}")
    keys = {}
    for key in kind.keys:
        default = kind.element.fields[key].default if isinstance(kind.element, Struct) else ""
        if (given := one.get(key)) is not None:
            keys[key] = given
        elif default:
            keys[key] = default
        else:
            raise TypedFault(
                f'{described(path)}: associative list with keys has an element that omits key field "{key}" '
                "(and doesn't have default value)"
            )
    return element_of_keys(keys)
