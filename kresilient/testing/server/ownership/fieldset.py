"""Sets of fields, as `managedFields` writes them (`FieldsV1`).

A path is a tuple of elements, each in its written form: `f:replicas` is a field, `k:{"name":"c"}` an
element of a list told apart by keys, `v:"x"` an element told apart by its value. See KEP-555.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from kresilient.testing.server import wire
from kresilient.testing.server.types.untyped import untyped

__all__ = [
    "Element",
    "FieldSet",
    "Path",
    "described",
    "element_of_field",
    "element_of_keys",
    "element_of_value",
]

Element = str
Path = tuple[Element, ...]

_SELF: Final = "."
_LONG: Final = 200
"""Nearly every write names the same elements again, so what they mean is kept; of longer ones it is
worked out anew, for they may be as long as a body."""
_INDEX: Final = re.compile("[+-]?[0-9]{1,18}")


class FieldSet:
    """A set of paths. `members` are those that end here, `children` hold what is below an element."""

    __slots__ = ("children", "members")

    def __init__(
        self, members: Iterable[Element] = (), children: Mapping[Element, FieldSet] | None = None
    ) -> None:
        self.members: set[Element] = set(members)
        self.children: dict[Element, FieldSet] = dict(children or {})

    # --- written form ------------------------------------------------------------------------------------

    @classmethod
    def read(cls, fields: Any) -> FieldSet:
        """The set that a `fieldsV1` holds. Raises `ValueError` for what is none."""
        if not isinstance(fields, dict):
            raise ValueError(f"fieldsV1 is an object of fields, not {wire.encode(fields).decode()}")
        made = cls()
        for text, below in fields.items():
            if text == _SELF:
                continue
            element = _read_element(text)
            if not below or (isinstance(below, dict) and _SELF in below):
                made.members.add(element)
            if below is not None and below != {}:
                inner = cls.read(below)
                if inner:
                    made.children[element] = inner
        return made

    def written(self) -> dict[str, Any]:
        """The set as a `fieldsV1`, in the server's order."""
        fields: dict[str, Any] = {}
        for element in sorted(self.members | self.children.keys(), key=_rank):
            below = self.children.get(element)
            if below is None:
                fields[element] = {}
            else:
                own: dict[str, Any] = {_SELF: {}} if element in self.members else {}
                fields[element] = own | below.written()
        return fields

    # --- the algebra -------------------------------------------------------------------------------------

    def insert(self, path: Path) -> None:
        """Add *path*; the empty one, which is the whole object, is nobody's."""
        if not path:
            return
        at = self
        for element in path[:-1]:
            found = at.children.get(element)
            if found is None:
                found = at.children[element] = FieldSet()
            at = found
        at.members.add(path[-1])

    def below(self, element: Element) -> FieldSet:
        """What is in the set below *element*."""
        return self.children.get(element) or FieldSet()

    def __or__(self, other: FieldSet) -> FieldSet:
        children = dict(self.children)
        for element, below in other.children.items():
            mine = children.get(element)
            children[element] = below if mine is None else mine | below
        return FieldSet(self.members | other.members, children)

    def __and__(self, other: FieldSet) -> FieldSet:
        both = self.children.keys() & other.children.keys()
        children = {element: self.children[element] & other.children[element] for element in both}
        return FieldSet(self.members & other.members, {at: below for at, below in children.items() if below})

    def __sub__(self, other: FieldSet) -> FieldSet:
        """Without the paths of *other*; what is below them stays."""
        return self._without(other, deep=False)

    def without(self, other: FieldSet) -> FieldSet:
        """Without the paths of *other* and all that is below them."""
        return self._without(other, deep=True)

    def _without(self, other: FieldSet, *, deep: bool) -> FieldSet:
        children: dict[Element, FieldSet] = {}
        for element, below in self.children.items():
            if deep and element in other.members:
                continue
            theirs = other.children.get(element)
            left = below if theirs is None else below._without(theirs, deep=deep)
            if left:
                children[element] = left
        return FieldSet(self.members - other.members, children)

    def __bool__(self) -> bool:
        return bool(self.members) or any(self.children.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSet) and self.written() == other.written()

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Path]:
        """Every path, in the server's order."""
        for element in sorted(self.members | self.children.keys(), key=_rank):
            if element in self.members:
                yield (element,)
            for path in self.children.get(element) or ():
                yield (element, *path)

    def __repr__(self) -> str:
        return f"FieldSet({wire.encode(self.written()).decode()})"


# --- elements ----------------------------------------------------------------------------------------


def element_of_field(name: str) -> Element:
    return f"f:{name}"


def element_of_keys(keys: Mapping[str, Any]) -> Element:
    """The element of a list whose key fields have these values."""
    return "k:" + wire.encode(untyped(dict(sorted(keys.items())))).decode()


def element_of_value(value: Any) -> Element:
    return "v:" + wire.encode(untyped(value)).decode()


def _read_element(text: str) -> Element:
    """The element that *text* is, in its one written form. Raises `ValueError` for what is none."""
    if text.startswith("f:"):
        return text
    return _normal(text) if len(text) > _LONG else _known(text)


def _normal(text: str) -> Element:
    kind, content = text[:2], text[2:]
    if kind == "i:" and _INDEX.fullmatch(content):
        return f"i:{int(content)}"
    if kind in ("k:", "v:"):
        try:
            value = wire.decode(content.encode())
        except msgspec.DecodeError as error:
            raise ValueError(f"unable to parse path element {text!r}: {error}") from None
        if kind == "v:":
            return element_of_value(value)
        if isinstance(value, dict):
            return element_of_keys(value)
    raise ValueError(f"unable to parse path element {text!r}")


_known = lru_cache(maxsize=4096)(_normal)


def described(path: Path) -> str:
    """*path* as messages write it: `.spec.containers[name="c"].image`."""
    parts = []
    for element in path:
        kind, text = element[0], element[2:]
        if kind == "f":
            parts.append(f".{text}")
        elif kind == "k":
            keys: dict[str, Any] = wire.decode(text.encode())
            parts.append(
                "[" + ",".join(f"{key}={wire.encode(one).decode()}" for key, one in keys.items()) + "]"
            )
        else:
            parts.append(f"[={text}]" if kind == "v" else f"[{text}]")
    return "".join(parts)


def _rank(element: Element) -> tuple[int, Any]:
    """The order of elements: fields, keys, values, indexes; each by its content."""
    if element.startswith("f:"):
        return 0, element
    return _content(element) if len(element) > _LONG else _known_content(element)


def _content(element: Element) -> tuple[int, Any]:
    kind, text = "fkvi".index(element[0]), element[2:]
    if kind == 1:
        keys: dict[str, Any] = wire.decode(text.encode())
        return 1, [(key, *_scalar_rank(one)) for key, one in keys.items()]
    return kind, _scalar_rank(wire.decode(text.encode()))


_known_content = lru_cache(maxsize=4096)(_content)


def _scalar_rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (3, wire.encode(value))
