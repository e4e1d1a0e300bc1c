"""A test's own hand on the objects of a server: at once, without a request, and without asking for access.

client-go's fakes know the like as an object tracker.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kresilient.api.resources import Resource, join_key

from . import wire
from .delete_options import DeleteOptions
from .manifests import add_manifests, load_manifests
from .snapshot import dump, parse, write
from .state import ApiState
from .storage import Stored
from .writing import Write

__all__ = ["ObjectTracker"]


class ObjectTracker:
    """Reads and writes the objects of *state* in plain data."""

    def __init__(self, state: ApiState) -> None:
        self.state = state

    @property
    def states(self) -> list[ApiState]:
        """Every state that clients read: the one that is written, and any that follow it."""
        return [self.state]

    def create(
        self, resource: str | Resource, obj: Mapping[str, Any], *, namespace: str = ""
    ) -> dict[str, Any]:
        """Create *obj*, status and all, in *namespace* (else its own, else `default`); returns it as stored.

        It stays, even where it names owners that are not there. Raises `Refused` where a server would refuse
        it.
        """
        found = self.state.resource(resource)
        where = namespace or (obj.get("metadata") or {}).get("namespace") or "default"
        with self.state.trusting_owners():
            stored = self.state.create(
                found, obj, namespace=where if found.namespaced else "", write=Write(trusted=True)
            )
        return self._shown(resource, stored)

    def get(self, resource: str | Resource, key: str) -> dict[str, Any] | None:
        """The object under *key* (`"default/web-0"`), or None."""
        stored = self.state.collection(self.state.resource(resource)).objects.get(key)
        return None if stored is None else self._shown(resource, stored)

    def update(self, resource: str | Resource, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Write *obj* over what is there, but for the status; a status of its own replaces that too."""
        found = self.state.resource(resource)
        metadata = obj["metadata"]
        namespace = (metadata.get("namespace") or "default") if found.namespaced else None
        key = join_key(namespace, metadata["name"])
        if found.custom and not metadata.get("resourceVersion"):
            version = str(self.state.get(found, key).version)
            obj = {**obj, "metadata": {**metadata, "resourceVersion": version}}
        with self.state.trusting_owners():
            stored = self.state.update(found, key, obj, subresource="all", write=Write(trusted=True))
        return self._shown(resource, stored)

    def patch(self, resource: str | Resource, key: str, patch: Any, *, kind: str = "merge") -> dict[str, Any]:
        """Patch the object under *key*, status included; *kind* as `ApiState.patch` has it."""
        found = self.state.resource(resource)
        with self.state.trusting_owners():
            stored, _ = self.state.patch(
                found, key, patch, kind=kind, subresource="all", write=Write(trusted=True)
            )
        return self._shown(resource, stored)

    def delete(
        self,
        resource: str | Resource,
        key: str,
        *,
        grace: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """Delete the object under *key*, or mark it where finalizers or its grace hold it.

        Args:
            grace: seconds that a pod has to end, instead of its own `terminationGracePeriodSeconds`.
            propagation: `"Background"`, `"Foreground"` or `"Orphan"`: what becomes of its dependents.
        """
        options = DeleteOptions(grace=grace, propagation=propagation)
        self.state.delete(self.state.resource(resource), key, options)

    def objects(self, resource: str | Resource) -> dict[str, dict[str, Any]]:
        """Every object of *resource* by key, in key order, without those that `put_raw` made poisonous."""
        return {
            stored.key: self._shown(resource, stored)
            for stored in self.state.collection(self.state.resource(resource))
            if not stored.poison
        }

    def add(self, *manifests: Mapping[str, Any]) -> list[str]:
        """Store objects that say with `apiVersion` and `kind` what they are, as `load` stores a file's.

        Definitions and namespaces go in first. Returns what was stored, as `"v1/pods default/web-0"`. Raises
        `ValueError`, saying which one the server refuses.
        """
        return add_manifests(self, manifests)

    def load(self, *paths: str | Path) -> list[str]:
        """Store every object of manifest files, as `kubectl apply -f` would; see `load_manifests`."""
        return load_manifests(self, paths)

    def snapshot(self) -> str:
        """Every object as YAML, exactly, with uids, versions, managed fields and status; see `snapshot.py`.

        The text of equal objects is equal, so it can be compared, kept beside a test and read in a diff.
        """
        return dump(self.state)

    def save(self, path: str | Path) -> Path:
        """Write `snapshot()` to *path*, in place of what is there, or not at all. Raises `OSError`."""
        return write(self.snapshot(), path)

    def restore(self, snapshot: str | Path) -> None:
        """Hold what *snapshot* says and nothing else, as a server on a restored backup: every watch ends.

        Args:
            snapshot: the text of one, or the `Path` of a file that holds it.

        Raises `ValueError` that says what is wrong with it, or `OSError`; nothing has changed then.
        """
        self.state.restore(*parse(snapshot))

    def compact(self) -> None:
        """Forget all history: older versions answer 410, older page tokens have expired."""
        for state in self.states:
            state.compact()

    def rewind(self, version: int) -> None:
        """Go back to an older version, as a server on a restored etcd; see `ApiState.rewind`."""
        self.state.rewind(version)

    def _shown(self, resource: str | Resource, stored: Stored) -> dict[str, Any]:
        found = self.state.resource(resource)
        decoded: dict[str, Any] = wire.decode(found.seen(stored).full(found.header))
        return decoded
