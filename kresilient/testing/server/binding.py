"""`pods/binding`: a pod is given to a node, once. There need not be such a Node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .objects import timestamp
from .preconditions import mismatch
from .statuses import bad_request, conflict, internal
from .storage import Stored

if TYPE_CHECKING:
    from .state import ApiState

__all__ = ["bind", "with_condition"]


def bind(state: ApiState, key: str, binding: Mapping[str, Any], *, dry_run: bool = False) -> Stored:
    """Give the pod *key* to the node that *binding* names, with its labels and annotations.

    The binding's uid and resource version are preconditions. Raises `Refused`: 404, 400 for another name, 500
    for a target that is no node, 409 where the pod is bound, ends or is held by scheduling gates.
    """
    resource = state.resources.parse("v1/pods")
    metadata, target = binding.get("metadata") or {}, binding.get("target") or {}
    name = key.rpartition("/")[2]
    if metadata.get("name") != name:
        raise bad_request("name in URL does not match name in Binding object")
    faults = []
    if target.get("kind") not in (None, "", "Node"):
        faults.append(
            f'target.kind: Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"'
        )
    if not target.get("name"):
        faults.append("target.name: Required value")
    if faults:  # the real server does not make a 422 of them
        raise internal(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    old = state.whole(resource, key)
    _check_preconditions(state, old, metadata)
    obj = old.decode()
    spec = obj.get("spec") or {}
    if old.marked:
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    elif spec.get("nodeName"):
        why = f'pod {name} is already assigned to node "{spec["nodeName"]}"'
    elif spec.get("schedulingGates"):
        why = f"pod {name} has non-empty .spec.schedulingGates"
    else:
        obj["spec"] = {**spec, "nodeName": target["name"]}
        for field in ("annotations", "labels"):
            if metadata.get(field):
                obj["metadata"][field] = {**(obj["metadata"].get(field) or {}), **metadata[field]}
        status = {
            name: value for name, value in (obj.get("status") or {}).items() if name != "nominatedNodeName"
        }
        obj["status"] = with_condition(status, {"type": "PodScheduled", "status": "True"}, state.now())
        return state.write(resource, old, obj, dry_run=dry_run)
    raise conflict(resource, name, why, kind="pods/binding", qualified="pods/binding")


def with_condition(status: Mapping[str, Any], condition: Mapping[str, Any], now: float) -> dict[str, Any]:
    """A pod's *status* with *condition* in it; its time of transition stays where its status does."""
    conditions = list(status.get("conditions") or [])
    place = next(
        (place for place, one in enumerate(conditions) if one.get("type") == condition["type"]),
        len(conditions),
    )
    since = timestamp(now)
    if place < len(conditions) and conditions[place].get("status") == condition["status"]:
        since = conditions[place].get("lastTransitionTime") or since
    times = {"lastProbeTime": None, "lastTransitionTime": since}
    ordered = {
        name: ({**condition, **times})[name]
        for name in ("type", "observedGeneration", "status", *times, "reason", "message")
        if name in condition or name in times
    }
    conditions[place : place + 1] = [ordered]
    return {**status, "conditions": conditions}


def _check_preconditions(state: ApiState, old: Stored, metadata: Mapping[str, Any]) -> None:
    resource = state.resources.parse("v1/pods")
    for what, wanted, found in (
        ("UID", metadata.get("uid"), old.uid),
        ("ResourceVersion", metadata.get("resourceVersion"), str(old.version)),
    ):
        if wanted and wanted != found:
            raise mismatch(resource, old.key, what, wanted, found)
