"""How a floor asks for all pods, as an informer does: by one list, or by a streaming list."""

from __future__ import annotations

from typing import Final

__all__ = ["END", "FORMS", "path"]

FORMS: Final = ("stream", "list", "gzip")
"""A streaming list; a list in one body; the same, compressed."""

END: Final = b"k8s.io/initial-events-end"
"""What is only in the bookmark at the end of a streaming list."""

_STREAM: Final = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


def path(form: str) -> str:
    """Path and query of *form*."""
    return f"/api/v1/pods?{_STREAM if form == 'stream' else 'resourceVersion=0'}"
