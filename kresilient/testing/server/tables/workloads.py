"""The kinds of `apps`, `batch`, `autoscaling` and `policy` in a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

from .core import CONTAINERS, IMAGES, REPLICAS, SELECTOR
from .printer import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    Object,
    Printer,
    age,
    at,
    column,
    containers,
    format_labels,
    format_selector,
    name_of,
    seconds,
    selector_text,
    since,
    some,
)

__all__ = ["PRINTERS"]


# --- apps --------------------------------------------------------------------------------------------


def _deployment(obj: Object, now: float) -> list[Any]:
    selector = at(obj, "spec.selector")
    text = "" if selector is None else selector_text(selector)
    return [
        name_of(obj),
        _ready(obj),
        at(obj, "status.updatedReplicas", 0),
        at(obj, "status.availableReplicas", 0),
        age(obj, now),
        *containers(at(obj, "spec.template")),
        "<invalid>" if text is None else text,
    ]


def _ready(obj: Object) -> str:
    return f"{at(obj, 'status.readyReplicas', 0)}/{at(obj, 'spec.replicas', 0)}"


def _replica_set(obj: Object, now: float) -> list[Any]:
    return [
        name_of(obj),
        at(obj, "spec.replicas", 0),
        at(obj, "status.replicas", 0),
        at(obj, "status.readyReplicas", 0),
        age(obj, now),
        *containers(at(obj, "spec.template")),
        format_selector(at(obj, "spec.selector")),
    ]


def _stateful_set(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), _ready(obj), age(obj, now), *containers(at(obj, "spec.template"))]


def _daemon_set(obj: Object, now: float) -> list[Any]:
    status = at(obj, "status", {})
    return [
        name_of(obj),
        at(status, "desiredNumberScheduled", 0),
        at(status, "currentNumberScheduled", 0),
        at(status, "numberReady", 0),
        at(status, "updatedNumberScheduled", 0),
        at(status, "numberAvailable", 0),
        format_labels(at(obj, "spec.template.spec.nodeSelector")),
        age(obj, now),
        *containers(at(obj, "spec.template")),
        format_selector(at(obj, "spec.selector")),
    ]


def _revision(obj: Object, now: float) -> list[Any]:
    owners = [one for one in at(obj, "metadata.ownerReferences", ()) if one.get("controller")]
    shown = NONE
    if owners:
        group = str(at(owners[0], "apiVersion", "")).rpartition("/")[0]
        kind = f"{owners[0].get('kind')}.{group}" if group else str(owners[0].get("kind"))
        shown = f"{kind.lower()}/{owners[0].get('name')}"
    return [name_of(obj), shown, at(obj, "revision", 0), age(obj, now)]


# --- batch -------------------------------------------------------------------------------------------

_JOB_STATES: Final = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)
"""A job's conditions in the order in which one decides; the empty one is its deletion."""


def _job(obj: Object, now: float) -> list[Any]:
    succeeded, parallelism = at(obj, "status.succeeded", 0), at(obj, "spec.parallelism", 0)
    wanted: Any = at(obj, "spec.completions")
    if wanted is None:
        wanted = f"1 of {parallelism}" if parallelism > 1 else 1
    started, completed = at(obj, "status.startTime"), at(obj, "status.completionTime")
    took = "" if started is None else since(started, now if completed is None else seconds(completed))
    return [
        name_of(obj),
        _job_state(obj),
        f"{succeeded}/{wanted}",
        took,
        age(obj, now),
        *containers(at(obj, "spec.template")),
        format_selector(at(obj, "spec.selector")),
    ]


def _job_state(obj: Object) -> str:
    said = {one.get("type"): one.get("status") == "True" for one in at(obj, "status.conditions", ())}
    said[""] = at(obj, "metadata.deletionTimestamp") is not None
    return next((shown for kind, shown in _JOB_STATES if said.get(kind)), "Running")


def _cron_job(obj: Object, now: float) -> list[Any]:
    template, suspend = at(obj, "spec.jobTemplate.spec.template"), at(obj, "spec.suspend")
    last = at(obj, "status.lastScheduleTime")
    return [
        name_of(obj),
        at(obj, "spec.schedule", ""),
        at(obj, "spec.timeZone", NONE),
        "<unset>" if suspend is None else str(suspend),
        len(at(obj, "status.active", ())),
        NONE if last is None else since(last, now),
        age(obj, now),
        *containers(template),
        format_selector(at(obj, "spec.jobTemplate.spec.selector")),
    ]


# --- autoscaling and policy --------------------------------------------------------------------------

_WHERE: Final = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def _autoscaler(obj: Object, now: float) -> list[Any]:
    target = at(obj, "spec.scaleTargetRef", {})
    return [
        name_of(obj),
        f"{at(target, 'kind', '')}/{at(target, 'name', '')}",
        some(_metrics(obj), most=2, between=", ", empty=NONE),
        str(at(obj, "spec.minReplicas", "<unset>")),
        at(obj, "spec.maxReplicas", 0),
        at(obj, "status.currentReplicas", 0),
        age(obj, now),
    ]


