"""How far each policy's run has come: a line each on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Shown"]


class Shown:
    """Called with a policy, the virtual time in seconds, and what goes on."""

    def __init__(self, console: Console, policies: Sequence[str]) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._begun: set[str] = set()
        if console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[note]}"),
                console=console,
                transient=True,
            )
            self._tasks = {name: self._progress.add_task(name, total=None, note="") for name in policies}

    def __call__(self, policy: str, at: float, what: str) -> None:
        if self._progress is not None:
            self._progress.update(self._tasks[policy], note=f"{at:.0f} s: {what}")
        elif policy not in self._begun:
            self._begun.add(policy)
            self._console.print(f"… {policy}", highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
