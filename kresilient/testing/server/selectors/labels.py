"""Label selectors: the lexer, the parser and the words of `k8s.io/apimachinery/pkg/labels`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NoReturn

from ..go_words import parse_int, quote
from ..statuses import Refused, bad_request

__all__ = ["LabelQuery"]

_Test = Callable[[Mapping[str, str]], bool]

_END: Final = "end"
_WORD: Final = "identifier"
_KEYWORDS: Final = frozenset({"in", "notin"})
_SPECIAL: Final = "=!(),<>"
_LONG: Final = frozenset({"==", "!="})
_BLANK: Final = " \t\r\n"
_BINARY: Final = ("in", "notin", "=", "==", "!=", ">", "<")
_BINARY_NAMES: Final = "in, notin, =, ==, !=, gt, lt"


class LabelQuery:
    """A label selector: every requirement of it must be met."""

    __slots__ = ("_tests",)

    def __init__(self, tests: Sequence[_Test]) -> None:
        self._tests = tuple(tests)

    @classmethod
    def parse(cls, text: str) -> LabelQuery:
        """The selector that *text* writes. Raises `Refused` (400) in the server's words."""
        return cls(list(_Parser(text).requirements()))

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(test(labels) for test in self._tests)

    def __bool__(self) -> bool:
        """Whether it requires anything."""
        return bool(self._tests)


# --- the lexer ---------------------------------------------------------------------------------------

Token = tuple[str, str]
"""What it is (an operator itself, `identifier` or `end`), and its text."""


def _tokens(text: str) -> Iterator[Token]:
    """The tokens of *text*. A NUL ends a word, and the text where no word has begun: so does Go's lexer."""
    at = 0
    while True:
        while at < len(text) and text[at] in _BLANK:
            at += 1
        if at >= len(text) or text[at] == "\0":
            yield _END, ""
            return
        if text[at] in _SPECIAL:
            end = at + 1 + (text[at : at + 2] in _LONG)
            yield text[at:end], text[at:end]
        else:
            end = at
            while end < len(text) and text[end] not in _SPECIAL + _BLANK + "\0":
                end += 1
            word = text[at:end]
            yield (word if word in _KEYWORDS else _WORD), word
        at = end + text.startswith("\0", end)


# --- the parser --------------------------------------------------------------------------------------


def _fail(message: str) -> NoReturn:
    raise bad_request(message)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0

    def _look(self) -> Token:
        """The next token, where a value may stand: `in` and `notin` are words there."""
        kind, word = self._tokens[self._next]
        return (_WORD if kind in _KEYWORDS else kind), word

    def _take(self) -> Token:
        token = self._look()
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def requirements(self) -> Iterator[_Test]:
        while True:
            kind, word = self._look()
            if kind == _END:
                return
            if kind not in (_WORD, "!"):
                _fail(f"found '{word}', expected: !, identifier, or 'end of string'")
            try:
                yield self._requirement()
            except Refused as refused:
                _fail(f"unable to parse requirement: {refused.message}")
            kind, word = self._take()
            if kind == _END:
                return
            if kind != ",":
                _fail(f"found '{word}', expected: ',' or 'end of string'")
            kind, word = self._look()
            if kind not in (_WORD, "!"):
                _fail(f"found '{word}', expected: identifier after ','")

    def _requirement(self) -> _Test:
        kind, key = self._take()
        absent = kind == "!"
        if absent:
            kind, key = self._take()
        if kind != _WORD:
            _fail(f"found '{key}', expected: identifier")
        if faults := _key_faults(key):
            _fail(f"<nil>: Invalid value: {quote(key)}: {'; '.join(faults)}")
        if absent:  # whatever follows: Go stops there with an error of its own
            return lambda labels: key not in labels
        if self._look()[0] in (_END, ","):
            return lambda labels: key in labels
        operator = self._operator()
        values = self._values() if operator in ("in", "notin") else self._value()
        return _test(key, operator, sorted(values))

    def _operator(self) -> str:
        kind, word = self._tokens[self._next]
        self._take()
        if kind not in _BINARY:
            _fail(f"found '{word}', expected: {_BINARY_NAMES}")
        return kind

    def _value(self) -> set[str]:
        if self._look()[0] in (_END, ","):
            return {""}
        kind, word = self._take()
        if kind != _WORD:
            _fail(f"found '{word}', expected: identifier")
        return {word}

    def _values(self) -> set[str]:
        """The values between parentheses; one that is left out is the empty value."""
        kind, word = self._take()
        if kind != "(":
            _fail(f"found '{word}' expected: '('")
        kind, word = self._look()
        if kind == ")":
            self._take()
            return {""}
        if kind not in (_WORD, ","):
            _fail(f"found '{word}', expected: ',', ')' or identifier")
        values = self._listed()
        self._take()
        return values

    def _listed(self) -> set[str]:
        values: set[str] = set()
        while True:
            kind, word = self._take()
            if kind == _WORD:
                values.add(word)
                kind, word = self._look()
                if kind == ")":
                    return values
                if kind != ",":
                    _fail(f"found '{word}', expected: ',' or ')'")
            elif kind == ",":
                if not values:
                    values.add("")
                kind = self._look()[0]
                if kind in (",", ")"):
                    values.add("")
                if kind == ")":
                    return values
            else:
                _fail(f"found '{word}', expected: ',', or identifier")


