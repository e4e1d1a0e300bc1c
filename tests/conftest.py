"""What holds for every test."""

from __future__ import annotations

import asyncio


def pytest_sessionstart() -> None:
    # looptime asks for the current loop around every test, synchronous ones too. A policy whose loop was
    # never set would make one then, which nobody closes; one whose loop was set to None does not.
    asyncio.set_event_loop(None)
