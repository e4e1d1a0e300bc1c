"""What becomes of a body on its way: it is cut short, padded, slowed down, or blown up."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from .. import wire
from .answers import Ending, finished
from .effect import Effect, Exchange, Pieces
from .frames import Place, Reader, Which, frames

__all__ = ["Cut", "Drip", "Insert", "Oversized"]

_TICK: Final = 0.1
"""Seconds between two pieces of a body that drips."""


@dataclass(frozen=True, slots=True)
class Cut(Effect):
    """The real answer up to a place, or to its end where that comes first, and then an end of some kind."""

    place: Place
    then: Ending
    streaming = True

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        reader = Reader(pieces, by_frame=self.place.events > 0)
        async with contextlib.aclosing(reader):
            async for piece in reader.up_to(self.place):
                yield piece
        await finished(self.then, exchange)


@dataclass(frozen=True, slots=True)
class Insert(Effect):
    """Bytes that are no part of the answer, put in at a place of it, or at its end where that comes first."""

    place: Place
    data: bytes
    streaming = True

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        reader = Reader(pieces, by_frame=self.place.events > 0)
        async with contextlib.aclosing(reader):
            async for piece in reader.up_to(self.place):
                yield piece
            yield self.data
            async for piece in reader.on():
                yield piece


@dataclass(frozen=True, slots=True)
class Drip(Effect):
    """The real answer at so many bytes a second."""

    rate: float
    streaming = True
    alone = False

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        step = max(1, int(self.rate * _TICK))
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                for start in range(0, len(piece), step):
                    drop = piece[start : start + step]
                    await exchange.sleep(max(len(drop) / self.rate, 1e-5))
                    yield drop


@dataclass(frozen=True, slots=True)
class Oversized(Effect):
    """An object that an annotation makes larger: of a watch each that is picked, of a list the first."""

    size: int
    which: Which

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        if exchange.is_watch:
            picks = self.which.begin()
            async with contextlib.aclosing(frames(pieces)) as source:
                async for frame in source:
                    yield self._blown_up(frame) if picks(frame) else frame
            return
        async with contextlib.aclosing(pieces):
            yield self._blown_up(b"".join([piece async for piece in pieces]))

    def _blown_up(self, body: bytes) -> bytes:
        try:
            decoded = wire.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return body
        if not isinstance(decoded, dict):
            return body
        found: Any = decoded
        if "object" in decoded and "type" in decoded:
            found = decoded["object"]
        elif "items" in decoded:
            found = decoded["items"][0] if decoded["items"] else None
        if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
            return body
        annotations = found["metadata"].setdefault("annotations", {})
        annotations["kresilient.dev/padding"] = "x" * self.size
        return wire.encode(decoded) + b"\n"
