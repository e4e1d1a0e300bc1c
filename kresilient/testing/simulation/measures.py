"""What is counted in a simulated outage, and the figures that come of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

__all__ = ["Measures", "Timeline"]

_TENTH: Final = 10


class Timeline:
    """Counts events by tenths of a second."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.total = 0

    def count(self, at: float) -> None:
        """Note an event at *at* seconds."""
        tenth = int(at * _TENTH)
        self._counts[tenth] = self._counts.get(tenth, 0) + 1
        self.total += 1

    def count_each(self, start: float, period: float, end: float) -> float:
        """Note an event at *start* and each *period* seconds after, before *end*; return when the next is."""
        times = max(0, math.ceil((end - start) / period))
        for turn in range(times):
            self.count(start + turn * period)
        return start + times * period

    def between(self, start: float, end: float) -> int:
        """How many from *start* up to *end*, to the tenth of a second."""
        return sum(self._counts.get(one, 0) for one in range(int(start * _TENTH), int(end * _TENTH)))

    def peak(self, start: float, end: float) -> int:
        """The most in any one second that begins at a tenth between *start* and *end*."""
        first, last = int(start * _TENTH), int(end * _TENTH)
        window = sum(self._counts.get(one, 0) for one in range(first, first + _TENTH))
        most = window
        for one in range(first, last):
            window += self._counts.get(one + _TENTH, 0) - self._counts.get(one, 0)
            most = max(most, window)
        return most

    def per_second(self, start: float, end: float) -> list[int]:
        """The counts of each whole second from *start* on."""
        seconds = range(int(start), int(end))
        return [self.between(second, second + 1) for second in seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What became of one policy in the outage. Times are seconds of virtual time.

    Attributes:
        policy: its name.
        nodes, informers: how many took part.
        seed: of every random draw.
        steady: requests a second that reached the server before the kill.
        peak_attempts: the most attempts in one second from the kill on.
        peak_reached: the most requests that reached a live server in one second from its return on.
        peak_asked: the same, of the informers' lists and watches alone.
        spent: attempts of the informers from the kill until every cache was right, or until the end.
        spent_in_all: the same, with renewals of leases.
        kills: further kills after the first.
        right_after: from the server's first return until every cache was right; None where the time limit
            ended it.
        limit: that time limit.
        even: requests a second that the informers need at least, a list and a watch each, spread evenly over
            30 s.
        most_memory: of the machine, in bytes.
        turned_away: requests answered with 429.
        attempts, reached: each second's count, from `lead` seconds before the kill.
        lead: see above.
    """

    policy: str
    nodes: int
    informers: int
    seed: int
    steady: float
    peak_attempts: int
    peak_reached: int
    peak_asked: int
    spent: int
    spent_in_all: int
    kills: int
    right_after: float | None
    limit: float
    even: float
    most_memory: float
    turned_away: int
    attempts: list[int] = field(repr=False)
    reached: list[int] = field(repr=False)
    lead: int

    @property
    def unevenness(self) -> float:
        """The largest second of the informers' requests at a live server, as a multiple of `even`."""
        return self.peak_asked / self.even

    @property
    def unevenness_in_all(self) -> float:
        """The largest second of all requests at a live server, as a multiple of `even` with the steady load
        (the renewals that are due in any case)."""
        return self.peak_reached / (self.even + self.steady)

    def to_json(self) -> dict[str, Any]:
        """Every figure, as plain data."""
        made = {"unevenness": self.unevenness, "unevenness_in_all": self.unevenness_in_all}
        return {**asdict(self), **{name: round(value, 3) for name, value in made.items()}}

    @classmethod
    def from_json(cls, figures: Mapping[str, Any]) -> Self:
        """The measures that `to_json` made *figures* of."""
        known = {one.name for one in fields(cls)}  # the others are derived
        return cls(**{name: value for name, value in figures.items() if name in known})
