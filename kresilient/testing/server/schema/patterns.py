"""Regular expressions as Go has them: run by RE2, whose time grows with the text alone, whatever the pattern.

Go's `regexp` takes the syntax of RE2, which comes along with the runtime of the rules (CEL).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, Final

from ..statuses import not_emulated

__all__ = ["Pattern", "PatternFault", "UnknownPattern", "compiled"]

_IN_GO: Final = {
    "bad repetition operator": "invalid nested repetition operator",
    "invalid UTF-8": "invalid UTF-8",
    "invalid character class": "invalid character class",
    "invalid character class range": "invalid character class range",
    "invalid escape sequence": "invalid escape sequence",
    "invalid named capture group": "invalid named capture",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid repetition size": "invalid repeat count",
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "trailing \\": "trailing backslash at end of expression",
    "unexpected )": "unexpected )",
}
"""The faults of RE2, and the same in the words of `regexp/syntax`."""
_REFUSED: Final = "INVALID_ARGUMENT: invalid regular expression: "
_TOKEN: Final = re.compile(r"\\Q.*?(?:\\E|\Z)|\\(.)|(\(\?<[=!])", re.DOTALL)


class PatternFault(ValueError):
    """Not a regular expression in Go, in the words of `regexp/syntax`."""


class UnknownPattern(ValueError):
    """A regular expression of Go that RE2 does not take; the message says what of it."""


class Pattern:
    """A regular expression; see `compiled`."""

    __slots__ = ("_matcher", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._matcher = _matcher()

    def fault(self) -> str:
        """What RE2 says against it, empty where it takes it."""
        result = self._matcher.eval(data={"text": "", "pattern": self.text})
        return str(result.value()) if result.type().name() == "ERROR" else ""

    def found_in(self, text: str) -> bool:
        """Whether *text* or a part of it matches."""
        return self._matcher.eval(data={"text": text, "pattern": self.text}).value() is True


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Pattern:
    """*pattern*, which is one in Go.

    Raises `PatternFault`, `UnknownPattern`, or `Refused` (501) where the runtime is not installed.
    """
    made = Pattern(pattern)
    if any(found[1] == "C" for found in _TOKEN.finditer(pattern)):  # RE2 has it: one byte
        raise _fault("invalid escape sequence", r"\C")
    refused = made.fault()
    if not refused:
        return made
    if not refused.startswith(_REFUSED):
        raise UnknownPattern("the size")
    why, _, place = refused.removeprefix(_REFUSED).partition(": ")
    if place.startswith((r"\p", r"\P")):  # Go knows more names
        raise UnknownPattern(f"the class {place}")
    if place in ("(?<=", "(?<!"):  # to Go the beginning of a group with a name
        start = next(found.start() for found in _TOKEN.finditer(pattern) if found[2])
        end = pattern.find(">", start) + 1
        raise _fault("invalid named capture", pattern[start : end or None])
    raise _fault(_IN_GO[why], place)


def _fault(why: str, place: str) -> PatternFault:
    return PatternFault(f"error parsing regexp: {why}: `{place}`")


@cache
def _matcher() -> Any:
    """Whether `text` has what `pattern` says, as an expression of CEL."""
    try:
        from cel_expr_python import cel
    except ImportError:
        raise not_emulated(
            "patterns without the package cel-expr-python, which has RE2: pip install 'kresilient[testing]'"
        ) from None
    variables = {"text": cel.Type.STRING, "pattern": cel.Type.STRING}
    return cel.NewEnv(variables=variables).compile("text.matches(pattern)")
