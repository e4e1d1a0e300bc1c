"""The API server as a pure state machine: no I/O, no tasks, no clock of its own.

One counter versions every resource. Objects are stored as JSON bytes, encoded once; each write is recorded in
the history of its collection and offered to the watches that it may concern, all in one step, so that a list
and a watch from its version never miss a change between them.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any

from kresilient.api.resources import Resource, join_key, split_key

from . import deletion, wire
from . import namespaces as namespace_rules
from . import patch as patches
from . import scale as scales
from .applying import applied as apply_configuration
from .binding import bind
from .controllers import Controllers
from .definitions import DEFINITIONS, Definitions
from .delete_options import DeleteOptions
from .deletion import Deleted
from .eviction import evict
from .forms import Form, at_version
from .kinds import ApiResource, Registry
from .listing import ListOptions, Page, read_page
from .namespaces import NAMESPACES
from .objects import (
    empty_object,
    encode_ordered,
    new_object,
    read_object,
    same_uid,
    stored_form,
    timestamp,
    updated,
)
from .ownership.managed import Managers
from .selection import Selection
from .statuses import already_exists, conflict, internal, invalid, not_found, version_too_large
from .storage import Change, Collection, Stored
from .watch import Watch, Watchers
from .writing import Write

__all__ = ["ApiState", "Commit"]


Commit = Callable[[tuple[str, str], Change], None]
"""Called with the storage and the change before anybody sees it; what it raises undoes the write."""


class ApiState:
    """Every object of a cluster, with the history of each collection and the watches on it.

    Args:
        now: the wall clock, in seconds since the epoch.
        random: the source of uids and generated names.
        first_version: the resource version to start at.
        history: changes kept for each resource; a watch from before them is answered with 410.
        page_ttl: seconds after which a list can no longer be had as it was, once there were later writes: an
            exact version answers 410 then, and a page token has expired.
        strict_namespaces: refuse objects in a namespace that does not exist.
        cel: what becomes of the rules of a definition (`x-kubernetes-validations`): see `Definitions`.
        controllers: whether what is deleted takes along what it should, as in a cluster (True), or nothing
            happens by itself, as with an API server alone; or the names of those to run (`CONTROLLERS`).
        commit: see `Commit`; it makes writes durable.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        random: Random | None = None,
        first_version: int = 60_740,
        history: int = 10_000,
        page_ttl: float = 300.0,
        strict_namespaces: bool = False,
        watch_queue: int = 10_000,
        cel: str = "evaluate",
        controllers: bool | Iterable[str] = True,
        commit: Commit | None = None,
    ) -> None:
        self.skew = 0.0
        """Seconds by which the wall clock is off, ahead where positive."""
        self._clock = now
        self.random = random or Random()
        self.version = first_version
        self.resources = Registry()
        self.definitions = Definitions(self, write=self.replace, drop=self.remove, cel=cel)
        self.strict_namespaces = strict_namespaces
        self.commit = commit
        self.on_watches: Callable[[], None] | None = None
        self.on_objects: Callable[[], None] | None = None
        self.history = history
        self._page_ttl = page_ttl
        self._watch_queue = watch_queue
        self._collections: dict[tuple[str, str], Collection] = {}
        self._watchers: dict[tuple[str, str], Watchers] = {}
        self._floor = first_version
        self._marks: deque[tuple[float, int]] = deque()
        self._page_floor = 0
        self.trusts_owners = False
        self._controllers = Controllers(self, controllers)
        namespaces = self.resources.parse("v1/namespaces")
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            self._create_quietly(namespaces, {"metadata": {"name": name}})

    def now(self) -> float:
        """What this cluster takes for the time, in seconds since the epoch."""
        return self._clock() + self.skew

    # --- finding -----------------------------------------------------------------------------------------

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

    def watchers(self, resource: ApiResource) -> Watchers:
        return self._watchers.setdefault(resource.storage, Watchers())

    def collections(self) -> Mapping[tuple[str, str], Collection]:
        return self._collections

    # --- reading -----------------------------------------------------------------------------------------

    def get(self, resource: ApiResource, key: str) -> Stored:
        """The object under *key*. Raises `Refused` (404)."""
        found = self.collection(resource).objects.get(key)
        if found is None:
            raise not_found(resource, split_key(key)[1])
        return found

    def page(self, resource: ApiResource, selection: Selection, options: ListOptions) -> Page:
        """One page of a list. Raises `Refused` (410, 504): see `read_page`."""
        return read_page(
            self.collection(resource),
            selection,
            options,
            current=self.version,
            oldest=self._oldest_page(),
        )

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

    def _watches_changed(self) -> None:
        if self.on_watches is not None:
            self.on_watches()

    def _objects_changed(self) -> None:
        if self.on_objects is not None:
            self.on_objects()

    # --- writing -----------------------------------------------------------------------------------------

    def create(
        self,
        resource: ApiResource,
        obj: Mapping[str, Any],
        *,
        namespace: str = "",
        write: Write | None = None,
    ) -> Stored:
        """Store a new object. A status is dropped where it is a subresource, unless the write is trusted.

        Raises `Refused`: 409 where the name is taken, 400, 403, 404, 422 or 500 as a server would.
        """
        write = write or Write()
        read = read_object(resource, obj, write)
        return self._create(resource, read, namespace, write, None)

    def _create(
        self,
        resource: ApiResource,
        obj: Mapping[str, Any],
        namespace: str,
        write: Write,
        managers: Managers | None,
    ) -> Stored:
        self._check_namespace(resource, namespace, obj)
        within = namespace if resource.namespaced else None
        made = new_object(
            resource,
            obj,
            namespace=namespace,
            now=self.now(),
            random=self.random,
            serial=self.version,
            lookup=self._lookup,
            taken=lambda name: join_key(within, name) in self.collection(resource).objects,
            write=write,
            managers=managers,
        )
        made = self._admitted(resource, made, None, "", write)
        key = join_key(within, made["metadata"]["name"])
        if key in self.collection(resource).objects:
            raise already_exists(resource, made["metadata"]["name"])
        if write.dry_run:
            return _stored(resource, key, self.version, stored_form(resource, made), shows=False)
        stored = self.put(resource, key, made)
        if resource.storage == DEFINITIONS:
            self.definitions.accept(key)
        return stored

    def _lookup(self, resource: str, key: str) -> dict[str, Any] | None:
        found = self.collection(self.resources.parse(resource)).objects.get(key)
        return None if found is None or found.poison else found.decode()

    def update(
        self,
        resource: ApiResource,
        key: str,
        obj: Mapping[str, Any],
        *,
        subresource: str = "",
        write: Write | None = None,
    ) -> Stored:
        """Write *obj* over what is there; one that changes nothing leaves the version as it is.

        Of an object that is being deleted, the write that removes the last finalizer deletes it, and
        returns its last state.
        """
        write = write or Write()
        old = self.whole(resource, key)
        if subresource == "scale":
            obj = scales.applied(resource, resource.seen(old), obj)
        return self._update(resource, old, read_object(resource, obj, write), subresource, write, None)

    def _update(
        self,
        resource: ApiResource,
        old: Stored,
        obj: Mapping[str, Any],
        subresource: str,
        write: Write,
        managers: Managers | None,
    ) -> Stored:
        changed = updated(
            resource, old, obj, subresource=subresource, now=self.now(), write=write, managers=managers
        )
        changed = self._admitted(resource, changed, old, subresource, write)
        stored = self.replace(resource, old, changed, dry_run=write.dry_run)
        if resource.storage == DEFINITIONS and not write.dry_run and stored is not old:
            self.definitions.accept(old.key)
        return stored

    def _admitted(
        self, resource: ApiResource, obj: dict[str, Any], old: Stored | None, subresource: str, write: Write
    ) -> dict[str, Any]:
        """*obj* as it may take the place of *old*, by its definition or as one. Raises `Refused`."""
        before = None if old is None else resource.seen(old).decode()
        if write.admit is not None:
            write.admit(obj, before)
        if resource.storage == DEFINITIONS:
            return self.definitions.admitted(obj, before, subresource, trusted=write.trusted)
        if resource.shape is None or write.trusted:
            return obj
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        causes = resource.shape.faults(whole, before, subresource=subresource, warnings=write.warnings)
        if causes:
            raise invalid(resource, obj["metadata"]["name"], *causes)
        return obj

    def patch(
        self,
        resource: ApiResource,
        key: str,
        patch: Any,
        *,
        kind: str,
        subresource: str = "",
        write: Write | None = None,
    ) -> tuple[Stored, bool]:
        """Apply a patch of *kind* `"json"`, `"merge"`, `"strategic"` or `"apply"`; tells whether it created.

        Raises `Refused` as a server would: 409 where an apply conflicts with another manager.
        """
        write = write or Write()
        if kind == "apply":
            return self._apply(resource, key, patch, subresource, write)
        old = self.whole(resource, key)
        seen = resource.seen(old)
        if subresource == "scale":
            base = scales.base(resource, seen)
        else:
            base = {"apiVersion": resource.api_version, "kind": resource.kind, **seen.decode()}
        changed = patches.applied(resource, base, patch, kind)
        if subresource == "scale":
            changed = scales.applied(resource, seen, changed, patched=True)
        read = read_object(resource, changed, write, patched=True)
        if not subresource:
            same_uid(resource, old, read)
        return self._update(resource, old, read, subresource, write, None), False

    def _apply(
        self, resource: ApiResource, key: str, config: Any, subresource: str, write: Write
    ) -> tuple[Stored, bool]:
        """Server-side apply, which creates what is not there."""
        namespace, name = split_key(key)
        if key not in self.collection(resource).objects and subresource in ("", "all"):
            old, live = None, empty_object(resource)
        else:
            old = self.whole(resource, key)
            seen = resource.seen(old)
            live = {"apiVersion": resource.api_version, "kind": resource.kind, **seen.decode()}
        if subresource == "scale":
            assert old is not None
            config = scales.config(resource, config)
        result, managers = apply_configuration(
            resource, key, live, config, subresource=subresource, now=self.now(), write=write
        )
        read = read_object(resource, result, write)
        if old is None:
            metadata = read.get("metadata") or {}
            if uid := metadata.get("uid"):
                why = (
                    f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                )
                raise conflict(resource, name, why)
            read["metadata"] = {**metadata, "name": name}
            return self._create(resource, read, namespace or "", write, managers), True
        return self._update(resource, old, read, subresource, write, managers), False

    def delete(self, resource: ApiResource, key: str, options: DeleteOptions | None = None) -> Deleted:
        """Delete the object under *key*, or mark it where finalizers or its grace hold it.

        Deleting a namespace or a definition deletes what is in it. Raises `Refused`: 404, 409 where a
        precondition does not hold, 403 for a namespace that stays.
        """
        options = options or DeleteOptions()
        with self._controllers.held():
            if resource.storage == NAMESPACES:
                return namespace_rules.delete_namespace(self, resource, key, options)
            if resource.storage == DEFINITIONS:
                return self._delete_definition(resource, key, options)
            return deletion.delete(self, resource, key, options)

    def delete_collection(
        self,
        resource: ApiResource,
        selection: Selection,
        listed: ListOptions | None = None,
        options: DeleteOptions | None = None,
    ) -> Page:
        """Delete each object of the page that *selection* and *listed* say; returns them as they were.

        Raises `Refused` as `delete` does for one; those before it are deleted.
        """
        page = self.page(resource, selection, listed or ListOptions())
        for stored in page.items:
            if stored.key in self.collection(resource).objects:  # not taken along by one before it
                self.delete(resource, stored.key, options)
        return page

    def bind(self, key: str, binding: Mapping[str, Any], *, dry_run: bool = False) -> Stored:
        """Give the pod *key* to a node; see `binding.bind`."""
        self._admit_part(key)
        return bind(self, key, binding, dry_run=dry_run)

    def evict(self, key: str, eviction: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Delete the pod *key* where its disruption budget allows it; see `eviction.evict`."""
        self._admit_part(key)
        with self._controllers.held():
            return evict(self, key, eviction, dry_run=dry_run)

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

    # --- history -----------------------------------------------------------------------------------------

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

    def _check_reaches_back(self, version: int, action: str) -> None:
        oldest = max((one.compacted for one in self._collections.values()), default=0)
        if not oldest <= version <= self.version:
            raise ValueError(
                f"cannot {action} to {version}: the history reaches from {oldest} to {self.version}; "
                "keep more of it with history=N"
            )

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
        definitions = self._collections.get(DEFINITIONS)
        self.definitions.follow({} if definitions is None else definitions.objects)
        self._controllers.resync()
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
        if storage == DEFINITIONS:
            self.definitions.changed(key, stored)

    @contextmanager
    def trusting_owners(self) -> Iterator[None]:
        """Within the block, owner references that are written are believed, whether or not there is such an
        owner: manifests name owners by uids that they had elsewhere."""
        before, self.trusts_owners = self.trusts_owners, True
        try:
            yield
        finally:
            self.trusts_owners = before

    def resume(self) -> None:
        """Let the controllers begin anew from the objects there are, as when a cluster is started again."""
        self.definitions.resume()
        self._controllers.resync()

    # --- followed by a replica ---------------------------------------------------------------------------

    def as_of(self, version: int) -> ApiState:
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

    @property
    def watched(self) -> bool:
        """Whether any watch is here, ended or not."""
        return any(len(watchers) for watchers in self._watchers.values())

    # --- single writes -----------------------------------------------------------------------------------

    def whole(self, resource: ApiResource, key: str) -> Stored:
        """The object under *key* that can be changed. Raises `Refused`: 404, or 500 for a poisonous one."""
        stored = self.get(resource, key)
        if stored.poison:
            raise internal(f"unable to decode an object of {resource.qualified} in storage: {key}")
        return stored

    def _create_quietly(self, resource: ApiResource, obj: Mapping[str, Any]) -> None:
        commit, self.commit = self.commit, None
        self.create(resource, obj)
        self.commit = commit

    def put(self, resource: ApiResource, key: str, obj: dict[str, Any]) -> Stored:
        """Store *obj* under *key* at the next version."""
        return self._put(resource, key, stored_form(resource, obj))

    def _put(self, resource: ApiResource, key: str, form: dict[str, Any]) -> Stored:
        stored = _stored(resource, key, self.version + 1, form)
        self._record(resource.storage, self._change(resource.storage, stored))
        return stored

    def write(
        self, resource: ApiResource, old: Stored, obj: dict[str, Any], *, dry_run: bool = False
    ) -> Stored:
        """Store *obj* in place of *old*, unless it is the same."""
        form = stored_form(resource, obj)
        same = _stored(resource, old.key, old.version, form)
        if same.item == old.item or wire.same(same.decode(), old.decode()):
            return old
        return same if dry_run else self._put(resource, old.key, form)

    def replace(
        self, resource: ApiResource, old: Stored, obj: dict[str, Any], *, dry_run: bool = False
    ) -> Stored:
        """Store *obj* in place of *old*, or end the object where nothing holds it any more; what is then
        returned is what it would have become."""
        if not old.marked or not deletion.released(resource, old.decode(), obj):
            return self.write(resource, old, obj, dry_run=dry_run)
        last = self.write(resource, old, obj, dry_run=True)
        if not dry_run:
            self.remove(resource, old)
        return last

    def remove(self, resource: ApiResource, old: Stored) -> Stored:
        """End *old*; returns its last state at the version of its end, which its DELETED event shows."""
        gone = at_version(old, self.version + 1, resource)
        with self._controllers.held():
            self._record(resource.storage, Change("DELETED", gone.version, gone, old))
            if resource.custom:
                self.definitions.finish(f"{resource.plural}.{resource.group}")
        return gone

    # --- within ------------------------------------------------------------------------------------------

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
        if storage == DEFINITIONS:
            self.definitions.changed(change.new.key, change.after)
        self._watchers.setdefault(storage, Watchers()).offer(change)
        self._objects_changed()
        self._controllers.changed(storage, change)

    def _oldest_page(self) -> int:
        """The version that was current *page_ttl* ago: page tokens from before it have expired."""
        limit = self._clock() - self._page_ttl
        while self._marks and self._marks[0][0] <= limit:
            self._page_floor = max(self._page_floor, self._marks.popleft()[1])
        return self._page_floor

    # --- namespaces and definitions ----------------------------------------------------------------------

    def _check_namespace(self, resource: ApiResource, namespace: str, obj: Mapping[str, Any]) -> None:
        namespace_rules.admit(self, resource, namespace, obj, strict=self.strict_namespaces)

    def _admit_part(self, key: str) -> None:
        """Whether the namespace of the pod *key* lets something be created for it."""
        namespace, name = split_key(key)
        part = {"metadata": {"name": name}}
        self._check_namespace(self.resources.parse("v1/pods"), namespace or "", part)

    def _delete_definition(self, resource: ApiResource, key: str, options: DeleteOptions) -> Deleted:
        """Let the definition *key* begin to end, and all that it defines."""
        old = self.get(resource, key)
        if old.poison:
            return deletion.delete(self, resource, key, options)
        deletion.check_preconditions(resource, old, options)
        obj = old.decode()
        obj["metadata"].setdefault("deletionTimestamp", timestamp(self.now()))
        if options.dry_run:
            return Deleted(self.write(resource, old, obj, dry_run=True), False)
        return Deleted(self.definitions.delete(old, obj), False)


def _stored(
    resource: ApiResource, key: str, version: int, form: dict[str, Any], *, shows: bool = True
) -> Stored:
    """What is stored of *form* at *version*, which it *shows*, with what is looked up often at hand."""
    if shows:
        form["metadata"]["resourceVersion"] = str(version)
    labels = form["metadata"].get("labels") or {}
    spec = form.get("spec")
    node = spec.get("nodeName") if resource.storage == ("", "pods") and isinstance(spec, dict) else None
    return Stored(
        key,
        version,
        encode_ordered(resource, form),
        node if isinstance(node, str) else "",
        False,
        labels,
        resource.shape,
    )
