"""The namespace controller: it empties a namespace that ends, says how far it is, and then lets it go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..delete_options import DeleteOptions
from ..deletion import PODS
from ..kinds import ApiResource
from ..namespaces import NAMESPACES
from ..objects import timestamp
from ..storage import Change, Stored

if TYPE_CHECKING:
    from ..state import ApiState

__all__ = ["NamespaceController"]

FINALIZER: Final = "kubernetes"
_CONDITIONS: Final = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": (
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
}
"""Each condition with what it says where all is well, which is status False."""


class NamespaceController:
    """Deletes what is in a namespace that ends: its pods first, and the rest once they are gone.

    Its conditions tell what remains: written when something more is asked to go, and at the end.
    """

    def __init__(self, state: ApiState) -> None:
        self._state = state
        self._asked: dict[str, set[tuple[str, str]]] = {}
        """The namespaces that end, and which storages were emptied in each: nothing new comes into them."""

    def concerns(self, storage: tuple[str, str], change: Change) -> Iterable[str]:
        if storage == NAMESPACES:
            if change.type == "DELETED":
                self._asked.pop(change.new.key, None)
            elif change.new.marked:
                self._asked.setdefault(change.new.key, set())
                return (change.new.key,)
        elif change.type == "DELETED" and change.new.namespace in self._asked:
            return (change.new.namespace,)
        return ()

    def sync(self, key: str) -> None:
        resource = self._state.resources.parse("v1/namespaces")
        stored = self._state.collection(resource).objects.get(key)
        if stored is None or not stored.marked or FINALIZER not in _finalizers(stored.decode()):
            return
        news = self._empty(key)
        remaining = dict(self._remaining(key))
        if news or not remaining:
            stored = self._report(resource, self._state.get(resource, key), remaining)
        if not remaining:
            obj = stored.decode()
            kept = [one for one in _finalizers(obj) if one != FINALIZER]
            obj["spec"] = {**obj["spec"], "finalizers": kept} if kept else {}
            self._state.replace(resource, stored, obj)

    def forget(self) -> None:
        self._asked.clear()

    def _empty(self, namespace: str) -> bool:
        """Delete what was not asked to go yet; tells whether there was anything."""
        asked = self._asked.setdefault(namespace, set())
        before = len(asked)
        for storage in sorted(self._state.collections(), key=lambda one: one != PODS):
            resource = self._state.resources.stored_as(storage)
            if storage in asked or resource is None or not resource.namespaced:
                continue
            if storage != PODS and self._keys(PODS, namespace):
                break
            if keys := self._keys(storage, namespace):
                asked.add(storage)
            for key in keys:
                if key in self._state.collection(resource).objects:
                    self._state.delete(resource, key, DeleteOptions(propagation="Background"))
        return len(asked) > before

    def _keys(self, storage: tuple[str, str], namespace: str) -> list[str]:
        collection = self._state.collections().get(storage)
        if collection is None:
            return []
        start, end = collection.keys_in(namespace)
        return collection.keys[start:end]

    def _remaining(self, namespace: str) -> Iterator[tuple[ApiResource, list[str]]]:
        for storage in tuple(self._state.collections()):
            resource = self._state.resources.stored_as(storage)
            keys = self._keys(storage, namespace) if resource is not None and resource.namespaced else []
            if resource is not None and keys:
                yield resource, keys

    def _report(
        self, resource: ApiResource, stored: Stored, remaining: Mapping[ApiResource, list[str]]
    ) -> Stored:
        """Write into the status of the namespace what is left of it."""
        said = {kind: ("False", *well) for kind, well in _CONDITIONS.items()}
        if remaining:
            texts = [
                f"{one.plural}.{one.group} has {len(keys)} resource instances"
                for one, keys in remaining.items()
            ]
            said["NamespaceContentRemaining"] = (
                "True",
                "SomeResourcesRemain",
                f"Some resources are remaining: {', '.join(sorted(texts))}",
            )
        if holding := self._holding(remaining):
            texts = [f"{name} in {count} resource instances" for name, count in holding.items()]
            said["NamespaceFinalizersRemaining"] = (
                "True",
                "SomeFinalizersRemain",
                f"Some content in the namespace has finalizers remaining: {', '.join(sorted(texts))}",
            )
        obj = stored.decode()
        status = obj.get("status") or {}
        now = timestamp(self._state.now())
        conditions = _conditions(status.get("conditions") or [], said, now)
        obj["status"] = {**status, "conditions": conditions}
        return self._state.write(resource, stored, obj)

    def _holding(self, remaining: Mapping[ApiResource, list[str]]) -> Counter[str]:
        """The finalizers of what remains, and how many objects each holds."""
        holding: Counter[str] = Counter()
        for resource, keys in remaining.items():
            objects = self._state.collection(resource).objects
            for key in keys:
                if b'"finalizers"' in objects[key].item and not objects[key].poison:
                    holding.update(objects[key].decode()["metadata"].get("finalizers") or [])
        return holding


def _finalizers(namespace: Mapping[str, Any]) -> list[str]:
    return (namespace.get("spec") or {}).get("finalizers") or []


def _conditions(
    old: list[dict[str, Any]], said: Mapping[str, tuple[str, str, str]], now: str
) -> list[dict[str, Any]]:
    """The conditions *old* with what is *said* now; the time of one changes with its status."""
    conditions = [dict(one) for one in old]
    for kind, (status, reason, message) in said.items():
        known = next((one for one in conditions if one.get("type") == kind), None)
        if known is None:
            known = {"type": kind}
            conditions.append(known)
        if known.get("status") != status:
            known |= {"status": status, "lastTransitionTime": now}
        known |= {"reason": reason, "message": message}
    return conditions
