"""One armed fault: who met it, and how it is taken back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ..broadcast import Broadcast
from ..requests import RequestRecord
from .criteria import Criteria
from .effect import Effect
from .schedule import Counting

__all__ = ["Fault"]


class Fault:
    """A fault that is armed. Its text is the code that armed it.

    Attributes:
        hits: how many requests have met it.
        requests: the last hundred of them, newest last.
        lifted: whether it was taken back.
    """

    def __init__(
        self,
        criteria: Criteria,
        counting: Counting,
        effect: Effect,
        *,
        delay: float,
        said: str,
        disarm: Callable[[Fault], None],
    ) -> None:
        self.hits = 0
        self.requests: deque[RequestRecord] = deque(maxlen=100)
        self.lifted = False
        self.effect = effect
        self.delay = delay
        self._criteria = criteria
        self._counting = counting
        self._said = said
        self._disarm = disarm
        self._met = Broadcast()

    def lift(self) -> None:
        """Take it back: no request meets it any more. Idempotent.

        Requests that met it keep what they met, but for two kinds: those that `hold` keeps go on, and what a
        replica that lags has to send catches up.
        """
        self.lifted = True
        self.effect.lift()
        self._disarm(self)

    async def hit(self, n: int = 1, *, timeout: float = 10.0) -> None:
        """Wait until *n* requests have met it. Cancelled: nothing is left behind.

        Raises `TimeoutError` after *timeout* seconds, saying how many did.
        """
        try:
            async with asyncio.timeout(timeout):
                while self.hits < n:
                    await self._met.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.hits} of {n} requests met {self} within {timeout:g} s") from None

    def over(self, now: float) -> bool:
        """Whether no request can meet it at the loop time *now* or later."""
        return self._counting.over(now)

    def fits(self, record: RequestRecord) -> bool:
        """Whether *record* is such a request as it is for, whether or not it is its turn."""
        return self._criteria.meets(record)

    def strikes(self, record: RequestRecord) -> bool:
        """Count *record*, which fits; whether it meets the fault."""
        if not self._counting.strikes():
            return False
        self.hits += 1
        self.requests.append(record)
        self.effect.met(record)
        self._met.tell()
        return True

    def __str__(self) -> str:
        return self._said

    def __repr__(self) -> str:
        return f"<{self._said}, met by {self.hits}>"
