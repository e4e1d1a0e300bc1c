"""What a create makes of an object: its name, its metadata, its owners, its first state."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from .builtin import admission, strategy
from .builtin.validation import check_new, name_rule
from .builtin.validation.names import dns_subdomain
from .causes import invalid_value
from .field_managers import managers_after_create
from .kinds import ApiResource
from .objects import timestamp
from .ownership.managed import Managers
from .preconditions import asked_version
from .statuses import bad_request, internal, invalid
from .writing import Write

__all__ = ["name_fault", "new_object"]

_TRIES: Final = 8
"""How often the server makes up a name, where that is taken (KEP-4420)."""
_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


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
    if _asks_for_version(metadata):
        raise internal("resourceVersion should not be set on objects to be created")
    metadata.pop("resourceVersion", None)
    if resource.namespaced:
        if metadata.get("namespace") and metadata["namespace"] != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = namespace
    elif metadata.get("namespace"):
        raise bad_request("namespace specified on a cluster-scoped object")
    if managers is None:
        managers = managers_after_create(resource, obj, now=now, write=write)
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


def _asks_for_version(metadata: Mapping[str, Any]) -> bool:
    """Whether *metadata* is of an object that is stored; a version that is no number says nothing, as for the
    etcd store."""
    try:
        return asked_version(metadata) != 0
    except ValueError:
        return False


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
