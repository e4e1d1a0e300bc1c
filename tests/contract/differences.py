"""Where the fake server differs from the recorded one, and why.

A path is a JSON path into the body, `status`, or `headers.NAME`; `[*]` is every index, `**` anything, and
what is beneath a path is covered with it. An entry that covers no difference fails the test: take it out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["EVERYWHERE", "HERE", "covers"]

_BUILD = "which program this is, and where it listens"
_UIDS = "a uid decides its shard, and uids are made up"
_RECORDER = "the recorder changed the object for its next request before it saved the answer"
_DIFF = "the message goes on with a difference of two internal Go structs, which no client reads"
_DESCRIPTION = "the texts of documentation are not copied"

EVERYWHERE: Final[Mapping[str, str]] = {
    "**.columnDefinitions[*].description": _DESCRIPTION,
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
    "04 change an immutable pod field": {"$.message": _DIFF, "$.details.causes[0].message": _DIFF},
    "05 sharded (gate off or on: see metadata)": {"$.items": _UIDS},
    "09 create a lease": {"$.spec.renewTime": _RECORDER},
}
"""Exchange: path: reason."""


def covers(pattern: str, path: str) -> bool:
    """Whether *path*, or something above it, is what *pattern* names."""
    expression = re.escape(pattern).replace(r"\[\*\]", r"\[\d+\]").replace(r"\*\*", ".*")
    return re.match(rf"{expression}(?:$|[.\[ ])", path) is not None