# --- requirements ------------------------------------------------------------------------------------


def _test(key: str, operator: str, values: Sequence[str]) -> _Test:
    """What `NewRequirement` makes, after its checks."""
    faults = []
    if operator in (">", "<"):
        for place, value in enumerate(values):
            try:
                parse_int(value)
            except ValueError:
                rule = "for 'Gt', 'Lt' operators, the value must be an integer"
                faults.append(f"values[{place}]: Invalid value: {quote(value)}: {rule}")
    for place, value in enumerate(values):
        if wrong := _value_faults(value):
            faults.append(f"values[{place}][{key}]: Invalid value: {quote(value)}: {'; '.join(wrong)}")
    if faults:
        _fail(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    if operator in (">", "<"):
        return _comparison(key, operator, parse_int(values[0]))
    wanted = frozenset(values)
    if operator in ("notin", "!="):
        return lambda labels: labels.get(key) not in wanted
    return lambda labels: labels.get(key) in wanted


def _comparison(key: str, operator: str, bound: int) -> _Test:
    def test(labels: Mapping[str, str]) -> bool:
        try:
            number = parse_int(labels.get(key, ""))
        except ValueError:
            return False
        return number > bound if operator == ">" else number < bound

    return test


_NAME: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUBDOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME_RULE: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_VALUE_RULE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    f"for validation is '({_NAME})?')"
)
_SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN}')"
)


def _key_faults(key: str) -> list[str]:
    """What `content.IsLabelKey` says of *key*."""
    parts = key.split("/")
    if len(parts) > 2:
        example = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {_NAME_RULE} {example}"]
    faults = []
    if len(parts) == 2:
        if not parts[0]:
            faults.append("prefix part must be non-empty")
        if len(parts[0].encode()) > 253:
            faults.append("prefix part must be no more than 253 bytes")
        if parts[0] and not re.fullmatch(_SUBDOMAIN, parts[0]):
            faults.append(f"prefix part {_SUBDOMAIN_RULE}")
    name = parts[-1]
    if not name:
        faults.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        faults.append("name part must be no more than 63 bytes")
    if not re.fullmatch(_NAME, name):
        faults.append(f"name part {_NAME_RULE}")
    return faults


def _value_faults(value: str) -> list[str]:
    """What `content.IsLabelValue` says of *value*."""
    faults = []
    if len(value.encode()) > 63:
        faults.append("must be no more than 63 bytes")
    if not re.fullmatch(f"({_NAME})?", value):
        faults.append(_VALUE_RULE)
    return faults
