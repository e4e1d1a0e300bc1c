"""How a command says that it cannot go on."""

from __future__ import annotations

import importlib.util

__all__ = ["CommandFailed", "require_extra"]


class CommandFailed(Exception):
    """A command ends here, with exit code 1; the message is for the user, in one line."""


def require_extra(extra: str, *modules: str) -> None:
    """Raise `CommandFailed` that names *extra* where one of *modules* is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise CommandFailed(f"{module} is not installed: pip install 'kresilient[{extra}]'")
