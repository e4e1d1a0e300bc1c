"""The cache behind equal informers: one reflector a namespace, one store each, and the feeds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from ..api.errors import KresilientError, LifecycleError, PoisonObject, StaleError, SyncError
from ..api.resources import Key, split_key
from ..flow.door import Door
from ..observe.events import HandlerFailed, Observers
from .acknowledged import Deleted, Written
from .announcements import Recipient
from .bounded_reads import BoundedReads
from .compaction import Compaction
from .feed import Feed
from .health import InformerHealth
from .index import parse_indexes
from .intake import Intake
from .listwatch import ListWatch
from .options import InformerOptions
from .own_versions import OwnVersion
from .reflector import Reflector
from .scope import Scope
from .store import Store
from .timing import Timing

__all__ = ["SharedInformer", "Spawn", "health_of"]

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Starts a task that somebody owns, with a name."""


class SharedInformer:
    """The cache behind equal handles: one reflector a namespace, one store each, and the feeds."""

    def __init__(
        self,
        options: InformerOptions,
        door: Door,
        *,
        observe: Observers,
        random: Callable[[], float],
        spawn: Spawn,
        timing: Timing | None = None,
        serve_stale_for: float | None = None,
        own: OwnVersion | None = None,
    ) -> None:
        self.options = options
        self.serve_stale_for = serve_stale_for
        """Seconds without contact for which it answers whoever sets no bound of his own; None for ever."""
        self.name = options.name
        self.handles = 0
        self.error: BaseException | None = None
        self._stopped = False
        self._observe = observe
        self._spawn = spawn
        self._feeds: dict[Feed, None] = {}
        self._changed = asyncio.Event()
        self.clock = asyncio.get_running_loop().time
        self._tasks: list[asyncio.Task[None]] = []
        indexes = parse_indexes(dict(options.index))
        self._compaction = Compaction(self.name, spawn) if options.compact else None
        begun = self._compaction.watch if self._compaction is not None else None
        self.intake = intake = Intake(
            strip=options.strip,
            transform=options.transform,
            view=options.view,
            metadata_only=options.metadata_only,
            hold=self._compaction,
        )
        self.scope = Scope(options, intake)
        self.reflectors: dict[str | None, Reflector] = {}
        self.bounded: dict[str | None, BoundedReads] = {}
        for namespace in options.namespaces or (None,):
            name = f"{self.name} in {namespace}" if len(options.namespaces or ()) > 1 else self.name
            listwatch = ListWatch(
                door,
                options.resource,
                namespace=namespace,
                label_selector=options.label_selector,
                field_selector=options.field_selector,
                metadata_only=options.metadata_only,
            )
            reflector = self.reflectors[namespace] = Reflector(
                name,
                listwatch,
                Store(indexes, self._index_failed, begun=begun),
                self,
                intake=intake,
                observe=observe,
                random=random,
                timing=timing,
                streaming=options.streaming,
                own=own or OwnVersion(),
            )
            self.bounded[namespace] = BoundedReads(
                name,
                listwatch,
                reflector.store,
                reflector.freshness,
                intake=intake,
                spawn=spawn,
                suspect_rewind=reflector.suspect_rewind,
            )
        self.stores = [reflector.store for reflector in self.reflectors.values()]

    def start(self) -> None:
        for reflector in self.reflectors.values():
            task = self._spawn(reflector.run(), f"kresilient reflector {reflector.name}")
            task.add_done_callback(partial(self._ended, reflector))
            self._tasks.append(task)

    async def stop(self) -> None:
        """Stop following; feeds and reads end. Cancelled: the reflectors are cancelled already."""
        self._stopped = True
        self._changed.set()
        for task in self._tasks:
            task.cancel()
        for feed in tuple(self._feeds):
            feed.close()
        tasks = [*self._tasks, *self._end_reads(LifecycleError(f"the informer of {self.name} was closed"))]
        if self._compaction is not None:
            tasks += self._compaction.close()
        if tasks:
            await asyncio.wait(tasks)

    @property
    def synced(self) -> bool:
        return all(store.synced for store in self.stores)

    @property
    def reason(self) -> str:
        """What keeps it from being well, in the words of the last fault."""
        if self.error is not None:
            return f"the reflector crashed: {self.error!r}"
        return "; ".join(r.health.reason for r in self.reflectors.values() if r.health.reason)

    @property
    def contact_age(self) -> float:
        """Seconds since the server was last heard, of the part that has waited longest."""
        return self.clock() - min(r.freshness.contact for r in self.reflectors.values())

    @property
    def proved_age(self) -> float:
        """Seconds since when the whole cache is known to have held all there was."""
        return max(0.0, self.clock() - min(r.freshness.proved for r in self.reflectors.values()))

    def check_contact(self, within: float | None, reflector: Reflector | None = None) -> None:
        """Raise `StaleError` where the server was last heard more than *within* seconds ago (None: whenever):
        by *reflector*, or else by any of them."""
        if within is None:
            return
        age = self.contact_age if reflector is None else self.clock() - reflector.freshness.contact
        if age > within:
            why = f" ({self.reason})" if self.reason else ""
            raise StaleError(
                f"the informer of {self.name} has not heard the server for {age:.1f} s{why}, and is read for "
                f"{within:g} s without that (serve_stale_for); wait for the server, or allow more",
                age=age,
            )

    async def wait_synced(self, *, fail_fast: bool) -> None:
        while not self.synced:
            if self._stopped:
                raise LifecycleError(f"the informer of {self.name} was closed before it had synced")
            if self.error is not None:
                raise SyncError(f"{self.name} cannot sync: {self.reason}") from self.error
            if fail_fast and any(r.health.denied for r in self.reflectors.values()):
                raise SyncError(f"{self.name} cannot sync: {self.reason}")
            self._changed.clear()
            await self._changed.wait()

    # --- own writes ---

    def reflector_of(self, key: Key) -> Reflector | None:
        """Who follows the namespace of *key*; None where nobody does."""
        reflectors = self.reflectors
        return reflectors.get(None) or reflectors.get(split_key(key)[0])

    def show(self, done: Written | Deleted, *, sent: float) -> bool:
        """Show what was written by a request *sent* at a loop time; False where only the server can tell
        whether it belongs here."""
        reflector = self.reflector_of(done.key)
        if reflector is None or self._stopped or self.error is not None:
            return True
        if isinstance(done, Deleted):
            reflector.deleted(done.key, done.uid, done.version, sent=sent)
            return True
        holds = self.scope.holds(done.object)
        if holds is None:
            return False
        try:
            kept = self.scope.kept(done.object) if holds else None
        except PoisonObject:
            return True  # its watch sets it aside, and says why
        reflector.wrote(done.key, done.uid, done.version, kept, sent=sent)
        return True

    def awaits(self, done: Written) -> bool:
        """Whether the watch is about to bring what was written: it is, or was, among what is held here."""
        reflector = self.reflector_of(done.key)
        if reflector is None or not reflector.store.synced:
            return False
        return self.scope.holds(done.object) is not False or reflector.base(done.key) is not None

    def reaching(self, done: Written | Deleted) -> asyncio.Future[None]:
        """Done once the watch has brought what was written. Cancel it, or it waits for ever."""
        reflector = self.reflector_of(done.key)
        assert reflector is not None
        return reflector.reaching(done.version)

    # --- feeds ---

    def attach(self, feed: Feed) -> None:
        """Bring *feed* up to date and keep it so."""
        for reflector in self.reflectors.values():
            reflector.announcements.flush()  # what the tables have already
        self._feeds[feed] = None
        complete = self.synced
        listed = [store for store in self.stores if store.synced]
        for store in listed:
            feed.begin(store.table.objects.values(), complete=complete)

    def detach(self, feed: Feed) -> None:
        self._feeds.pop(feed, None)

    # --- the reflectors' sink ---

    def listed(self, reflector: Reflector) -> None:
        complete = self.synced
        for feed in tuple(self._feeds):
            feed.begin(reflector.store.table.objects.values(), complete=complete)
        self._changed.set()

    def recipients(self) -> list[Recipient]:
        return [feed.push for feed in tuple(self._feeds)]  # a stream that is dropped leaves at any moment

    def behind(self) -> bool:
        return any(feed.behind for feed in self._feeds)

    def moved(self, _reflector: Reflector) -> None:
        self._changed.set()

    def _ended(self, reflector: Reflector, task: asyncio.Task[None]) -> None:
        reflector.end()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.error = error
            for store in self.stores:
                store.synced = False  # what nobody keeps fresh is not to be read
            crashed = KresilientError(f"the informer of {self.name} crashed: {error!r}")
            crashed.__cause__ = error
            for feed in tuple(self._feeds):
                feed.close(crashed)
            self._end_reads(crashed)
            self._changed.set()

    def _end_reads(self, error: KresilientError) -> list[asyncio.Task[None]]:
        return [task for reads in self.bounded.values() for task in reads.close(error)]

    def _index_failed(self, index: str, key: Key, error: Exception) -> None:
        self._observe(HandlerFailed(self.name, f"index {index}", key, error))


def health_of(shared: SharedInformer, *, serve_stale_for: float | None = None) -> InformerHealth:
    """How *shared* stands now, for one who may read it *serve_stale_for* seconds after the last contact."""
    parts, now = [reflector.health for reflector in shared.reflectors.values()], shared.clock()
    lagging = min(parts, key=lambda part: part.contact)
    failed = max(parts, key=lambda part: part.last_error_at)
    relists: Counter[str] = Counter()
    for part in parts:
        relists.update(part.relists)
    return InformerHealth(
        name=shared.name,
        synced=shared.synced,
        reason=shared.reason,
        objects=sum(len(store.table.objects) for store in shared.stores),
        reflectors=tuple(parts),
        quarantined={
            key: str(error) for store in shared.stores for key, error in store.table.quarantined.items()
        },
        contact_age=shared.contact_age,
        proved_age=shared.proved_age,
        stale=serve_stale_for is not None and shared.contact_age > serve_stale_for,
        state=lagging.state,
        state_age=now - lagging.since,
        last_error=failed.last_error,
        last_error_age=now - failed.last_error_at,
        relists=dict(relists),
        rewinds=sum(part.rewinds for part in parts),
        resource_version=parts[0].resource_version if len(parts) == 1 else "",
    )
