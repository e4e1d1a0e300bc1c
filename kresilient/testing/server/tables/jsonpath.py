"""The JSONPath of `additionalPrinterColumns`, as far as `k8s.io/client-go/util/jsonpath` goes.

Fields (`.a`, `['a.b']`, `.a\\.b`), indexes and slices (`[0]`, `[-1]`, `[1:3]`), lists of them (`[0,2]`),
wildcards, recursive descent (`..name`) and filters (`[?(@.type=="Ready")]`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

__all__ = ["Path", "parse"]

Step = Callable[[Any], Iterable[Any]]
"""From one value to those that one step of a path leads to."""

_FIELD: Final = re.compile(r"(?:\\.|[^\\.\[\]{}()\s@$*])+")
_BRACKET: Final = re.compile(r"""\[((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\?\(.*?\)(?=\])|[^\]])*)\]""")
_QUOTED: Final = re.compile(r"""\s*(?:"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)')\s*""")
_SLICE: Final = re.compile(r"\s*(-?\d*)\s*:\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?")
_FILTER: Final = re.compile(r"""\?\(\s*(.+?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?\)""")
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Path:
    """A parsed path."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps

    def find(self, value: Any) -> list[Any]:
        """Every value the path leads to, in order; keys that are missing lead nowhere.

        Raises `LookupError` for an index out of range, `TypeError` for one into something that is no list.
        """
        found = [value]
        for step in self._steps:
            found = [each for one in found for each in step(one)]
        return found


@lru_cache(maxsize=512)
def parse(text: str) -> Path:
    """The path that *text* writes, with or without its braces. Raises `ValueError` where it writes none."""
    rest = text.strip().removeprefix("{").removesuffix("}").strip().removeprefix("$")
    steps: list[Step] = []
    while rest:
        if rest.startswith("["):
            match = _BRACKET.match(rest)
            if match is None:
                raise ValueError(f"unterminated array in {text!r}")
            steps.append(_bracket(match[1]))
            rest = rest[match.end() :]
            continue
        recursive = rest.startswith("..")
        rest = rest.removeprefix("..") if recursive else rest.removeprefix(".")
        if recursive:
            steps.append(_descend)
        if rest.startswith("*"):
            steps.append(_every)
            rest = rest[1:]
        elif (match := _FIELD.match(rest)) is not None:
            steps.append(_field(re.sub(r"\\(.)", r"\1", match[0])))
            rest = rest[match.end() :]
        elif rest and not rest.startswith("["):
            raise ValueError(f"unrecognized character in {text!r} at {rest!r}")
    return Path(steps)


def _bracket(text: str) -> Step:
    if text.strip() == "*":
        return _every
    if text.lstrip().startswith("?"):
        return _filter(text.strip())
    if quoted := _QUOTED.fullmatch(text):
        return _field(re.sub(r"\\(.)", r"\1", quoted[1] if quoted[1] is not None else quoted[2]))
    if "," in text:
        steps = [_bracket(one) for one in text.split(",")]
        return lambda value: [each for step in steps for each in step(value)]
    if part := _SLICE.fullmatch(text):
        bounds = [int(one) if one else None for one in part.groups()]
        return lambda value: _list(value)[slice(*bounds)]
    try:
        index = int(text)
    except ValueError:
        raise ValueError(f"invalid array index {text}") from None
    return lambda value: [_list(value)[index]]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("it is not a list")
    return value


def _field(name: str) -> Step:
    return lambda value: [value[name]] if isinstance(value, Mapping) and name in value else []


def _every(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return [value[key] for key in sorted(value)]
    return value if isinstance(value, list) else []


def _descend(value: Any) -> Iterator[Any]:
    yield value
    for one in _every(value):
        yield from _descend(one)


def _filter(text: str) -> Step:
    match = _FILTER.fullmatch(text)
    if match is None:
        raise ValueError(f"unrecognized filter {text}")
    left, sign, right = match.groups()
    if sign is None:
        path = parse(left.removeprefix("@"))
        return lambda value: [one for one in _every(value) if path.find(one)]
    compare, first, second = _OPERATORS[sign], _operand(left), _operand(right)

    def keep(value: Any) -> bool:
        mine, yours = first(value), second(value)
        if not mine or not yours:
            return False
        if isinstance(mine[0], bool) != isinstance(yours[0], bool):
            raise TypeError("values of different types cannot be compared")
        return compare(mine[0], yours[0])

    return lambda value: [one for one in _every(value) if keep(one)]


def _operand(text: str) -> Callable[[Any], list[Any]]:
    if text.startswith("@"):
        return parse(text[1:]).find
    constant: Any
    if quoted := _QUOTED.fullmatch(text):
        constant = quoted[1] if quoted[1] is not None else quoted[2]
    elif text in ("true", "false"):
        constant = text == "true"
    else:
        constant = float(text) if "." in text else int(text)
    return lambda value: [constant]
