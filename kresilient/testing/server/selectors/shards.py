"""Shard selectors (KEP-5866): ranges of a 64-bit hash of each object's uid or namespace.

`shardRange(object.metadata.uid, '0x0000000000000000', '0x8000000000000000') || shardRange(…)` is a CEL
expression that the server takes apart and never evaluates. Its refusals are the server's, but for what CEL's
own parser says of a text that is no expression.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NoReturn, Protocol

from ..go_words import quote
from ..statuses import bad_request

__all__ = ["ShardQuery", "fnv1a_64"]


class Sharded(Protocol):
    """What a shard is told by."""

    @property
    def uid(self) -> str: ...
    @property
    def namespace(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Range:
    field: str
    start: str
    end: str

    def __str__(self) -> str:
        return f"shardRange({self.field}, '{self.start}', '{self.end}')"


class ShardQuery:
    """A shard selector. `str()` is how the server writes it in `metadata.shardInfo`."""

    __slots__ = ("_bounds", "_by_uid", "_ranges")

    def __init__(self, ranges: Sequence[_Range]) -> None:
        self._ranges = tuple(ranges)
        self._by_uid = ranges[0].field.endswith(".uid")
        self._bounds = tuple((int(one.start, 16), int(one.end, 16)) for one in ranges)

    @classmethod
    def parse(cls, text: str) -> ShardQuery:
        """The selector that *text* writes. Raises `Refused` (400)."""
        if not text.strip():
            _refuse("empty shard selector is not allowed; omit the parameter for unfiltered lists")
        ranges = _ranges(_Parser(text).parse())
        for one in ranges[1:]:
            if one.field != ranges[0].field:
                _refuse(
                    f"all shard ranges must use the same field, got {quote(ranges[0].field)} and "
                    f"{quote(one.field)}"
                )
        return cls(ranges)

    def matches(self, obj: Sharded) -> bool:
        """Whether the hash of *obj* is in one of the ranges: start inclusive, end exclusive."""
        hashed = fnv1a_64(obj.uid if self._by_uid else obj.namespace)
        return any(start <= hashed < end for start, end in self._bounds)

    def __str__(self) -> str:
        return " || ".join(map(str, self._ranges))


@lru_cache(maxsize=1 << 17)
def fnv1a_64(text: str) -> int:
    """The 64-bit FNV-1a hash of *text*; every watch of a shard asks for that of every object."""
    hashed = 0xCBF29CE484222325
    for byte in text.encode():
        hashed = ((hashed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return hashed


def _refuse(message: str) -> NoReturn:
    raise bad_request(f"invalid shard selector: {message}")


# --- the expression ----------------------------------------------------------------------------------

_CALL, _IDENT, _LITERAL, _SELECT = 1, 3, 5, 7
"""The kinds of an expression as CEL numbers them: messages name a kind by its number."""


@dataclass(frozen=True, slots=True)
class _Expression:
    kind: int
    name: str = ""
    inner: tuple[_Expression, ...] = ()
    value: Any = None


_TOKEN: Final = re.compile(
    r"""[\t\n\f\r ]*(?:(?P<number>\d+(?:\.\d+)?u?)|(?P<word>[A-Za-z_]\w*)|(?P<quoted>'[^'\\\n]*'|"[^"\\\n]*")
    |(?P<symbol>\|\||&&|[<>!=]=|[-+*/%<>(),.!])|\Z)""",
    re.VERBOSE | re.ASCII,
)
_PRECEDENCE: Final = (("||",), ("&&",), ("<=", ">=", "<", ">", "==", "!="), ("+", "-"), ("*", "/", "%"))


class _Parser:
    """The part of CEL that a shard selector, or a plausible mistake in one, is written in."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while not self._tokens or self._tokens[-1][0]:
            found = _TOKEN.match(text, at)
            if found is None:
                _refuse(f"CEL parse error: Syntax error: token recognition error at: {quote(text[at:])}")
            self._tokens.append((found.lastgroup or "", found[found.lastgroup] if found.lastgroup else ""))
            at = found.end()
        self._next = 0

    def parse(self) -> _Expression:
        expression = self._binary(0)
        if self._tokens[self._next][0]:
            self._unexpected()
        return expression

    def _unexpected(self) -> NoReturn:
        found = self._tokens[self._next][1] or "<EOF>"
        _refuse(f"CEL parse error: Syntax error: mismatched input '{found}'")

    def _take(self, *symbols: str) -> str:
        """The next token if it is one of *symbols*, else nothing."""
        kind, text = self._tokens[self._next]
        if kind != "symbol" or text not in symbols:
            return ""
        self._next += 1
        return text

    def _binary(self, level: int) -> _Expression:
        if level == len(_PRECEDENCE):
            return self._member()
        left = self._binary(level + 1)
        while operator := self._take(*_PRECEDENCE[level]):
            left = _Expression(_CALL, f"_{operator}_", (left, self._binary(level + 1)))
        return left

    def _member(self) -> _Expression:
        expression = self._primary()
        while self._take("."):
            kind, name = self._tokens[self._next]
            if kind != "word":
                self._unexpected()
            self._next += 1
            if self._take("("):
                expression = _Expression(_CALL, name, self._arguments())
            else:
                expression = _Expression(_SELECT, name, (expression,))
        return expression

    def _primary(self) -> _Expression:
        if self._take("!"):
            return _Expression(_CALL, "!_", (self._member(),))
        if self._take("-"):
            return _Expression(_CALL, "-_", (self._member(),))
        if self._take("("):
            expression = self._binary(0)
            if not self._take(")"):
                self._unexpected()
            return expression
        kind, text = self._tokens[self._next]
        if kind not in ("word", "quoted", "number"):
            self._unexpected()
        self._next += 1
        if kind == "quoted":
            return _Expression(_LITERAL, value=text[1:-1])
        if kind == "number":
            number: float = float(text) if "." in text else int(text.removesuffix("u"))
            return _Expression(_LITERAL, "uint64" if text.endswith("u") else "", value=number)
        if text in ("true", "false"):
            return _Expression(_LITERAL, value=text == "true")
        if self._take("("):
            return _Expression(_CALL, text, self._arguments())
        return _Expression(_IDENT, text)

    def _arguments(self) -> tuple[_Expression, ...]:
        if self._take(")"):
            return ()
        arguments = [self._binary(0)]
        while self._take(","):
            arguments.append(self._binary(0))
        if not self._take(")"):
            self._unexpected()
        return tuple(arguments)


