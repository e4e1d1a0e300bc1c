"""Built-in kinds that are stored once and served in two shapes: events, and horizontal pod autoscalers.

Every other version of a built-in kind is the stored one. The core group's events and those of
`events.k8s.io` are the same objects, as are autoscalers in `v1` and `v2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kresilient.testing.server import wire

__all__ = ["STORED_AS", "converted", "from_storage", "to_storage"]

Object = dict[str, Any]
Place = tuple[str, str, str]
"""Group, version and plural."""

_EVENTS: Final = ("events.k8s.io", "v1", "events")
_AUTOSCALERS: Final = ("autoscaling", "v1", "horizontalpodautoscalers")
STORED_AS: Final[dict[Place, Place]] = {
    _EVENTS: ("", "v1", "events"),
    _AUTOSCALERS: ("autoscaling", "v2", "horizontalpodautoscalers"),
}
"""What is stored as another version, or another group, than it is served in."""


def converted(place: Place) -> bool:
    """Whether the objects of *place* have another shape than they are stored in."""
    return place in STORED_AS


def to_storage(place: Place, obj: Mapping[str, Any]) -> Object:
    """*obj*, as *place* shows it, in the shape in which it is stored."""
    return _renamed(obj, _EVENT_FIELDS) if place == _EVENTS else _to_v2(obj)


def from_storage(place: Place, obj: Mapping[str, Any]) -> Object:
    """The stored *obj* as *place* shows it."""
    back = {stored: shown for shown, stored in _EVENT_FIELDS.items()}
    return _renamed(obj, back) if place == _EVENTS else _to_v1(obj)


# --- events ------------------------------------------------------------------------------------------

_EVENT_FIELDS: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}


def _renamed(obj: Mapping[str, Any], names: Mapping[str, str]) -> Object:
    return {names.get(name, name): value for name, value in obj.items()}


# --- autoscalers -------------------------------------------------------------------------------------

_METRICS: Final = "autoscaling.alpha.kubernetes.io/metrics"
_CURRENT: Final = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS: Final = "autoscaling.alpha.kubernetes.io/conditions"
_BEHAVIOR: Final = "autoscaling.alpha.kubernetes.io/behavior"


def _to_v2(obj: Mapping[str, Any]) -> Object:
    made, spec, status, notes = _parts(obj)
    metrics = _read(notes.pop(_METRICS, None), list)
    target = spec.pop("targetCPUUtilizationPercentage", None)
    if target is not None:
        wanted = {"type": "Utilization", "averageUtilization": target}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": wanted}})
    if metrics:
        spec["metrics"] = metrics
    if behavior := _read(notes.pop(_BEHAVIOR, None), dict):
        spec["behavior"] = behavior
    current = _read(notes.pop(_CURRENT, None), list)
    used = status.pop("currentCPUUtilizationPercentage", None)
    if used is not None:
        cpu = {"name": "cpu", "current": {"averageUtilization": used}}
        current.insert(0, {"type": "Resource", "resource": cpu})
    if current:
        status["currentMetrics"] = current
    if conditions := _read(notes.pop(_CONDITIONS, None), list):
        status["conditions"] = conditions
    return made


def _to_v1(obj: Mapping[str, Any]) -> Object:
    made, spec, status, notes = _parts(obj)
    others = []
    for metric in spec.pop("metrics", None) or ():
        target = (metric.get("resource") or {}).get("target") or {}
        is_cpu = metric.get("type") == "Resource" and (metric.get("resource") or {}).get("name") == "cpu"
        if is_cpu and target.get("averageUtilization") is not None:
            spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]
        else:
            others.append(metric)
    _note(notes, _METRICS, others)
    _note(notes, _BEHAVIOR, spec.pop("behavior", None))
    current = []
    for metric in status.pop("currentMetrics", None) or ():
        resource = metric.get("resource") or {}
        used = (resource.get("current") or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and used is not None:
            status["currentCPUUtilizationPercentage"] = used
        else:
            current.append(metric)
    _note(notes, _CURRENT, current)
    _note(notes, _CONDITIONS, status.pop("conditions", None))
    if notes:
        made["metadata"]["annotations"] = notes
    return made


def _parts(obj: Mapping[str, Any]) -> tuple[Object, Object, Object, Object]:
    """A copy of *obj*, and the parts of it that differ: spec, status, annotations."""
    made = dict(obj)
    made["spec"], made["status"] = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = made["metadata"] = dict(obj.get("metadata") or {})
    notes = metadata["annotations"] = dict(metadata.get("annotations") or {})
    return made, made["spec"], made["status"], notes


def _read(text: str | None, kind: type[Any]) -> Any:
    """What an annotation holds, empty where it holds nothing of *kind*."""
    try:
        value = None if text is None else wire.decode(text.encode())
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = None
    return value if isinstance(value, kind) else kind()


def _note(notes: Object, name: str, value: Any) -> None:
    if value:
        notes[name] = wire.encode(value).decode()
