"""Plain data as YAML that is fit for a diff: one value a line, always the same text for the same data.

Written out here, since the text of an emitter depends on its version and on whether libyaml is there. It is
laid out as `kubectl get -o yaml` does, and every YAML 1.1 or 1.2 reader takes it back as what it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["yaml_text"]

_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+=,-]*(?:[ :][A-Za-z0-9_./@+=,-]+)*\Z")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What a reader takes for something else than text."""
_UNSHOWN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that a reader refuses, folds or drops, or a person cannot see; tab and line feed aside."""
_BLOCK: Final = re.compile(r"(?![ \n])(?:[^\t\n]*[^\t\n ]\n|\n)*(?:[^\t\n]*[^\t\n ])?\Z")
"""Text of several lines, none of which ends in a space."""
_SIMPLE_KEY: Final = 1000
"""Characters that a key may have and still be found before its colon."""


def yaml_text(value: Any) -> str:
    """*value*, made of what JSON has, as one YAML document without a `---`; ends with a line feed."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _entry(_scalar(key), inner)
    elif isinstance(value, list) and value:
        for inner in value:
            first = "- "
            for line in _lines(inner):
                yield first + line if line else ""
                first = "  "
    elif isinstance(value, str) and _is_block(value):
        yield from _block(value)
    else:
        yield _scalar(value)


def _entry(key: str, value: Any) -> Iterator[str]:
    if len(key) > _SIMPLE_KEY:
        yield f"? {key}"
        key = ""
    if isinstance(value, dict | list) and value:
        yield f"{key}:"
        indent = "  " if isinstance(value, dict) else ""
        for line in _lines(value):
            yield indent + line if line else ""
    elif isinstance(value, str) and _is_block(value):
        lines = _block(value)
        yield f"{key}: {next(lines)}"
        yield from lines
    else:
        yield f"{key}: {_scalar(value)}"


def _is_block(text: str) -> bool:
    return "\n" in text and not _UNSHOWN.search(text) and _BLOCK.match(text) is not None


def _block(text: str) -> Iterator[str]:
    """A literal block: its header, then its lines."""
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    yield "|" if ends == 1 else "|-" if ends == 0 else "|+"
    for line in [*body.split("\n"), *[""] * (ends - 1)]:
        yield f"  {line}" if line else ""


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            text = repr(value)
            return text if "." in text else text.replace("e", ".0e")  # else it reads as text
        case str():
            return value if _PLAIN.match(value) and value.lower() not in _WORDS else _quoted(value)
        case dict():
            return "{}"
        case list():
            return "[]"
    raise TypeError(f"YAML of {type(value).__name__} is not written here")


def _quoted(text: str) -> str:
    return _UNSHOWN.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
