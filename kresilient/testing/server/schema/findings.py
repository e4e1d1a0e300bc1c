"""What a pattern of Go finds in a text, by Python's `re`: RE2, as it is here, tells only whether it does."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from .patterns import UnknownPattern, compiled

__all__ = ["findings"]

_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


def findings(pattern: str, text: str) -> list[str]:
    """The parts of *text* that match *pattern*, which do not overlap.

    Raises `PatternFault`, or `UnknownPattern` for a Unicode class or a flag that `re` does not have.
    """
    if not compiled(pattern).found_in(text):
        return []  # `re` can take for ever to see that
    return [found[0] for found in _expression(pattern).finditer(text)]


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(_translated(pattern), re.ASCII)
    except re.error as error:
        raise UnknownPattern(f"the pattern: {error.msg}") from None


def _translated(pattern: str) -> str:
    pieces: list[str] = []
    place, inside, many = 0, False, False
    while place < len(pattern):
        rest = pattern[place:]
        taken = rest[0]
        if rest.startswith("\\"):
            taken, made = _escape(rest)
        elif inside and (found := re.match(r"\[:(\^?)(\w+):\]", rest)) and found[2] in _CLASSES:
            if found[1]:
                raise UnknownPattern(f"the class {found[0]}")
            taken, made = found[0], _CLASSES[found[2]]
        elif inside:
            made = "\\[" if taken == "[" else taken
            inside = taken != "]"
        elif taken == "[":
            inside = True
            taken = next(start for start in ("[^]", "[]", "[^", "[") if rest.startswith(start))
            made = taken.replace("]", "\\]")
        elif found := re.match(r"\(\?([a-zA-Z]*)(-[a-zA-Z]+)?([:)])", rest):
            taken = made = found[0]
            if "U" in taken or (found[3] == ")" and (place or found[2])):
                raise UnknownPattern(f"the flags {taken}")  # lazy and greedy swapped, or set half-way
            many = many or "m" in found[1]
        elif rest.startswith("(?<"):
            taken, made = "(?<", "(?P<"
        else:
            made = r"\Z" if taken == "$" and not many else taken
        pieces.append(made)
        place += len(taken)
    return "".join(pieces)


def _escape(rest: str) -> tuple[str, str]:
    """The escape that *rest* begins with, and what stands for it."""
    taken = rest[:2]
    if taken == r"\z":
        return taken, r"\Z"
    if taken == r"\x" and (found := re.match(r"\\x\{([0-9A-Fa-f]{1,6})\}", rest)):
        return found[0], re.escape(chr(int(found[1], 16)))
    if taken in (r"\p", r"\P", r"\Q", r"\C"):
        raise UnknownPattern(f"the escape {taken}")
    return taken, taken
