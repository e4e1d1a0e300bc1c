"""The numbers that a controller writes into a status: none is negative, no part is more than its whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kresilient.testing.server.causes import invalid_value
from kresilient.testing.server.statuses import Cause

__all__ = ["changed_counts", "counts"]

Object = Mapping[str, Any]

_REPLICAS: Final = "replicas fullyLabeledReplicas readyReplicas availableReplicas observedGeneration"
_PARTS: Final = "fullyLabeledReplicas readyReplicas availableReplicas"
_COUNTED: Final = {
    ("", "replicationcontrollers"): (_REPLICAS, _PARTS),
    ("apps", "daemonsets"): (
        "currentNumberScheduled numberMisscheduled desiredNumberScheduled numberReady observedGeneration "
        "updatedNumberScheduled numberAvailable numberUnavailable collisionCount",
        "",
    ),
    ("apps", "deployments"): (
        "observedGeneration replicas updatedReplicas readyReplicas availableReplicas unavailableReplicas "
        "collisionCount",
        "updatedReplicas readyReplicas availableReplicas",
    ),
    ("apps", "replicasets"): (_REPLICAS, _PARTS),
    ("apps", "statefulsets"): (
        "replicas readyReplicas currentReplicas updatedReplicas availableReplicas observedGeneration "
        "collisionCount",
        "readyReplicas currentReplicas updatedReplicas availableReplicas",
    ),
    ("autoscaling", "horizontalpodautoscalers"): ("currentReplicas desiredReplicas", ""),
    ("batch", "jobs"): ("active succeeded failed ready terminating", ""),
    ("policy", "poddisruptionbudgets"): ("disruptionsAllowed currentHealthy desiredHealthy expectedPods", ""),
}
"""By group and plural: the numbers that there are, and those that are parts of `replicas`."""


def counts(kind: tuple[str, str], status: Object) -> Iterator[Cause]:
    """What is wrong with the numbers of a *status*; *kind* is the group and the plural of its resource."""
    counted, parts = _COUNTED.get(kind, ("", ""))

    def count(name: str) -> int:
        return int(status.get(name) or 0)

    for name in counted.split():
        if count(name) < 0:
            yield invalid_value(f"status.{name}", count(name), "must be greater than or equal to 0")
    for name in parts.split():
        if count(name) > count("replicas"):
            yield invalid_value(f"status.{name}", count(name), "cannot be greater than status.replicas")
    available = "availableReplicas"
    if available in parts and count(available) > count("readyReplicas"):
        limit = "status.readyReplicas" if kind[1] == "statefulsets" else "readyReplicas"
        yield invalid_value(f"status.{available}", count(available), f"cannot be greater than {limit}")


def changed_counts(kind: tuple[str, str], old: Object, new: Object) -> Iterator[Cause]:
    """What is wrong with the numbers of the status *new* in place of *old*."""
    yield from counts(kind, new)
    if "collisionCount" in _COUNTED.get(kind, ("",))[0]:
        before, after = old.get("collisionCount"), new.get("collisionCount")
        if before is not None and (after is None or after < before):
            yield invalid_value("status.collisionCount", after or 0, "cannot be decremented")
