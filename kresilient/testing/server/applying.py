"""Server-side apply (KEP-555) of one configuration to one object: what it may say, and how owners begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .field_managers import managers_of, not_written_by
from .kinds import ApiResource
from .objects import empty_object, timestamp
from .ownership import last_applied
from .ownership import managed as ownership
from .ownership.fieldset import FieldSet
from .ownership.managed import Manager, Managers
from .ownership.typed import TypedFault, check
from .statuses import bad_request, internal
from .writing import Write

__all__ = ["applied"]

_BEFORE: Final = "before-first-apply"


def applied(
    resource: ApiResource,
    key: str,
    live: Mapping[str, Any],
    config: Any,
    *,
    subresource: str,
    now: float,
    write: Write,
) -> tuple[dict[str, Any], Managers]:
    """What *live* becomes when the write's manager applies *config*, and who owns what then.

    Raises `Refused`: 400 for what is no configuration of this object, 409 for a conflict, 500 for one that
    the type does not allow.
    """
    config = _config(resource, config)
    metadata = config.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("managedFields"), list):
        raise bad_request("metadata.managedFields must be nil")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if name and name != key.rpartition("/")[2]:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({key.rpartition('/')[2]})"
        )
    version = resource.api_version if resource.group else f"/{resource.version}"
    where = f"({key}; {version}, Kind={resource.kind})"
    if faults := [str(fault) for fault in check(resource.type, config)]:
        said = faults[0] if len(faults) == 1 else "errors:\n" + "".join(f"  {one}\n" for one in faults)
        raise internal(f"failed to create typed patch object {where}: {said}")
    ignored = not_written_by(resource, subresource)
    time = "" if subresource == "scale" else timestamp(now)
    try:
        managers = managers_of(live.get("metadata") or {})
        if not managers:  # nobody was noted so far: what is there was somebody's before the first apply
            managers = ownership.updated(
                resource.type,
                empty_object(resource),
                live,
                managers,
                manager=Manager(_BEFORE, "Update", resource.api_version, subresource),
                ignored=ignored,
                time=time,
            )
        result, managers = ownership.applied(
            resource.type,
            live,
            config,
            managers,
            manager=Manager(write.manager, "Apply", "", subresource),
            api_version=resource.api_version,
            ignored=ignored,
            excused=last_applied.unchanged(resource, live) if write.manager == "kubectl" else FieldSet(),
            force=write.force,
            time=time,
        )
    except TypedFault as fault:
        raise internal(f"failed to create typed live object {where}: {fault}") from None
    if write.manager == "kubectl":
        result = last_applied.renewed(result, config)
    return result, managers


def _config(resource: ApiResource, config: Any) -> dict[str, Any]:
    """*config* as one of this kind. Raises `Refused` (400)."""
    config = {} if config is None else config
    if not isinstance(config, dict):
        names = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
        raise bad_request(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
            f"{names[type(config)]} into Go value of type map[string]interface {{}}"
        )
    if (config.get("apiVersion"), config.get("kind")) != (resource.api_version, resource.kind):
        raise bad_request(f"invalid object type: {_go_kind(config.get('apiVersion'), config.get('kind'))}")
    return config


def _go_kind(api_version: Any, kind: Any) -> str:
    """A kind as Go prints a `GroupVersionKind`; of a version that is none, the empty one."""
    group, _, version = (api_version if isinstance(api_version, str) else "").rpartition("/")
    if "/" in group:
        group = version = kind = ""
    return f"{group}/{version}, Kind={kind if isinstance(kind, str) else ''}"
