"""How old a cache is: when the server was last heard, and as of when the cache was shown to be current.

The two are not the same. A server that lags behind its etcd sends bookmarks like any other, and a watch that
brings nothing may be one whose events are on their way: life signs say that somebody is there, not that the
cache holds what is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from ..api.versions import reaches

__all__ = ["NEVER", "Freshness", "rising"]

NEVER: Final = float("-inf")
"""The loop time of what has not happened, so that its age is infinite."""

_MOST_CLAIMS: Final = 16


def rising(clock: Callable[[], float]) -> Callable[[], float]:
    """*clock*, but that each reading is above the one before, and above what *clock* itself shows: of two
    moments the later is the larger, and none is that of anything noted by *clock* before."""
    last = NEVER

    def read() -> float:
        nonlocal last
        last = math.nextafter(max(clock(), last), math.inf)
        return last

    return read


class Freshness:
    """The two times of one cache, and what is known of the server that the cache has not reached yet.

    A *consistent* read that was begun at t and answered at version V shows that all that was written before t
    has a version of at most V. So a cache that holds all there was at V is current as of t, whenever it gets
    there. Nothing else proves anything of the present: neither events, nor bookmarks, nor a list that only
    promises not to be older than some version, nor one from the server's cache (`resourceVersion=0`).

    Attributes:
        contact: loop time of the last bytes of an answer that was no failure.
        proved: loop time as of which the cache was shown to hold all that had been written.
        on_proof: called when `proved` has moved.
    """

    __slots__ = ("_claims", "_version", "contact", "on_proof", "proved")

    def __init__(self) -> None:
        self.contact = NEVER
        self.proved = NEVER
        self.on_proof: Callable[[], None] | None = None
        self._version = ""
        self._claims: list[tuple[float, str]] = []  # begun, version; the oldest first

    @property
    def awaited(self) -> bool:
        """Whether the server is known to stand further than what the cache has reached."""
        return bool(self._claims)

    def heard(self, now: float) -> None:
        """The server spoke."""
        self.contact = now

    def shown(self, version: str, begun: float) -> None:
        """A consistent read that was begun at *begun* was answered at *version*."""
        if self._version and reaches(self._version, version):
            self._prove(begun)
        elif version:
            self._claims.append((begun, version))
            if len(self._claims) > _MOST_CLAIMS:  # the first is the next to be reached, the last says most
                del self._claims[_MOST_CLAIMS // 2]

    def reached(self, version: str) -> None:
        """The watch has brought all there was at *version*."""
        self._version = version
        if self._claims:
            met = [begun for begun, due in self._claims if reaches(version, due)]
            if met:
                self._prove(max(met))

    def nothing_between(self, version: str, until: str) -> None:
        """No change of what the cache holds is above *version* and not above *until*."""
        claims = [(begun, version if reaches(until, due) else due) for begun, due in self._claims]
        if claims != self._claims:
            self._claims = claims
            self.reached(self._version)

    def replaced(self, version: str, *, consistent_since: float | None) -> None:
        """The cache was replaced by a list of *version*, begun at *consistent_since* if it was consistent.

        Where that list shows that the server's history went back, nothing shown before it counts any more; a
        consistent read that was begun later has seen the new history, as the list has.
        """
        if consistent_since is not None:
            self._prove(consistent_since)
        self.reached(version)

    def _prove(self, begun: float) -> None:
        if begun > self.proved:
            self.proved = begun
            self._claims = [claim for claim in self._claims if claim[0] > begun]
            if self.on_proof is not None:
                self.on_proof()
