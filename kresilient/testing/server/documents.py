"""What is served under a path as it is: bytes, their media type, and a tag that says if a copy is current."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from . import wire
from .media_ranges import media_ranges
from .statuses import Refused

__all__ = ["Document", "acceptable"]


@dataclass(frozen=True, slots=True)
class Document:
    """One document. `etag` is empty where the server sends none; `headers` go out with it."""

    body: bytes
    media_type: str = "application/json"
    etag: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 200

    @classmethod
    def json(cls, value: Any, **more: Any) -> Document:
        return cls(wire.encode(value) + b"\n", **more)

    def tagged(self) -> Document:
        """The same with a tag made of its bytes, to be kept by its client and asked for again."""
        digest = hashlib.sha512(self.body).hexdigest().upper()
        return Document(self.body, self.media_type, f'"{digest}"', self.headers)


def acceptable(accept: str, *offered: str) -> str:
    """The first of *offered* media types that an Accept header prefers. Raises `Refused` (406)."""
    for wanted in media_ranges(accept):
        for one in offered:
            if wanted.covers(one):
                return one
    said = f"only the following media types are accepted: {', '.join(offered)}"
    raise Refused(406, "NotAcceptable", said)
