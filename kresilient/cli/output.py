"""Lines to stdout, written by a thread, so that a slow reader never holds up the event loop."""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading

__all__ = ["Output"]


class Output:
    """Writes to stdout; each `write` returns when the bytes are gone.

    The thread is a daemon: a reader that has stopped reading cannot keep the process from ending.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._fd = sys.stdout.fileno()
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="kresilient stdout", daemon=True).start()

    async def write(self, data: bytes) -> None:
        """Write *data* whole. Raises `BrokenPipeError` where nobody reads any more, and `OSError`.

        Cancelled: it may still be written.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put((data, done))
        await done

    def _work(self) -> None:
        while True:
            data, done = self._jobs.get()
            failure: OSError | None = None
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError as error:
                failure = error
            try:
                self._loop.call_soon_threadsafe(_settle, done, failure)
            except RuntimeError:  # the loop has ended
                return


def _settle(done: asyncio.Future[None], failure: OSError | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
