from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kresilient import KubeObject
from kresilient.cli.columns import age, status, text_table


def an_object(kind: str, **body: Any) -> KubeObject:
    metadata = {"name": "a", **body.pop("metadata", {})}
    return KubeObject.from_dict({"kind": kind, "apiVersion": "v1", "metadata": metadata, **body})


def a_pod(*containers: dict[str, Any], **state: Any) -> KubeObject:
    return an_object("Pod", status={"phase": "Running", "containerStatuses": list(containers), **state})


READY = {"ready": True, "restartCount": 0, "state": {"running": {}}}
CRASHING = {"ready": False, "restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (a_pod(READY, READY), "Running 2/2"),
        (a_pod(READY, CRASHING), "CrashLoopBackOff 1/2, 7 restarts"),
        (an_object("Pod", status={"phase": "Pending"}), "Pending"),
        (an_object("Pod", status={"phase": "Failed", "reason": "Evicted"}), "Evicted"),
        (an_object("Pod", metadata=GOING, status={"phase": "Running"}), "Terminating"),
        (an_object("Pod"), ""),
        (an_object("Pod", status="broken"), "?"),
        (an_object("Node", status={"conditions": [{"type": "Ready", "status": "True"}]}), "Ready"),
        (
            an_object(
                "Node",
                spec={"unschedulable": True},
                status={"conditions": [{"type": "Ready", "status": "False"}]},
            ),
            "NotReady, SchedulingDisabled",
        ),
        (an_object("Node"), "Unknown"),
        (an_object("Deployment", spec={"replicas": 3}, status={"readyReplicas": 2}), "2/3 ready"),
        (
            an_object("DaemonSet", status={"numberReady": 1, "desiredNumberScheduled": 4}),
            "1/4 ready",
        ),
        (an_object("Service", spec={"type": "ClusterIP", "clusterIP": "10.0.0.1"}), "ClusterIP 10.0.0.1"),
        (an_object("Job", status={"conditions": [{"type": "Complete", "status": "True"}]}), "Complete"),
        (an_object("Namespace", status={"phase": "Active"}), "Active"),
        (an_object("Widget", metadata=GOING, status={"phase": "Spinning"}), "Spinning (deleting)"),
        (an_object("ConfigMap", data={}), ""),
    ],
)
def test_a_status_is_a_word_or_two(obj: KubeObject, expected: str) -> None:
    assert status(obj) == expected


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2026-01-01T00:00:00Z", "0s"),
        ("2025-12-31T23:59:18Z", "42s"),
        ("2025-12-31T23:55:00Z", "5m"),
        ("2025-12-31T23:54:30Z", "5m30s"),
        ("2025-12-31T20:30:00Z", "3h30m"),
        ("2025-12-22T00:00:00Z", "10d"),
        ("2026-01-01T00:00:09Z", "0s"),
        ("yesterday", ""),
        (7, ""),
        (None, ""),
    ],
)
def test_an_age_has_its_two_largest_units(created: Any, expected: str) -> None:
    obj = an_object("Pod", metadata={"creationTimestamp": created})
    assert age(obj, datetime(2026, 1, 1, tzinfo=UTC)) == expected


def test_a_table_leaves_out_what_nobody_has() -> None:
    assert text_table([("", "node-0", "Ready"), ("", "n", "NotReady")], ("NAMESPACE", "NAME", "STATUS")) == (
        "NAME     STATUS\nnode-0   Ready\nn        NotReady\n"
    )
