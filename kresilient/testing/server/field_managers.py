"""Who owns which fields after a write: what it does not change it gives nobody.

The sets of fields and how they are told apart are in `ownership`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .builtin import strategy
from .kinds import ApiResource
from .objects import empty_object, timestamp
from .ownership import managed as ownership
from .ownership.fieldset import FieldSet
from .ownership.managed import Manager, Managers
from .ownership.typed import TypedFault
from .writing import Write

__all__ = ["managers_after_create", "managers_after_update", "managers_of", "not_written_by"]


def managers_of(metadata: Mapping[str, Any]) -> Managers:
    """Who owns fields by *metadata*; nobody where what it says cannot be read, as the server takes it."""
    try:
        return Managers.read(metadata.get("managedFields"))
    except ValueError:
        return Managers()


def not_written_by(resource: ApiResource, subresource: str) -> FieldSet:
    """The fields that a write to *subresource* cannot change, and so gives nobody (`GetResetFields`)."""
    if subresource in ("status", "approval"):
        if (kept := strategy.status_keeps(resource, subresource)) == strategy.METADATA:
            return FieldSet({"f:spec", "f:metadata"})
        return FieldSet({"f:spec"}, {"f:metadata": FieldSet(f"f:{name}" for name in kept)})
    if resource.has_status and subresource == "":
        return FieldSet({"f:status"})
    return FieldSet()


def managers_after_create(
    resource: ApiResource, obj: Mapping[str, Any], *, now: float, write: Write
) -> Managers:
    """Who owns what after *obj* was created: all of it that is a client's to write is its manager's."""
    return _updated(
        resource.type,
        empty_object(resource),
        obj,
        managers_of(obj.get("metadata") or {}),
        manager=Manager(write.manager, "Update", resource.api_version),
        ignored=FieldSet() if write.trusted else not_written_by(resource, ""),
        time=timestamp(now),
    )


def managers_after_update(
    resource: ApiResource,
    old: Mapping[str, Any],
    obj: Mapping[str, Any],
    subresource: str,
    now: float,
    write: Write,
) -> Managers:
    """Who owns what after an update. A request that says nothing of owners leaves them; one with an empty
    list or a single empty entry clears them, and from then on nobody is noted until somebody applies.

    See `pkg/util/managedfields/internal/fieldmanager.go` and `skipnonapplied.go` of `k8s.io/apimachinery`.
    """
    said = (obj.get("metadata") or {}).get("managedFields")
    managers = Managers()
    # What a request to another subresource says of owners does not count.
    if subresource in ("", "all") and said is not None:
        if said in ([], [{}]):
            return managers
        managers = managers_of(obj["metadata"])
    managers = managers or managers_of(old["metadata"])
    if not managers:
        return managers
    return _updated(
        resource.type,
        old,
        obj,
        managers,
        manager=Manager(
            write.manager, "Update", resource.api_version, "" if subresource == "all" else subresource
        ),
        ignored=not_written_by(resource, subresource),
        time="" if subresource == "scale" else timestamp(now),
    )


def _updated(*what: Any, **how: Any) -> Managers:
    """Who owns what after an update: nobody anything where it cannot be compared, as the server has it; what
    is wrong with the object is then told by its validation."""
    try:
        return ownership.updated(*what, **how)
    except TypedFault:
        return Managers()
