"""What the server really held, version by version: the truth that reads and events are held against.

A server that is restored from a backup begins a new epoch: up to the backup's version it is the old one. A
position is how far a reader is known to be with one key. What it shows next has to be a state that the key
had there or later, so nothing it shows is made up, out of order, or less than was shown before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Track = tuple[str, str]
"""A resource and a key."""

Positions = dict[int, int]
"""By epoch, the version that was reached; several, while it cannot be told in which epoch a reader is."""


@dataclass(eq=False)
class Truth:
    """One state of one object; `kept` is what is expected of it in each cache. *spoilt* is one that does not
    decode, and has no *data*."""

    uid: str
    version: int
    data: Mapping[str, Any]
    spoilt: bool = False
    kept: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        if self.spoilt:
            return "spoilt"
        return f"{self.uid[:4]}@{self.version} {self.data['metadata'].get('labels') or ''}".strip()


@dataclass
class Epoch:
    base: int
    tracks: dict[Track, list[tuple[int, Truth | None]]] = field(default_factory=dict)


class Timeline:
    """The states of every key, in the order in which they were stored."""

    def __init__(self) -> None:
        self.epochs = [Epoch(0)]
        self.version = 0

    @property
    def now(self) -> int:
        """The epoch that runs."""
        return len(self.epochs) - 1

    def record(self, track: Track, version: int, truth: Truth | None) -> None:
        self.version = version
        self.epochs[-1].tracks.setdefault(track, []).append((version, truth))

    def rewind(self, version: int) -> None:
        """The server went back to *version*."""
        kept = {
            track: [change for change in changes if change[0] <= version]
            for track, changes in self.epochs[-1].tracks.items()
        }
        self.epochs.append(Epoch(version, kept))
        self.version = version

    def held(self, track: Track) -> Truth | None:
        """What the server holds now."""
        changes = self.epochs[-1].tracks.get(track)
        return changes[-1][1] if changes else None

    def before(self, track: Track, version: int) -> Truth | None:
        """What it held just before *version* of the epoch that runs."""
        earlier = [truth for at, truth in self.epochs[-1].tracks.get(track, []) if at < version]
        return earlier[-1] if earlier else None

    def was_spoilt(self, track: Track) -> bool:
        return any(
            truth is not None and truth.spoilt
            for epoch in self.epochs
            for _, truth in epoch.tracks.get(track, [])
        )

    def advance(self, track: Track, positions: Positions, fits: Callable[[Truth | None], bool]) -> Positions:
        """Where a reader can be that was at *positions* and now shows what *fits*; empty where nowhere."""
        reached: Positions = {}
        since = dict(positions)
        for number, epoch in enumerate(self.epochs):
            if number not in since:
                continue
            version, following = since[number], number + 1
            if following < len(self.epochs) and version <= self.epochs[following].base:
                since[following] = min(since.get(following, version), version)  # it is the same until there
            if (found := _first(epoch.tracks.get(track, []), version, fits)) is not None:
                reached[number] = found
        return reached

    def told(self, track: Track) -> str:
        """The history of *track*, for a message."""
        return " | ".join(
            f"epoch {number} from {epoch.base}: "
            + ", ".join(f"{version}: {truth or 'gone'}" for version, truth in epoch.tracks.get(track, []))
            for number, epoch in enumerate(self.epochs)
        )


def _first(
    changes: list[tuple[int, Truth | None]], since: int, fits: Callable[[Truth | None], bool]
) -> int | None:
    """The first version, *since* or later, at which the state fits."""
    state: Truth | None = None
    later: list[tuple[int, Truth | None]] = []
    for version, truth in changes:
        if version <= since:
            state = truth
        else:
            later.append((version, truth))
    if fits(state):
        return since
    return next((version for version, truth in later if fits(truth)), None)
