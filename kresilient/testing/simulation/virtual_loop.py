"""An event loop whose time is virtual: where nothing is left to do now, it is the time of the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

__all__ = ["NothingLeft", "VirtualLoop", "run_virtual"]

T = TypeVar("T")

_TURN: Final = 1e-9
"""Seconds that each turn of the loop takes: a timer that a rounding error sets again for the very same time
would hold the clock for ever."""


class NothingLeft(RuntimeError):
    """Every task waits for something that nothing is going to bring about."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs tasks and timers in order, as fast as the machine can; it has no sockets and no threads.

    `time` begins at 0. What runs on it is reproducible where its randomness is.
    """

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Clockwork(self))
        self._clock_resolution = _TURN

    def time(self) -> float:
        return self._now

    def _advance(self, seconds: float) -> None:
        self._now += max(seconds, _TURN)


class _Clockwork(selectors.SelectSelector):
    """In place of waiting for sockets: the clock jumps."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeft("every task waits, and no timer is set: nothing will ever happen")
        self._loop._advance(timeout)
        return []


def run_virtual(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end in a virtual loop of its own and return its result; `asyncio.run` for it.

    Raises what *work* raises, and `NothingLeft`. Interrupted (Ctrl-C): *work* is cancelled, and
    `KeyboardInterrupt` is raised once it has ended.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
