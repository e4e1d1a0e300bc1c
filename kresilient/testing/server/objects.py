"""The rules by which an object is taken in: names, metadata, what a write may change, how it is written.

Modelled is what clients meet on every resource. Validation and defaulting of the fields of one kind is not,
but for what other rules need (a pod's phase, a secret's stringData, a namespace's phase).
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from . import wire
from .forms import ordered_metadata
from .kinds import ApiResource
from .statuses import Cause, bad_request, conflict, internal, invalid
from .storage import Stored

__all__ = ["encode_item", "new_object", "timestamp", "updated"]

_SERVER_SET: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)
_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_NAMED: Final = frozenset({("", "namespaces"), ("", "services")})
_PATH_NAMED: Final = frozenset({"rbac.authorization.k8s.io"})


def timestamp(seconds: float) -> str:
    """Wall-clock *seconds* as RFC 3339 with whole seconds, as metadata has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- bytes -------------------------------------------------------------------------------------------


def encode_item(resource: ApiResource, obj: Mapping[str, Any]) -> bytes:
    """*obj* as the bytes that are stored: see `Stored.item`."""
    metadata = {key: value for key, value in obj["metadata"].items() if value not in (None, "", [], {})}
    rest = {
        key: value
        for key, value in obj.items()
        if key not in ("apiVersion", "kind", "metadata", "immutable", "status") and value is not None
    }
    if resource.custom:
        if obj.get("status") is not None:
            rest["status"] = obj["status"]
        return wire.encode_sorted({"kind": resource.kind, "metadata": metadata} | rest)
    if resource.storage in (("", "configmaps"), ("", "secrets")):
        rest = {
            key: dict(sorted(value.items())) if isinstance(value, dict) else value
            for key, value in rest.items()
            if value != {}
        }
    item: dict[str, Any] = {"metadata": ordered_metadata(metadata)}
    if obj.get("immutable") is not None:
        item["immutable"] = obj["immutable"]
    item |= rest
    if obj.get("status") is not None:
        item["status"] = obj["status"]
    return wire.encode(item)


# --- creation ----------------------------------------------------------------------------------------


