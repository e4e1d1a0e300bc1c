"""The API server as a pure state machine: no I/O, no tasks, no clock of its own.

Objects are stored as JSON bytes, encoded once. A write is taken in by the rules of its resource, and recorded
in the history, which its watches follow; what comes of it is worked off in the same step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any

from kresilient.api.resources import join_key, split_key

from . import deletion, wire
from . import namespaces as namespace_rules
from . import patch as patches
from . import scale as scales
from .applying import applied as apply_configuration
from .binding import bind
from .builtin.strategy import created_by_update
from .controllers import Controllers
from .creation import new_object
from .definitions import DEFINITIONS, Definitions
from .definitions.deletion import delete_definition
from .delete_options import DeleteOptions
from .deletion import Deleted
from .eviction import evict
from .forms import at_version
from .go_words import go_value
from .history import Commit, History
from .kinds import ApiResource
from .listing import ListOptions, Page
from .namespaces import NAMESPACES
from .objects import (
    empty_object,
    read_object,
    stored_at,
    stored_form,
)
from .ownership.managed import Managers
from .preconditions import check_absent
from .selection import Selection
from .statuses import already_exists, bad_request, conflict, invalid
from .storage import Change, Stored
from .strict_decoding import heeded
from .update import same_uid, updated
from .writing import Write

__all__ = ["ApiState"]


class ApiState(History):
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
        super().__init__(
            now=now,
            first_version=first_version,
            history=history,
            page_ttl=page_ttl,
            watch_queue=watch_queue,
            commit=commit,
        )
        self.random = random or Random()
        self.definitions = Definitions(self, write=self.replace, drop=self.remove, cel=cel)
        self.strict_namespaces = strict_namespaces
        self.trusts_owners = False
        self._controllers = Controllers(self, controllers)
        namespaces = self.resources.parse("v1/namespaces")
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            self._create_quietly(namespaces, {"metadata": {"name": name}})

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
        if write.creates is not None:
            write.creates()
        key = join_key(within, made["metadata"]["name"])
        if key in self.collection(resource).objects:
            raise already_exists(resource, made["metadata"]["name"])
        if write.dry_run:
            return stored_at(resource, key, self.version, stored_form(resource, made), shows=False)
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
        if key not in self.collection(resource).objects:
            self._check_absent(resource, key, obj, subresource, write)
        old = self.whole(resource, key)
        if subresource == "scale":
            obj = scales.applied(resource, resource.seen(old), obj)
        return self._update(resource, old, read_object(resource, obj, write), subresource, write, None)

    def update_or_create(
        self, resource: ApiResource, key: str, obj: Mapping[str, Any], *, write: Write
    ) -> tuple[Stored, bool]:
        """As `update`, but of some kinds what is not there is created; tells whether it was."""
        if key in self.collection(resource).objects or not created_by_update(resource):
            return self.update(resource, key, obj, write=write), False
        self._check_absent(resource, key, obj, "", write)
        metadata = {name: one for name, one in obj["metadata"].items() if name != "resourceVersion"}
        namespace = split_key(key)[0] or ""
        return self.create(resource, {**obj, "metadata": metadata}, namespace=namespace, write=write), True

    def _check_absent(
        self, resource: ApiResource, key: str, obj: Mapping[str, Any], subresource: str, write: Write
    ) -> None:
        """Refuse what is asked of an object that is not there for what is wrong with it by itself."""
        if write.trusted:
            return
        if subresource != "scale":
            obj = read_object(resource, obj, replace(write, warnings=[]))
        check_absent(resource, key, obj.get("metadata") or {})

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
        changed = patches.applied(resource, base, patch, kind, strict=write.validation != "Ignore")
        if subresource == "scale":
            changed = scales.applied(resource, seen, changed, patched=True)
        read = read_object(
            resource,
            changed,
            write,
            patched=lambda: go_value(patch) if kind == "strategic" else wire.encode(changed).decode(),
        )
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
        if why := heeded(write.faults, write.validation, write.warnings):
            raise bad_request(f"error strict decoding YAML: error converting YAML to JSON: {why}")
        read = read_object(resource, result, replace(write, faults=[]))
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
                return delete_definition(self, resource, key, options)
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

    @contextmanager
    def trusting_owners(self) -> Iterator[None]:
        """Within the block, owner references that are written are believed, whether or not there is such an
        owner: manifests name owners by uids that they had elsewhere."""
        before, self.trusts_owners = self.trusts_owners, True
        try:
            yield
        finally:
            self.trusts_owners = before

    # --- single writes -----------------------------------------------------------------------------------

    def _create_quietly(self, resource: ApiResource, obj: Mapping[str, Any]) -> None:
        commit, self.commit = self.commit, None
        self.create(resource, obj)
        self.commit = commit

    def put(self, resource: ApiResource, key: str, obj: dict[str, Any]) -> Stored:
        """Store *obj* under *key* at the next version."""
        return self._put(resource, key, stored_form(resource, obj))

    def _put(self, resource: ApiResource, key: str, form: dict[str, Any]) -> Stored:
        stored = stored_at(resource, key, self.version + 1, form)
        self._record(resource.storage, self._change(resource.storage, stored))
        return stored

    def write(
        self, resource: ApiResource, old: Stored, obj: dict[str, Any], *, dry_run: bool = False
    ) -> Stored:
        """Store *obj* in place of *old*, unless it is the same."""
        form = stored_form(resource, obj)
        same = stored_at(resource, old.key, old.version, form)
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

    # --- what follows from a write -----------------------------------------------------------------------

    def _placed(self, storage: tuple[str, str], key: str, stored: Stored | None) -> None:
        if storage == DEFINITIONS:
            self.definitions.changed(key, stored)

    def _happened(self, storage: tuple[str, str], change: Change) -> None:
        self._controllers.changed(storage, change)

    def _began_anew(self) -> None:
        definitions = self._collections.get(DEFINITIONS)
        self.definitions.follow({} if definitions is None else definitions.objects)
        self._controllers.resync()

    def resume(self) -> None:
        """Let the controllers begin anew from the objects there are, as when a cluster is started again."""
        self.definitions.resume()
        self._controllers.resync()

    # --- namespaces --------------------------------------------------------------------------------------

    def _check_namespace(self, resource: ApiResource, namespace: str, obj: Mapping[str, Any]) -> None:
        namespace_rules.admit(self, resource, namespace, obj, strict=self.strict_namespaces)

    def _admit_part(self, key: str) -> None:
        """Whether the namespace of the pod *key* lets something be created for it."""
        namespace, name = split_key(key)
        part = {"metadata": {"name": name}}
        self._check_namespace(self.resources.parse("v1/pods"), namespace or "", part)
