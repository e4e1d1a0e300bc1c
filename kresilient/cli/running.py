"""Runs a command's coroutine so that SIGINT and SIGTERM end it cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from typing import Any, Final

__all__ = ["INTERRUPTED", "run"]

INTERRUPTED: Final = 130
"""The exit code of what was interrupted, as shells have it."""


def run(work: Coroutine[Any, Any, int], *, interrupted: int = INTERRUPTED) -> int:
    """Run *work* on an event loop of its own and return its exit code.

    The first SIGINT or SIGTERM cancels it; once it has cleaned up, the code is *interrupted*. A second one
    ends the process at once.
    """
    return asyncio.run(_until_told(work, interrupted))


async def _until_told(work: Coroutine[Any, Any, int], interrupted: int) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    told = False

    def stop() -> None:
        nonlocal told
        if told:
            os._exit(INTERRUPTED)
        told = True
        task.cancel()

    signals = (signal.SIGINT, signal.SIGTERM)
    with contextlib.suppress(NotImplementedError):  # Windows: asyncio turns Ctrl-C into KeyboardInterrupt
        for number in signals:
            loop.add_signal_handler(number, stop)
    try:
        return await work
    except asyncio.CancelledError:
        if not told:
            raise
        return interrupted
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in signals:
                loop.remove_signal_handler(number)
