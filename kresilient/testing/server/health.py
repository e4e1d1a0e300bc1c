"""`/healthz`, `/livez` and `/readyz`: whether the server says that it is well, and each of its checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .documents import Document
from .statuses import unknown_path
from .wire import encode

__all__ = ["CHECKS", "health"]

_TEXT: Final = "text/plain; charset=utf-8"
_NO_SNIFFING: Final = (("X-Content-Type-Options", "nosniff"),)
CHECKS: Final = {
    "healthz": ("ping", "log", "etcd"),
    "livez": ("ping", "log", "etcd"),
    "readyz": ("ping", "log", "etcd", "etcd-readiness", "informer-sync", "shutdown"),
}
"""The server's checks without those of its start-up (`poststarthook/…`). While it serves, all pass."""


def health(root: str, check: str, query: Mapping[str, str]) -> Document:
    """The answer of `/ROOT`, or of `/ROOT/CHECK`; with `verbose` every check has a line.

    Raises `Refused` (404) for a check that there is not.
    """
    checks = CHECKS[root]
    if check:
        if check not in checks:
            raise unknown_path()
        return _text("ok")
    if "verbose" not in query:
        return _text("ok")
    excluded = {query["exclude"]} if query.get("exclude") else set()
    lines = [f"[+]{one} excluded: ok" if one in excluded else f"[+]{one} ok" for one in checks]
    for unknown in sorted(excluded.difference(checks)):
        named = encode(unknown).decode()
        lines.append(f"warn: some health checks cannot be excluded: no matches for {named}")
    return _text("\n".join([*lines, f"{root} check passed", ""]))


def _text(body: str) -> Document:
    return Document(body.encode(), _TEXT, headers=_NO_SNIFFING)
