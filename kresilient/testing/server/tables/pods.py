"""Pods in a table: what their containers do, in one word (`printPod`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from .printer import AGE, NAME, NONE, Object, Printer, age, at, column, since

__all__ = ["PODS"]

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_COMPLETED: Final = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}


def _cells(pod: Object, now: float) -> list[Any]:
    shown = _shown(pod)
    restarts = str(shown.restarts)
    if shown.restarts and shown.last_restart:
        restarts += f" ({since(shown.last_restart, now)} ago)"
    total = len(at(pod, "spec.containers", ())) + sum(map(_restartable, at(pod, "spec.initContainers", ())))
    addresses = at(pod, "status.podIPs", ())
    return [
        pod["metadata"]["name"],
        f"{shown.ready}/{total}",
        shown.reason,
        restarts,
        age(pod, now),
        at(addresses[0], "ip", NONE) if addresses else NONE,
        at(pod, "spec.nodeName", NONE),
        at(pod, "status.nominatedNodeName", NONE),
        _readiness_gates(pod),
    ]


@dataclass(slots=True)
class _Shown:
    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""

    def count(self, status: Object) -> None:
        """Add the restarts of one container."""
        self.restarts += at(status, "restartCount", 0)
        finished = at(status, "lastState.terminated.finishedAt", "")
        if finished and _time(finished) > _time(self.last_restart):
            self.last_restart = finished


def _shown(pod: Object) -> _Shown:
    status = at(pod, "status", {})
    phase = at(status, "phase", "")
    shown = _Shown(at(status, "reason", phase))
    for one in at(status, "conditions", ()):
        if one.get("type") == "PodScheduled" and one.get("reason") == "SchedulingGated":
            shown.reason = "SchedulingGated"
    sidecars = _Shown("")
    initializing = _initialize(pod, shown, sidecars)
    if not initializing or _is_true(status, "Initialized"):
        shown.restarts, shown.last_restart = sidecars.restarts, sidecars.last_restart
        _run(status, shown)
    if at(pod, "metadata.deletionTimestamp"):
        if at(status, "reason") == "NodeLost":
            shown.reason = "Unknown"
        elif phase not in _COMPLETED:
            shown.reason = "Terminating"
    return shown


def _initialize(pod: Object, shown: _Shown, sidecars: _Shown) -> bool:
    """What the init containers show; whether one of them is not through yet."""
    declared = {one.get("name"): one for one in at(pod, "spec.initContainers", ())}
    for index, one in enumerate(at(pod, "status.initContainerStatuses", ())):
        shown.count(one)
        restartable = _restartable(declared.get(one.get("name"), {}))
        if restartable:
            sidecars.count(one)
        terminated = at(one, "state.terminated")
        waiting = at(one, "state.waiting.reason", "")
        if terminated is not None and not at(terminated, "exitCode", 0):
            continue
        if restartable and one.get("started"):
            shown.ready += bool(one.get("ready"))
            continue
        if terminated is not None:
            shown.reason = f"Init:{_ended(terminated)}"
        elif waiting and waiting != "PodInitializing":
            shown.reason = f"Init:{waiting}"
        else:
            shown.reason = f"Init:{index}/{len(declared)}"
        return True
    return False


def _run(status: Object, shown: _Shown) -> None:
    """What the containers show, the first last."""
    running, failure = False, ""
    for one in reversed(at(status, "containerStatuses", ())):
        shown.count(one)
        terminated = at(one, "state.terminated")
        if waiting := at(one, "state.waiting.reason", ""):
            shown.reason = waiting
        elif terminated is not None:
            shown.reason = _ended(terminated)
            if at(terminated, "exitCode", 0):
                failure = shown.reason
        elif one.get("ready") and at(one, "state.running") is not None:
            running = True
            shown.ready += 1
    if shown.reason == "Completed":
        if running and _is_true(status, "Ready"):
            shown.reason = "Running"
        elif failure:
            shown.reason = failure
        elif running:
            shown.reason = "NotReady"


def _ended(terminated: Object) -> str:
    if reason := at(terminated, "reason", ""):
        return str(reason)
    if signal := at(terminated, "signal", 0):
        return f"Signal:{signal}"
    return f"ExitCode:{at(terminated, 'exitCode', 0)}"


def _restartable(container: Mapping[str, Any]) -> bool:
    return container.get("restartPolicy") == "Always"


def _is_true(status: Object, condition: str) -> bool:
    found = (one for one in at(status, "conditions", ()) if one.get("type") == condition)
    return any(one.get("status") == "True" for one in found)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text) if text else _LONG_AGO


def _readiness_gates(pod: Object) -> str:
    gates = at(pod, "spec.readinessGates", ())
    if not gates:
        return NONE
    status = at(pod, "status", {})
    return f"{sum(_is_true(status, at(one, 'conditionType', '')) for one in gates)}/{len(gates)}"


def _conditions(pod: Object) -> list[dict[str, str]]:
    phase = at(pod, "status.phase", "")
    if phase not in _COMPLETED:
        return []
    reason, message = _COMPLETED[phase]
    return [{"type": "Completed", "status": "True", "reason": reason, "message": message}]


PODS: Final = Printer(
    (
        NAME,
        column("Ready", "How many of the pod's containers are ready."),
        column("Status", "What the pod's containers do, in one word."),
        column("Restarts", "How often the pod's containers have restarted, and when one last did."),
        AGE,
        column("IP", "The pod's address.", wide=True),
        column("Node", "The node that the pod is bound to.", wide=True),
        column("Nominated Node", "The node that others are evicted from for this pod.", wide=True),
        column("Readiness Gates", "How many of the conditions that readiness asks for are true.", wide=True),
    ),
    _cells,
    _conditions,
)
