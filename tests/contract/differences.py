"""Where the fake server differs from the recorded one, and why.

A path is a JSON path into the body, `status`, or `headers.NAME`; `[*]` is every index, `**` anything, and
what is beneath a path is covered with it. An entry that covers no difference fails the test: take it out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["EVERYWHERE", "HERE", "PENDING", "covers"]

_RECORDER = "the recorder changed the object for its next request before it saved the answer"
_TYPES = "the fields of built-in kinds are not typed, defaulted or validated"
_BUILD = "which program this is, and where it listens"

EVERYWHERE: Final[Mapping[str, str]] = {
    "**.columnDefinitions[*].description": "the texts of documentation are not copied",
}
"""Path: reason."""

HERE: Final[Mapping[str, Mapping[str, str]]] = {
    "01 version": {
        "$.gitVersion": _BUILD,
        "$.gitCommit": _BUILD,
        "$.gitTreeState": _BUILD,
        "$.goVersion": _BUILD,
        "$.compiler": _BUILD,
        "$.platform": _BUILD,
    },
    "01 core versions": {"$.serverAddressByClientCIDRs[*].serverAddress": _BUILD},
    "05 sharded (gate off or on: see metadata)": {"$.items": "a uid decides its shard, and uids are made up"},
    "09 create a lease": {"$.spec.renewTime": _RECORDER},
}
"""Exchange: path: reason."""

PENDING: Final[Mapping[str, tuple[str, ...]]] = {
    _TYPES: (
        "04 change an immutable pod field",
        "09 create an event, events.k8s.io",
    ),
}
"""Reason: exchanges whose answers are not compared yet."""


def covers(pattern: str, path: str) -> bool:
    """Whether *path*, or something above it, is what *pattern* names."""
    expression = re.escape(pattern).replace(r"\[\*\]", r"\[\d+\]").replace(r"\*\*", ".*")
    return re.match(rf"{expression}(?:$|[.\[ ])", path) is not None
