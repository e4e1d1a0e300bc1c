"""Policies run side by side, each in a process of its own: a simulation is one busy core."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import Any, Final

from ...testing.simulation import Measures, OutageOptions, simulate_outage
from ..failures import CommandFailed

__all__ = ["Progress", "run_policies"]

Progress = Callable[[str, float, str], None]
"""Hears a policy, the virtual time in seconds, and what goes on."""

_LOOK_EVERY: Final = 1.0


def run_policies(
    policies: Sequence[str], options: OutageOptions, progress: Progress, *, at_once: int | None = None
) -> list[Measures]:
    """The measures of each of *policies*, in their order; as many at once as there are cores.

    Raises `CommandFailed` where a process ends without an answer. Interrupted: every process is ended.
    """
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    waiting, running = list(policies), dict[str, BaseProcess]()
    found: dict[str, Measures] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (at_once or os.cpu_count() or 1):
                name = waiting.pop(0)
                process: BaseProcess = context.Process(target=_work, args=(name, options, told), daemon=True)
                process.start()
                running[name] = process
            try:
                name, at, news = told.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                for name, one in running.items():
                    if not one.is_alive() and told.empty():
                        raise CommandFailed(f"the run of {name} ended with code {one.exitcode}") from None
                continue
            if isinstance(news, Measures):
                found[name] = news
                running.pop(name).join()
            elif at < 0:
                raise CommandFailed(f"the run of {name} failed: {news}")
            else:
                progress(name, at, news)
    finally:
        for one in running.values():
            one.terminate()
        for one in running.values():
            one.join()
    return [found[name] for name in policies]


def _work(policy: str, options: OutageOptions, told: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command ends us, and says so once
    last = -1.0

    def progress(at: float, what: str) -> None:
        nonlocal last
        if at - last >= 1.0:
            last = at
            told.put((policy, at, what))

    try:
        told.put((policy, 0.0, simulate_outage(policy, options, progress=progress)))
    except Exception as error:
        told.put((policy, -1.0, repr(error)))
