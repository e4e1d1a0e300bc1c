"""The faults that one request met, applied to its exchange stage by stage."""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import Answer
from ..state import ApiState
from .effect import Exchange, Pieces
from .fault import Fault
from .replica import Replica

__all__ = ["Met"]


class Met:
    """What happens to one exchange: every delay, lag and drip that fits, and one fault of any other kind."""

    def __init__(self, exchange: Exchange, faults: Sequence[Fault]) -> None:
        self._exchange = exchange
        self._delay = sum(fault.delay for fault in faults)
        # What slows the body down comes last, so that it slows whatever the others made of it.
        self._effects = [fault.effect for fault in sorted(faults, key=lambda fault: not fault.effect.alone)]

    @property
    def streaming(self) -> bool:
        """Whether each piece of the body has to go out when it is there."""
        return any(effect.streaming for effect in self._effects)

    async def before(self) -> None:
        """What happens before anything is answered. Raises `Reset` where nothing is."""
        if self._delay:
            await self._exchange.sleep(self._delay)
        for effect in self._effects:
            await effect.before(self._exchange)

    def replica(self) -> Replica | None:
        """The replica that answers in place of the server's own state."""
        found = (effect.replica(self._exchange) for effect in self._effects)
        return next((replica for replica in found if replica is not None), None)

    def state(self, own: ApiState) -> ApiState:
        """The state that answers: that of a replica, or the server's *own*."""
        replica = self.replica()
        return own if replica is None else replica.state

    def answer(self) -> Answer | None:
        """The answer in place of the server's own."""
        found = (effect.answer(self._exchange) for effect in self._effects)
        return next((answer for answer in found if answer is not None), None)

    def body(self, pieces: Pieces) -> Pieces:
        """*pieces* as they are sent."""
        for effect in self._effects:
            pieces = effect.body(pieces, self._exchange)
        return pieces
