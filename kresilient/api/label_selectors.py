"""Label selectors: the grammar of `k8s.io/apimachinery/pkg/labels`, parsed and matched here.

What does not parse raises `SelectorError`: never does a selector widen to "everything" by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn

from .errors import SelectorError, wrong_type

__all__ = ["LabelRequirement", "LabelSelector", "Operator", "quoted"]


class Operator(StrEnum):
    """How a requirement compares. `==` parses as EQUALS; field selectors know the first two only."""

    EQUALS = "="
    NOT_EQUALS = "!="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"
    GREATER_THAN = ">"
    LESS_THAN = "<"


_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?\Z")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_NAME_RULE = "letters, digits, '-', '_' or '.', a letter or digit at both ends, at most 63 of them"


def _key_fault(key: str) -> str | None:
    """Why *key* is no label key (`content.IsLabelKey`), or None where it is one."""
    prefix, slash, name = key.rpartition("/")
    if slash:
        if "/" in prefix:
            return "a label key has at most one '/'"
        if not prefix:
            return "the prefix of a label key before '/' must not be empty"
        if len(prefix) > 253 or not all(_DNS_LABEL.match(part) for part in prefix.split(".")):
            return "the prefix of a label key must be a lower-case DNS subdomain of at most 253 characters"
    if len(name) > 63 or not _NAME.match(name):
        return f"the name of a label key must be {_NAME_RULE}"
    return None


def _value_fault(value: str) -> str | None:
    """Why *value* is no label value (`validation.IsValidLabelValue`), or None where it is one."""
    if value and (len(value) > 63 or not _NAME.match(value)):
        return f"a label value must be empty or {_NAME_RULE}"
    return None


def _integer(text: str) -> int | None:
    """*text* as Go's `ParseInt(text, 10, 64)` reads it, or None where that fails."""
    if not _INTEGER.match(text):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


@dataclass(frozen=True, slots=True, order=True)
class LabelRequirement:
    """One condition on one label, valid and in its plainest form.

    Values are sorted and unique. `in` and `notin` with a single value become `=` and `!=`, which mean the
    same, so that requirements of one meaning are equal. Raises `SelectorError` for a key, a value or a number
    of values that the server would refuse.
    """

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if fault := _key_fault(self.key):
            raise SelectorError(f"invalid label key {quoted(self.key)}: {fault}")
        values = tuple(sorted(set(self.values)))
        for value in values:
            if fault := _value_fault(value):
                raise SelectorError(f"invalid value {quoted(value)} for label {self.key!r}: {fault}")
        operator = Operator(self.operator)
        match operator:
            case Operator.IN | Operator.NOT_IN:
                if not values:
                    raise SelectorError(
                        f"label {self.key!r}: for 'in', 'notin' operators, values can't be empty"
                    )
                if len(values) == 1:
                    operator = Operator.EQUALS if operator is Operator.IN else Operator.NOT_EQUALS
            case Operator.EXISTS | Operator.DOES_NOT_EXIST:
                if values:
                    raise SelectorError(f"label {self.key!r}: exists and does not exist take no values")
            case _:
                if len(values) != 1:
                    raise SelectorError(f"label {self.key!r}: {operator.value!r} takes exactly one value")
        if operator in (Operator.GREATER_THAN, Operator.LESS_THAN):
            bound = _integer(values[0])
            if bound is None:
                raise SelectorError(
                    f"invalid value {quoted(values[0])} for label {self.key!r}: for '>', '<' operators, "
                    "the value must be an integer of 64 bits"
                )
            values = (str(bound),)
        object.__setattr__(self, "operator", operator)
        object.__setattr__(self, "values", values)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* meet this condition; `!=` and `notin` are met by an absent label, as in Go."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.EQUALS | Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_EQUALS | Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
        number = None if value is None else _integer(value)
        if number is None:
            return False
        bound = int(self.values[0])
        return number > bound if self.operator is Operator.GREATER_THAN else number < bound

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator.value} ({','.join(self.values)})"
        return f"{self.key}{self.operator.value}{self.values[0]}"


