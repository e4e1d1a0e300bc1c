"""Deployments, replica sets, stateful sets, daemon sets, jobs and their like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kresilient.testing.server.causes import forbidden, invalid_value, required, unsupported
from kresilient.testing.server.statuses import Cause
from kresilient.testing.server.types.equality import same
from kresilient.testing.server.types.schema import Type, builtin_types

from .metadata import label_faults
from .pods import pod_template

__all__ = [
    "NO_PERCENTAGE",
    "changed_controller",
    "changed_job",
    "changed_stateful_set",
    "cron_job",
    "daemon_set",
    "deployment",
    "job",
    "replica_set",
    "replication_controller",
    "selector_faults",
    "stateful_set",
]

Object = Mapping[str, Any]

NO_PERCENTAGE: Final = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex "
    "used for validation is '[0-9]+%')"
)
_NOT_NEGATIVE: Final = "must be greater than or equal to 0"
_SELECTOR_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


def daemon_set(obj: Object) -> Iterator[Cause]:
    """The rules of a daemon set."""
    yield from _controller(obj, "daemonset", "DaemonSet")


def replica_set(obj: Object) -> Iterator[Cause]:
    """The rules of a replica set, which the server words as those of a deployment."""
    yield from _controller(obj, "deployment", "ReplicaSet")


def _controller(obj: Object, selecting: str, templated: str) -> Iterator[Cause]:
    """What replica sets, daemon sets, stateful sets and deployments have in common.

    *selecting* and *templated* are what the messages about the selector and the template name.
    """
    spec = obj.get("spec") or {}
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        if (spec.get(field) or 0) < 0:
            yield invalid_value(f"spec.{field}", spec[field], _NOT_NEGATIVE)
    selector = spec.get("selector")
    template = spec.get("template") or {}
    if selector is None:
        yield required("spec.selector")
    else:
        yield from selector_faults(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            yield invalid_value("spec.selector", dict(selector), f"empty selector is invalid for {selecting}")
        elif not selects(selector, (template.get("metadata") or {}).get("labels") or {}):
            held = (template.get("metadata") or {}).get("labels") or {}
            said = "`selector` does not match template `labels`"
            yield invalid_value("spec.template.metadata.labels", held, said)
    yield from pod_template(template, "spec.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in (None, "", "Always"):
        yield unsupported("spec.template.spec.restartPolicy", policy, ["Always"])
    if (template.get("spec") or {}).get("activeDeadlineSeconds") is not None:
        yield forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            f"activeDeadlineSeconds in {templated} is not Supported",
        )


def selects(selector: Object, held: Mapping[str, str]) -> bool:
    """Whether a label selector selects an object with the labels *held*."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if held.get(key) != value:
            return False
    for one in selector.get("matchExpressions") or ():
        key, values = one.get("key"), one.get("values") or ()
        match one.get("operator"):
            case "In" if held.get(key) not in values:
                return False
            case "NotIn" if key in held and held[key] in values:
                return False
            case "Exists" if key not in held:
                return False
            case "DoesNotExist" if key in held:
                return False
    return True


def selector_faults(selector: Object, at: str) -> Iterator[Cause]:
    """What is wrong with a label selector."""
    yield from label_faults(selector.get("matchLabels") or {}, f"{at}.matchLabels")
    for place, one in enumerate(selector.get("matchExpressions") or ()):
        here, operator = f"{at}.matchExpressions[{place}]", one.get("operator") or ""
        if operator in ("In", "NotIn") and not one.get("values"):
            said = "must be specified when `operator` is 'In' or 'NotIn'"
            yield required(f"{here}.values", said)
        elif operator in ("Exists", "DoesNotExist") and one.get("values"):
            said = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{here}.values", said)
        elif operator not in _SELECTOR_OPERATORS:
            yield invalid_value(f"{here}.operator", operator, "not a valid selector operator")
        yield from label_faults({one.get("key") or "": ""}, f"{here}.key")


