"""The forms of names: DNS labels and subdomains, qualified names, label values, C identifiers, ports.

Each function yields what is wrong with a text, in the words of `k8s.io/apimachinery/pkg/util/validation`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

__all__ = [
    "dns_label",
    "dns_subdomain",
    "environment_name",
    "label_value",
    "path_segment",
    "port_name",
    "port_number",
    "qualified_name",
    "service_name",
]

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_SERVICE: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME_PART: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = f"({_NAME_PART})?"
_ENVIRONMENT: Final = r"[ -<>-~]+"
_PORT: Final = re.compile(r"[-a-z0-9]+\Z")


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.ASCII) is not None


def _regex(said: str, pattern: str, *examples: str) -> str:
    """What `RegexError` says."""
    listed = ",  or ".join(f"'{one}'" for one in examples)
    shown = f"e.g. {listed}, " if examples else ""
    return f"{said} ({shown}regex used for validation is '{pattern}')"


def _longer(text: str, limit: int) -> Iterator[str]:
    if len(text) > limit:
        yield f"must be no more than {limit} characters"


def dns_label(text: str) -> Iterator[str]:
    yield from _longer(text, 63)
    if not _matches(_LABEL, text):
        yield _regex(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
            "start and end with an alphanumeric character",
            _LABEL,
            "my-name",
            "123-abc",
        )


def dns_subdomain(text: str) -> Iterator[str]:
    yield from _longer(text, 253)
    if not _matches(_SUBDOMAIN, text):
        yield _regex(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character",
            _SUBDOMAIN,
            "example.com",
        )


def path_segment(text: str) -> Iterator[str]:
    """Anything that can stand in a path."""
    if text in (".", ".."):
        yield f"may not be '{text}'"
    yield from (f"may not contain '{char}'" for char in "/%" if char in text)


def service_name(text: str) -> Iterator[str]:
    """A DNS label as RFC 1035 has it, which begins with a letter."""
    yield from _longer(text, 63)
    if not _matches(_SERVICE, text):
        yield _regex(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
            "alphabetic character, and end with an alphanumeric character",
            _SERVICE,
            "my-name",
            "abc-123",
        )


def qualified_name(text: str) -> Iterator[str]:
    """A name that may have a DNS subdomain and a slash before it: a label's key."""
    prefix, slash, name = text.rpartition("/")
    if text.count("/") > 1:
        said = _regex(
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and "
            "end with an alphanumeric character",
            _NAME_PART,
            "MyName",
            "my.name",
            "123-abc",
        )
        yield f"{said} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return
    if slash:
        if not prefix:
            yield "prefix part must be non-empty"
        else:
            yield from (f"prefix part {fault}" for fault in dns_subdomain(prefix))
    if not name:
        yield "name part must be non-empty"
    elif len(name) > 63:
        yield "name part must be no more than 63 characters"
    if not _matches(_NAME_PART, name):
        yield _regex(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
            "an alphanumeric character",
            _NAME_PART,
            "MyName",
            "my.name",
            "123-abc",
        )


def label_value(text: str) -> Iterator[str]:
    yield from _longer(text, 63)
    if not _matches(_VALUE, text):
        yield _regex(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
            "and must start and end with an alphanumeric character",
            _VALUE,
            "MyValue",
            "my_value",
            "12345",
        )


def environment_name(text: str) -> Iterator[str]:
    """The name of an environment variable: any printable ASCII but `=`."""
    if not _matches(_ENVIRONMENT, text):
        yield (
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )


def port_number(value: Any) -> Iterator[str]:
    if not 1 <= value <= 65535:
        yield "must be between 1 and 65535, inclusive"


def port_name(text: str) -> Iterator[str]:
    """A service name of RFC 6335."""
    if len(text) > 15:
        yield "must be no more than 15 characters"
    if not _PORT.match(text):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not any("a" <= char <= "z" for char in text):
        yield "must contain at least one letter (a-z)"
    if "--" in text:
        yield "must not contain consecutive hyphens"
    if text and (text[0] == "-" or text[-1] == "-"):
        yield "must not begin or end with a hyphen"
