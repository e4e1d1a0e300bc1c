"""What becomes of the events of a watch: lost, sent twice, in the wrong order, or an error among them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

from .. import wire
from ..statuses import Refused
from ..watch import frame as encoded
from .effect import Effect, Exchange, Pieces
from .frames import CHANGES, Place, Reader, Which, frames, type_of

__all__ = ["Drop", "Duplicate", "ErrorEvent", "NoEndBookmark", "Reorder"]

_END: Final = b'"k8s.io/initial-events-end":"true"'


@dataclass(frozen=True, slots=True)
class Drop(Effect):
    """Events that never arrive."""

    which: Which

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        picks = self.which.begin()
        async with contextlib.aclosing(frames(pieces)) as source:
            async for frame in source:
                if not picks(frame):
                    yield frame


@dataclass(frozen=True, slots=True)
class Duplicate(Effect):
    """Events that arrive twice."""

    which: Which

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        picks = self.which.begin()
        async with contextlib.aclosing(frames(pieces)) as source:
            async for frame in source:
                yield frame
                if picks(frame):
                    yield frame


@dataclass(frozen=True, slots=True)
class Reorder(Effect):
    """Events that arrive after the one that follows them; before any bookmark, and before the end."""

    which: Which

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        picks = self.which.begin()
        late: bytes | None = None
        async with contextlib.aclosing(frames(pieces)) as source:
            async for frame in source:
                picked = picks(frame)
                if picked and late is None:
                    late = frame
                    continue
                order = (frame, late) if type_of(frame) in CHANGES else (late, frame)
                late = None
                for one in order:
                    if one is not None:
                        yield one
        if late is not None:
            yield late


class NoEndBookmark(Effect):
    """A streaming list without the bookmark that ends its initial events."""

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        async with contextlib.aclosing(frames(pieces)) as source:
            async for frame in source:
                if type_of(frame) != "BOOKMARK" or _END not in frame:
                    yield frame


@dataclass(frozen=True, slots=True)
class ErrorEvent(Effect):
    """An ERROR event with a Status, which ends the watch."""

    place: Place
    refused: Refused

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        reader = Reader(pieces, by_frame=True)
        async with contextlib.aclosing(reader):
            async for piece in reader.up_to(self.place):
                yield piece
        yield encoded("ERROR", wire.encode(self.refused.status()))
