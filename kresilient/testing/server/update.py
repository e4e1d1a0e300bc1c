"""What a write leaves of an object that is there: what it may change, and what it may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import wire
from .builtin import strategy
from .builtin.validation import check_update
from .causes import invalid_value
from .field_managers import managers_after_update
from .kinds import ApiResource
from .objects import timestamp
from .ownership.managed import Managers, written_like
from .preconditions import check_named, check_same
from .statuses import Cause, Refused, invalid
from .storage import Stored
from .types.equality import same
from .types.untyped import floating
from .writing import Write

__all__ = ["same_uid", "updated"]

_SERVER_SET: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)


def updated(
    resource: ApiResource,
    stored: Stored,
    obj: Mapping[str, Any],
    *,
    subresource: str = "",
    now: float,
    write: Write,
    managers: Managers | None = None,
) -> dict[str, Any]:
    """What writing *obj* over *stored* leaves, all but its resource version.

    *obj* is as `read_object` returns it. A write to `status` changes the status, and of the metadata
    what the kind lets it (`strategy.status_keeps`); one to `approval` changes the conditions in it, and any
    other everything but the status (where the resource has that subresource);
    `"all"` changes both, which no request can, but a test may. *managers* are given where an apply has found
    them already.

    Raises `Refused`: 409 for another version or uid, 400 for another name, 422 for what may not change.
    """
    old = {"apiVersion": resource.api_version, "kind": resource.kind} | resource.seen(stored).decode()
    before, metadata = old["metadata"], dict(obj.get("metadata") or {})
    if metadata.get("name") or not write.trusted:
        check_named(resource, stored.key, metadata)
    check_same(resource, stored.key, metadata, before)
    if managers is None:
        managers = managers_after_update(resource, old, obj, subresource, now, write)
    owned = managers.written()
    if written_like(owned, before.get("managedFields")):
        owned = before.get("managedFields") or []
    if subresource in ("status", "approval"):
        changed = {key: value for key, value in old.items() if key != "status"}
        if not write.trusted:
            _not_marked(resource, before, metadata)
        changed["metadata"] = _beside_status(resource, subresource, before, metadata, owned)
        if subresource == "approval":
            changed["status"] = _approved(old, obj, now)
        elif obj.get("status") is not None:
            changed["status"] = obj["status"]
        strategy.prepare_change(resource, old, changed)
        if not write.trusted:
            check_update(resource, old, changed, subresource=subresource)
        return changed
    metadata["name"] = before["name"]
    if "namespace" in before:
        metadata["namespace"] = before["namespace"]
    if not write.trusted:
        _not_marked(resource, before, metadata)
    for key in _SERVER_SET:
        metadata.pop(key, None)
        if key in before:
            metadata[key] = before[key]
    metadata["managedFields"] = owned
    _finalizers_may_change(resource, before, metadata)
    changed = {**obj, "metadata": metadata}
    if resource.has_status:
        changed.pop("status", None)
        status = obj.get("status") if subresource == "all" else None
        if status is not None or "status" in old:
            changed["status"] = old["status"] if status is None else status
    strategy.prepare_change(resource, old, changed)
    if subresource == "finalize":  # the one way to the finalizers of a namespace
        changed["spec"] = obj.get("spec") or {}
    if not write.trusted:
        check_update(resource, old, changed, subresource=subresource)
    if resource.has_generation and (
        not _desired_alike(resource, changed, old) or strategy.annotations_count(resource, before, metadata)
    ):
        metadata["generation"] = before.get("generation", 0) + 1
    return changed


def _beside_status(
    resource: ApiResource,
    subresource: str,
    before: Mapping[str, Any],
    metadata: Mapping[str, Any],
    owned: list[dict[str, Any]],
) -> dict[str, Any]:
    """The metadata after a write of the status: of most built-in kinds it changes what is a client's too."""
    kept = strategy.status_keeps(resource, subresource)
    given = [name for name in strategy.METADATA if name not in kept]
    made = {name: value for name, value in before.items() if name not in given}
    made |= {name: metadata[name] for name in given if metadata.get(name)}
    _finalizers_may_change(resource, before, made)
    return {**made, "managedFields": owned}


def _approved(old: Mapping[str, Any], obj: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The status of a signing request once it is approved or denied: its conditions alone change."""
    given = (obj.get("status") or {}).get("conditions") or []
    blank = {"lastUpdateTime": timestamp(now), "lastTransitionTime": timestamp(now)}
    conditions = [{**one, **{key: one.get(key) or time for key, time in blank.items()}} for one in given]
    status = {key: value for key, value in (old.get("status") or {}).items() if key != "conditions"}
    return ({"conditions": conditions} if conditions else {}) | status


def same_uid(resource: ApiResource, stored: Stored, obj: Mapping[str, Any]) -> None:
    """Raises `Refused` (422) where a patch made *obj* another one; an update is asked before it is made."""
    metadata = stored.decode()["metadata"]
    uid = (obj.get("metadata") or {}).get("uid")
    if uid and uid != metadata["uid"]:
        raise _immutable(resource, metadata["name"], "uid", uid)


def _not_marked(resource: ApiResource, before: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Only a delete marks an object."""
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if "deletionTimestamp" not in before and metadata.get(key) is not None:
            raise _immutable(resource, before["name"], key, metadata[key])


def _immutable(resource: ApiResource, name: str, field: str, value: Any) -> Refused:
    cause = invalid_value(f"metadata.{field}", value, "field is immutable")
    return invalid(resource, name, cause, cause)  # both checks of the metadata of a change say it


def _finalizers_may_change(
    resource: ApiResource, before: Mapping[str, Any], metadata: Mapping[str, Any]
) -> None:
    if "deletionTimestamp" not in before:
        return
    held = before.get("finalizers") or []
    new = [one for one in metadata.get("finalizers") or [] if one not in held]
    if new:
        listed = ", ".join(wire.encode(one).decode() for one in new)
        cause: Cause = (
            "FieldValueForbidden",
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{listed}}}",
            "metadata.finalizers",
        )
        raise invalid(
            resource, before["name"], cause, cause
        )  # both checks of the metadata of a change say it


def _desired_alike(resource: ApiResource, new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether both say the same of what is wanted. To a custom resource 1.0 is new each time: a `float64`, of
    which an integer is stored."""
    wanted, held = _body(resource, new), _body(resource, old)
    if resource.custom:
        return wire.same(wanted, held) and not floating(wanted)
    return same(resource.type, wanted, held)


def _body(resource: ApiResource, obj: Mapping[str, Any]) -> dict[str, Any]:
    """What counts for the generation: of a custom resource without the subresource, the status too."""
    ignored = {"apiVersion", "kind", "metadata", "status"}
    if resource.custom and not resource.has_status:
        ignored.discard("status")
    return {key: value for key, value in obj.items() if key not in ignored and value is not None}
