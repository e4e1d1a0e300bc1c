"""How a client stands, for probes, and whether it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .cache.health import InformerHealth
from .flow.pressure import LevelPressure

__all__ = ["ClientHealth", "Readiness"]


@dataclass(frozen=True, slots=True)
class ClientHealth:
    """How a client stands.

    Attributes:
        server: its base URL.
        informers: each of them.
        crashes: what crashed lately (a bug; please report it).
        reachable: False from a refused connection, or a third dropped one, until the next answer, whichever
            client it was to.
        waiting: requests of this client that wait for admission now.
        pressure: the priority levels, lanes and APIs that were asked, those held back first, with the rates
            that this client is held to.
        retries_left: repeats that the retry budget allows now.
        costly_lists: places in your code that poll whole lists, counted by what they list, since the client
            was made; each was logged (`CostlyList`).
    """

    server: str
    informers: tuple[InformerHealth, ...]
    crashes: tuple[str, ...]
    reachable: bool = True
    waiting: int = 0
    pressure: tuple[LevelPressure, ...] = ()
    retries_left: float = 0.0
    costly_lists: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every informer has synced, none is refused by the server, and nothing crashed."""
        refused = any(reflector.denied for one in self.informers for reflector in one.reflectors)
        return not self.crashes and not refused and all(one.synced for one in self.informers)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a client's caches can be relied on now, and why not, in words. True where they can.

    `str` of it is a probe's body.
    """

    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.reasons

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "ready" if self.ok else "not ready: " + "; ".join(self.reasons)