@dataclass(frozen=True, slots=True, init=False)
class LabelSelector:
    """A conjunction of label requirements; with none of them it matches every object.

    Selectors are equal, and hash alike, when their requirements mean the same: order, repetition, spacing
    and the choice between `=`, `==` and `in` with one value make no difference. `str()` is the text to send.
    """

    requirements: tuple[LabelRequirement, ...]

    def __init__(self, requirements: Iterable[LabelRequirement] = ()) -> None:
        object.__setattr__(self, "requirements", tuple(sorted(set(requirements))))

    @classmethod
    def parse(cls, selector: str | Mapping[str, Any] | LabelSelector) -> LabelSelector:
        """The selector that *selector* is: text, labels that must be equal, or `matchLabels` with
        `matchExpressions` as API objects hold them.

        Only a really empty text or mapping matches everything. Raises `SelectorError`, which names the
        position in the text, what was found there and what was expected.
        """
        if isinstance(selector, LabelSelector):
            return selector
        if isinstance(selector, str):
            return cls(_LabelParser(selector).parse()) if selector else cls()
        if isinstance(selector, Mapping):
            return cls(_from_mapping(selector))
        raise wrong_type("a label selector", "text, a mapping or a LabelSelector", selector)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* meet every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether it matches everything because it requires nothing."""
        return not self.requirements

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def _from_mapping(selector: Mapping[str, Any]) -> Iterable[LabelRequirement]:
    if not any(
        key in selector and not isinstance(selector[key], str) for key in ("matchLabels", "matchExpressions")
    ):
        yield from _match_labels(selector)
        return
    if unknown := sorted(str(key) for key in selector.keys() - {"matchLabels", "matchExpressions"}):
        raise SelectorError(f"a label selector holds matchLabels and matchExpressions, not {unknown[0]!r}")
    labels = {} if selector.get("matchLabels") is None else selector["matchLabels"]
    if not isinstance(labels, Mapping):
        raise SelectorError(f"matchLabels must be a mapping, not {type(labels).__name__}")
    yield from _match_labels(labels)
    expressions = [] if selector.get("matchExpressions") is None else selector["matchExpressions"]
    if not isinstance(expressions, Sequence) or isinstance(expressions, str | bytes):
        raise SelectorError(f"matchExpressions must be a list, not {type(expressions).__name__}")
    for index, expression in enumerate(expressions):
        yield _match_expression(f"matchExpressions[{index}]", expression)


def _match_labels(labels: Mapping[str, Any]) -> Iterable[LabelRequirement]:
    for key, value in labels.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise SelectorError(
                f"label {quoted(key)}: keys and values must be strings, found {quoted(value)}"
            )
        yield LabelRequirement(key, Operator.EQUALS, (value,))


_EXPRESSION_OPERATORS: Final = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
}


def _match_expression(where: str, expression: Any) -> LabelRequirement:
    if not isinstance(expression, Mapping):
        raise SelectorError(f"{where} must be a mapping, not {type(expression).__name__}")
    if unknown := sorted(str(key) for key in expression.keys() - {"key", "operator", "values"}):
        raise SelectorError(f"{where} holds key, operator and values, not {unknown[0]!r}")
    key, name, values = expression.get("key"), expression.get("operator"), expression.get("values")
    operator = _EXPRESSION_OPERATORS.get(name) if isinstance(name, str) else None
    if operator is None:
        raise SelectorError(
            f"{where}: found operator {quoted(name)}, expected: {', '.join(_EXPRESSION_OPERATORS)}"
        )
    values = [] if values is None else values
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise SelectorError(f"{where}: values must be a list, not {type(values).__name__}")
    if not isinstance(key, str) or not all(isinstance(value, str) for value in values):
        raise SelectorError(f"{where}: the key and the values must be strings")
    try:
        return LabelRequirement(key, operator, tuple(values))
    except SelectorError as error:
        raise SelectorError(f"{where}: {error}") from None


_TOKEN = re.compile(r"[ \t\r\n]*(?:(?P<symbol>==|!=|[=!(),<>])|(?P<word>[^ \t\r\n=!(),<>]+)|\Z)")
_BINARY: Final = {
    "=": Operator.EQUALS,
    "==": Operator.EQUALS,
    "!=": Operator.NOT_EQUALS,
    "in": Operator.IN,
    "notin": Operator.NOT_IN,
    ">": Operator.GREATER_THAN,
    "<": Operator.LESS_THAN,
}


class _LabelParser:
    """The recursive descent of `labels.Parser`. A token is (its text, whether a word, its position); the
    last one is ("", False, the end)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, bool, int]] = []
        # Go's lexer takes a NUL for the end of the text, and so what follows it for nothing.
        if (at := text.find("\0")) >= 0:
            self._fail("'\\x00'", "an identifier or an operator", at)
        for found in _TOKEN.finditer(text):
            if (word := found["word"]) is not None:
                self._tokens.append((word, True, found.start("word")))
            elif (symbol := found["symbol"]) is not None:
                self._tokens.append((symbol, False, found.start("symbol")))
        self._tokens.append(("", False, len(text)))
        self._next = 0

    def parse(self) -> Iterable[LabelRequirement]:
        """One requirement after the other; blanks alone are no selector."""
        while True:
            lexeme, is_word, at = self._tokens[self._next]
            if not is_word and lexeme != "!":
                after = "identifier after ','" if self._next else "!, identifier"
                self._fail(repr(lexeme), after, at)
            yield self._requirement()
            lexeme, _, at = self._take()
            if not lexeme:
                return
            if lexeme != ",":
                self._fail(repr(lexeme), "',' or 'end of string'", at)

    def _take(self) -> tuple[str, bool, int]:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _requirement(self) -> LabelRequirement:
        key, is_word, at = self._take()
        absent = not is_word
        if absent:
            key, is_word, at = self._take()
        if not is_word:
            self._fail(repr(key), "identifier", at)
        following = self._tokens[self._next][0]
        if absent or following in ("", ","):
            return self._build(at, key, Operator.DOES_NOT_EXIST if absent else Operator.EXISTS, ())
        lexeme, _, operator_at = self._take()
        operator = _BINARY.get(lexeme)
        if operator is None:
            self._fail(repr(lexeme), "in, notin, =, ==, !=, >, <", operator_at)
        if operator in (Operator.IN, Operator.NOT_IN):
            return self._build(at, key, operator, self._value_set())
        if self._tokens[self._next][0] in ("", ","):
            return self._build(at, key, operator, ("",))
        value, is_word, value_at = self._take()
        if not is_word:
            self._fail(repr(value), "identifier", value_at)
        return self._build(at, key, operator, (value,))

    def _value_set(self) -> tuple[str, ...]:
        """The values between parentheses; one that is left out is the empty value."""
        lexeme, _, at = self._take()
        if lexeme != "(":
            self._fail(repr(lexeme), "'('", at)
        values = []
        while True:
            lexeme, is_word, at = self._take()
            if is_word:
                values.append(lexeme)
                lexeme, is_word, at = self._take()
                if lexeme not in (",", ")") or is_word:
                    self._fail(repr(lexeme), "',' or ')'", at)
            elif lexeme in (",", ")"):
                values.append("")
            else:
                self._fail(repr(lexeme), "',', ')' or identifier", at)
            if lexeme == ")":
                return tuple(values)

    def _build(self, at: int, key: str, operator: Operator, values: tuple[str, ...]) -> LabelRequirement:
        try:
            return LabelRequirement(key, operator, values)
        except SelectorError as error:
            raise SelectorError(
                f"label selector {quoted(self._text)}: {error} (at position {at + 1})"
            ) from None

    def _fail(self, found: str, expected: str, at: int) -> NoReturn:
        if at >= len(self._text):
            found = "the end"
        raise SelectorError(
            f"label selector {quoted(self._text)}: found {found}, expected: {expected} (at position {at + 1})"
        )


def quoted(value: object) -> str:
    """*value* quoted, and cut where a message would grow with it."""
    text = repr(value[:200] if isinstance(value, str) else value)
    return text if len(text) <= 220 else f"{text[:200]}…"
