"""The body of a watch, frame by frame."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from .effect import Pieces

__all__ = ["CHANGES", "TYPES", "Place", "Reader", "Which", "frames", "type_of"]

CHANGES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
TYPES: Final = CHANGES | {"BOOKMARK", "ERROR"}


async def frames(pieces: Pieces) -> Pieces:
    """*pieces*, which hold whole frames, as one piece a frame."""
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            for frame in piece.split(b"\n"):
                if frame:
                    yield frame + b"\n"


def type_of(frame: bytes) -> str:
    """The type of an event; empty where the frame is none."""
    before, _, rest = frame.partition(b'{"type":"')
    return "" if before else rest.partition(b'"')[0].decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class Which:
    """Which events of a watch are meant: those of `types`, of them every `every`-th or only the `nth`,
    each with some probability."""

    types: frozenset[str] = CHANGES
    nth: int | None = None
    every: int = 1
    probability: float = 1.0
    random: Random = field(default_factory=lambda: Random(0), repr=False)

    def begin(self) -> Callable[[bytes], bool]:
        """A test of the frames of one watch, in their order."""
        count = 0

        def picks(frame: bytes) -> bool:
            nonlocal count
            if type_of(frame) not in self.types:
                return False
            count += 1
            if self.nth is not None and count != self.nth:
                return False
            if count % self.every:
                return False
            return self.probability >= 1.0 or self.random.random() < self.probability

        return picks


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a body: after so many events (frames of a watch, bookmarks too) and so many bytes more."""

    events: int = 0
    bytes: int = 0


class Reader:
    """A body that is read up to a place, and then on."""

    def __init__(self, pieces: Pieces, *, by_frame: bool) -> None:
        self._pieces = frames(pieces) if by_frame else pieces
        self._rest = b""

    async def up_to(self, place: Place) -> AsyncIterator[bytes]:
        """The pieces before *place*, or all where the body ends before it."""
        for _ in range(place.events):
            frame = await anext(self._pieces, None)
            if frame is None:
                return
            yield frame
        left = place.bytes
        while left and (piece := self._rest or await anext(self._pieces, b"")):
            self._rest = piece[left:]
            yield piece[:left]
            left -= min(left, len(piece))

    async def on(self) -> AsyncIterator[bytes]:
        """The pieces from here on."""
        if self._rest:
            rest, self._rest = self._rest, b""
            yield rest
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        await self._pieces.aclose()
