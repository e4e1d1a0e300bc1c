"""The garbage collector: what has owners goes when they are gone, or as their deletion says.

It never looks through all objects: who names the uid of an owner is an index (`Collection.by_owner`), and an
owner reference is followed by its kind and name, in the dependent's own namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..delete_options import DeleteOptions
from ..deletion import FOREGROUND, ORPHAN
from ..kinds import ApiResource
from ..storage import Change, Stored

if TYPE_CHECKING:
    from ..state import ApiState

__all__ = ["GarbageCollector"]

_IGNORED: Final = frozenset({("", "events"), ("events.k8s.io", "events")})


class _Place(NamedTuple):
    """Where one object is."""

    storage: tuple[str, str]
    key: str


@dataclass(slots=True)
class _Owners:
    """The owners of one object, by what they mean for it."""

    solid: list[str]
    gone: list[str]
    waiting: list[str]
    """They are being deleted, in the foreground."""


class GarbageCollector:
    """Deletes, in the background or the foreground, and lets go of, the dependents of deleted owners.

    An owner counts as gone where its reference finds nothing, or an object of another uid; so does one that
    never was. Not collected are events, what names an owner of a kind that is not served, and cluster-scoped
    objects that name an owner in a namespace. What a test has put there itself, or loaded, or what came back
    with a backup, stays until an owner that it names is deleted: see `ApiState.trusting_owners`.
    """

    def __init__(self, state: ApiState) -> None:
        self._state = state
        self._waiting: dict[str, _Place] = {}
        """The owners that are deleted in the foreground, by uid."""

    def concerns(self, storage: tuple[str, str], change: Change) -> Iterator[_Place]:
        new, old = change.new, change.old
        place = _Place(storage, new.key)
        if change.type == "DELETED":
            uid = new.uid if old is None else old.uid
            self._waiting.pop(uid, None)
            yield from self._dependents(uid)
        else:
            news = new.owners and (old is None or old.owners != new.owners)
            if news and not self._state.trusts_owners:
                yield place
            if b'"deletionTimestamp"' in new.item and new.marked:
                yield from self._ends(place, new)
        if self._waiting:
            owners = {*new.owners, *(() if old is None else old.owners)}
            yield from (self._waiting[uid] for uid in sorted(owners & self._waiting.keys()))

    def sync(self, place: _Place) -> None:
        found = self._find(place)
        if found is None:
            return
        resource, stored = found
        obj = resource.seen(stored).decode()
        metadata = obj["metadata"]
        finalizers = metadata.get("finalizers") or []
        if metadata.get("deletionTimestamp") is not None:
            if FOREGROUND in finalizers:
                self._end_in_foreground(resource, stored)
            elif ORPHAN in finalizers:
                self._let_go(resource, stored)
            return
        owners = self._owners(resource, stored, metadata.get("ownerReferences") or [])
        if owners is None:
            return
        if owners.solid:
            if unneeded := owners.gone + owners.waiting:
                self._forget_owners(resource, stored, unneeded)
            return
        policy = (
            "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
        )
        if owners.waiting and (dependents := list(self._dependents(stored.uid))):
            policy = "Foreground"
            if any(self._ends_in_foreground(one) for one in dependents):
                self._unblock(resource, stored)  # they own each other, and none may wait for the other
        self._state.delete(resource, place.key, DeleteOptions(propagation=policy, uid=stored.uid))

    def forget(self) -> None:
        self._waiting.clear()

    # --- looking -----------------------------------------------------------------------------------------

    def _ends(self, place: _Place, stored: Stored) -> Iterator[_Place]:
        """What there is to do about an object that is marked."""
        finalizers = stored.decode()["metadata"].get("finalizers") or []
        if FOREGROUND not in finalizers:
            self._waiting.pop(stored.uid, None)
        elif stored.uid not in self._waiting:
            self._waiting[stored.uid] = place
            yield from self._dependents(stored.uid)
        if FOREGROUND in finalizers or ORPHAN in finalizers:
            yield place

    def _dependents(self, uid: str) -> Iterator[_Place]:
        if uid:
            for storage, collection in tuple(self._state.collections().items()):
                if storage not in _IGNORED:
                    for key in sorted(collection.by_owner.get(uid, ())):
                        yield _Place(storage, key)

    def _find(self, place: _Place) -> tuple[ApiResource, Stored] | None:
        resource = self._state.resources.stored_as(place.storage)
        if resource is None:
            return None
        stored = self._state.collection(resource).objects.get(place.key)
        return None if stored is None or stored.poison else (resource, stored)

    def _owners(
        self, resource: ApiResource, stored: Stored, references: Iterable[Mapping[str, Any]]
    ) -> _Owners | None:
        """What became of the owners; None where there is none, or where one cannot be looked up."""
        owners = _Owners([], [], [])
        for reference in references:
            kind = self._state.resources.of_kind(str(reference.get("apiVersion")), str(reference.get("kind")))
            if kind is None or (kind.namespaced and not resource.namespaced):
                return None
            name, uid = str(reference.get("name")), str(reference.get("uid"))
            key = f"{stored.namespace}/{name}" if kind.namespaced else name
            owner = self._state.collection(kind).objects.get(key)
            if owner is None or owner.uid != uid:
                owners.gone.append(uid)
            elif uid in self._waiting:
                owners.waiting.append(uid)
            else:
                owners.solid.append(uid)
        return owners if owners.solid or owners.gone or owners.waiting else None

    def _ends_in_foreground(self, place: _Place) -> bool:
        found = self._find(place)
        return found is not None and found[1].uid in self._waiting

    # --- doing -------------------------------------------------------------------------------------------

    def _end_in_foreground(self, resource: ApiResource, stored: Stored) -> None:
        """Let the owner go once no dependent blocks it."""
        dependents = self._state.collections().items()
        if any(
            self._blocks(_Place(storage, key), stored.uid)
            for storage, collection in dependents
            for key in collection.by_owner.get(stored.uid, ())
        ):
            return
        self._without_finalizer(resource, stored, FOREGROUND)

    def _blocks(self, place: _Place, uid: str) -> bool:
        found = self._find(place)
        if found is None:
            return False
        references = found[1].decode()["metadata"].get("ownerReferences") or []
        return any(one.get("uid") == uid and one.get("blockOwnerDeletion") for one in references)

    def _let_go(self, resource: ApiResource, stored: Stored) -> None:
        """Take the owner out of its dependents, and let it go."""
        for place in list(self._dependents(stored.uid)):
            if found := self._find(place):
                self._forget_owners(*found, [stored.uid])
        self._without_finalizer(resource, self._state.get(resource, stored.key), ORPHAN)

    def _forget_owners(self, resource: ApiResource, stored: Stored, uids: Iterable[str]) -> None:
        obj = resource.seen(stored).decode()
        metadata = obj["metadata"]
        metadata["ownerReferences"] = [
            one for one in metadata.get("ownerReferences") or [] if one.get("uid") not in uids
        ]
        self._state.replace(resource, stored, obj)

    def _unblock(self, resource: ApiResource, stored: Stored) -> None:
        obj = resource.seen(stored).decode()
        for reference in obj["metadata"].get("ownerReferences") or []:
            if reference.get("blockOwnerDeletion"):
                reference["blockOwnerDeletion"] = False
        self._state.replace(resource, stored, obj)

    def _without_finalizer(self, resource: ApiResource, stored: Stored, finalizer: str) -> None:
        obj = resource.seen(stored).decode()
        obj["metadata"]["finalizers"] = [
            one for one in obj["metadata"].get("finalizers") or [] if one != finalizer
        ]
        self._state.replace(resource, stored, obj)
