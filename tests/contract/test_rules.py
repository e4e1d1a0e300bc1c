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


async def test_the_data_of_a_configmap_has_a_limit(api: Api) -> None:
    """Recorded: 02 data over 1 MiB in a configmap"""
    name = api.name()
    body = {"metadata": {"name": name}, "data": {"k": "x" * 1_100_000}}
    (await api.post(api.path(CONFIGMAPS), body)).refused(
        422, "Invalid", f'ConfigMap "{name}" is invalid: []: Too long: may not be more than 1048576 bytes'
    )


async def test_a_pod_needs_a_container(api: Api) -> None:
    """Recorded: 04 pod without containers"""
    name = api.name()
    status = (await api.post(api.path("v1/pods"), {"metadata": {"name": name}, "spec": {}})).refused(
        422, "Invalid", f'Pod "{name}" is invalid: spec.containers: Required value'
    )
    assert status["details"]["causes"] == [
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers"}
    ]


async def test_the_fields_of_a_pod_stay(api: Api) -> None:
    """Recorded: 04 change an immutable pod field"""
    name = (await api.pod())["metadata"]["name"]
    status = (await api.patch(api.path("v1/pods", name), {"spec": {"restartPolicy": "Never"}})).refused(
        422, "Invalid"
    )
    assert "Forbidden: pod updates may not change fields other than" in status["message"]
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec"]


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


@pytest.mark.parametrize(
    ("resource", "obj", "fields"),
    REFUSED,
    ids=[
        "a key with a slash",
        "a key in both maps",
        "a selector that does not select its pods",
        "fewer replicas than none",
        "a container name that is no label",
        "a container without an image",
        "two containers of one name",
        "an unknown restart policy",
        "port 0",
        "a lease of no time",
        "a job that restarts for ever",
    ],
)
async def test_an_object_against_the_rules_of_its_kind_is_refused(
    api: Api, resource: str, obj: dict[str, Any], fields: list[str]
) -> None:
    """Source: pkg/apis/core/validation/validation.go"""
    body = {"metadata": {"name": api.name()}, **obj}
    status = (await api.post(api.path(resource), body)).refused(422, "Invalid")
    found = [cause["field"] for cause in status["details"]["causes"]]
    assert set(fields) <= set(found)


async def test_the_selector_of_a_deployment_stays(api: Api) -> None:
    """Kubernetes documentation: Deployments, label selector updates"""
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "c"}}, "template": template()}
    name = (await api.create("apps/v1/deployments", {"spec": spec}))["metadata"]["name"]
    patch = {
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}},
        }
    }
    status = (await api.patch(api.path("apps/v1/deployments", name), patch)).refused(422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.selector"]
    assert status["message"].endswith("field is immutable")


async def test_an_event_of_the_new_group_is_refused_by_its_generated_name(api: Api) -> None:
    """Recorded: 09 create an event, events.k8s.io"""
    body = {
        "metadata": {"generateName": "e."},
        "regarding": {"kind": "ConfigMap", "namespace": api.namespace, "name": "x"},
        "reason": "Tested",
        "type": "Normal",
        "action": "Test",
        "reportingController": "example.com/c",
        "reportingInstance": "c-1",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }
    status = (await api.post(api.path("events.k8s.io/v1/events"), body)).refused(422, "Invalid")
    assert "metadata.generateName" in {cause["field"] for cause in status["details"]["causes"]}


async def test_an_event_of_one_group_is_read_in_the_other(api: Api) -> None:
    """KEP-383: new Event API"""
    body = {
        "regarding": {"kind": "ConfigMap", "namespace": api.namespace, "name": "x"},
        "note": "m",
        "reason": "Tested",
        "type": "Normal",
        "action": "Test",
        "reportingController": "example.com/c",
        "reportingInstance": "c-1",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }
    made = await api.create("events.k8s.io/v1/events", body)
    old = (await api.get(api.path("v1/events", made["metadata"]["name"]))).ok(200)
    assert (old["apiVersion"], old["message"]) == ("v1", "m")
    assert old["involvedObject"] == body["regarding"]
