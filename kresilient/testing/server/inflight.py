"""How many requests run, and how many may: the limits of a server on reading and on writing requests."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

__all__ = ["Inflight", "Kind", "kind_of"]

Kind = Literal["readOnly", "mutating"]
_READING: Final = frozenset({"get", "list", "watch"})


def kind_of(verb: str) -> Kind:
    """Which of the two limits a request of *verb* falls under."""
    return "readOnly" if verb in _READING else "mutating"


class Inflight:
    """The requests that run now, by kind: each from when it comes to its end, a watch until it has begun.

    Args:
        read_only, mutating: how many may run at once; None for any number.
    """

    def __init__(self, *, read_only: int | None = None, mutating: int | None = None) -> None:
        self.limits: dict[Kind, int | None] = {"readOnly": read_only, "mutating": mutating}
        self._running: Counter[Kind] = Counter()

    def enter(self, kind: Kind, *, exempt: bool = False) -> bool:
        """Let one more run, to `leave` in the end; False where it would be one too many. Who is *exempt* may
        always run."""
        limit = self.limits[kind]
        if limit is not None and self._running[kind] >= limit and not exempt:
            return False
        self._running[kind] += 1
        return True

    def leave(self, kind: Kind) -> None:
        """One that was let in is over."""
        self._running[kind] -= 1

    def running(self, kind: Kind) -> int:
        return self._running[kind]

    @property
    def total(self) -> int:
        return self._running.total()
