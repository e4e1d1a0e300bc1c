"""Deployments, replica sets, stateful sets, daemon sets, jobs and their like."""

from __future__ import annotations

from typing import Any, Final

from .filling import each, fill, part
from .pods import pod_template
from .storage import claim

__all__ = [
    "cron_job",
    "daemon_set",
    "deployment",
    "job",
    "replica_set",
    "replication_controller",
    "stateful_set",
]

Object = dict[str, Any]

_QUARTER: Final = "25%"


def deployment(obj: Object) -> None:
    spec = part(obj, "spec")
    pod_template(spec)
    fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = part(spec, "strategy")
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(part(strategy, "rollingUpdate"), maxUnavailable=_QUARTER, maxSurge=_QUARTER)


def replica_set(obj: Object) -> None:
    spec = part(obj, "spec")
    fill(spec, replicas=1)
    pod_template(spec)


def replication_controller(obj: Object) -> None:
    spec = part(obj, "spec")
    fill(spec, replicas=1)
    if spec.get("template") is not None:
        pod_template(spec)
        labels = (spec["template"].get("metadata") or {}).get("labels")
        if labels:
            fill(spec, selector=dict(labels))
            metadata = part(obj, "metadata")
            if not metadata.get("labels"):
                metadata["labels"] = dict(labels)


def stateful_set(obj: Object) -> None:
    spec = part(obj, "spec")
    pod_template(spec)
    fill(spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    strategy = part(spec, "updateStrategy")
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(part(strategy, "rollingUpdate"), partition=0)
    fill(part(spec, "persistentVolumeClaimRetentionPolicy"), whenDeleted="Retain", whenScaled="Retain")
    for template in each(spec, "volumeClaimTemplates"):
        # A template has been through the server as a claim of its own kind, and shows it.
        fill(template, kind="PersistentVolumeClaim", apiVersion="v1")
        claim(template)


def daemon_set(obj: Object) -> None:
    spec = part(obj, "spec")
    pod_template(spec)
    fill(spec, revisionHistoryLimit=10)
    strategy = part(spec, "updateStrategy")
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(part(strategy, "rollingUpdate"), maxUnavailable=1, maxSurge=0)


def job(obj: Object) -> None:
    spec = part(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    fill(
        spec,
        parallelism=1,
        backoffLimit=6 if spec.get("backoffLimitPerIndex") is None else 2**31 - 1,
        completionMode="NonIndexed",
        suspend=False,
        manualSelector=False,
        podReplacementPolicy="TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed",
    )
    pod_template(spec)


def cron_job(obj: Object) -> None:
    spec = part(obj, "spec")
    fill(
        spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1
    )
    pod_template(part(part(spec, "jobTemplate"), "spec"))
