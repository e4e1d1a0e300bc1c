"""The formats of strings that a custom resource's schema may ask for; others are ignored.

As `k8s.io/kube-openapi/pkg/validation/strfmt` has them, of which apiextensions allows those listed in
`supported_formats.go`.
"""

from __future__ import annotations

import binascii
import ipaddress
import re
from base64 import b64decode
from collections.abc import Callable
from datetime import date
from email.utils import parseaddr
from typing import Final
from urllib.parse import urlsplit

__all__ = ["format_check"]

_UUID: Final = "[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"
_LABEL: Final = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_PERCENT: Final = r"(?:[01]?[0-9]?[0-9]|2[0-4][0-9]|25[0-5])"
_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d)?"
)
_DURATION: Final = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0")
_LONG_DURATION: Final = re.compile(
    r"\d+\s*(?:ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?"
    r"|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|wks?)"
)
_HOSTNAME: Final = re.compile(
    r"(?:[^\W_](?:-?[^\W_]{0,62})?|(?:[^\W_](?:[^\W_-]|-){0,61}[^\W_]\.|[^\W_]\.)+[^\W\d_]{2,63})"
)
_CARD: Final = re.compile(
    r"4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|(?:2131|1800|35\d{3})\d{11}",
    re.ASCII,
)


def format_check(name: str) -> Callable[[str], bool] | None:
    """Whether a text has the format *name* (`date-time`, `datetime`); None for one that is not checked."""
    return _CHECKS.get(name.replace("-", ""))


def _matches(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    expression = re.compile(pattern, flags | re.ASCII)
    return lambda text: expression.fullmatch(text) is not None


def _is(parse: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether *parse* takes a text without a `ValueError`."""

    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _date_time(text: str) -> bool:
    found = _DATE_TIME.fullmatch(text)
    return found is not None and _is(date.fromisoformat)(found[1])


def _date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None and _is(date.fromisoformat)(text)


def _sloppy(text: str) -> str:
    """An IPv4 address without the leading zeros that Go once took."""
    head, slash, tail = text.partition("/")
    if ":" not in head:
        head = ".".join(part.lstrip("0") or part[-1:] for part in head.split("."))
    return head + slash + tail


def _ipv4(text: str) -> bool:
    return "." in text and _is(ipaddress.ip_address)(_sloppy(text))


def _ipv6(text: str) -> bool:
    return ":" in text and "%" not in text and _is(ipaddress.ip_address)(text)


def _cidr(text: str) -> bool:
    return "/" in text and _is(ipaddress.ip_interface)(_sloppy(text)) and text.rpartition("/")[2].isdigit()


def _uri(text: str) -> bool:
    """What `url.ParseRequestURI` takes: an absolute URI or an absolute path."""
    if not text or any(char.isspace() or ord(char) < 0x20 or char == "\x7f" for char in text):
        return False
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def _email(text: str) -> bool:
    name, address = parseaddr(text)
    local, _, domain = address.rpartition("@")
    return bool(local) and bool(domain) and (bool(name) or address == text.strip("<> "))


def _hostname(text: str) -> bool:
    return (
        len(text.encode()) <= 255
        and _HOSTNAME.fullmatch(text) is not None
        and all(len(part.encode()) <= 63 for part in text.split("."))
    )


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if re.fullmatch(r"[0-9]{9}X|[0-9]{10}", digits) is None:
        return False
    numbers = [10 if digit == "X" else int(digit) for digit in digits]
    return sum((place + 1) * number for place, number in enumerate(numbers)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if re.fullmatch(r"[0-9]{13}", digits) is None:
        return False
    return sum((3 if place % 2 else 1) * int(digit) for place, digit in enumerate(digits)) % 10 == 0


def _credit_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if _CARD.fullmatch(digits) is None:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _byte(text: str) -> bool:
    try:
        b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(text)


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "bsonobjectid": _matches("[0-9a-fA-F]{24}"),
    "uri": _uri,
    "email": _email,
    "hostname": _hostname,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "cidr": _cidr,
    "mac": _matches(
        r"(?:[0-9a-f]{2}([:-]))(?:[0-9a-f]{2}\1){4}(?:(?:[0-9a-f]{2}\1){2})?[0-9a-f]{2}"
        r"|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}(?:\.[0-9a-f]{4})?",
        re.IGNORECASE,
    ),
    "uuid": _matches(_UUID.replace("%s[0-9a-f]{3}", "[0-9a-f]{4}"), re.IGNORECASE),
    "uuid3": _matches(_UUID % ("3", "[0-9a-f]"), re.IGNORECASE),
    "uuid4": _matches(_UUID % ("4", "[89ab]"), re.IGNORECASE),
    "uuid5": _matches(_UUID % ("5", "[89ab]"), re.IGNORECASE),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _credit_card,
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matches("#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _matches(rf"rgb\(\s*{_PERCENT}\s*,\s*{_PERCENT}\s*,\s*{_PERCENT}\s*\)"),
    "byte": _byte,
    "password": lambda text: True,
    "date": _date,
    "duration": lambda text: bool(_DURATION.fullmatch(text) or _LONG_DURATION.fullmatch(text)),
    "datetime": _date_time,
    "k8sshortname": lambda text: len(text) <= 63 and re.fullmatch(_LABEL, text) is not None,
    "k8slongname": lambda text: (
        len(text) <= 253 and re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", text) is not None
    ),
}
