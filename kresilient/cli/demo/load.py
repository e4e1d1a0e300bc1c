"""The load of a run over time: who has asked how much, sampled twice a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from .agents import Fleet
from .display import Display
from .figures import Figures, Phase, Sample

__all__ = ["Load"]

_INTERVAL: Final = 0.5


class Load:
    """Takes the samples of a run, names its phases, and shows both.

    Args:
        answered: how many requests of the fleet were answered so far; None while that cannot be known.
    """

    def __init__(
        self,
        fleet: Fleet,
        answered: Callable[[], Awaitable[int | None]],
        figures: Figures,
        display: Display,
    ) -> None:
        self._fleet = fleet
        self._answered = answered
        self._figures = figures
        self._display = display
        self._clock = asyncio.get_running_loop().time
        self._start = self._clock()
        self._step = (self._start, "")
        self._one_at_a_time = asyncio.Lock()

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._start

    async def sample(self) -> Sample:
        """Take a sample now."""
        async with self._one_at_a_time:
            requests = await self._answered()
            sample = Sample(
                self.now, requests, self._fleet.attempts, self._fleet.wire_bytes, self._fleet.json_bytes
            )
            samples = self._figures.samples
            if samples:
                span = max(sample.at - samples[-1].at, 1e-3)
                sent, received = (
                    sample.attempts - samples[-1].attempts,
                    sample.wire_bytes - samples[-1].wire_bytes,
                )
                note = f"{sent / span:,.0f} requests/s, {received / span / 1e6:,.1f} MB/s"
                self._display.update(self._clock() - self._step[0], note)
            samples.append(sample)
            return sample

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take samples all the while."""

        async def forever() -> None:
            while True:
                await self.sample()
                await asyncio.sleep(_INTERVAL)

        task = asyncio.create_task(forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def begin(self, name: str, title: str, seconds: float | None = None) -> None:
        """A phase begins."""
        self._step = (self._clock(), name)
        self._display.begin(title, seconds)

    def end(self, result: str) -> Phase:
        """The phase is over."""
        phase = Phase(self._step[1], self._step[0] - self._start, self.now)
        self._figures.phases.append(phase)
        self._display.end(result)
        return phase

    async def measure(self, seconds: float) -> tuple[Sample, Sample]:
        """A sample now, and one after *seconds*."""
        before = await self.sample()
        await asyncio.sleep(seconds)
        return before, await self.sample()
