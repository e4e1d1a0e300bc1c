"""What was found, written down: every figure as JSON, and the table in a page of Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..._version import __version__
from ...testing.simulation import Measures, goals
from ..failures import CommandFailed
from .table import markdown, with_leases

__all__ = ["BEGIN", "END", "as_json", "as_markdown", "check_page", "put_into_page"]

BEGIN: Final = "<!-- outage -->"
END: Final = "<!-- /outage -->"


def as_json(command: str, measures: Sequence[Measures]) -> str:
    """Every figure, with the *command* and the version that made them; a line for each policy."""
    policies = ",\n".join(f"  {json.dumps(one.to_json())}" for one in measures)
    head = f' "command": {json.dumps(command)},\n "version": {json.dumps(__version__)},\n'
    return f'{{\n{head} "policies": [\n{policies}\n ]\n}}\n'


def as_markdown(measures: Sequence[Measures]) -> str:
    """The table, which promises were kept, and what renewals of leases add."""
    parts = [markdown(measures)]
    if promises := goals(measures):
        parts.append("\n".join(["```", *map(str, promises), "```"]) + "\n")
    if leases := with_leases(measures):
        parts.append(f"{leases}\n")
    return "\n".join(parts)


def check_page(path: Path) -> None:
    """Raise `CommandFailed` unless *path* is a page with a place for the table."""
    _around(path)


def put_into_page(measures: Sequence[Measures], path: Path) -> None:
    """Put `as_markdown` between the two comments of the page, in the place of what is there.

    Raises `CommandFailed` as `check_page` does; nothing was written then.
    """
    before, after = _around(path)
    path.write_text(f"{before}{BEGIN}\n{as_markdown(measures)}{END}{after}", encoding="utf-8")


def _around(path: Path) -> tuple[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path} cannot be read: {error}") from None
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise CommandFailed(f"{path} has no place for the table: write {BEGIN} and, below it, {END}")
    return before, after
