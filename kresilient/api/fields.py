"""Field paths: one value, or several, out of an object's JSON without decoding the rest.

`spec.nodeName`, `metadata.labels['app.kubernetes.io/name']`, `status.podIPs[0].ip`, and
`spec.containers[*].image` for every element of a list.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import msgspec

from .errors import SelectorError

__all__ = ["FieldPath"]

_EVERY: Final = -1
_Step = str | int
_STEP = re.compile(
    r"""\.?(?P<name>[A-Za-z0-9_$/-]+) | \[(?P<index>\d+|\*)\] | \['(?P<quoted>(?:[^'\\]|\\.)+)'\]""",
    re.VERBOSE,
)


class FieldPath:
    """A parsed field path. Parse once, apply to many objects."""

    __slots__ = ("_decoder", "_steps", "text")

    def __init__(self, text: str, steps: tuple[_Step, ...]) -> None:
        self.text = text
        self._steps = steps
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_projection(steps))

    @classmethod
    def parse(cls, text: str) -> FieldPath:
        """The path that *text* writes; raises `SelectorError` where it is none."""
        return _parse(text)

    def values(self, raw: bytes) -> list[Any]:
        """Every value at this path of the JSON object *raw*, fresh; those absent or null are left out."""
        try:
            found = _collect(self._decoder.decode(raw), self._steps, 0, _from_struct)
        except msgspec.ValidationError:  # another shape than the path expects: walk what is there
            found = _collect(msgspec.json.decode(raw), self._steps, 0, _from_mapping)
        return found

    def value(self, raw: bytes, default: Any = None) -> Any:
        """The first value at this path, or *default*."""
        found = self.values(raw)
        return found[0] if found else default

    def __repr__(self) -> str:
        return f"FieldPath({self.text!r})"


@lru_cache(maxsize=512)
def _parse(text: str) -> FieldPath:
    steps: list[_Step] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (position == 0) != (not match[0].startswith((".", "["))):
            break
        if (name := match["name"]) is not None:
            steps.append(name)
        elif (index := match["index"]) is not None:
            steps.append(_EVERY if index == "*" else int(index))
        else:
            steps.append(re.sub(r"\\(.)", r"\1", match["quoted"]))
        position = match.end()
    if not steps or position < len(text):
        raise SelectorError(
            f"{text!r} is no field path (stopped at character {position}): write it as spec.nodeName, "
            "metadata.labels['example.com/x'] or spec.containers[*].image"
        )
    return FieldPath(text, tuple(steps))


def _projection(steps: tuple[_Step, ...]) -> Any:
    """A msgspec type that decodes only what *steps* lead to and skips all else."""
    kind: Any = Any
    for step in reversed(steps):
        if isinstance(step, int):
            kind = list[kind]
        else:
            kind = msgspec.defstruct(
                "Field", [("value", kind | None, None)], rename={"value": step}, gc=False
            )
    return kind


def _from_struct(value: Any, _step: str) -> Any:
    return value.value


def _from_mapping(value: Any, step: str) -> Any:
    return value.get(step) if isinstance(value, dict) else None


def _collect(value: Any, steps: tuple[_Step, ...], depth: int, member: Any) -> list[Any]:
    while depth < len(steps):
        step = steps[depth]
        depth += 1
        if value is None:
            return []
        if step == _EVERY:
            if not isinstance(value, list):
                return []
            return [found for one in value for found in _collect(one, steps, depth, member)]
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = member(value, step)
    return [] if value is None else [value]