def _metrics(obj: Object) -> list[str]:
    percent = at(obj, "spec.targetCPUUtilizationPercentage")
    if percent is not None:  # of `autoscaling/v1`, which knows this metric alone
        current = at(obj, "status.currentCPUUtilizationPercentage")
        return [f"cpu: {UNKNOWN if current is None else f'{current}%'}/{percent}%"]
    measured: Sequence[Object] = at(obj, "status.currentMetrics", ())
    wanted: Sequence[Object] = at(obj, "spec.metrics", ())
    nothing: Object = {}
    pairs = zip_longest(wanted, measured[: len(wanted)], fillvalue=nothing)
    return [_metric(one, each) for one, each in pairs]


def _metric(wanted: Object, measured: Object) -> str:
    place = _WHERE.get(str(wanted.get("type")), "")
    if not place:
        return "<unknown type>"
    target, current = at(wanted, f"{place}.target", {}), at(measured, f"{place}.current", {})
    average = at(target, "averageValue")
    if place in ("external", "object"):
        if average is not None:
            return f"{at(current, 'averageValue', UNKNOWN)}/{average} (avg)"
        return f"{at(current, 'value', UNKNOWN)}/{at(target, 'value', '')}"
    if place == "pods":
        return f"{at(current, 'averageValue', UNKNOWN)}/{average}"
    name = at(wanted, f"{place}.name", "")
    if average is not None:
        return f"{name}: {at(current, 'averageValue', UNKNOWN)}/{average}"
    return f"{name}: {_percent(current, UNKNOWN)}/{_percent(target, '<auto>')}"


def _percent(value: Object, unknown: str) -> str:
    found = at(value, "averageUtilization")
    return unknown if found is None else f"{found}%"


def _budget(obj: Object, now: float) -> list[Any]:
    return [
        name_of(obj),
        str(at(obj, "spec.minAvailable", "N/A")),
        str(at(obj, "spec.maxUnavailable", "N/A")),
        at(obj, "status.disruptionsAllowed", 0),
        age(obj, now),
    ]


PRINTERS: Final = {
    ("apps", "deployments"): Printer(
        (
            NAME,
            column("Ready", "How many replicas are ready, of how many wanted."),
            column("Up-to-date", "How many replicas are made from the newest template."),
            column("Available", "How many replicas have been ready for long enough."),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        _deployment,
    ),
    ("apps", "replicasets"): Printer((NAME, *REPLICAS, AGE, CONTAINERS, IMAGES, SELECTOR), _replica_set),
    ("apps", "statefulsets"): Printer(
        (NAME, column("Ready", "How many replicas are ready, of how many wanted."), AGE, CONTAINERS, IMAGES),
        _stateful_set,
    ),
    ("apps", "daemonsets"): Printer(
        (
            NAME,
            column("Desired", "How many nodes should run a pod of it.", "integer"),
            column("Current", "How many of them do.", "integer"),
            column("Ready", "On how many of them it is ready.", "integer"),
            column("Up-to-date", "On how many of them it is made from the newest template.", "integer"),
            column("Available", "On how many of them it has been ready for long enough.", "integer"),
            column("Node Selector", "The labels of the nodes that it is for."),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        _daemon_set,
    ),
    ("apps", "controllerrevisions"): Printer(
        (
            NAME,
            column("Controller", "What it is a revision of."),
            column("Revision", "The number of the revision."),
            AGE,
        ),
        _revision,
    ),
    ("batch", "jobs"): Printer(
        (
            NAME,
            column("Status", "What the job is doing, in one word."),
            column("Completions", "How many pods have succeeded, of how many wanted."),
            column("Duration", "How long the job took, or has been running."),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        _job,
    ),
    ("batch", "cronjobs"): Printer(
        (
            NAME,
            column("Schedule", "When jobs are made, in the syntax of cron."),
            column("Timezone", "The time zone of the schedule."),
            column("Suspend", "Whether no more jobs are made.", "boolean"),
            column("Active", "How many of its jobs are running.", "integer"),
            column("Last Schedule", "The time since a job was last made."),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ),
        _cron_job,
    ),
    ("autoscaling", "horizontalpodautoscalers"): Printer(
        (
            NAME,
            column("Reference", "What is scaled."),
            column("Targets", "The metrics as measured, and as wanted."),
            column("MinPods", "The fewest replicas."),
            column("MaxPods", "The most replicas."),
            column("Replicas", "How many replicas there are."),
            AGE,
        ),
        _autoscaler,
    ),
    ("policy", "poddisruptionbudgets"): Printer(
        (
            NAME,
            column("Min Available", "How many pods have to stay available."),
            column("Max Unavailable", "How many pods may be unavailable."),
            column("Allowed Disruptions", "How many pods may be evicted now.", "integer"),
            AGE,
        ),
        _budget,
    ),
}
"""Printers by group and plural."""
