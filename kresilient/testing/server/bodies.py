"""Reading request bodies: what the server takes, and what it says of the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from .go_words import json_fault
from .kinds import ApiResource
from .request_text import Unreadable, in_order, read_json
from .request_yaml import read_yaml
from .requests import Call
from .statuses import Refused, bad_request, too_large, unsupported_media_type
from .strict_decoding import patch_faults, repeated_fields, yaml_faults
from .types.protobuf import MEDIA_TYPE, ProtobufFault, read_protobuf
from .types.untyped import untyped
from .writing import Write

__all__ = ["object_body", "patch_body", "patch_kind"]

Result = TypeVar("Result")

LIMIT: Final = 3 * 1024 * 1024
_OBJECT_TYPES: Final = ("application/json", "application/yaml", MEDIA_TYPE)
_PATCH_TYPES: Final = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}


def _media_type(call: Call) -> str:
    return call.headers.get("content-type", "").partition(";")[0].strip().lower()


def object_body(
    call: Call,
    resource: ApiResource,
    *,
    kind: str = "",
    api_version: str = "",
    write: Write | None = None,
) -> dict[str, Any]:
    """The object in the body of a create or an update. Raises `Refused`: 400, 413 or 415.

    *kind* and *api_version* are what a subresource expects instead of the resource's own. A *write* is told
    of what the body gives more than once.
    """
    media_type = _media_type(call)
    if media_type not in ("", "application/json", "application/yaml", MEDIA_TYPE):
        raise unsupported_media_type(_OBJECT_TYPES)
    if media_type == MEDIA_TYPE and resource.custom:
        raise unsupported_media_type(_OBJECT_TYPES[:2])
    if len(call.body) > LIMIT:
        raise too_large()
    kind, api_version = kind or resource.kind, api_version or resource.api_version
    if media_type == MEDIA_TYPE:
        obj = _from_protobuf(call.body)
    else:
        yaml = media_type == "application/yaml"
        obj = _decoded(call.body, kind, yaml=yaml)
        if write is not None and write.validation != "Ignore":
            if yaml:
                write.faults = _checked(yaml_faults, call.body)
            else:
                write.repeated = repeated_fields(call.body)
    if not isinstance(obj, dict):
        raise _unrecognized(kind, "couldn't get version/kind; json parse error: not an object", call.body)
    if resource.custom and not obj.get("kind"):
        text = call.body.decode("utf-8", "replace").strip()
        raise _unrecognized(kind, f"Object 'Kind' is missing in '{text}'", call.body)
    given = obj.get("apiVersion")
    if given and given != api_version:
        raise bad_request(
            f"the API version in the data ({given}) does not match the expected API version ({api_version})"
        )
    if obj.get("kind") and obj["kind"] != kind:
        package = resource.group.partition(".")[0] or "core"
        raise bad_request(
            f'{obj["kind"]} in version "{resource.version}" cannot be handled as a {kind}: converting '
            f"({resource.version}.{obj['kind']}) to ({package}.{kind}): unknown conversion"
        )
    check_shape(obj, kind, resource.version)
    if call.on_object is not None:
        call.on_object(obj["metadata"])
    return obj


def check_shape(obj: dict[str, Any], kind: str, version: str) -> None:
    """Refuse (400) metadata that is none; what is in it is read with the object."""
    metadata = obj.setdefault("metadata", {})
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        raise _unmarshal(kind, version, metadata, "metadata", "v1.ObjectMeta")


def _unmarshal(kind: str, version: str, value: Any, field: str, wanted: str) -> Refused:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    found = names.get(type(value), "null")
    return bad_request(
        f'{kind} in version "{version}" cannot be handled as a {kind}: json: cannot unmarshal {found} into '
        f"Go struct field {kind}.{field} of type {wanted}"
    )


def patch_kind(call: Call, resource: ApiResource) -> str:
    """The kind of a patch: `json`, `merge`, `strategic` or `apply`. Raises `Refused`: 413 or 415."""
    kind = _PATCH_TYPES.get(_media_type(call))
    if kind is None:
        raise Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    if kind == "strategic" and resource.custom:
        raise unsupported_media_type([one for one in _PATCH_TYPES if "strategic" not in one])
    if len(call.body) > LIMIT:
        raise too_large()
    return kind


def patch_body(call: Call, kind: str, write: Write) -> Any:
    """The patch of *kind*; *write* is told of what it gives more than once. Raises `Refused` (400)."""
    try:
        patch = read_json(call.body)
    except Unreadable as error:
        if kind != "apply":
            prefix = "" if kind == "strategic" else "error decoding patch: "
            raise bad_request(f"{prefix}{json_fault(call.body) or error}") from None
        patch = _yaml(call.body)
    if write.validation != "Ignore":
        write.faults = _checked(patch_faults, kind, call.body, patch)
    # An apply is YAML, and a strategic merge is made of maps: neither is particular about 1.0 for an integer.
    return untyped(patch) if kind in ("strategic", "apply") else patch


def _from_protobuf(body: bytes) -> dict[str, Any]:
    try:
        return read_protobuf(body)
    except ProtobufFault as fault:
        raise bad_request(str(fault)) from None


def _decoded(body: bytes, kind: str, *, yaml: bool) -> Any:
    try:
        return untyped(in_order(read_json(body))) if yaml else read_json(body)
    except Unreadable as error:
        if yaml:
            return _yaml(body)
        why = json_fault(body) or str(error)
        raise _unrecognized(kind, f"couldn't get version/kind; json parse error: {why}", body) from None


def _yaml(body: bytes) -> Any:
    return _checked(read_yaml, body)


def _checked(read: Callable[..., Result], *what: Any) -> Result:
    """What *read* makes of a body. Raises `Refused` (400) where it finds that unreadable."""
    try:
        return read(*what)
    except Unreadable as error:
        raise bad_request(f"error decoding YAML: {error}") from None


def _unrecognized(kind: str, why: str, body: bytes) -> Refused:
    text = body.decode("utf-8", "replace")
    shown = f"{text[:30]} ..." if len(text) > 30 else text or "<empty>"
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {why} ({shown})")
