"""One life of the server, from a start to a stop, and how it breaks what runs when it ends by force."""

from __future__ import annotations

import asyncio

__all__ = ["TICK", "Epoch", "Reset", "until"]

TICK = 1e-6
"""Seconds by which a moment may be missed: a float's rest must not arm a timer again for now."""


class Reset(Exception):
    """The connection has to be reset now, in the middle of whatever it carries."""


class Epoch:
    """The time between a start and a stop of the server. `over` is set when it ends, `killed` if by force."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.killed = False


async def until(event: asyncio.Event, seconds: float) -> None:
    """Wait for *event*, at most *seconds*."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        pass
