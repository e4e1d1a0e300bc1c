"""A fault in words: the code that armed it."""

from __future__ import annotations

from typing import Final

__all__ = ["said"]

_WIDTH: Final = 60
"""Characters of one argument that are shown."""


def said(name: str, /, *arguments: object, **named: object) -> str:
    """The call of *name*, without arguments that are None, and with long ones cut."""
    words = [_cut(repr(one)) for one in arguments]
    words += [f"{key}={_cut(repr(value))}" for key, value in named.items() if value is not None]
    return f"{name}({', '.join(words)})"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
