"""Write-through: what a write was answered with is shown by the caches that hold the object, at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from .api.errors import ConfigError
from .api.objects import KubeObject
from .api.resources import Key, Resource
from .api.versions import is_older
from .cache.acknowledged import Deleted, Written, acknowledged
from .cache.reflector import Reflector
from .cache.shared import SharedInformer
from .observe.events import Observers, WriteNotSeen
from .verbs import Write

__all__ = ["PATIENCE", "ReadAfterWrite", "Stood", "WriteThrough"]

ReadAfterWrite = Literal["overlay", "wait"]

PATIENCE: Final = 10.0
"""Seconds for which an acknowledged write waits, at most, for caches to have seen it."""


@dataclass(frozen=True, slots=True)
class Stood:
    """Where one reflector stood before a write: the version it had seen, and that of the object it showed."""

    reflector: Reflector
    seen: str
    object: str


class WriteThrough:
    """Shows the caches what was written.

    Args:
        caches: those of a resource that are there now.
        mode: `overlay` shows the answer itself, at once; `wait` waits until the watches have brought the
            write, and shows the answer only where they have not after `PATIENCE` seconds.
        observe: hears `WriteNotSeen`.

    Raises `ConfigError` for another mode.
    """

    def __init__(
        self,
        caches: Callable[[Resource], Iterable[SharedInformer]],
        *,
        mode: ReadAfterWrite = "overlay",
        observe: Observers,
    ) -> None:
        if mode not in get_args(ReadAfterWrite):
            raise ConfigError(f"read_after_write is one of {get_args(ReadAfterWrite)}, not {mode!r}")
        self._caches = caches
        self._mode = mode
        self._observe = observe

    def before(self, write: Write, where: Resource) -> list[Stood]:
        """Where the caches stand now that *write* is about to be sent."""
        stood = []
        for cache in self._caches(where.parent):
            for reflector in cache.reflectors.values():
                if (store := reflector.store).synced:
                    held = store.table.objects.get(write.key) if write.key is not None else None
                    version = "" if held is None else held.resource_version
                    stood.append(Stood(reflector, reflector.seen, version))
        return stood

    def compare(self, before: list[Stood], write: Write, obj: KubeObject) -> None:
        """Suspect a restored etcd where *write* was answered with a version below those *before* it."""
        version = obj.resource_version
        if write.dry_run or version == write.sent_version:
            return
        for stood in before:
            # A write that changed nothing is answered with the version the object has had all along.
            changed = write.key is None or stood.object not in ("", version)
            if changed and is_older(version, stood.seen):
                stood.reflector.suspect_rewind(
                    f"{write.request.what} was answered at version {version}, "
                    f"where the cache had seen {stood.seen}"
                )

    async def acknowledged(self, where: Resource, verb: str, key: Key | None, body: bytes) -> None:
        """A write to *where*, and there to the object *key*, was answered with success and *body*.

        Every cache whose scope holds the object shows the result before this returns. One whose selector
        only the server can evaluate waits for its watch, at most `PATIENCE` seconds. Cancelled: the write is
        shown where it can be.
        """
        done = acknowledged(where, verb, key, body)
        if done is None:
            return
        waiting = []
        for cache in self._caches(where.parent):
            due = self._mode == "wait" and isinstance(done, Written) and cache.awaits(done)
            if due or not cache.show(done):
                waiting.append(cache)
        if waiting:
            await self._wait(waiting, done)

    async def _wait(self, caches: list[SharedInformer], done: Written | Deleted) -> None:
        reached = [cache.reaching(done) for cache in caches]
        try:
            await asyncio.wait(reached, timeout=PATIENCE)
        finally:
            for cache, future in zip(caches, reached, strict=True):
                late = not future.done()
                future.cancel()
                if late and not cache.show(done):
                    self._observe(WriteNotSeen(cache.name, done.key, done.version, PATIENCE))
