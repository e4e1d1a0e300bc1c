"""Compares an answer with the recorded one: everything counts, the order of fields too, but for what each run
makes up for itself: uids, times, versions, page tokens and generated names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

__all__ = ["Difference", "Learned", "compare"]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
NIL_UUID = "00000000-0000-0000-0000-000000000000"
TIME = r"2026-11-21T\d\d:\d\d:\d\dZ"
VERSION = r"6(?:0[7-9]|1[0-3])\d\d"
"""The versions of the recorded run, 60740 to 61246; what its clients made up (1, 999999999) is none."""
SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"
"""What `generateName` appends."""
AGE = r"\d+[smhd](?:\d+[smh])?"

MADE_UP = re.compile(rf"(?P<uid>\b{UUID}\b)|(?P<time>{TIME})|(?P<version>\b{VERSION}\b)")
ANY = {"uid": UUID, "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "version": r"\d+"}


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as recorded, at a JSON path; `order` names the order of an object's fields."""

    path: str
    recorded: Any
    actual: Any

    def __str__(self) -> str:
        return f"{self.path}\n    recorded {_short(self.recorded)}\n    answered {_short(self.actual)}"


class Learned:
    """What stands in this run for what the recorded run made up; the same always for the same."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.versions: dict[int, int] = {}
        self.names: set[str] = set()

    def now(self, value: Any) -> Any:
        """*value* of a recorded request, as this run has to send it."""
        if isinstance(value, dict):
            return {key: self.now(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.now(one) for one in value]
        if not isinstance(value, str):
            return value
        known = "|".join(map(re.escape, sorted(self.values, key=len, reverse=True)))
        return re.sub(rf"\b(?:{known})\b", lambda found: self.values[found[0]], value) if known else value

    def out_of_order(self) -> list[str]:
        """The versions whose order among themselves is not the recorded one."""
        known = sorted(self.versions.items())
        return [f"{a} was before {c}, but {b} is after {d}" for (a, b), (c, d) in pairwise(known) if b > d]


def compare(
    recorded: Any, actual: Any, learned: Learned, *, path: str = "$", generated: str = ""
) -> list[Difference]:
    """Every difference between two bodies; learns what *actual* has for what the recorded run made up.

    *generated* is the `generateName` of the request, whose suffix is made up.
    """
    return list(_differences(recorded, actual, learned, generated, path))


def _differences(
    recorded: Any, actual: Any, learned: Learned, generated: str, path: str
) -> Iterator[Difference]:
    if isinstance(recorded, dict) and isinstance(actual, dict):
        for key, value in recorded.items():
            inner = f"{path}.{key}"
            if key not in actual:
                yield Difference(inner, value, ...)
            else:
                yield from _differences(value, actual[key], learned, generated, inner)
        for key in actual.keys() - recorded.keys():
            yield Difference(f"{path}.{key}", ..., actual[key])
        mine = [key for key in recorded if key in actual]
        yours = [key for key in actual if key in recorded]
        if mine != yours:
            yield Difference(f"{path} order", mine, yours)
    elif isinstance(recorded, list) and isinstance(actual, list):
        for index, (one, other) in enumerate(zip(recorded, actual, strict=False)):
            yield from _differences(one, other, learned, generated, f"{path}[{index}]")
        if len(recorded) != len(actual):
            yield Difference(f"{path} length", len(recorded), len(actual))
    elif isinstance(recorded, str) and isinstance(actual, str):
        if not _same_text(recorded, actual, learned, generated, path):
            yield Difference(path, recorded, actual)
    elif type(recorded) is not type(actual) or recorded != actual:
        yield Difference(path, recorded, actual)


def _same_text(recorded: str, actual: str, learned: Learned, generated: str, path: str) -> bool:
    if path.endswith(".continue") and recorded:  # a token is opaque: only that there is one counts
        learned.values[recorded] = actual
        return bool(actual)
    if ".cells[" in path and re.fullmatch(AGE, recorded):
        return re.fullmatch(AGE, actual) is not None
    pattern, names = "", []
    rest = 0
    for found in _made_up(recorded, learned, generated):
        pattern += re.escape(recorded[rest : found.start()])
        rest = found.end()
        text, kind = found[0], found.lastgroup or "generated"
        if text == NIL_UUID:
            pattern += text
        elif text in learned.values:
            pattern += re.escape(learned.values[text])
        else:
            names.append((text, kind))
            pattern += f"({ANY.get(kind) or re.escape(generated) + SUFFIX})"
    match = re.fullmatch(pattern + re.escape(recorded[rest:]), actual, re.DOTALL)
    if match is None:
        return False
    for (text, kind), value in zip(names, match.groups(), strict=True):
        if kind == "version" and path.endswith(".resourceVersion"):
            learned.values[text] = value
            learned.versions[int(text)] = int(value)
        elif kind in ("uid", "generated"):
            learned.values[text] = value
            if kind == "generated":
                learned.names.add(text)
    return True


def _made_up(text: str, learned: Learned, generated: str) -> Iterator[re.Match[str]]:
    names = [rf"\b{re.escape(name)}\b" for name in learned.names]
    if generated:
        names.append(re.escape(generated) + SUFFIX)
    return re.finditer("|".join([MADE_UP.pattern, *names]), text)


def _short(value: Any) -> str:
    text = "nothing" if value is ... else repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
