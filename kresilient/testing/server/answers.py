"""An answer before it is sent: a body in pieces, or a watch that still runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from . import wire
from .go_words import quote
from .kinds import ApiResource
from .statuses import Refused, VersionTooLarge
from .watch import Watch

__all__ = ["JSON", "TEXT", "Answer"]

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


@dataclass(slots=True)
class Answer:
    """A response: a body in pieces, or a watch that still runs and has to be served and then let go.

    `awaits` is a version that the server has not reached: the answer holds only once the time is over for
    which a server waits for it, and until then it is worth asking again. `timeout` of a watch is in seconds.
    `objects` is how many are in the body.
    """

    status: int = 200
    body: Iterable[bytes] = ()
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})
    watch: Watch | None = None
    resource: ApiResource | None = None
    timeout: float = 0.0
    awaits: int = 0
    refusal: Refused | None = None
    objects: int = 0

    @classmethod
    def refused(cls, refused: Refused) -> Answer:
        awaits = refused.version if isinstance(refused, VersionTooLarge) else 0
        headers = {"Content-Type": JSON} | refused.headers
        return cls(refused.code, [refused.body()], headers, awaits=awaits, refusal=refused)

    def warn(self, texts: Iterable[str]) -> None:
        """Let the answer carry *texts* as warnings, which kubectl shows to its user."""
        said = [*filter(None, [self.headers.get("Warning")]), *map(_warning, texts)]
        if said:
            self.headers["Warning"] = ", ".join(said)

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Answer:
        return cls(status, [wire.encode(value) + b"\n"])

    @classmethod
    def text(cls, body: str) -> Answer:
        return cls(200, [body.encode()], {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"})


def _warning(text: str) -> str:
    """One value of a `Warning` header (RFC 7234)."""
    return f"299 - {quote(text)}"
