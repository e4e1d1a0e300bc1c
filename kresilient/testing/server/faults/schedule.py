"""Which of the requests that fit meet the fault: counted, by chance, for a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

__all__ = ["Schedule"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a fault strikes. As data it is a plan; `begin` makes the counters of one armed fault.

    The requests that fit are counted from 1. The `nth` alone is considered, or, of those after `after`, every
    `every`-th; then the chance decides, and `times` of them are struck at most (None: no end).
    `seconds` of loop time after it was armed the fault is over.
    """

    nth: int | None = None
    after: int = 0
    every: int = 1
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float | None = None

    def begin(self, now: float | None) -> Counting:
        """The counters of a fault that is armed at the loop time *now*."""
        until = None if self.seconds is None or now is None else now + self.seconds
        return Counting(self, until, Random(self.seed))


@dataclass(slots=True)
class Counting:
    """How far one fault is in its schedule."""

    plan: Schedule
    until: float | None
    random: Random = field(repr=False)
    came: int = 0
    struck: int = 0

    def over(self, now: float) -> bool:
        """Whether it can strike no more."""
        plan = self.plan
        spent = plan.times is not None and self.struck >= plan.times
        gone = plan.nth is not None and self.came >= plan.nth
        return spent or gone or (self.until is not None and now >= self.until)

    def strikes(self) -> bool:
        """Count one request that fits; whether it is struck."""
        self.came += 1
        plan = self.plan
        if plan.nth is not None and self.came != plan.nth:
            return False
        if self.came <= plan.after or (self.came - plan.after) % plan.every:
            return False
        if plan.probability < 1.0 and self.random.random() >= plan.probability:
            return False
        self.struck += 1
        return True
