"""Answers that a test wrote, in place of the server's own."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..answers import Answer
from ..epoch import Reset
from ..statuses import generic
from .effect import Effect, Exchange, Pieces

__all__ = ["Ending", "Failure", "Scripted", "finished"]

Ending = Literal["close", "reset", "stall"]
"""How a body ends: well, with a reset of the connection, or never."""


@dataclass(frozen=True, slots=True)
class Failure(Effect):
    """An HTTP status, with the Status of a real server unless there is a body."""

    code: int
    body_: bytes | None
    headers: Mapping[str, str]

    def answer(self, exchange: Exchange) -> Answer:
        if self.body_ is not None:
            made = Answer(self.code, [self.body_])
        elif self.code < 400:
            made = Answer(self.code, [])
        else:
            made = Answer.refused(generic(self.code))
        made.headers = _over(made.headers, self.headers)
        return made


@dataclass(frozen=True, slots=True)
class Scripted(Effect):
    """These very bytes, piece by piece."""

    code: int
    pieces: tuple[bytes, ...]
    headers: Mapping[str, str]
    then: Ending
    streaming = True

    def answer(self, exchange: Exchange) -> Answer:
        made = Answer(self.code, self.pieces)
        made.headers = _over(made.headers, self.headers)
        return made

    async def body(self, pieces: Pieces, exchange: Exchange) -> Pieces:
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                yield piece
        await finished(self.then, exchange)


def _over(own: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """*others*, and what of one's *own* headers they do not replace: a name is the same in any case."""
    replaced = {name.lower() for name in others}
    return {name: value for name, value in own.items() if name.lower() not in replaced} | dict(others)


async def finished(then: Ending, exchange: Exchange) -> None:
    """End a body in this way: return for a good end, else raise `Reset`, after for ever for a stall."""
    if then == "stall":
        await exchange.held()
    if then == "reset":
        raise Reset
