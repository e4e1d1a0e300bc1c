"""The options of a delete: from the body or the query of a request, and what the server says of bad ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from . import wire
from .request_text import Unreadable, read_json
from .request_yaml import read_yaml
from .requests import Call
from .statuses import Cause, bad_request, internal, invalid_options, too_large, unsupported_media_type
from .types.protobuf import MEDIA_TYPE, ProtobufFault, read_protobuf

__all__ = ["DeleteOptions", "delete_options", "read_delete_options"]

POLICIES: Final = ("Foreground", "Background", "Orphan")
_BREAKING: Final = "ignoreStoreReadErrorWithClusterBreakingPotential"
_MEDIA_TYPES: Final = ("application/json", "application/yaml", MEDIA_TYPE)
_BODY_LIMIT: Final = 3 * 1024 * 1024
_TYPES: Final[dict[str, tuple[type, str]]] = {
    "gracePeriodSeconds": (int, "int64"),
    "orphanDependents": (bool, "bool"),
    "propagationPolicy": (str, "v1.DeletionPropagation"),
    "dryRun": (list, "[]string"),
    "preconditions": (dict, "v1.Preconditions"),
    _BREAKING: (bool, "bool"),
}
_JSON_NAMES: Final = {
    bool: "bool",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How an object is to be deleted; None is "not said" throughout.

    Attributes:
        grace: seconds that a pod has to end, instead of its own `terminationGracePeriodSeconds`.
        propagation: what becomes of the dependents: `"Background"`, `"Foreground"` or `"Orphan"`.
        orphan: the older way to say it: whether dependents are kept.
        uid, version: what the object must be for the delete to happen.
        dry_run: answer as if, and delete nothing.
    """

    grace: int | None = None
    propagation: str | None = None
    orphan: bool | None = None
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False


def delete_options(call: Call) -> DeleteOptions:
    """The options of a delete: those of the body where there is one, which the query then adds nothing to.

    Raises `Refused`: 400 for a query, 422 for options that are none or do not go together, 413, 415, and 500
    for a body that does not decode (the server does not call that a bad request here).
    """
    return read_delete_options(_from_body(call) if call.body else _from_query(call))


def read_delete_options(fields: dict[str, Any]) -> DeleteOptions:
    """The options in *fields*, as JSON has them. Raises `Refused` (422, 500)."""
    for name, (wanted, go_type) in _TYPES.items():
        value = fields.get(name)
        if value is not None and type(value) is not wanted:
            raise internal(_unmarshal(value, name, go_type))
    dry_run = fields.get("dryRun") or []
    preconditions = fields.get("preconditions") or {}
    for name in ("uid", "resourceVersion"):
        value = preconditions.get(name)
        if value is not None and not isinstance(value, str):
            raise internal(_unmarshal(value, f"preconditions.{name}", "string"))
    if causes := list(_faults(fields, dry_run)):
        raise invalid_options("DeleteOptions", *causes)
    return DeleteOptions(
        grace=fields.get("gracePeriodSeconds"),
        propagation=fields.get("propagationPolicy"),
        orphan=fields.get("orphanDependents"),
        uid=preconditions.get("uid"),
        version=preconditions.get("resourceVersion"),
        dry_run=bool(dry_run),
    )


def _faults(fields: dict[str, Any], dry_run: list[Any]) -> list[Cause]:
    """What `ValidateDeleteOptions` finds."""
    causes: list[Cause] = []
    policy = fields.get("propagationPolicy")
    if policy is not None:
        quoted = wire.encode(policy).decode()
        if fields.get("orphanDependents") is not None:
            said = "orphanDependents and deletionPropagation cannot be both set"
            causes.append(("FieldValueInvalid", f"Invalid value: {quoted}: {said}", "propagationPolicy"))
        if policy not in POLICIES:
            supported = ", ".join(f'"{one}"' for one in (*POLICIES, "nil"))
            said = f"Unsupported value: {quoted}: supported values: {supported}"
            causes.append(("FieldValueNotSupported", said, "propagationPolicy"))
    if any(one != "All" for one in dry_run):
        said = f'Unsupported value: {wire.encode(dry_run).decode()}: supported values: "All"'
        causes.append(("FieldValueNotSupported", said, "dryRun"))
    if fields.get(_BREAKING):
        others = ("dryRun", "propagationPolicy", "orphanDependents", "gracePeriodSeconds", "preconditions")
        causes += [
            ("FieldValueInvalid", f"Invalid value: true: cannot be set together with .{name}", _BREAKING)
            for name in others
            if fields.get(name) not in (None, [])
        ]
    return causes


# --- decoding ----------------------------------------------------------------------------------------


def _from_body(call: Call) -> dict[str, Any]:
    media_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in ("", *_MEDIA_TYPES):
        raise unsupported_media_type(_MEDIA_TYPES)
    if len(call.body) > _BODY_LIMIT:
        raise too_large()
    try:
        fields = read_protobuf(call.body) if media_type == MEDIA_TYPE else read_json(call.body)
    except ProtobufFault as fault:
        raise internal(str(fault)) from None
    except Unreadable as error:
        if media_type != "application/yaml":
            raise internal(f"couldn't get version/kind; json parse error: {error}") from None
        fields = _yaml(call.body)
    if not isinstance(fields, dict):
        raise internal("couldn't get version/kind; json parse error: not an object")
    if fields.get("kind") not in (None, "", "DeleteOptions"):
        raise internal("decoded object cannot be converted to DeleteOptions")
    return fields


def _yaml(body: bytes) -> Any:
    try:
        return read_yaml(body)
    except Unreadable as error:
        raise internal(f"error converting YAML to JSON: {error}") from None


def _from_query(call: Call) -> dict[str, Any]:
    query, fields = call.query, dict[str, Any]()
    if "gracePeriodSeconds" in query:
        fields["gracePeriodSeconds"] = _integer(query["gracePeriodSeconds"])
    for name in ("orphanDependents", _BREAKING):
        if name in query:
            fields[name] = query[name].lower() not in ("false", "0")
    if "propagationPolicy" in query:
        fields["propagationPolicy"] = query["propagationPolicy"]
    if "dryRun" in query:
        fields["dryRun"] = [query["dryRun"]] if query["dryRun"] else []
    conditions = {name: query[name] for name in ("uid", "resourceVersion") if query.get(name)}
    if conditions:
        fields["preconditions"] = conditions
    return fields


def _integer(text: str) -> int:
    """*text* as Go's `strconv.ParseInt(text, 10, 64)`."""
    quoted = wire.encode(text).decode()
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise bad_request(f"strconv.ParseInt: parsing {quoted}: invalid syntax")
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise bad_request(f"strconv.ParseInt: parsing {quoted}: value out of range")
    return number


def _unmarshal(value: Any, field: str, go_type: str) -> str:
    found = f"number {value}" if isinstance(value, float) else _JSON_NAMES.get(type(value), "null")
    return f"json: cannot unmarshal {found} into Go struct field DeleteOptions.{field} of type {go_type}"
