"""How an object ends: its deletion is asked for, it is waited for, it is removed.

The steps are those of `rest.BeforeDelete` and of the generic store in k8s.io/apiserver: what a delete has to
write (a mark, a finalizer of the garbage collector) is one version, the removal the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .delete_options import DeleteOptions
from .kinds import ApiResource
from .objects import timestamp
from .statuses import conflict
from .storage import Stored

if TYPE_CHECKING:
    from .state import ApiState

__all__ = [
    "FOREGROUND",
    "ORPHAN",
    "PODS",
    "Deleted",
    "check_preconditions",
    "delete",
    "orphans_by_default",
    "policed",
    "released",
]

FOREGROUND: Final = "foregroundDeletion"
"""The finalizer of an owner that waits for its dependents."""
ORPHAN: Final = "orphan"
"""The finalizer of an owner whose dependents are still to be let go."""

PODS: Final = ("", "pods")
_ORPHANING: Final = frozenset({("batch", "v1", "jobs"), ("", "v1", "replicationcontrollers")})
_UNCOLLECTED: Final = frozenset({("", "events"), ("events.k8s.io", "events")})
_DEFAULT_GRACE: Final = 30


class Deleted(NamedTuple):
    """What a delete came to: the object as it then is or last was, and whether it is gone."""

    stored: Stored
    gone: bool


def delete(state: ApiState, resource: ApiResource, key: str, options: DeleteOptions) -> Deleted:
    """Delete the object under *key*, or mark it where finalizers or its grace hold it.

    Raises `Refused`: 404, or 409 where a precondition does not hold.
    """
    old = state.get(resource, key)
    if old.poison:  # nothing can be asked of it, and it must be possible to get rid of it
        return Deleted(old if options.dry_run else state.remove(resource, old), True)
    check_preconditions(resource, old, options)
    obj = resource.seen(old).decode()
    metadata = obj["metadata"]
    graceful, pending = _begin(resource, obj, options.grace, state.now())
    if pending:
        return Deleted(old, False)
    held = metadata.get("finalizers") or []
    finalizers = policed(resource, held, options)
    changed = set(finalizers) != set(held)
    if graceful or held or changed:
        if changed:
            metadata["finalizers"] = finalizers
        if finalizers and not graceful:
            _mark(metadata, state.now())
        waits = bool(finalizers) or (graceful and metadata["deletionGracePeriodSeconds"] > 0)
        old = state.write(resource, old, obj, dry_run=options.dry_run)
        if waits:
            return Deleted(old, False)
    return Deleted(old if options.dry_run else state.remove(resource, old), True)


def released(resource: ApiResource, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the write that makes *before* into *after* ends the object: nothing holds it any more."""
    metadata = before["metadata"]
    if metadata.get("deletionTimestamp") is None or after["metadata"].get("finalizers"):
        return False
    if resource.storage == ("", "namespaces") and (after.get("spec") or {}).get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


def orphans_by_default(resource: ApiResource) -> bool:
    """Whether the dependents outlive a delete that says nothing of them: kinds from before there was a
    garbage collector."""
    return (resource.group, resource.version, resource.plural) in _ORPHANING


def check_preconditions(resource: ApiResource, old: Stored, options: DeleteOptions) -> None:
    """Raises `Refused` (409) where *old* is not what *options* say it must be."""
    if options.uid is not None and options.uid != old.uid:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({old.uid}). "
            "The object might have been deleted and then recreated"
        )
    elif options.version is not None and options.version != str(old.version):
        why = (
            f"the ResourceVersion in the precondition ({options.version}) does not match the "
            f"ResourceVersion in record ({old.version}). The object might have been modified"
        )
    else:
        return
    group = resource.storage[0]
    kind = f"{resource.kind}.{group}" if group else resource.kind
    raise conflict(resource, old.name, why, kind=resource.kind, qualified=kind)


def _begin(resource: ApiResource, obj: dict[str, Any], asked: int | None, now: float) -> tuple[bool, bool]:
    """Mark a pod in *obj*, or shorten its grace. Tells whether it did so, and whether there is nothing to do,
    as it has no more time than is *asked* for anyway."""
    if resource.storage != PODS:
        return False, False
    metadata = obj["metadata"]
    if asked is not None and asked < 0:
        asked = 1
    if metadata.get("deletionTimestamp") is not None:
        has = metadata.get("deletionGracePeriodSeconds") or 0
        if not has:
            return False, False
        if asked is None or asked >= has:
            return False, True
        begun = datetime.fromisoformat(metadata["deletionTimestamp"]).timestamp() - has
        metadata["deletionTimestamp"] = timestamp(begun + asked)
        metadata["deletionGracePeriodSeconds"] = asked
        return True, False
    grace = _grace(obj, asked)
    metadata["deletionTimestamp"] = timestamp(now + grace)
    metadata["deletionGracePeriodSeconds"] = grace
    _next_generation(metadata)
    return True, False


def _grace(pod: Mapping[str, Any], asked: int | None) -> int:
    """The seconds that a pod has to end: none where it never ran, or runs no more."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    if asked is None:
        asked = spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE)
    return asked if asked >= 0 else 1


def _mark(metadata: dict[str, Any], now: float) -> None:
    """Let *metadata* say that nothing but finalizers holds the object."""
    if metadata.get("deletionTimestamp") is None:
        _next_generation(metadata)
        metadata["deletionTimestamp"] = timestamp(now)
    metadata["deletionGracePeriodSeconds"] = 0


def _next_generation(metadata: dict[str, Any]) -> None:
    if metadata.get("generation"):
        metadata["generation"] += 1


def policed(resource: ApiResource, held: list[str], options: DeleteOptions) -> list[str]:
    """The finalizers *held*, with those that tell the garbage collector what to do about dependents."""
    if resource.storage in _UNCOLLECTED:
        return [one for one in held if one not in (ORPHAN, FOREGROUND)]
    orphan = foreground = False
    if options.orphan is not None:
        orphan = options.orphan
    elif options.propagation is not None:
        orphan, foreground = options.propagation == "Orphan", options.propagation == "Foreground"
    elif ORPHAN in held or FOREGROUND in held:
        orphan, foreground = ORPHAN in held, FOREGROUND in held
    else:
        orphan = orphans_by_default(resource)
    finalizers = [one for one in held if one not in (ORPHAN, FOREGROUND)]
    return finalizers + [ORPHAN] * orphan + [FOREGROUND] * foreground
