"""Which objects of a compact cache are compressed, and with which dictionary.

The first megabyte stays plain: a cache that never holds more is no smaller for being compressed. Then a
dictionary is trained, in a thread, on objects from all over the cache, and what was held before is compressed
with it, in slices. A list comes in the order of its keys, so the first objects tell little of the later ones:
when eight times as many have come as were there, a new dictionary is trained, and all that is held is
compressed anew. So no more than two are ever in use, an object is compressed 1.1 to 1.2 times on average, and
the dictionary keeps up with a cluster that changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final
from weakref import WeakSet

from ..api.objects import KubeObject
from .compressed import Codec, CompactObject
from .store import Table

__all__ = ["Compaction"]

_PLAIN: Final = 1_000_000
"""Bytes of a cache up to which it is left as it is."""

_GROWTH: Final = 8
"""How many objects have to come, for each that was there, before a new dictionary is trained."""

_FEW: Final = 128
"""So many are taken to be there at least: a cache that was emptied is not trained on every newcomer."""

_SAMPLE: Final = 1000
"""The most objects that a dictionary is trained on."""

_SLICE: Final = 1_000_000
"""Bytes compressed before the event loop gets a turn: some 3 ms."""


class Compaction:
    """Compresses the objects of one cache. Called with one that arrives, it returns the one to be held.

    Args:
        name: of the cache, for its task.
        spawn: starts a task that somebody owns.
    """

    __slots__ = ("_closed", "_codec", "_due", "_name", "_spawn", "_tables", "_task")

    def __init__(
        self, name: str, spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
    ) -> None:
        self._name = name
        self._spawn = spawn
        self._tables: WeakSet[Table] = WeakSet()
        self._codec: Codec | None = None
        self._due = _PLAIN  # bytes until the first dictionary, objects until any other
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def watch(self, table: Table) -> None:
        """*table* holds objects of this cache, for as long as it is there."""
        self._tables.add(table)

    def __call__(self, obj: KubeObject) -> KubeObject:
        codec = self._codec
        self._due -= len(obj.raw) if codec is None else 1
        if self._due <= 0 and self._task is None and not self._closed:
            self._task = self._spawn(self._renew(), f"kresilient dictionary of {self._name}")
            self._task.add_done_callback(self._renewed)
        return obj if codec is None else codec.pack(obj)

    def close(self) -> list[asyncio.Task[None]]:
        """Train no more. Returns the task that is about to end, if there is one."""
        self._closed = True
        if self._task is None:
            return []
        self._task.cancel()
        return [self._task]

    def _renewed(self, _task: asyncio.Task[None]) -> None:
        self._task = None

    async def _renew(self) -> None:
        """Train a dictionary and compress with it all that is held. Cancelled: some stays as it was."""
        held = [obj for table in tuple(self._tables) for obj in table.objects.values()]
        if self._codec is None and (plain := sum(len(obj.raw) for obj in held)) < _PLAIN:
            self._due = _PLAIN - plain
            return
        if self._codec is None:
            self._codec = Codec()  # what comes meanwhile may be much
        sample = Random(0).sample(held, min(_SAMPLE, len(held)))
        self._codec = codec = await asyncio.to_thread(Codec.trained, sample)
        self._due = _GROWTH * max(len(held), _FEW)
        del held, sample
        done = 0
        for table in tuple(self._tables):
            for key in tuple(table.objects):
                obj = table.objects.get(key)
                if obj is None or (isinstance(obj, CompactObject) and obj.codec is codec):
                    continue
                table.objects[key] = codec.pack(obj)  # the same object: no index, and no reader, can tell
                done += len(obj.raw)
                if done >= _SLICE:
                    done = 0
                    await asyncio.sleep(0)
