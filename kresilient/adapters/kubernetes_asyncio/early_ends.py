"""Watches that end at once and empty, which existing code begins again without a pause."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Callable
from typing import Final

from cachetools import LRUCache

from ...flow.backoff import Backoff
from ...transport.base import Request

__all__ = ["EARLY", "EarlyEnds"]

EARLY: Final = 1.0
"""Seconds below which a watch that brought nothing has failed, as client-go's reflector has it (`very short
watch`)."""

_MOST_WATCHES: Final = 1024  # remembered at once; which one is forgotten only shortens its next pause

_Watch = tuple[str, tuple[tuple[str, str], ...]]


class EarlyEnds:
    """How long each watch has to pause before it is begun again: not at all, unless it ended empty within
    `EARLY` seconds, again and again. A watch is known by its path and its options but for its version.
    """

    def __init__(self, *, random: Callable[[], float] = _random.random) -> None:
        self._random = random
        self._backoffs: LRUCache[_Watch, tuple[Backoff, float]] = LRUCache(_MOST_WATCHES)

    def pause(self, request: Request) -> float:
        """Seconds to wait before *request* is sent."""
        known = self._backoffs.get(_watch(request))
        return 0.0 if known is None else max(0.0, known[1] - asyncio.get_running_loop().time())

    def begun(self, request: Request) -> Callable[[bool], None]:
        """The watch was opened now. Call the result when it ends, with whether it brought anything."""
        watch, loop = _watch(request), asyncio.get_running_loop()
        began = loop.time()

        def ended(brought: bool) -> None:
            if brought or loop.time() - began >= EARLY:
                self._backoffs.pop(watch, None)
                return
            known = self._backoffs.get(watch)
            backoff = Backoff(clock=loop.time, random=self._random) if known is None else known[0]
            self._backoffs[watch] = backoff, loop.time() + backoff.delay()

        return ended


def _watch(request: Request) -> _Watch:
    return request.path, tuple(one for one in request.query if one[0] != "resourceVersion")
