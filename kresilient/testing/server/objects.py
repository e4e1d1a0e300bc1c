"""The rules by which an object is taken in: names, metadata, what a write may change, who owns what then, how
it is written.

What depends on one kind is in `builtin`, for custom resources in their schema.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from . import wire
from .builtin import admission, conversion, strategy
from .builtin.defaults import default
from .builtin.validation import check_new, check_update, name_rule
from .builtin.validation.names import dns_subdomain
from .causes import invalid_value
from .forms import ordered_metadata
from .kinds import ApiResource
from .ownership import managed as ownership
from .ownership.fieldset import FieldSet
from .ownership.managed import Manager, Managers, written_like
from .ownership.typed import TypedFault
from .statuses import Cause, Refused, bad_request, conflict, internal, invalid, unpatchable
from .storage import Stored
from .types.decode import DecodeFault, decoded
from .types.schema import builtin_types
from .types.untyped import untyped
from .writing import Write

__all__ = [
    "empty_object",
    "encode_ordered",
    "managers_of",
    "name_fault",
    "new_object",
    "not_written_by",
    "read_object",
    "same_uid",
    "stored_at",
    "stored_form",
    "timestamp",
    "updated",
]

_SERVER_SET: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)
_KEYED_BY_GROUP: Final = ("apiextensions.k8s.io", "apiregistration.k8s.io")
_KEYED_OTHERWISE: Final = {
    ("", "endpoints"): "services/endpoints",
    ("", "nodes"): "minions",
    ("", "replicationcontrollers"): "controllers",
    ("", "services"): "services/specs",
    ("networking.k8s.io", "ingresses"): "ingress",
}
"""`SpecialDefaultResourcePrefixes` of the server."""
_TRIES: Final = 8
"""How often the server makes up a name, where that is taken (KEP-4420)."""
_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


def timestamp(seconds: float) -> str:
    """Wall-clock *seconds* as RFC 3339 with whole seconds, as metadata has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- bytes -------------------------------------------------------------------------------------------


def stored_form(resource: ApiResource, obj: Mapping[str, Any]) -> dict[str, Any]:
    """*obj* as it is stored, with its fields in order; `encode_ordered` makes the bytes of it. Raises
    `Refused` (400) for a value of a wrong type."""
    made = ordered(resource, obj)
    if resource.converted:
        group, version, _ = conversion.STORED_AS[resource.place]
        stored = builtin_types().of_kind(group, version, resource.kind)
        assert stored is not None
        made = decoded(stored, conversion.to_storage(resource.place, made))
    return made


def ordered(
    resource: ApiResource, obj: Mapping[str, Any], unknown: list[str] | None = None
) -> dict[str, Any]:
    """*obj* of a built-in kind with its fields in the server's order, without what its type does not have."""
    if resource.custom:
        return dict(obj)
    try:
        return decoded(resource.type, obj, unknown=unknown)
    except DecodeFault as fault:
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {fault}'
        ) from None


def encode_ordered(resource: ApiResource, obj: Mapping[str, Any]) -> bytes:
    """The bytes that are stored of an object whose fields are in order: see `Stored.item`."""
    if resource.custom:
        metadata = {key: value for key, value in obj["metadata"].items() if value not in (None, "", [], {})}
        rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
        return wire.encode_sorted({"kind": resource.kind, "metadata": metadata} | rest)
    metadata = ordered_metadata(obj["metadata"])
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    return wire.encode({"metadata": metadata} | rest)


