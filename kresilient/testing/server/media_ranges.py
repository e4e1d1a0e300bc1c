"""What a client accepts: the media ranges of its Accept header, the most wanted first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["MediaRange", "media_ranges"]


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One alternative, `application/json` or a range such as `application/*`, with its parameters."""

    media_type: str
    parameters: Mapping[str, str]

    def covers(self, media_type: str) -> bool:
        """Whether *media_type* is one of these."""
        kind, _, rest = self.media_type.partition("/")
        return self.media_type in ("*/*", media_type) or (rest == "*" and media_type.startswith(f"{kind}/"))


def media_ranges(accept: str) -> list[MediaRange]:
    """The alternatives of an Accept header: by their quality, then the less general first, then as they stand
    (`goautoneg.ParseAccept`). An empty header accepts everything."""
    found: list[tuple[float, MediaRange]] = []
    for clause in (accept or "*/*").split(","):
        media_type, *parameters = (part.strip() for part in clause.split(";"))
        named = {name.strip(): value.strip() for name, _, value in (one.partition("=") for one in parameters)}
        try:
            quality = float(named.pop("q", "1"))
        except ValueError:
            quality = 1.0
        found.append((quality, MediaRange("*/*" if media_type == "*" else media_type, named)))
    found.sort(key=lambda one: (-one[0], one[1].media_type.startswith("*"), one[1].media_type.endswith("*")))
    return [one for _, one in found]