def new_object(
    resource: ApiResource,
    obj: Mapping[str, Any],
    *,
    namespace: str,
    now: float,
    random: Random,
    keep_status: bool,
) -> dict[str, Any]:
    """The object that a create of *obj* makes, all but its resource version.

    Raises `Refused`: 422 for its name, 400 for another namespace, 500 for a resource version.
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
    _name(resource, metadata, random)
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(key, None)
    metadata["uid"] = str(uuid.UUID(int=random.getrandbits(128), version=4))
    metadata["creationTimestamp"] = timestamp(now)
    metadata["generation"] = 1 if resource.has_generation else None
    made = {**obj, "metadata": metadata}
    if resource.has_status and not keep_status:
        made.pop("status", None)
    return _defaulted(resource, made)


def _name(resource: ApiResource, metadata: dict[str, Any], random: Random) -> None:
    name = metadata.get("name")
    if not name:
        base = metadata.get("generateName")
        if not base:
            raise invalid(
                resource,
                "",
                ("FieldValueRequired", "Required value: name or generateName is required", "metadata.name"),
            )
        name = base[:58] + "".join(random.choices(_SUFFIX_ALPHABET, k=5))
        metadata["name"] = name
    if fault := _name_fault(resource, name):
        quoted = wire.encode(name).decode()
        cause: Cause = ("FieldValueInvalid", f"Invalid value: {quoted}: {fault}", "metadata.name")
        raise invalid(resource, name, cause)


def _name_fault(resource: ApiResource, name: str) -> str:
    if resource.group in _PATH_NAMED:
        if name in (".", ".."):
            return f"may not be '{name}'"
        return next((f"may not contain '{char}'" for char in "/%" if char in name), "")
    if resource.storage in _LABEL_NAMED:
        if len(name) > 63:
            return "must be no more than 63 characters"
        return "" if _LABEL.match(name) else _LABEL_RULE
    if len(name) > 253:
        return "must be no more than 253 characters"
    return "" if _SUBDOMAIN.match(name) else _SUBDOMAIN_RULE


def _defaulted(resource: ApiResource, obj: dict[str, Any]) -> dict[str, Any]:
    match resource.storage:
        case ("", "pods"):
            obj["status"] = {"phase": "Pending"} | (obj.get("status") or {})
        case ("", "namespaces"):
            name = obj["metadata"]["name"]
            labels = {"kubernetes.io/metadata.name": name} | (obj["metadata"].get("labels") or {})
            obj["metadata"]["labels"] = labels
            obj["spec"] = {"finalizers": ["kubernetes"]} | (obj.get("spec") or {})
            obj["status"] = {"phase": "Active"} | (obj.get("status") or {})
        case ("", "secrets"):
            _encode_strings(obj)
            obj["type"] = obj.pop("type", None) or "Opaque"
    return obj


def _encode_strings(secret: dict[str, Any]) -> None:
    strings = secret.pop("stringData", None)
    if strings:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in strings.items()}
        secret["data"] = {**(secret.get("data") or {}), **encoded}


# --- change ------------------------------------------------------------------------------------------


def updated(
    resource: ApiResource, stored: Stored, obj: Mapping[str, Any], *, subresource: str = ""
) -> dict[str, Any]:
    """What writing *obj* over *stored* leaves, all but its resource version.

    A write to `status` changes the status alone, any other write everything but the status (where the
    resource has that subresource); `"all"` changes both, which no request can, but a test may.

    Raises `Refused`: 409 for another version or uid, 400 for another name, 422 for what may not change.
    """
    old = stored.decode()
    before, metadata = old["metadata"], dict(obj.get("metadata") or {})
    _same_object(resource, stored, before, metadata)
    if subresource == "status":
        changed = {key: value for key, value in old.items() if key != "status"}
        if obj.get("status") is not None:
            changed["status"] = obj["status"]
        return changed
    metadata["name"] = before["name"]
    if "namespace" in before:
        metadata["namespace"] = before["namespace"]
    for key in _SERVER_SET:
        metadata.pop(key, None)
        if key in before:
            metadata[key] = before[key]
    if "managedFields" in before and metadata.get("managedFields") is None:
        metadata["managedFields"] = before["managedFields"]
    _finalizers_may_change(resource, before, metadata)
    changed = {**obj, "metadata": metadata}
    if resource.has_status:
        changed.pop("status", None)
        status = obj.get("status") if subresource == "all" else None
        if status is not None or "status" in old:
            changed["status"] = old["status"] if status is None else status
    if resource.storage == ("", "secrets"):
        _encode_strings(changed)
        changed["type"] = changed.pop("type", None) or old.get("type", "Opaque")
    _immutable(resource, old, changed)
    if resource.has_generation and _body(changed) != _body(old):
        metadata["generation"] = before.get("generation", 0) + 1
    return changed


def _same_object(
    resource: ApiResource, stored: Stored, before: Mapping[str, Any], metadata: Mapping[str, Any]
) -> None:
    name = metadata.get("name")
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
        key = "/".join(filter(None, ("/registry", resource.group, resource.plural, stored.key)))
        raise conflict(
            resource,
            before["name"],
            f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}",
        )
    version = metadata.get("resourceVersion")
    if version and version != before["resourceVersion"]:
        raise conflict(resource, before["name"])
    if not version and resource.custom:
        raise invalid(
            resource,
            before["name"],
            (
                "FieldValueInvalid",
                "Invalid value: 0x0: must be specified for an update",
                "metadata.resourceVersion",
            ),
        )


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
        raise invalid(resource, before["name"], cause)


def _immutable(resource: ApiResource, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if resource.storage not in (("", "configmaps"), ("", "secrets")) or not old.get("immutable"):
        return
    for field in ("immutable", "data", "binaryData"):
        if (new.get(field) or None) != (old.get(field) or None):
            cause: Cause = (
                "FieldValueForbidden",
                "Forbidden: field is immutable when `immutable` is set",
                field,
            )
            raise invalid(resource, old["metadata"]["name"], cause)


def _body(obj: Mapping[str, Any]) -> dict[str, Any]:
    ignored = ("apiVersion", "kind", "metadata", "status")
    return {key: value for key, value in obj.items() if key not in ignored and value is not None}
