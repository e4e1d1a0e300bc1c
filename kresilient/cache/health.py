"""How a cache stands, for probes and messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..api.resources import Key
from .freshness import NEVER, Freshness

__all__ = ["InformerHealth", "ReflectorHealth"]


@dataclass(slots=True)
class ReflectorHealth:
    """Where a reflector stands; a live object, to be read on the event loop.

    Attributes:
        state: `listing`, `watching`, `waiting` or `stopped`.
        since: loop time of the last move.
        reason: what the last fault said; `""` while all is well.
        last_error, last_error_at: what the last fault said, also once it is over, and its loop time.
        denied: the server refuses (401, 403, 404), or nothing can be sent as things are set up (an untrusted
            authority, say): it cannot go on as things stand.
        freshness: loop times of the last bytes from the server, and of the last proof.
        relists: whole lists after the first, by the row of the table that led to them.
        resource_version: what the cache stands at.
        ignored, rewinds, poisoned: counted since the start.
    """

    state: str = "listing"
    since: float = 0.0
    reason: str = ""
    last_error: str = ""
    last_error_at: float = NEVER
    denied: bool = False
    freshness: Freshness = field(default_factory=Freshness)
    relists: dict[str, int] = field(default_factory=dict)
    resource_version: str = ""
    ignored: int = 0
    rewinds: int = 0
    poisoned: int = 0

    @property
    def contact(self) -> float:
        """Loop time of the last bytes from the server; minus infinity before any."""
        return self.freshness.contact

    @property
    def proved(self) -> float:
        """Loop time as of which the cache was last shown to be current; minus infinity before."""
        return self.freshness.proved


@dataclass(frozen=True, slots=True)
class InformerHealth:
    """How an informer stood when it was asked.

    Attributes:
        name: what it holds.
        synced: whether it may be read.
        reason: what the last fault said, `""` while all is well.
        reflectors: one for each namespace, or one for all; these go on changing.
        quarantined: keys of objects that do not decode, with the reason.
        objects: how many it holds.
        contact_age: seconds since the server was last heard; infinite before.
        proved_age: seconds since when the cache is known to have held all there was; infinite before.
        stale: whether plain reads are refused, since the last contact is longer ago than `serve_stale_for`.
        state, state_age: `listing`, `watching`, `proving`, `waiting` or `stopped`, and for how many seconds;
            of several namespaces, where the server was last heard longest ago.
        last_error, last_error_age: what the last fault said, also once it is over, and seconds since then.
        relists: whole lists after the first, by the row of the ListWatch table that led to them.
        rewinds: how often the server's history went back.
        resource_version: what it stands at; `""` for several namespaces.
    """

    name: str
    synced: bool
    reason: str
    objects: int
    reflectors: tuple[ReflectorHealth, ...] = ()
    quarantined: dict[Key, str] = field(default_factory=dict)
    contact_age: float = math.inf
    proved_age: float = math.inf
    stale: bool = False
    state: str = "stopped"
    state_age: float = math.inf
    last_error: str = ""
    last_error_age: float = math.inf
    relists: Mapping[str, int] = field(default_factory=dict)
    rewinds: int = 0
    resource_version: str = ""
