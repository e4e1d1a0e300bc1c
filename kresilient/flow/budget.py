"""The retry budget: repeats stay under a share of what succeeds, so that they can never multiply load."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

from ..api.errors import ConfigError
from ..observe.events import loop_time

__all__ = ["RetryBudget"]

_SLOTS: Final = 10


class RetryBudget:
    """Allows repeats up to *share* of the last successes, plus *floor* a second.

    A retry policy bounds the repeats of one call; this bounds those of everybody together: while nothing
    succeeds, a client repeats *floor* requests a second in all, however many callers it has. The idea is
    Finagle's RetryBudget.

    Args:
        share: repeats allowed for each success within the window, such as 0.1.
        floor: repeats a second that are allowed without any success; 0 for none.
        window: seconds that are looked back on.
        clock: monotonic seconds; the running loop's time where None.

    Raises `ConfigError` for negative or infinite figures, or a window that is not positive.
    """

    __slots__ = ("_clock", "_marks", "_spent", "_succeeded", "floor", "refused", "share", "window")

    def __init__(
        self,
        share: float = 0.1,
        floor: float = 0.5,
        *,
        window: float = 10.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if not (share >= 0 and floor >= 0 and window > 0 and math.isfinite(share + floor + window)):
            raise ConfigError(
                "a retry budget needs share >= 0, floor >= 0 and window > 0; "
                f"got share={share!r}, floor={floor!r}, window={window!r}"
            )
        self.share, self.floor, self.window = share, floor, window
        self.refused = 0
        """Repeats that were not allowed, since it was made."""
        self._clock = clock or loop_time
        self._marks: deque[list[float]] = deque()  # [number of its slot, successes, repeats]
        self._succeeded = self._spent = 0.0

    @property
    def left(self) -> float:
        """Repeats it allows now."""
        self._forget(self._slot())
        return max(0.0, self.share * self._succeeded + self.floor * self.window - self._spent)

    def succeeded(self) -> None:
        """Note a request that succeeded."""
        self._mark()[1] += 1.0
        self._succeeded += 1.0

    def spend(self, *, leaving: float = 0.0) -> bool:
        """Take one repeat out of the budget; False, and counted as refused, where it has none.

        *leaving*: what has to be left after it, for others that matter more.
        """
        if self.left < 1.0 + leaving:
            self.refused += 1
            return False
        self._mark()[2] += 1.0
        self._spent += 1.0
        return True

    def _slot(self) -> int:
        return int(self._clock() / self.window * _SLOTS)

    def _mark(self) -> list[float]:
        slot = self._slot()
        if not self._marks or self._marks[-1][0] != slot:
            self._forget(slot)
            self._marks.append([slot, 0.0, 0.0])
        return self._marks[-1]

    def _forget(self, slot: int) -> None:
        if self._marks and self._marks[-1][0] > slot:  # another loop, whose clock stands elsewhere
            self._marks.clear()
            self._succeeded = self._spent = 0.0
        while self._marks and self._marks[0][0] <= slot - _SLOTS:
            _, succeeded, spent = self._marks.popleft()
            self._succeeded -= succeeded
            self._spent -= spent

    def __repr__(self) -> str:
        return f"RetryBudget(share={self.share:g}, floor={self.floor:g}/s, refused={self.refused})"
