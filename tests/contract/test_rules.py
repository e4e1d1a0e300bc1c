"""What objects of built-in kinds may say, and what stays as it was said."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


def template(**spec: Any) -> dict[str, Any]:
    whole = {"containers": [{"name": "c", "image": "i:1"}], **spec}
    return {"metadata": {"labels": {"app": "c"}}, "spec": whole}


async def test_the_image_of_a_pod_may_change(api: Api) -> None:
    """Recorded: 04 change an immutable pod field"""
    name = (await api.pod())["metadata"]["name"]
    patch = {"spec": {"containers": [{"name": "c", "image": "example.com/other"}]}}
    changed = (await api.patch(api.path("v1/pods", name), patch, "strategic")).ok()
    assert changed["spec"]["containers"][0]["image"] == "example.com/other"


REFUSED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("v1/configmaps", {"data": {"a/b": "c"}}, ["data[a/b]"]),
    ("v1/configmaps", {"data": {"a": "b"}, "binaryData": {"a": "AA=="}}, ["data[a]"]),
    (
        "apps/v1/deployments",
        {"spec": {"selector": {"matchLabels": {"app": "other"}}, "template": template()}},
        ["spec.template.metadata.labels"],
    ),
    (
        "apps/v1/deployments",
        {
            "spec": {
                "replicas": -1,
                "selector": {"matchLabels": {"app": "c"}},
                "template": template(),
            }
        },
        ["spec.replicas"],
    ),
    (
        "v1/pods",
        {"spec": {"containers": [{"name": "C", "image": "i"}]}},
        ["spec.containers[0].name"],
    ),
    (
        "v1/pods",
        {"spec": {"containers": [{"name": "c"}]}},
        ["spec.containers[0].image"],
    ),
    (
        "v1/pods",
        {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]}},
        ["spec.containers[1].name"],
    ),
    (
        "v1/pods",
        {"spec": {"restartPolicy": "Sometimes", "containers": [{"name": "c", "image": "i"}]}},
        ["spec.restartPolicy"],
    ),
    (
        "v1/services",
        {"spec": {"clusterIP": "None", "ports": [{"port": 0}]}},
        ["spec.ports[0].port"],
    ),
    (
        "coordination.k8s.io/v1/leases",
        {"spec": {"leaseDurationSeconds": 0}},
        ["spec.leaseDurationSeconds"],
    ),
    (
        "batch/v1/jobs",
        {"spec": {"suspend": True, "template": template(restartPolicy="Always")}},
        ["spec.template.spec.restartPolicy"],
    ),
]
