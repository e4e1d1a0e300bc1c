"""What Go's standard library says of texts that it cannot read: the words reach clients in `Status` messages.

The texts follow `strconv`, `time`, `encoding/json` and `encoding/base64`.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

__all__ = [
    "base64_fault",
    "duration_fault",
    "go_value",
    "json_fault",
    "parse_bool",
    "parse_int",
    "parse_uint",
    "quote",
]

_SHORT: Final = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}


def quote(text: str) -> str:
    """*text* as `strconv.Quote` writes it: `%q` in a message."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(char: str) -> str:
    code = ord(char)
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    if code in _SHORT:
        return _SHORT[code]
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def go_value(value: Any) -> str:
    """*value*, made of what JSON has, as `fmt` prints it with `%v`: `map[a:[1 x] b:<nil>]`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_value(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_value, value))}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- numbers -----------------------------------------------------------------------------------------


def parse_int(text: str) -> int:
    """*text* as `strconv.ParseInt(text, 10, 64)` reads it. Raises `ValueError` in its words."""
    return _number("ParseInt", text, r"[+-]?[0-9]+", -(1 << 63), (1 << 63) - 1)


def parse_uint(text: str) -> int:
    """*text* as `strconv.ParseUint(text, 10, 64)` reads it. Raises `ValueError` in its words."""
    return _number("ParseUint", text, r"[0-9]+", 0, (1 << 64) - 1)


def _number(function: str, text: str, form: str, lowest: int, highest: int) -> int:
    if not re.fullmatch(form, text, re.ASCII):
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    # Python refuses to read a number of thousands of digits, and no number of more than 20 is in range.
    number = int(text) if len(text.lstrip("+-0")) <= 20 else highest + 1
    if not lowest <= number <= highest:
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return number


def parse_bool(text: str) -> bool:
    """A query parameter that is there: all but `0` and `false` is true, the empty text too."""
    return text != "0" and text.lower() != "false"


# --- durations ---------------------------------------------------------------------------------------

_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,  # the micro sign
    "\u03bcs": 10**3,  # the Greek letter
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_NUMBER_AND_UNIT: Final = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?(?P<unit>[^.0-9]*)", re.DOTALL)


def duration_fault(text: str) -> str:
    """What `time.ParseDuration` says of *text* where it is none, and nothing where it is one: `1h2m3.5s`."""
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return ""
    bad, total = f"time: invalid duration {_time_quote(text)}", 0
    if not rest:
        return bad
    while rest:
        found = _NUMBER_AND_UNIT.match(rest)
        if found is None or not (found["whole"] or found["part"]):
            return bad
        unit = found["unit"]
        whole = int(found["whole"] or 0) if len(found["whole"].lstrip("0")) <= 19 else 1 << 64
        if whole > 1 << 63:
            return bad
        if not unit:
            return f"time: missing unit in duration {_time_quote(text)}"
        if unit not in _NANOSECONDS:
            return f"time: unknown unit {_time_quote(unit)} in duration {_time_quote(text)}"
        total += whole * _NANOSECONDS[unit]
        part = (found["part"] or "")[:18]
        total += int(part or 0) * _NANOSECONDS[unit] // 10 ** len(part)
        if total > 1 << 63:
            return bad
        rest = rest[found.end() :]
    return bad if total == 1 << 63 and not negative else ""


def _time_quote(text: str) -> str:
    """*text* as the package `time` quotes it: byte by byte where it is no plain ASCII."""
    shown = (
        f"\\{chr(byte)}" if byte in b'"\\' else chr(byte) if 0x20 <= byte < 0x80 else f"\\x{byte:02x}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
    return f'"{"".join(shown)}"'


# --- base64 ------------------------------------------------------------------------------------------

_URL_ALPHABET: Final = re.compile(rb"[A-Za-z0-9_-]*")


def base64_fault(text: str) -> tuple[bytes, str]:
    """*text* as `base64.RawURLEncoding` decodes it: the bytes, or why not. Line breaks are skipped."""
    data = text.encode()
    good = 0
    while good < len(data):
        found = _URL_ALPHABET.match(data, good)
        good = found.end() if found else good
        if good < len(data) and data[good] in b"\r\n":
            good += 1
        elif good < len(data):
            return b"", f"illegal base64 data at input byte {good}"
    plain = data.replace(b"\r", b"").replace(b"\n", b"")
    try:
        return base64.urlsafe_b64decode(plain + b"=" * (-len(plain) % 4)), ""
    except binascii.Error:  # one character alone holds no byte
        return b"", f"illegal base64 data at input byte {len(data)}"


# --- JSON --------------------------------------------------------------------------------------------

_END: Final = "unexpected end of JSON input"
_BLANK: Final = b" \t\r\n"
_HEX: Final = b"0123456789abcdefABCDEF"
_DIGITS: Final = b"0123456789"


def json_fault(data: bytes) -> str:
    """What `encoding/json` says of *data* where it is no JSON, and nothing where it is."""
    try:
        at = _Scanner(data).value(0)
    except _JsonFault as fault:
        return str(fault)
    except RecursionError:
        return "exceeded max depth"
    at = _skip(data, at)
    return "" if at >= len(data) else f"invalid character {_char(data, at)} after top-level value"


class _JsonFault(Exception):
    pass


def _char(data: bytes, at: int) -> str:
    """The byte as the scanner names it."""
    char = chr(data[at])
    if char == "'":
        return "'\\''"
    return "'\"'" if char == '"' else "'" + quote(char)[1:-1] + "'"


def _skip(data: bytes, at: int) -> int:
    while at < len(data) and data[at] in _BLANK:
        at += 1
    return at


class _Scanner:
    """Goes through a text as the state machine of `encoding/json` does; each method returns where it ends."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def _fail(self, at: int, where: str) -> _JsonFault:
        if at >= len(self._data):
            return _JsonFault(_END)
        return _JsonFault(f"invalid character {_char(self._data, at)} {where}")

    def _is(self, at: int, among: bytes) -> bool:
        return at < len(self._data) and self._data[at] in among

    def value(self, at: int) -> int:
        at = _skip(self._data, at)
        if self._is(at, b"{"):
            return self._object(at + 1)
        if self._is(at, b"["):
            return self._array(at + 1)
        if self._is(at, b'"'):
            return self._string(at + 1)
        if self._is(at, b"-" + _DIGITS):
            return self._number(at)
        for literal in (b"true", b"false", b"null"):
            if self._is(at, literal[:1]):
                return self._literal(at, literal)
        raise self._fail(at, "looking for beginning of value")

    def _object(self, at: int) -> int:
        at = _skip(self._data, at)
        if self._is(at, b"}"):
            return at + 1
        while True:
            at = _skip(self._data, at)
            if not self._is(at, b'"'):
                raise self._fail(at, "looking for beginning of object key string")
            at = _skip(self._data, self._string(at + 1))
            if not self._is(at, b":"):
                raise self._fail(at, "after object key")
            at = _skip(self._data, self.value(at + 1))
            if self._is(at, b"}"):
                return at + 1
            if not self._is(at, b","):
                raise self._fail(at, "after object key:value pair")
            at += 1

    def _array(self, at: int) -> int:
        at = _skip(self._data, at)
        if self._is(at, b"]"):
            return at + 1
        while True:
            at = _skip(self._data, self.value(at))
            if self._is(at, b"]"):
                return at + 1
            if not self._is(at, b","):
                raise self._fail(at, "after array element")
            at += 1

    def _string(self, at: int) -> int:
        while True:
            if not at < len(self._data) or self._data[at] < 0x20:
                raise self._fail(at, "in string literal")
            if self._is(at, b'"'):
                return at + 1
            if not self._is(at, b"\\"):
                at += 1
            elif self._is(at + 1, b"u"):
                for digit in range(at + 2, at + 6):
                    if not self._is(digit, _HEX):
                        raise self._fail(digit, "in \\u hexadecimal character escape")
                at += 6
            elif self._is(at + 1, b'bfnrt\\/"'):
                at += 2
            else:
                raise self._fail(at + 1, "in string escape code")

    def _number(self, at: int) -> int:
        if self._is(at, b"-"):
            at += 1
            if not self._is(at, _DIGITS):
                raise self._fail(at, "in numeric literal")
        at = at + 1 if self._is(at, b"0") else self._digits(at)
        if self._is(at, b"."):
            if not self._is(at + 1, _DIGITS):
                raise self._fail(at + 1, "after decimal point in numeric literal")
            at = self._digits(at + 1)
        if self._is(at, b"eE"):
            at += 2 if self._is(at + 1, b"+-") else 1
            if not self._is(at, _DIGITS):
                raise self._fail(at, "in exponent of numeric literal")
            at = self._digits(at)
        return at

    def _digits(self, at: int) -> int:
        while self._is(at, _DIGITS):
            at += 1
        return at

    def _literal(self, at: int, literal: bytes) -> int:
        for place in range(1, len(literal)):
            if not self._is(at + place, literal[place : place + 1]):
                word = literal.decode()
                raise self._fail(at + place, f"in literal {word} (expecting '{word[place]}')")
        return at + len(literal)
