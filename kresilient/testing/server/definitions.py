"""What a CustomResourceDefinition says once the server has accepted it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .kinds import ApiResource
from .objects import timestamp
from .statuses import Cause, invalid

__all__ = ["TERMINATING", "established", "terminating"]

TERMINATING: Final = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that holds a definition until its objects are gone."""


def established(resource: ApiResource, obj: dict[str, Any], now: float) -> dict[str, Any]:
    """*obj* with its names filled in and its conditions true: the server does both at once here.

    Raises `Refused` (422) where it does not say what it defines.
    """
    name = obj["metadata"]["name"]
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        raise invalid(resource, name, _required("spec"))
    names = spec.get("names")
    missing = [field for field in ("group", "scope", "versions") if not spec.get(field)]
    if not isinstance(names, dict):
        missing.append("names")
    else:
        missing += [f"names.{field}" for field in ("plural", "kind") if not names.get(field)]
    if missing:
        raise invalid(resource, name, *(_required(f"spec.{field}") for field in missing))
    assert isinstance(names, dict)
    if name != f"{names['plural']}.{spec['group']}":
        said = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        raise invalid(resource, name, ("FieldValueInvalid", said, "metadata.name"))
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})
    stored = [one["name"] for one in spec["versions"] if one.get("storage")]
    obj["status"] = {
        "conditions": [
            _true("NamesAccepted", "NoConflicts", "no conflicts found", now),
            _true("Established", "InitialNamesAccepted", "the initial names have been accepted", now),
        ],
        "acceptedNames": dict(names),
        "storedVersions": stored or [spec["versions"][0]["name"]],
    }
    return obj


def terminating(obj: dict[str, Any], now: float) -> dict[str, Any]:
    """*obj* once its deletion has been asked for: held by a finalizer while its objects are deleted."""
    metadata = obj["metadata"]
    metadata.pop("deletionGracePeriodSeconds", None)
    finalizers = metadata.get("finalizers") or []
    if TERMINATING in finalizers:
        return obj
    metadata["finalizers"] = [*finalizers, TERMINATING]
    said = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    status = obj.get("status") or {}
    conditions = [
        *(status.get("conditions") or []),
        _true("Terminating", "InstanceDeletionPending", said, now),
    ]
    obj["status"] = {**status, "conditions": conditions}
    return obj


def _true(kind: str, reason: str, message: str, now: float) -> Mapping[str, str]:
    return {
        "type": kind,
        "status": "True",
        "lastTransitionTime": timestamp(now),
        "reason": reason,
        "message": message,
    }


def _required(field: str) -> Cause:
    return ("FieldValueRequired", "Required value", field)
