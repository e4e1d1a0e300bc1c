"""What a table shows of an object: its age, and its status in a word or two, as kubectl has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ..api.objects import KubeObject

__all__ = ["HEADINGS", "age", "cells", "status", "text_table"]

HEADINGS: Final = ("NAMESPACE", "NAME", "STATUS", "AGE", "VERSION")


def cells(obj: KubeObject, now: datetime) -> tuple[str, str, str, str, str]:
    """The cells of *obj* under `HEADINGS`, at the time *now*."""
    return (obj.namespace, obj.name, status(obj), age(obj, now), obj.resource_version)


def age(obj: KubeObject, now: datetime) -> str:
    """The time since *obj* was created, in its two largest units; `""` where it does not say."""
    try:
        created = datetime.fromisoformat(obj.field("metadata.creationTimestamp", ""))
    except (TypeError, ValueError):
        return ""
    if created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    seconds = max(0, int((now - created).total_seconds()))
    parts = [
        (seconds // 86_400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "m"),
        (seconds % 60, "s"),
    ]
    while len(parts) > 1 and not parts[0][0]:
        del parts[0]
    return "".join(f"{value}{unit}" for value, unit in parts[:2] if value or unit == parts[0][1])


def status(obj: KubeObject) -> str:
    """The status of *obj* in a word or two; `""` where nothing general can be said."""
    try:
        summary = _BY_KIND.get(obj.kind, _any)(obj)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError):  # of a shape nobody expects
        summary = "?"
    return f"{summary} (deleting)".lstrip() if obj.deleting and summary != "Terminating" else summary


def text_table(rows: Iterable[Sequence[str]], headings: Sequence[str] = HEADINGS) -> str:
    """*rows* below *headings* as plain text, columns as wide as they need to be, empty ones left out."""
    table = [headings, *rows]
    wanted = [
        place for place in range(len(headings)) if len(table) == 1 or any(row[place] for row in table[1:])
    ]
    widths = [max(len(row[place]) for row in table) for place in wanted]
    return "".join(
        "   ".join(row[place].ljust(width) for place, width in zip(wanted, widths, strict=True)).rstrip()
        + "\n"
        for row in table
    )


def _pod(obj: KubeObject) -> str:
    """As kubectl's printer: why a container waits or ended, else the pod's reason, else its phase."""
    state = obj.get("status") or {}
    containers = state.get("containerStatuses") or []
    word = state.get("reason") or state.get("phase") or ""
    for container in containers:
        now = container.get("state") or {}
        waiting, ended = now.get("waiting") or {}, now.get("terminated") or {}
        word = waiting.get("reason") or ended.get("reason") or word
    if obj.deleting:
        word = "Terminating"
    if not containers:
        return str(word)
    ready = sum(bool(container.get("ready")) for container in containers)
    restarts = sum(container.get("restartCount") or 0 for container in containers)
    return f"{word} {ready}/{len(containers)}" + (f", {restarts} restarts" if restarts else "")


def _node(obj: KubeObject) -> str:
    ready = _condition(obj.get("status") or {}, "Ready")
    word = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    return f"{word}, SchedulingDisabled" if (obj.get("spec") or {}).get("unschedulable") else word


def _replicas(obj: KubeObject) -> str:
    state = obj.get("status") or {}
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    return f"{state.get('readyReplicas') or 0}/{wanted} ready"


def _daemon_set(obj: KubeObject) -> str:
    state = obj.get("status") or {}
    return f"{state.get('numberReady') or 0}/{state.get('desiredNumberScheduled') or 0} ready"


def _service(obj: KubeObject) -> str:
    spec = obj.get("spec") or {}
    return " ".join(str(part) for part in (spec.get("type"), spec.get("clusterIP")) if part)


def _job(obj: KubeObject) -> str:
    state = obj.get("status") or {}
    for word in ("Complete", "Failed"):
        if _condition(state, word) == "True":
            return word
    return f"{state.get('active') or 0} active"


def _any(obj: KubeObject) -> str:
    state = obj.get("status")
    if not isinstance(state, dict):
        return ""
    if isinstance(state.get("phase"), str):
        return str(state["phase"])
    ready = _condition(state, "Ready")
    return {"True": "Ready", "False": "NotReady"}.get(ready, ready)


def _condition(state: dict[str, Any], kind: str) -> str:
    for condition in state.get("conditions") or []:
        if condition.get("type") == kind:
            return str(condition.get("status") or "")
    return ""


_BY_KIND: Final[dict[str, Callable[[KubeObject], str]]] = {
    "DaemonSet": _daemon_set,
    "Deployment": _replicas,
    "Job": _job,
    "Node": _node,
    "Pod": _pod,
    "ReplicaSet": _replicas,
    "ReplicationController": _replicas,
    "Service": _service,
    "StatefulSet": _replicas,
}
