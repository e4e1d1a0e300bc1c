"""What holds for every test."""

from __future__ import annotations

import asyncio
import os

from hypothesis import settings

# No deadline: machines are shared. In CI the same examples every time: a change is judged by itself.
settings.register_profile("shared", deadline=None, derandomize="CI" in os.environ)
# For `make soak`: many other examples every time; what a failure was found with is printed, and kept.
settings.register_profile("soak", deadline=None, derandomize=False, max_examples=5_000, print_blob=True)
settings.load_profile("shared")


def pytest_sessionstart() -> None:
    # looptime asks for the current loop around every test, synchronous ones too. A policy whose loop was
    # never set would make one then, which nobody closes; one whose loop was set to None does not.
    asyncio.set_event_loop(None)
