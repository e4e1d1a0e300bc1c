"""The `scale` subresource: an `autoscaling/v1` Scale as a window on an object's replicas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import wire
from .kinds import ApiResource
from .ownership.typed import check
from .statuses import bad_request, conflict, internal, internal_error, unknown_resource, unpatchable
from .storage import Stored
from .types.decode import DecodeFault, decoded
from .types.schema import Struct, builtin_types

__all__ = ["applied", "base", "config", "view"]


_MEANT: Final = frozenset({"namespace", "uid", "resourceVersion"})


def view(resource: ApiResource, stored: Stored) -> dict[str, Any]:
    """The Scale of *stored*. Raises `Refused`: 404 for a resource that has none, 500 for an object that says
    nothing of its replicas, as a custom resource may."""
    if resource.custom and resource.scale is not None and _at(stored.decode(), resource.scale.spec) is None:
        raise internal_error(f'the spec replicas field ".{resource.scale.spec}" does not exist')
    return base(resource, stored)


def base(resource: ApiResource, stored: Stored) -> dict[str, Any]:
    """What a patch of the Scale of *stored* begins with. Raises `Refused` (404)."""
    paths = resource.scale
    if paths is None:
        raise unknown_resource()
    obj = stored.decode()
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = _at(obj, paths.spec)
    status = {"replicas": _at(obj, paths.status) or 0}
    selector = _at(obj, paths.selector) if paths.selector else None
    if isinstance(selector, Mapping):
        selector = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def applied(
    resource: ApiResource, stored: Stored, scale: Mapping[str, Any], *, patched: bool = False
) -> dict[str, Any]:
    """The object of *stored* with the replicas that *scale* asks for, and the name, uid and version of that.

    *patched* tells that a patch made *scale*. Raises `Refused`: 400 for a value of a wrong type, 422 where a
    patch made it, 409 where one made the uid another.
    """
    paths = resource.scale
    if paths is None:
        raise unknown_resource()
    try:
        decoded(_scale(), scale)
    except DecodeFault as fault:
        if patched:
            raise unpatchable(wire.encode_sorted(scale).decode(), str(fault)) from None
        raise bad_request(f'Scale in version "v1" cannot be handled as a Scale: {fault}') from None
    obj = stored.decode()
    metadata = scale.get("metadata") or {}
    uid, found = metadata.get("uid"), obj["metadata"]["uid"]
    if patched and uid and uid != found:
        plural = f"{resource.plural}/scale"
        raise conflict(
            resource,
            stored.name,
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}",
            kind=plural,
            qualified=f"{plural}.{resource.group}" if resource.group else plural,
        )
    obj["metadata"] |= {
        "name": metadata.get("name") or "",
        **{name: metadata[name] for name in _MEANT & metadata.keys()},
    }
    *parents, last = paths.spec.split(".")
    place: Any = obj
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = (scale.get("spec") or {}).get("replicas", 0)
    return obj


def config(resource: ApiResource, scale: Any) -> dict[str, Any]:
    """The part of an object that an applied Scale stands for.

    Raises `Refused`: 400 for what is no object, 500 for a value of a wrong type, as of any that is applied.
    """
    paths = resource.scale
    if paths is None:
        raise unknown_resource()
    if not isinstance(scale, dict):
        raise bad_request("error decoding YAML: not an object")
    if fault := next(check(_scale(), scale), None):
        raise internal(f"failed to create typed patch object (autoscaling/v1, Kind=Scale): {fault}")
    metadata = {
        name: value
        for name, value in (scale.get("metadata") or {}).items()
        if name in ("name", "namespace", "uid", "resourceVersion")
    }
    made: dict[str, Any] = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    replicas = (scale.get("spec") or {}).get("replicas")
    if replicas is not None:
        *parents, last = paths.spec.split(".")
        place = made
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = replicas
    return made


def _scale() -> Struct:
    return builtin_types()["io.k8s.api.autoscaling.v1.Scale"]


def _at(obj: Any, path: str) -> Any:
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    return obj
