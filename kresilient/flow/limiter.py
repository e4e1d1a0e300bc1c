"""Admission: a token bucket in front of every request, first come first served."""

from __future__ import annotations

import asyncio
import math
from typing import Final

from aiolimiter import AsyncLimiter

from ..api.errors import ConfigError, LifecycleError

__all__ = ["Limiter"]

_GRAIN: Final = 1 / 4096  # of a token
_SHORTEST: Final = 1e-6  # seconds: loops do not tell shorter waits from none


class Limiter:
    """Lets *burst* requests pass at once and *qps* a second after that.

    The bucket starts full. Waiters are served in the order they came: only the first of them asks the meter,
    so none that comes later can take its token. One limiter serves one event loop at a time.

    Args:
        qps: requests a second; None admits everything at once.
        burst: requests that may pass together after a rest.

    Raises `ConfigError` unless qps > 0 and burst >= 1.
    """

    __slots__ = ("__weakref__", "_loop", "_meter", "_turn", "_waiting", "burst", "qps")

    def __init__(self, qps: float | None = 20.0, burst: int = 40) -> None:
        if qps is not None and not (qps > 0 and math.isfinite(qps)):
            raise ConfigError(f"qps must be a positive number, or None for no limit; got {qps!r}")
        if isinstance(burst, bool) or not isinstance(burst, int) or burst < 1:
            raise ConfigError(f"burst must be a whole number of at least 1; got {burst!r}")
        self.qps, self.burst = qps, burst
        self._loop: asyncio.AbstractEventLoop | None = None
        self._meter: AsyncLimiter | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many callers wait to be admitted now."""
        return self._waiting

    async def acquire(self) -> float:
        """Wait for admission; return the seconds waited.

        Cancelled: no token is taken, and the next in line moves up.
        Raises `LifecycleError` when used from another event loop while its own still runs.
        """
        if self.qps is None:
            return 0.0
        loop = asyncio.get_running_loop()
        meter = self._metered_in(loop, self.qps)
        came = loop.time()
        self._waiting += 1
        try:
            async with self._turn:
                while not meter.has_capacity():  # noqa: ASYNC110 (time alone frees a token)
                    await asyncio.sleep(_until_free(meter, self.qps))
                await meter.acquire()
        finally:
            self._waiting -= 1
        return loop.time() - came

    def _metered_in(self, loop: asyncio.AbstractEventLoop, qps: float) -> AsyncLimiter:
        if self._meter is None or self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed():
                raise LifecycleError(
                    f"{self!r} belongs to another event loop that still runs: give each its own"
                )
            # A leaky bucket of this size that leaks its whole content in `burst / qps` seconds.
            self._meter = AsyncLimiter(self.burst, self.burst / qps)
            self._turn = asyncio.Lock()
            self._loop = loop
        return self._meter

    def __repr__(self) -> str:
        rate = "unlimited" if self.qps is None else f"qps={self.qps:g}, burst={self.burst}"
        return f"Limiter({rate}, waiting={self._waiting})"


def _until_free(meter: AsyncLimiter, qps: float) -> float:
    """The seconds until *meter* has a whole token, rounded up by a grain of one.

    The meter's own timer aims at the exact instant and, where a rounding error leaves it short of that,
    fires again and again at the same time of a virtual clock. A little more than needed always moves on.
    """
    free, step = 0.0, 0.5
    while step >= _GRAIN:
        if meter.has_capacity(free + step):
            free += step
        step /= 2
    return max((1.0 - free) / qps, _SHORTEST)
