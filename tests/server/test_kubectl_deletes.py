"""The real kubectl meets what holds an object: a finalizer, a rule, a disruption budget."""

from __future__ import annotations

import json
from typing import Any

from kresilient.testing.server import FakeApiServer

from .kubectl import Kubectl

POD = {
    "metadata": {"name": "web-0", "labels": {"app": "web"}},
    "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


async def test_a_namespace_that_must_stay_is_refused(kubectl: Kubectl) -> None:
    assert "this namespace may not be deleted" in await kubectl.fails("delete", "namespace", "default")


async def test_a_pod_that_a_finalizer_holds_is_seen_without_grace(
    kubectl: Kubectl, server: FakeApiServer
) -> None:
    server.create("v1/pods", {**POD, "metadata": {"name": "web-0", "finalizers": ["example.com/hold"]}})
    await kubectl("delete", "pod", "web-0", "--wait=false")
    held = json.loads(await kubectl("get", "pod", "web-0", "-o", "json"))
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0, "the kubelet is done with it"
    patch = '{"metadata":{"finalizers":null}}'
    await kubectl("patch", "pod", "web-0", "--type=merge", "-p", patch)
    assert server.get("v1/pods", "default/web-0") is None


async def test_a_drain_waits_for_a_disruption_budget(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("v1/nodes", {"metadata": {"name": "n1"}})
    server.create("v1/pods", POD)
    budget: dict[str, Any] = {
        "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        "status": {
            "observedGeneration": 1,
            "disruptionsAllowed": 0,
            "currentHealthy": 1,
            "desiredHealthy": 1,
        },
    }
    server.create("policy/v1/poddisruptionbudgets", budget)
    said = await kubectl.fails("drain", "n1", "--force", "--timeout=1s")
    assert "Cannot evict pod as it would violate the pod's disruption budget." in said
    server.patch("policy/v1/poddisruptionbudgets", "default/web", {"status": {"disruptionsAllowed": 1}})
    assert "node/n1 drained" in await kubectl("drain", "n1", "--force")
    assert server.get("v1/pods", "default/web-0") is None
