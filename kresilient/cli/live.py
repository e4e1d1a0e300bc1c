"""The live table of `kresilient watch`: as many rows as the terminal has, redrawn a few times a second."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import Final

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..api.objects import KubeObject
from ..cache.events import Event
from ..cache.informer import Informer
from .columns import HEADINGS, cells
from .measured import Counts

__all__ = ["LiveTable", "show"]

_INTERVAL: Final = 0.25
_FRAME: Final = 4
"""Lines that are no rows: the header's two, the headings, and one left free for the cursor."""
_REMEMBERED: Final = 500


async def show(informer: Informer[KubeObject], counts: Counts, *, title: str, timeout: float | None) -> None:
    """Show *informer* on the terminal until cancelled. Raises `SyncError` as `Informer.synced` does."""
    table = LiveTable(informer, counts, title)
    console = Console()
    with Live(
        console=console, auto_refresh=False, screen=False, transient=False, vertical_overflow="crop"
    ) as live:
        subscription = informer.add_handler(on_event=table.changed)
        syncing = asyncio.ensure_future(informer.synced(timeout))
        try:
            while True:
                live.update(table.render(console.height, datetime.now(UTC)), refresh=True)
                if syncing.done():
                    syncing.result()
                await asyncio.sleep(_INTERVAL)
        finally:
            syncing.cancel()
            await asyncio.gather(syncing, return_exceptions=True)
            await subscription.close()


class LiveTable:
    """What the table shows: objects in key order where they fit, else those that changed last."""

    def __init__(self, informer: Informer[KubeObject], counts: Counts, title: str) -> None:
        self._informer = informer
        self._counts = counts
        self._title = title
        self._recent: deque[str] = deque(maxlen=_REMEMBERED)
        self._last = ""

    def changed(self, event: Event[KubeObject]) -> None:
        """Remember *event* for the header and the order of rows."""
        if event.initial:
            return
        self._last = f"{event.type} {event.key} at {datetime.now().astimezone():%H:%M:%S}"
        if event.key in self._recent:
            self._recent.remove(event.key)
        self._recent.appendleft(event.key)

    def render(self, height: int, now: datetime) -> Group:
        """The header and the table, for a terminal of *height* lines."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in HEADINGS:
            table.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=None)
        shown = 0
        if self._informer.has_synced:
            for obj in self._rows(max(1, height - _FRAME - 2)):
                table.add_row(*(Text(cell) for cell in cells(obj, now)))
                shown += 1
        return Group(*self._header(shown), table)

    def _rows(self, room: int) -> list[KubeObject]:
        keys = self._informer.keys()
        if len(keys) > room:
            keys = list(dict.fromkeys([*self._recent, *keys[:room]]))
        quarantined = self._informer.health.quarantined
        found: list[KubeObject] = []
        for key in keys:
            if len(found) == room:
                break
            if key in self._informer and key not in quarantined:
                obj = self._informer.get(key)
                if obj is not None:
                    found.append(obj)
        return found

    def _header(self, shown: int) -> list[Text]:
        health = self._informer.health
        state = ("synced", "green") if health.synced and not health.reason else ("stale", "yellow")
        if not health.synced:
            state = ("syncing", "cyan") if not health.reason else ("not synced", "red")
        first = Text.assemble(
            (self._title, "bold"),
            "  ",
            state,
            f"  {health.objects:,} objects",
            f"  {self._counts.requests:,} requests",
        )
        if shown < health.objects:
            first.append(f"  ({shown} shown, last changed first)")
        if health.quarantined:
            first.append(f"  {len(health.quarantined)} set aside", "red")
        second = (
            Text(health.reason, "yellow") if health.reason else Text(self._last or "no change yet", "dim")
        )
        for line in (first, second):
            line.no_wrap, line.overflow = True, "ellipsis"
        return [first, second]
