"""Write-through: what a write was answered with is shown by the caches that hold the object, at once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from .api.errors import ConfigError
from .api.resources import Key, Resource
from .api.versions import is_older, later
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
    """Where one reflector stood before a write.

    Attributes:
        seen: the version that it had seen, `""` before its first list.
        base: the version of what it holds, own writes apart.
        uid, object: of the object that it showed under the key, and its version; `""` where there was none.
        rewinds: how often the server's history had gone back.
        at: the loop time.
    """

    reflector: Reflector
    seen: str
    base: str
    uid: str
    object: str
    rewinds: int
    at: float

    @property
    def rewound(self) -> int:
        """How often the history went back since."""
        return self.reflector.health.rewinds - self.rewinds

    def lost(self, *, above: bool) -> bool:
        """Whether what was written may be of a history that is lost; where the cache stood *above* it, it is
        not of the one that it stood in."""
        return self.rewound > above and self.at < self.reflector.rewound_at


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A cache that shows a write once *future* is done; *above* tells that it stood above it."""

    cache: SharedInformer
    stood: Stood | None
    future: asyncio.Future[None]
    above: bool = False


class WriteThrough:
    """Shows the caches what was written.

    Args:
        caches: those of a resource that are there now.
        wrote: told of each write, with the version at which it is to be seen, `""` where that is not known:
            for caches to come.
        mode: `overlay` shows the answer itself, at once; `wait` waits until the watches have brought the
            write, and shows the answer only where they have not after `PATIENCE` seconds.
        observe: hears `WriteNotSeen`.

    Raises `ConfigError` for another mode.
    """

    def __init__(
        self,
        caches: Callable[[Resource], Iterable[SharedInformer]],
        *,
        wrote: Callable[[Resource, str], None],
        mode: ReadAfterWrite = "overlay",
        observe: Observers,
    ) -> None:
        if mode not in get_args(ReadAfterWrite):
            raise ConfigError(f"read_after_write is one of {get_args(ReadAfterWrite)}, not {mode!r}")
        self._caches = caches
        self._wrote = wrote
        self._mode = mode
        self._observe = observe

    def before(self, where: Resource, key: Key | None) -> list[Stood]:
        """Where the caches stand now that a write to *where*, and there to *key*, is about to be sent."""
        stood, now = [], asyncio.get_running_loop().time()
        for cache in self._caches(where.parent):
            for reflector in cache.reflectors.values():
                store = reflector.store
                held = store.table.objects.get(key) if key is not None and store.synced else None
                uid, version = ("", "") if held is None else (held.uid, held.resource_version)
                seen, base = (reflector.seen, store.version) if store.synced else ("", "")
                stood.append(Stood(reflector, seen, base, uid, version, reflector.health.rewinds, now))
        return stood

    def compare(self, before: Iterable[Stood], write: Write, version: str) -> frozenset[Reflector]:
        """Suspect a restored etcd where *write* was answered with a *version* below those *before* it.

        Returns the reflectors that hold what is not, or was not, of the history that was written to.
        """
        if write.dry_run or version == write.sent_version:
            return frozenset()
        above = set()
        for stood in before:
            # A write that changed nothing is answered with the version the object has had all along.
            changed = write.key is None or stood.object not in ("", version)
            if changed and is_older(version, stood.seen):
                # What was seen may be no more than an own write of another object, and this one no change.
                if is_older(version, stood.seen if write.key is None else later(stood.base, stood.object)):
                    above.add(stood.reflector)
                if not stood.rewound:
                    stood.reflector.suspect_rewind(
                        f"{write.request.what} was answered at version {version}, "
                        f"where the cache had seen {stood.seen}"
                    )
        return frozenset(above)

    async def acknowledged(
        self,
        where: Resource,
        verb: str,
        key: Key | None,
        body: bytes,
        *,
        before: Iterable[Stood],
        above: Collection[Reflector] = (),
    ) -> None:
        """A write to *where*, and there to the object *key*, was answered with success and *body*.

        Every cache whose scope holds the object shows the result before this returns, but for those whose
        history went back since they stood as *before*. Two wait for at most `PATIENCE` seconds: one whose
        selector only the server can evaluate, for its watch; and one that stood *above* the write, until it
        knows that the history went back. Cancelled: the write is shown where it can be.
        """
        done = acknowledged(where, verb, key, body)
        if done is None:
            if verb == "delete":  # of whatever: a list to come has to be of later
                self._wrote(where.parent, "")
            return
        # The version of what was deleted may be one at which it was still there.
        self._wrote(where.parent, done.version if isinstance(done, Written) else "")
        since = {stood.reflector: stood for stood in before}
        waiting = []
        for cache in self._caches(where.parent):
            reflector = cache.reflector_of(done.key)
            stood = since.get(reflector) if reflector is not None else None
            sent = stood.at if stood is not None else -math.inf
            stood_above = reflector in above and isinstance(done, Written)
            if stood is not None and stood.lost(above=stood_above):
                continue
            settled = reflector.settled() if reflector is not None and stood_above else None
            due = self._mode == "wait" and isinstance(done, Written) and cache.awaits(done)
            if settled is not None:
                waiting.append(_Waiting(cache, stood, settled, above=True))
            elif due or not cache.show(done, sent=sent):
                waiting.append(_Waiting(cache, stood, cache.reaching(done)))
            if stood is not None and isinstance(done, Deleted) and stood.uid not in ("", done.uid):
                # It was there before the delete was sent, and the delete found another one of that name.
                cache.show(Deleted(done.key, stood.uid, ""), sent=sent)
        if waiting:
            await self._wait(waiting, done)

    async def _wait(self, waiting: Collection[_Waiting], done: Written | Deleted) -> None:
        waited = False
        try:
            await asyncio.wait([one.future for one in waiting], timeout=PATIENCE)
            waited = True
        finally:
            for one in waiting:
                late = not one.future.done()
                one.future.cancel()
                if one.stood is not None and one.stood.lost(above=one.above):
                    continue
                sent = one.stood.at if one.stood is not None else -math.inf
                shown = (late or one.above) and one.cache.show(done, sent=sent)
                if waited and late and (one.above or not shown):
                    self._observe(WriteNotSeen(one.cache.name, done.key, done.version, PATIENCE))
