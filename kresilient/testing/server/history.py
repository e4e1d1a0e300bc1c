"""What is stored, under one counter of versions: each collection, what happened to it, and who follows that.

Each change is recorded in the history of its collection and offered to the watches that it may concern, in
one step, so that a list and a watch from its version never miss a change between them.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Self

from kresilient.api.resources import Resource, split_key

from .forms import Form
from .kinds import ApiResource, Registry
from .listing import ListOptions, Page, read_page
from .namespaces import NAMESPACES
from .selection import Selection
from .statuses import internal, not_found, version_too_large
from .storage import Change, Collection, Stored
from .watch import Watch, Watchers

__all__ = ["Commit", "History"]

Commit = Callable[[tuple[str, str], Change], None]
"""Called with the storage and the change before anybody sees it; what it raises undoes the write."""


class History:
    """Collections of objects, with the history of each and the watches on it: what etcd and the watch cache
    are to an API server. `resources` are those that are served.

    Args:
        now: the wall clock, in seconds since the epoch.
        first_version: the resource version to start at.
        history: changes kept for each resource; a watch from before them is answered with 410.
        page_ttl: seconds after which a list can no longer be had as it was, once there were later writes.
        watch_queue: events that may wait for a slow watcher before it is cut off.
        commit: see `Commit`; it makes writes durable.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        first_version: int,
        history: int,
        page_ttl: float,
        watch_queue: int,
        commit: Commit | None,
    ) -> None:
        self.skew = 0.0
        """Seconds by which the wall clock is off, ahead where positive."""
        self.version = first_version
        self.history = history
        self.commit = commit
        self.on_watches: Callable[[], None] | None = None
        self.on_objects: Callable[[], None] | None = None
        self.resources = Registry()
        self._clock = now
        self._page_ttl = page_ttl
        self._watch_queue = watch_queue
        self._collections: dict[tuple[str, str], Collection] = {}
        self._watchers: dict[tuple[str, str], Watchers] = {}
        self._floor = first_version
        self._marks: deque[tuple[float, int]] = deque()
        self._page_floor = 0

    def now(self) -> float:
        """What this cluster takes for the time, in seconds since the epoch."""
        return self._clock() + self.skew

    # --- reading -----------------------------------------------------------------------------------------

    def resource(self, named: str | Resource | ApiResource) -> ApiResource:
        """The resource that *named* (`"v1/pods"`) is; raises `KeyError` where it is not served."""
        return named if isinstance(named, ApiResource) else self.resources.parse(named)

    def collection(self, resource: ApiResource) -> Collection:
        """What is stored of *resource*, at whichever version."""
        found = self._collections.get(resource.storage)
        if found is None:
            found = Collection(history=self.history, compacted=self._floor)
            self._collections[resource.storage] = found
        return found

    def collections(self) -> Mapping[tuple[str, str], Collection]:
        return self._collections

    def get(self, resource: ApiResource, key: str) -> Stored:
        """The object under *key*. Raises `Refused` (404)."""
        found = self.collection(resource).objects.get(key)
        if found is None:
            raise not_found(resource, split_key(key)[1])
        return found

    def whole(self, resource: ApiResource, key: str) -> Stored:
        """The object under *key* that can be changed. Raises `Refused`: 404, or 500 for a poisonous one."""
        stored = self.get(resource, key)
        if stored.poison:
            raise internal(f"unable to decode an object of {resource.qualified} in storage: {key}")
        return stored

    def page(self, resource: ApiResource, selection: Selection, options: ListOptions) -> Page:
        """One page of a list. Raises `Refused` (410, 504): see `read_page`."""
        return read_page(
            self.collection(resource),
            selection,
            options,
            current=self.version,
            oldest=self._oldest_page(),
        )

    # --- watches -----------------------------------------------------------------------------------------

    def watchers(self, resource: ApiResource) -> Watchers:
        """Who is told of changes to *resource*."""
        return self._watchers.setdefault(resource.storage, Watchers())

    def watch(
        self,
        resource: ApiResource,
        selection: Selection,
        form: Form,
        *,
        version: int | None = None,
        initial_events: bool | None = None,
        bookmarks: bool = False,
    ) -> Watch:
        """A running watch; `unwatch` it when it is over.

        From None or 0 it begins with an ADDED for every object there is, unless *initial_events* is False;
        from another *version* with what happened since. *initial_events* asks for a streaming list of at
        least *version*, which ends with a bookmark where *bookmarks* are wanted. Raises `Refused`: 410 where
        the history does not reach back to *version*, 504 for a streaming list from the future.
        """
        collection = self.collection(resource)
        watch = Watch(selection, form, bookmarks=bookmarks, limit=self._watch_queue)
        if initial_events and version and version > self.version:
            raise version_too_large(version, self.version)
        if initial_events or (initial_events is None and not version):
            watch.begin_with(selection.select(collection), self.version)
            if initial_events and bookmarks:
                watch.end_bookmark = self.version
        else:
            after = version or self.version
            watch.begin_after(after, selection.history(collection, after))
        self.watchers(resource).add(watch)
        self._watches_changed()
        return watch

    def unwatch(self, resource: ApiResource, watch: Watch) -> None:
        """Stop giving changes to *watch*. Idempotent."""
        watch.end()
        self.watchers(resource).discard(watch)
        self._watches_changed()

    def end_watches(self) -> None:
        """End every watch cleanly, as a server that shuts down does."""
        for watchers in self._watchers.values():
            for watch in watchers:
                watch.end()
        self._watches_changed()

    @property
    def watched(self) -> bool:
        """Whether any watch is here, ended or not."""
        return any(len(watchers) for watchers in self._watchers.values())

    def _watches_changed(self) -> None:
        if self.on_watches is not None:
            self.on_watches()

    # --- what happens ------------------------------------------------------------------------------------

    def put_raw(self, resource: str | Resource | ApiResource, key: str, raw: bytes) -> Stored:
        """Put bytes under *key* that are served as they are, in lists and events, whatever they hold."""
        resource = self.resource(resource)
        stored = Stored(key, self.version + 1, raw, poison=True)
        self._record(resource.storage, self._change(resource.storage, stored))
        return stored

    def load(self, resource: str | Resource | ApiResource, objects: Iterable[Stored]) -> None:
        """Store many objects at once and without events, as if they had been there before the history."""
        resource = self.resource(resource)
        collection = self.collection(resource)
        loaded = list(objects)
        if self.commit is not None:
            for stored in loaded:
                self.commit(resource.storage, self._change(resource.storage, stored))
        collection.load(loaded)
        self.version = max(self.version, max((stored.version for stored in loaded), default=0))
        collection.compact(self.version)
        self._objects_changed()

    def _change(self, storage: tuple[str, str], stored: Stored) -> Change:
        collection = self._collections.get(storage)
        old = None if collection is None else collection.objects.get(stored.key)
        return Change("ADDED" if old is None else "MODIFIED", stored.version, stored, old)

    def _record(self, storage: tuple[str, str], change: Change) -> None:
        if self.commit is not None:
            self.commit(storage, change)
        self.version = change.version
        now = self._clock()  # how long a page token lasts is no matter of the time of day
        if not self._marks or now - self._marks[-1][0] >= 1.0:
            self._marks.append((now, change.version))
            self._oldest_page()
        collection = self._collections.setdefault(
            storage, Collection(history=self.history, compacted=self._floor)
        )
        collection.record(change)
        self._placed(storage, change.new.key, change.after)
        self._watchers.setdefault(storage, Watchers()).offer(change)
        self._objects_changed()
        self._happened(storage, change)

    def _objects_changed(self) -> None:
        if self.on_objects is not None:
            self.on_objects()

    def _placed(self, storage: tuple[str, str], key: str, stored: Stored | None) -> None:
        """*key* came to hold *stored*, or nothing; no watch has been told of it yet."""

    def _happened(self, storage: tuple[str, str], change: Change) -> None:
        """*change* was recorded, and every watch told of it."""

    def _began_anew(self) -> None:
        """What is stored was replaced as a whole."""

    def _oldest_page(self) -> int:
        """The version that was current *page_ttl* ago: page tokens from before it have expired."""
        limit = self._clock() - self._page_ttl
        while self._marks and self._marks[0][0] <= limit:
            self._page_floor = max(self._page_floor, self._marks.popleft()[1])
        return self._page_floor

    # --- the past ----------------------------------------------------------------------------------------

    def compact(self) -> None:
        """Forget all history: an older version answers 410, an older page token has expired."""
        self._floor = self._page_floor = self.version
        for collection in self._collections.values():
            collection.compact(self.version)

    def rewind(self, version: int) -> None:
        """Go back to *version*, as an etcd restored from a backup does; versions count on from there.

        Every watch ends, as the server restarts. Raises `ValueError` where the history does not reach back.
        """
        self._check_reaches_back(version, "rewind")
        self.end_watches()
        undone = {storage: one.undone(version) for storage, one in self._collections.items()}
        self._commit_again(undone, version)
        for collection in self._collections.values():
            collection.rewind(version)
        self._went_to(version)

    def restore(self, version: int, objects: Mapping[tuple[str, str], Mapping[str, Stored]]) -> None:
        """Hold *objects* (by storage and key) and nothing else, as an etcd that was restored from a backup of
        *version* does; versions count on from there.

        Every watch ends, and the history begins anew: older versions answer 410.
        """
        self.end_watches()
        held: dict[tuple[str, str], dict[str, Stored | None]] = {}
        for storage in {**self._collections, **objects}:
            before = self._collections[storage].keys if storage in self._collections else ()
            held[storage] = {**dict.fromkeys(before), **objects.get(storage, {})}
        self._commit_again(held, version)
        self._collections.clear()
        for storage, by_key in objects.items():
            collection = Collection(history=self.history, compacted=version)
            collection.load(by_key.values())
            self._collections[storage] = collection
        self._went_to(version)

    def _check_reaches_back(self, version: int, action: str) -> None:
        oldest = max((one.compacted for one in self._collections.values()), default=0)
        if not oldest <= version <= self.version:
            raise ValueError(
                f"cannot {action} to {version}: the history reaches from {oldest} to {self.version}; "
                "keep more of it with history=N"
            )

    def _commit_again(
        self, held: Mapping[tuple[str, str], Mapping[str, Stored | None]], version: int
    ) -> None:
        """Make durable that the keys in *held* hold what they do there, at *version*."""
        if self.commit is None:
            return
        for storage, by_key in held.items():
            for key, stored in by_key.items():
                if stored is None:
                    change = Change("DELETED", version, Stored(key, version, b""), None)
                else:
                    change = Change("MODIFIED", stored.version, stored, None)
                self.commit(storage, change)
        # The last version committed is where the count goes on: here, the end of a key that never was.
        self.commit(NAMESPACES, Change("DELETED", version, Stored("", version, b""), None))

    def _went_to(self, version: int) -> None:
        """Count on from *version*, with no history before it."""
        self.version = self._floor = self._page_floor = version
        self._marks.clear()
        self._began_anew()
        self._objects_changed()

    def replay(
        self, storage: tuple[str, str], key: str, version: int, item: bytes | None, *, poison: bool = False
    ) -> None:
        """Take in one change that a journal kept, without events; `compact` when all are in."""
        collection = self._collections.setdefault(
            storage, Collection(history=self.history, compacted=self._floor)
        )
        stored = None if item is None else Stored(key, version, item, poison=poison)
        if stored is not None and storage == ("", "pods"):
            spec = stored.get("spec")
            stored.node = (spec.get("nodeName") or "") if isinstance(spec, dict) else ""
        collection.place(key, stored)
        self.version = version
        self._placed(storage, key, stored)

    # --- followed by a replica ---------------------------------------------------------------------------

    def as_of(self, version: int) -> Self:
        """What there was at *version*, as a state of its own that serves the same resources: a replica that
        has seen no more. `take_in` brings it on; nothing else may write to it.

        Raises `ValueError` where the history does not reach back to *version*.
        """
        self._check_reaches_back(version, "go back")
        other = copy.copy(self)
        other.version = version
        other.commit = other.on_objects = None
        other._watchers = {}
        other._marks = deque()
        other._collections = {
            storage: collection.as_of(version) for storage, collection in self._collections.items()
        }
        return other

    def since(self, version: int) -> list[tuple[tuple[str, str], Change]]:
        """Every change after *version* with its storage, oldest first. Raises `Refused` (410) where some are
        gone."""
        changes = [
            (storage, change)
            for storage, collection in self._collections.items()
            for change in collection.since(version)
        ]
        return sorted(changes, key=lambda one: one[1].version)

    def take_in(self, storage: tuple[str, str], change: Change) -> None:
        """Let a change of the state that this one follows be seen here too."""
        self.version = change.version
        collection = self._collections.get(storage)
        if collection is None:
            collection = self._collections[storage] = Collection(history=self.history, compacted=self._floor)
        collection.record(change)
        self._watchers.setdefault(storage, Watchers()).offer(change)

    def reached(self, version: int) -> None:
        """Nothing up to *version* is missing here; streaming lists that waited for it may end."""
        self.version = max(self.version, version)
        for watchers in self._watchers.values():
            for watch in watchers:
                due = watch.end_bookmark is not None and watch.end_bookmark <= self.version
                if due and watch.on_ready is not None:
                    watch.on_ready()
