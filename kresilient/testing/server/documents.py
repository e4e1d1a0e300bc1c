"""What is served under a path as it is: bytes, their media type, and a tag that says if a copy is current."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import wire
from .statuses import Refused

__all__ = ["Document", "MediaRange", "acceptable", "media_ranges"]


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


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One alternative of an Accept header."""

    media_type: str
    parameters: Mapping[str, str]

    def covers(self, media_type: str) -> bool:
        kind, _, rest = self.media_type.partition("/")
        return self.media_type in ("*/*", media_type) or (rest == "*" and media_type.startswith(f"{kind}/"))


def media_ranges(accept: str) -> list[MediaRange]:
    """The alternatives of an Accept header, the preferred first; an empty header accepts everything."""
    found = []
    for text in (accept or "*/*").split(","):
        media_type, *parameters = (part.strip() for part in text.split(";"))
        pairs = dict(part.partition("=")[::2] for part in parameters)
        found.append((-_quality(pairs.pop("q", "1")), MediaRange(media_type, pairs)))
    return [one for _, one in sorted(found, key=lambda each: each[0])]


def acceptable(accept: str, *offered: str) -> str:
    """The first of *offered* media types that an Accept header prefers. Raises `Refused` (406)."""
    for wanted in media_ranges(accept):
        for one in offered:
            if wanted.covers(one):
                return one
    said = f"only the following media types are accepted: {', '.join(offered)}"
    raise Refused(406, "NotAcceptable", said)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0