def deployment(obj: Object) -> Iterator[Cause]:
    """The rules of a deployment."""
    yield from replica_set(obj)
    spec = obj.get("spec") or {}
    strategy = spec.get("strategy") or {}
    at, rolling = "spec.strategy", strategy.get("rollingUpdate")
    match strategy.get("type"):
        case "Recreate":
            if rolling is not None:
                said = "may not be specified when strategy `type` is 'Recreate'"
                yield forbidden(f"{at}.rollingUpdate", said)
        case "RollingUpdate":
            yield from _rolling(rolling or {}, f"{at}.rollingUpdate")
        case other:
            yield unsupported(at, dict(strategy) if other is None else other, ["Recreate", "RollingUpdate"])
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        yield invalid_value("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _rolling(rolling: Object, at: str) -> Iterator[Cause]:
    values = {}
    for name in ("maxUnavailable", "maxSurge"):
        value = rolling.get(name, 0)
        if isinstance(value, str):
            digits = value.removesuffix("%")
            if not value.endswith("%") or not digits.isdecimal():
                yield invalid_value(f"{at}.{name}", value, NO_PERCENTAGE)
                return
            values[name] = int(digits)
            if name == "maxUnavailable" and values[name] > 100:
                yield invalid_value(f"{at}.{name}", value, "must not be greater than 100%")
        else:
            values[name] = value
            if value < 0:
                yield invalid_value(f"{at}.{name}", value, _NOT_NEGATIVE)
    if not any(values.values()):
        said = "may not be 0 when `maxSurge` is 0"
        yield invalid_value(f"{at}.maxUnavailable", rolling.get("maxUnavailable", 0), said)


def stateful_set(obj: Object) -> Iterator[Cause]:
    """The rules of a stateful set."""
    yield from _controller(obj, "statefulset", "StatefulSet")
    spec = obj.get("spec") or {}
    policy = spec.get("podManagementPolicy")
    if policy not in ("OrderedReady", "Parallel"):
        said = "must be 'OrderedReady' or 'Parallel'"
        yield invalid_value("spec.podManagementPolicy", policy or "", said)
    kind = (spec.get("updateStrategy") or {}).get("type")
    if kind not in ("OnDelete", "RollingUpdate"):
        said = "must be 'RollingUpdate' or 'OnDelete'"
        yield invalid_value("spec.updateStrategy", dict(spec.get("updateStrategy") or {}), said)


def replication_controller(obj: Object) -> Iterator[Cause]:
    """The rules of a replication controller."""
    spec = obj.get("spec") or {}
    if (spec.get("replicas") or 0) < 0:
        yield invalid_value("spec.replicas", spec["replicas"], _NOT_NEGATIVE)
    if not spec.get("selector"):
        yield required("spec.selector")
    if spec.get("template") is None:
        yield required("spec.template")
    else:
        yield from pod_template(spec["template"], "spec.template")


def job(obj: Object) -> Iterator[Cause]:
    """The rules of a job."""
    yield from job_spec(obj.get("spec") or {}, "spec")


def job_spec(spec: Object, at: str) -> Iterator[Cause]:
    for field in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ):
        if (spec.get(field) or 0) < 0:
            yield invalid_value(f"{at}.{field}", spec[field], _NOT_NEGATIVE)
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        yield required(f"{at}.completions", "when completion mode is Indexed")
    template = spec.get("template") or {}
    yield from pod_template(template, f"{at}.template")
    policy, place = (template.get("spec") or {}).get("restartPolicy"), f"{at}.template.spec.restartPolicy"
    if policy in (None, "", "Always"):  # the default, which is nobody's wish
        yield required(place, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield unsupported(place, policy, ["OnFailure", "Never"])


def cron_job(obj: Object) -> Iterator[Cause]:
    """The rules of a cron job."""
    spec = obj.get("spec") or {}
    schedule = spec.get("schedule") or ""
    if not schedule:
        yield required("spec.schedule")
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        count = len(schedule.split())
        said = f"expected exactly 5 fields, found {count}: [{' '.join(schedule.split())}]"
        yield invalid_value("spec.schedule", schedule, said)
    if spec.get("concurrencyPolicy") not in ("Allow", "Forbid", "Replace"):
        value = spec.get("concurrencyPolicy") or ""
        yield unsupported("spec.concurrencyPolicy", value, ["Allow", "Forbid", "Replace"])
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit", "startingDeadlineSeconds"):
        if (spec.get(field) or 0) < 0:
            yield invalid_value(f"spec.{field}", spec[field], _NOT_NEGATIVE)
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    if inner.get("manualSelector"):
        yield unsupported("spec.jobTemplate.spec.manualSelector", True, ["nil", "false"])
    yield from job_spec(inner, "spec.jobTemplate.spec")


# --- change ------------------------------------------------------------------------------------------


def changed_controller(old: Object, new: Object) -> Iterator[Cause]:
    """The selector of a workload is set once."""
    selector = builtin_types()["io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"]
    yield from _immutable(old, new, "selector", selector)


def changed_stateful_set(old: Object, new: Object) -> Iterator[Cause]:
    """Most of a stateful set's spec is set once."""
    mutable = {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
    before, after = old.get("spec") or {}, new.get("spec") or {}
    fixed = [{name: one for name, one in spec.items() if name not in mutable} for spec in (before, after)]
    if not same(builtin_types()["io.k8s.api.apps.v1.StatefulSetSpec"], *fixed):
        yield forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
            "'minReadySeconds' are forbidden",
        )


def changed_job(old: Object, new: Object) -> Iterator[Cause]:
    """What a job computes with is set once."""
    for field in ("completions", "selector", "template", "completionMode", "podFailurePolicy"):
        kind = builtin_types()["io.k8s.api.batch.v1.JobSpec"].fields[field].type
        yield from _immutable(old, new, field, kind)


def _immutable(old: Object, new: Object, field: str, kind: Type) -> Iterator[Cause]:
    before, after = (old.get("spec") or {}).get(field), (new.get("spec") or {}).get(field)
    if not same(kind, before, after):
        yield invalid_value(f"spec.{field}", after, "field is immutable")
