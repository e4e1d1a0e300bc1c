"""The body of a watch as it is sent: its events, its bookmarks, and when it ends."""

from __future__ import annotations

import asyncio
from typing import Final

from .activity import Activity
from .epoch import TICK, until
from .faults.effect import Pieces
from .requests import RequestRecord
from .state import ApiState
from .watch import Watch

__all__ = ["watch_body"]

_LAST_BOOKMARK: Final = 2.0
"""Seconds before its end at which a watch gets its last bookmark."""


async def watch_body(
    watch: Watch,
    state: ApiState,
    record: RequestRecord,
    *,
    activity: Activity,
    timeout: float,
    bookmark_interval: float,
) -> Pieces:
    """What *watch* of *state* is told, as it comes, for *timeout* seconds or until the watch ends.

    *activity* is told when *record* has something to send, and when it rests; events are counted in it.
    """
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()

    def on_ready() -> None:
        activity.wakes(record)
        ready.set()

    watch.on_ready = on_ready
    deadline = loop.time() + timeout
    # The last bookmark comes shortly before the end, so that a client can go on from there; a watch that
    # is not meant to live as long gets none.
    last_bookmark = deadline - _LAST_BOOKMARK if timeout > _LAST_BOOKMARK else deadline
    bookmark = min(loop.time() + bookmark_interval, last_bookmark)
    while True:
        ready.clear()
        if frames := watch.take():
            record.objects += frames.count(b"\n")
            yield frames
        elif watch.end_bookmark is not None and watch.end_bookmark <= state.version:
            watch.end_bookmark = None
            yield watch.bookmark(state.version, initial_events_end=True)
        elif watch.ended or loop.time() + TICK >= deadline:
            return
        elif watch.bookmarks and loop.time() + TICK >= bookmark:
            # On a server that rests they come all the same, as in a cluster, which never does.
            last = loop.time() + TICK >= last_bookmark
            bookmark = deadline if last else min(loop.time() + bookmark_interval, last_bookmark)
            if frames := watch.bookmark(state.version, only_news=last):
                yield frames
        else:
            activity.rests(record)  # a bookmark does not wake it: it is no news
            wake = min(deadline, bookmark) if watch.bookmarks else deadline
            # Never a wait too short for a clock to show: in virtual time it would not pass.
            await until(ready, max(wake - loop.time(), 1e-5))
