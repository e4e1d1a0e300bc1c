"""What is true in the demo: what the server holds, what the writer was told, and how old a read was."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

__all__ = ["NODES", "PODS", "SERVICES", "Identity", "Ledger", "Snapshot", "StaleReads", "divergent", "pick"]

PODS: Final = "v1/pods"
SERVICES: Final = "v1/services"
NODES: Final = "v1/nodes"

_GONE: Final = 1 << 62
"""The version of an object that was deleted: newer than any other."""
_REMEMBER_GONE: Final = 5.0
_HISTORY: Final = 64


class Identity(NamedTuple):
    """Two objects under one key are the same where both of these are."""

    uid: str
    version: str


def divergent(held: Mapping[str, Identity], truth: Mapping[str, Identity]) -> set[str]:
    """The keys that only one of the two has, or that are not the same in both."""
    return {key for key in held.keys() | truth.keys() if held.get(key) != truth.get(key)}


class Snapshot:
    """What the server holds at one moment, as the agent of each node should see it."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, Identity]] = {}
        self._shared: dict[str, dict[str, Identity]] = {}

    def add(self, resource: str, key: str, identity: Identity, *, node: str = "") -> None:
        """One object; *node* is where a pod runs."""
        place = self._pods.setdefault(node, {}) if resource == PODS else self._shared.setdefault(resource, {})
        place[key] = identity

    def of(self, resource: str, node: str) -> Mapping[str, Identity]:
        """What the agent of *node* should hold of *resource*."""
        return (self._pods.get(node) if resource == PODS else self._shared.get(resource)) or {}

    def get(self, resource: str, key: str, node: str = "") -> Identity | None:
        return self.of(resource, node).get(key)

    def __iter__(self) -> Iterator[tuple[str, str, Identity, str]]:
        """Each object as (resource, key, identity, node)."""
        for node, pods in self._pods.items():
            yield from ((PODS, key, identity, node) for key, identity in pods.items())
        for resource, objects in self._shared.items():
            yield from ((resource, key, identity, "") for key, identity in objects.items())


class Ledger:
    """Every write that the server has acknowledged, and when; so the age of whatever somebody reads."""

    def __init__(self, start: Snapshot) -> None:
        self._entries: dict[tuple[str, str], deque[tuple[int, float]]] = {}
        self._node: dict[tuple[str, str], str] = {}
        self._keys: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._gone: deque[tuple[float, str, str]] = deque()
        self.in_flight: set[tuple[str, str]] = set()
        """What a write may be changing at this moment: nothing is known of it until the answer."""
        for resource, key, identity, node in start:
            self.written(resource, key, int(identity.version), float("-inf"), node=node)

    def written(self, resource: str, key: str, version: int, at: float, *, node: str = "") -> None:
        """The server has acknowledged *version* of an object, at *at* on the loop's clock."""
        entries = self._entries.get((resource, key))
        if entries is None:
            entries = self._entries[resource, key] = deque(maxlen=_HISTORY)
            self._node[resource, key] = node
            self._keys[resource, node].append(key)
        entries.append((version, at))

    def deleted(self, resource: str, key: str, at: float) -> None:
        """The server has acknowledged that an object is gone. It is asked for a few seconds longer."""
        self._entries[resource, key].append((_GONE, at))
        self._gone.append((at, resource, key))
        while self._gone[0][0] < at - _REMEMBER_GONE:
            _, old_resource, old_key = self._gone.popleft()
            self._keys[old_resource, self._node[old_resource, old_key]].remove(old_key)

    def keys(self, resource: str, node: str = "") -> list[str]:
        """The keys that may be asked for, those just deleted included."""
        return self._keys[resource, node]

    def alive(self, resource: str, key: str) -> bool:
        entries = self._entries.get((resource, key))
        return entries is not None and entries[-1][0] != _GONE

    def node_of(self, resource: str, key: str) -> str:
        return self._node[resource, key]

    def age(self, resource: str, key: str, version: int, now: float) -> float | None:
        """For how many seconds there has been something newer than *version* (0: absent), or None."""
        if (resource, key) in self.in_flight:
            return None
        entries = self._entries[resource, key]
        last = entries[-1][0]
        if version >= last or (last == _GONE and version == 0):
            return None
        return next(now - at for newer, at in entries if newer > version)

    def lost(self, snapshot: Snapshot) -> int:
        """How many acknowledged writes *snapshot* knows nothing of."""
        missing = 0
        for (resource, key), entries in self._entries.items():
            if (resource, key) in self.in_flight:
                continue
            there = snapshot.get(resource, key, self._node[resource, key])
            version = entries[-1][0]
            missing += (
                there is not None if version == _GONE else there is None or int(there.version) < version
            )
        return missing


@dataclass(slots=True)
class StaleReads:
    """What reads of one phase found: how many were behind, and by how much.

    Attributes:
        reads, stale: counts.
        unanswered: reads that got no answer, since nothing was known yet.
        worst: seconds by which the oldest answer was behind.
        line: (time, worst age among the reads of that moment) for a chart.
    """

    reads: int = 0
    stale: int = 0
    unanswered: int = 0
    total: float = 0.0
    worst: float = 0.0
    line: list[tuple[float, float]] = field(default_factory=list)

    def add(self, ages: list[float | None], now: float) -> None:
        """One round of reads; None is a read that was up to date."""
        behind = [age for age in ages if age is not None]
        self.reads += len(ages)
        self.stale += len(behind)
        self.total += sum(behind)
        self.worst = max([self.worst, *behind])
        self.line.append((now, max(behind, default=0.0)))

    @property
    def percent(self) -> float:
        return 100.0 * self.stale / self.reads if self.reads else 0.0

    @property
    def mean(self) -> float:
        """Seconds by which a stale read was behind, on average."""
        return self.total / self.stale if self.stale else 0.0


def pick(random: Random, ledger: Ledger, node: str) -> list[tuple[str, str]]:
    """What an agent on *node* happens to read now: a pod of its own, a service and a node."""
    found = []
    for resource, place in ((PODS, node), (SERVICES, ""), (NODES, "")):
        if keys := ledger.keys(resource, place):
            found.append((resource, random.choice(keys)))
    return found
