"""A guard on cost: a program that polls whole lists is told once, or refused, and told what replaces them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, NamedTuple

from cachetools import LRUCache

from ..api.errors import CostlyListRefused
from ..observe.events import CostlyList, Observers, loop_time
from ..transport.base import Request

__all__ = ["CostGuard"]

_SHORT: Final = 120.0  # seconds between two lists that are an interval short of polling
_TIMES: Final = 3  # lists in a row at short intervals
_TIMES_UNPLACED: Final = 10  # where the place is not known, and may be several
_REMEMBERED: Final = 1024

_SELECTIVE: Final = ("labelSelector", "fieldSelector", "continue")
_OURS: Final = ("kresilient", "kubernetes_asyncio", "tenacity", "asyncio", "contextlib")
_LOOP: Final = ("asyncio.events", "asyncio.base_events", "asyncio.runners")


class _Site(NamedTuple):
    times: int
    last: float
    told: bool


class CostGuard:
    """Notices the third list of everything in a row, without a selector, from one place in the code, where
    each follows the one before within two minutes.

    Args:
        observers: hear `CostlyList`, once for each place.
        strict: refuse such a list instead.
        clock: monotonic seconds; the running loop's time where None.
    """

    def __init__(
        self, *, observers: Observers, strict: bool = False, clock: Callable[[], float] | None = None
    ) -> None:
        self._observers = observers
        self._strict = strict
        self._clock = clock or loop_time
        self._sites: LRUCache[tuple[str, str], _Site] = LRUCache(_REMEMBERED)

    def check(self, request: Request) -> None:
        """Look at a request made outside the cache, in the stack of whoever made it.

        Raises `CostlyListRefused` in strict mode.
        """
        if request.verb != "list" or not request.resource or "/namespaces/" in request.path:
            return
        if any(name in _SELECTIVE and value for name, value in request.query):
            return
        site = _call_site()
        now = self._clock()
        before = self._sites.get((site, request.path))
        if before is None or now - before.last > _SHORT:
            self._sites[site, request.path] = _Site(1, now, before is not None and before.told)
            return
        times = before.times + 1
        costly = times >= (_TIMES if site else _TIMES_UNPLACED)
        self._sites[site, request.path] = _Site(times, now, before.told or costly)
        if not costly:
            return
        instead = f'client.informer("{request.resource}")'
        if not before.told:
            place = site or "a task of its own"
            self._observers(CostlyList(request.resource, place, now - before.last, instead))
        if self._strict and site:
            raise CostlyListRefused(
                f"{request.what}: {site} lists everything again and again ({times} times by now), "
                f"{now - before.last:.3g} s after the last; keep {instead} instead, which answers "
                "from memory, or select less"
            )


def _call_site() -> str:
    """`file:line` of the innermost frame that is neither this library's nor of what it stands on; empty where
    the call is a task of its own, below which there is only the line that runs the loop."""
    frame = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module in _LOOP:
            break
        if module.partition(".")[0] not in _OURS:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