def stored_at(
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


# --- creation ----------------------------------------------------------------------------------------


def read_object(
    resource: ApiResource, obj: Mapping[str, Any], write: Write, *, patched: bool = False
) -> dict[str, Any]:
    """*obj* as the server reads it from a request: typed, pruned, with defaults.

    *patched* tells that a patch made it. Raises `Refused`: 400 for a value of a wrong type, or, strictly, for
    a field that the type does not have (422 where a patch made it).
    """
    unknown: list[str] = []
    if resource.shape is None:
        read = ordered(resource, obj, unknown)
    else:
        try:
            read = resource.shape.taken(obj, unknown)
        except DecodeFault as fault:
            raise _unreadable(resource, obj, str(fault), patched=patched) from None
    faults = [f"duplicate field {wire.encode(path).decode()}" for path in write.repeated]
    faults += [f"unknown field {wire.encode(path).decode()}" for path in unknown]
    if faults and write.validation == "Strict":
        why = f"strict decoding error: {', '.join(faults)}"
        raise _unreadable(resource, obj, why, patched=patched)
    if write.validation != "Ignore":
        write.warnings += faults
    if resource.custom:
        return {**untyped(read), "metadata": read["metadata"]} if "metadata" in read else untyped(read)
    if (obj.get("metadata") or {}).get("managedFields") == []:
        read.setdefault("metadata", {})["managedFields"] = []  # says that nobody is to own anything
    before = wire.encode(read)
    default(resource, read)
    return read if wire.encode(read) == before else ordered(resource, read)


def _unreadable(resource: ApiResource, obj: Mapping[str, Any], why: str, *, patched: bool) -> Refused:
    if patched:
        return unpatchable(wire.encode_sorted(obj).decode(), why)
    kind = resource.kind
    return bad_request(f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {why}')


def empty_object(resource: ApiResource) -> dict[str, Any]:
    """What there is before a create: the kind, and what its type writes even where it is empty."""
    empty = {"apiVersion": resource.api_version, "kind": resource.kind}
    return empty if resource.custom else decoded(resource.type, empty)


def _owners(*what: Any, **how: Any) -> Managers:
    """Who owns what after an update: nobody anything where it cannot be compared, as the server has it; what
    is wrong with the object is then told by its validation."""
    try:
        return ownership.updated(*what, **how)
    except TypedFault:
        return Managers()


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


def new_object(
    resource: ApiResource,
    obj: Mapping[str, Any],
    *,
    namespace: str,
    now: float,
    random: Random,
    serial: int,
    lookup: admission.Lookup,
    taken: Callable[[str], bool],
    write: Write,
    managers: Managers | None = None,
) -> dict[str, Any]:
    """The object that a create of *obj* makes, all but its resource version.

    *obj* is as `read_object` returns it. *serial* and *lookup* are what `strategy` and `admission` ask for,
    *taken* tells whether a generated name is there already. *managers* are given where an apply has found
    them.

    Raises `Refused`: 422 for what breaks a rule, 400 for another namespace, 500 for a resource version.
    """
    metadata = dict(obj.get("metadata") or {})
    if metadata.get("resourceVersion"):
        raise internal("resourceVersion should not be set on objects to be created")
    if resource.namespaced:
        if metadata.get("namespace") and metadata["namespace"] != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace
    elif metadata.get("namespace"):
        raise bad_request("namespace specified on a cluster-scoped object")
    if managers is None:
        managers = _owners(
            resource.type,
            empty_object(resource),
            obj,
            managers_of(metadata),
            manager=Manager(write.manager, "Update", resource.api_version),
            ignored=FieldSet() if write.trusted else not_written_by(resource, ""),
            time=timestamp(now),
        )
    metadata["managedFields"] = managers.written()
    _name(resource, metadata, random, taken)
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(key, None)
    metadata["uid"] = str(uuid.UUID(int=random.getrandbits(128), version=4))
    metadata["creationTimestamp"] = timestamp(now)
    metadata["generation"] = 1 if resource.has_generation else None
    made = {**obj, "metadata": metadata}
    if not write.trusted:
        admission.admit(resource, made, lookup)
        if resource.has_status and not strategy.keeps_status(resource):
            made.pop("status", None)
    strategy.prepare_new(resource, made, serial=serial)
    if not write.trusted:
        check_new(resource, made)
    return made


def _name(
    resource: ApiResource, metadata: dict[str, Any], random: Random, taken: Callable[[str], bool]
) -> None:
    name = metadata.get("name")
    if not name:
        base = metadata.get("generateName")
        if not base:
            raise invalid(
                resource,
                "",
                ("FieldValueRequired", "Required value: name or generateName is required", "metadata.name"),
            )
        name = ""
        for _ in range(_TRIES):
            name = base[:58] + "".join(random.choices(_SUFFIX_ALPHABET, k=5))
            if not taken(name):
                break
        metadata["name"] = name
    if faults := list(name_rule(resource)(name)):
        raise invalid(resource, name, *(invalid_value("metadata.name", name, fault) for fault in faults))


def name_fault(name: str) -> str:
    """What keeps *name* from being a subdomain as RFC 1123 has it, empty where it is one."""
    return next(dns_subdomain(name), "")


# --- change ------------------------------------------------------------------------------------------


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
    _same_object(resource, stored, before, metadata, trusted=write.trusted)
    if managers is None:
        managers = _managers_after(resource, old, obj, subresource, now, write)
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
    desired = not wire.same(_body(resource, changed), _body(resource, old))
    if resource.has_generation and (desired or strategy.annotations_count(resource, before, metadata)):
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


def _managers_after(
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
    managers = managers_of(old["metadata"])
    if subresource in ("", "all"):  # what a request to another subresource says of owners does not count
        said = (obj.get("metadata") or {}).get("managedFields")
        if said is not None and said in ([], [{}]):
            return Managers()
        managers = managers_of(obj.get("metadata") or {}) or managers
    if not managers:
        return managers
    return _owners(
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


def _same_object(
    resource: ApiResource,
    stored: Stored,
    before: Mapping[str, Any],
    metadata: Mapping[str, Any],
    *,
    trusted: bool,
) -> None:
    name = metadata.get("name")
    if not name and not trusted:
        raise bad_request(
            f"the name of the object ({before['name']} based on URL) was undeterminable: name must be "
            "provided"
        )
    if name and name != before["name"]:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({before['name']})"
        )
    namespace = metadata.get("namespace")
    if namespace and namespace != before.get("namespace"):
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    uid = metadata.get("uid")
    if uid and uid != before["uid"]:
        key = f"{_storage_prefix(resource)}/{stored.key}"
        raise conflict(
            resource,
            before["name"],
            f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}",
        )
    version = metadata.get("resourceVersion")
    if version and version != before["resourceVersion"]:
        raise conflict(resource, before["name"])
    if not version and (resource.custom or resource.group == "apiextensions.k8s.io"):
        said = "Invalid value: 0: must be specified for an update"
        cause = ("FieldValueInvalid", said, "metadata.resourceVersion")
        raise invalid(resource, before["name"], cause, kind=resource.plural)


def _storage_prefix(resource: ApiResource) -> str:
    """Below which key etcd holds the objects of *resource*: of a built-in kind mostly without the group."""
    if resource.custom or resource.group in _KEYED_BY_GROUP:
        return f"/registry/{resource.group}/{resource.plural}"
    return f"/registry/{_KEYED_OTHERWISE.get(resource.storage, resource.plural)}"


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


def _body(resource: ApiResource, obj: Mapping[str, Any]) -> dict[str, Any]:
    """What counts for the generation: of a custom resource without the subresource, the status too."""
    ignored = {"apiVersion", "kind", "metadata", "status"}
    if resource.custom and not resource.has_status:
        ignored.discard("status")
    return {key: value for key, value in obj.items() if key not in ignored and value is not None}