# --- what it must be ---------------------------------------------------------------------------------

_GO_TYPES: Final = {bool: "bool", int: "int64", float: "float64"}


def _ranges(expression: _Expression) -> list[_Range]:
    if expression.kind != _CALL:
        _refuse(f"unexpected expression kind {expression.kind}; expected shardRange() call or || operator")
    if expression.name == "_||_":
        return [one for side in expression.inner for one in _ranges(side)]
    if expression.name != "shardRange":
        _refuse(f"unsupported function {quote(expression.name)}; only shardRange() and || are allowed")
    if len(expression.inner) != 3:
        _refuse(f"shardRange() requires exactly 3 arguments, got {len(expression.inner)}")
    field = _path(expression.inner[0])
    if field not in ("object.metadata.uid", "object.metadata.namespace"):
        _refuse(
            f"unsupported field path {quote(field)}; supported: object.metadata.uid, "
            "object.metadata.namespace"
        )
    start, end = _hex(expression.inner[1], "hexStart"), _hex(expression.inner[2], "hexEnd")
    if int(start, 16) >= int(end, 16):
        _refuse(f"shard range start {start} must be less than end {end}")
    return [_Range(field, start, end)]


def _path(expression: _Expression) -> str:
    if expression.kind == _IDENT:
        return expression.name
    if expression.kind == _SELECT:
        return f"{_path(expression.inner[0])}.{expression.name}"
    _refuse(
        "shardRange() first argument: expected field path (e.g. object.metadata.uid), got expression kind "
        f"{expression.kind}"
    )


def _hex(expression: _Expression, name: str) -> str:
    if expression.kind != _LITERAL:
        _refuse(f"{name} must be a string literal (e.g. '0xff'), got expression kind {expression.kind}")
    text = expression.value
    if not isinstance(text, str):
        _refuse(f"{name} must be a string literal, got {expression.name or _GO_TYPES[type(text)]}")
    if not text.startswith("0x"):
        _refuse(f"{name} must have '0x' prefix, got {quote(text)}")
    digits = text[2:]
    if not digits:
        _refuse(f"{name}: hex value is required after '0x'")
    if len(digits.encode()) > 17:
        _refuse(f"{name}: hex value too long ({len(digits.encode())} chars, max 17): {quote(digits)}")
    for char in digits:
        if char not in "0123456789abcdef":
            _refuse(f"{name}: invalid hex character {quote(char)} in {quote(text)}")
    if len(digits) == 17 and text != "0x10000000000000000":
        _refuse(f"{name}: 17-digit hex value must be '0x10000000000000000' (2^64), got {quote(text)}")
    if len(digits) < 16:
        meant = quote("0x" + digits.rjust(16, "0"))
        _refuse(f"{name} must be a 0x-prefixed 16-digit hex value, got {quote(text)} (did you mean {meant}?)")
    return text
