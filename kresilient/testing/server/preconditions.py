"""What a write says of the object that it means, by name, namespace, uid and version, and what comes of it
where that is another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kresilient.api.resources import split_key

from .go_words import parse_uint
from .kinds import ApiResource
from .statuses import Refused, bad_request, conflict, internal, invalid

__all__ = ["asked_version", "check_absent", "check_named", "check_same", "check_uid", "mismatch"]

_KEYED_BY_GROUP: Final = ("apiextensions.k8s.io", "apiregistration.k8s.io")
_KEYED_OTHERWISE: Final = {
    ("", "endpoints"): "services/endpoints",
    ("", "nodes"): "minions",
    ("", "replicationcontrollers"): "controllers",
    ("", "services"): "services/specs",
    ("networking.k8s.io", "ingresses"): "ingress",
}
"""`SpecialDefaultResourcePrefixes` of the server."""


def asked_version(metadata: Mapping[str, Any]) -> int:
    """The version that *metadata* asks for, 0 for any. Raises `ValueError`, in Go's words."""
    return parse_uint(metadata.get("resourceVersion") or "0")


def check_named(resource: ApiResource, key: str, metadata: Mapping[str, Any]) -> None:
    """Raises `Refused` (400) where *metadata* is not of *key*, or of nothing."""
    namespace, name = split_key(key)
    given = metadata.get("name")
    if not given:
        raise bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    within = metadata.get("namespace")
    if within and within != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def check_uid(resource: ApiResource, key: str, metadata: Mapping[str, Any], found: str) -> None:
    """Raises `Refused` (409) where *metadata* asks for another uid than that *found*."""
    uid = metadata.get("uid")
    if uid and uid != found:
        raise mismatch(resource, key, "UID", uid, found)


def check_absent(resource: ApiResource, key: str, metadata: Mapping[str, Any]) -> None:
    """What a write to *key* is refused for before it is for there being nothing: 400 for another name, 409
    where it asks for a uid."""
    check_named(resource, key, metadata)
    check_uid(resource, key, metadata, "")


def check_same(
    resource: ApiResource, key: str, metadata: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    """Raises `Refused` where *metadata* means another object than that at *key*, whose metadata is *before*.

    409 for another uid or version, 422 for no version where the kind is not updated without one, 500 for one
    that is no number.
    """
    check_uid(resource, key, metadata, before["uid"])
    try:
        version = asked_version(metadata)
    except ValueError as fault:
        raise internal(str(fault)) from None
    if version and version != int(before["resourceVersion"]):
        raise conflict(resource, before["name"])
    if not version and (resource.custom or resource.group == "apiextensions.k8s.io"):
        said = "Invalid value: 0: must be specified for an update"
        cause = ("FieldValueInvalid", said, "metadata.resourceVersion")
        raise invalid(resource, before["name"], cause, kind=resource.plural)


def mismatch(resource: ApiResource, key: str, what: str, wanted: str, found: str) -> Refused:
    """The 409 of a precondition that the storage checks: *what* is `UID` or `ResourceVersion`."""
    return conflict(
        resource,
        split_key(key)[1],
        f"StorageError: invalid object, Code: 4, Key: {_storage_prefix(resource)}/{key}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: {what} in precondition: {wanted}, "
        f"{what} in object meta: {found}",
    )


def _storage_prefix(resource: ApiResource) -> str:
    """Below which key etcd holds the objects of *resource*: of a built-in kind mostly without the group."""
    if resource.custom or resource.group in _KEYED_BY_GROUP:
        return f"/registry/{resource.group}/{resource.plural}"
    return f"/registry/{_KEYED_OTHERWISE.get(resource.storage, resource.plural)}"
