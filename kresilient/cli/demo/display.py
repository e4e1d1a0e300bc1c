"""The demo's progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Display"]


class Display:
    """Shows what is going on. One step at a time: `begin`, perhaps `update`, `end`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        if console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(finished_text="[green]✓[/]"),
                TextColumn("{task.description}"),
                BarColumn(bar_width=18),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[note]}"),
                console=console,
            )

    def begin(self, title: str, seconds: float | None = None) -> None:
        """A step begins, which takes *seconds* where that is known."""
        if self._progress is not None:
            self._task = self._progress.add_task(title, total=seconds, note="")
        else:
            self.console.print(f"… {title}", highlight=False, soft_wrap=True)

    def update(self, done: float, note: str) -> None:
        """*done* seconds of the step are over; *note* says how it goes."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, note=note)

    def end(self, result: str) -> None:
        """The step is over, with this *result*."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=1.0, completed=1.0, note=result)
            self._task = None
        elif self._progress is None:
            self.console.print(f"  {result}", highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            if self._task is not None:  # it was cut short
                self._progress.stop_task(self._task)
            self._progress.stop()
