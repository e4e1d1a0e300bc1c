"""Status, scale, binding and eviction: what has a path of its own beneath its object."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEPLOYMENTS = "apps/v1/deployments"


async def deployment(api: Api, **spec: Any) -> dict[str, Any]:
    """A new deployment that starts no pods."""
    template = {
        "metadata": {"labels": {"app": "c"}},
        "spec": {"containers": [{"name": "c", "image": "example.com/none"}]},
    }
    whole = {"replicas": 0, "selector": {"matchLabels": {"app": "c"}}, "template": template, **spec}
    return await api.create(DEPLOYMENTS, {"spec": whole})


# --- generation and status ---------------------------------------------------------------------------------


async def test_a_first_desired_state_has_generation_1(api: Api) -> None:
    """API conventions: Metadata, generation"""
    assert (await deployment(api))["metadata"]["generation"] == 1


async def test_a_generation_given_on_create_is_ignored(api: Api) -> None:
    """Source: pkg/registry/apps/deployment/strategy.go"""
    template = {
        "metadata": {"labels": {"app": "c"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "c"}}, "template": template}
    made = await api.create(DEPLOYMENTS, {"metadata": {"generation": 7}, "spec": spec})
    assert made["metadata"]["generation"] == 1


async def test_a_change_of_the_desired_state_raises_the_generation(api: Api) -> None:
    """API conventions: Metadata, generation"""
    name = (await deployment(api))["metadata"]["name"]
    changed = (await api.patch(api.path(DEPLOYMENTS, name), {"spec": {"minReadySeconds": 5}})).ok()
    assert changed["metadata"]["generation"] == 2


async def test_an_amount_in_other_words_leaves_the_generation(api: Api) -> None:
    """Source: staging/src/k8s.io/apimachinery/pkg/api/equality/semantic.go"""
    name = (await deployment(api))["metadata"]["name"]
    for memory, generation in (("1Gi", 2), ("1073741824", 2), ("1G", 3)):
        container = {"name": "c", "resources": {"limits": {"memory": memory}}}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        changed = (await api.patch(api.path(DEPLOYMENTS, name), patch, "strategic")).ok()
        limits = changed["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert (limits, changed["metadata"]["generation"]) == ({"memory": memory}, generation)


async def test_a_change_of_the_metadata_leaves_the_generation(api: Api) -> None:
    """API conventions: Metadata, generation"""
    name = (await deployment(api))["metadata"]["name"]
    patch = {"metadata": {"labels": {"a": "b"}}}
    assert (await api.patch(api.path(DEPLOYMENTS, name), patch)).ok()["metadata"]["generation"] == 1


async def test_a_status_has_no_negative_replicas(api: Api) -> None:
    """Source: pkg/apis/apps/validation/validation.go"""
    name = (await deployment(api))["metadata"]["name"]
    patch = {"status": {"replicas": -1}}
    refused = (await api.patch(api.path(DEPLOYMENTS, name, "status"), patch)).refused(422, "Invalid")
    said = {"reason": "FieldValueInvalid", "field": "status.replicas"}
    assert (
        said | {"message": "Invalid value: -1: must be greater than or equal to 0"}
        in (refused["details"]["causes"])
    )


async def test_a_status_given_on_create_is_dropped(api: Api) -> None:
    """API conventions: Spec and Status"""
    name = api.name()
    spec = {"containers": [{"name": "c", "image": "i"}], "schedulerName": "contract-nobody"}
    body = {"metadata": {"name": name}, "spec": spec, "status": {"phase": "Running", "reason": "Given"}}
    status = (await api.post(api.path("v1/pods"), body)).ok(201)["status"]
    assert (status["phase"], "reason" in status) == ("Pending", False)


async def test_a_status_in_an_update_is_dropped(api: Api) -> None:
    """API conventions: Spec and Status"""
    made = await api.pod()
    path = api.path("v1/pods", made["metadata"]["name"])
    body = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}, "status": {"phase": "Running"}}
    changed = (await api.put(path, body)).ok()
    assert (changed["metadata"]["labels"], changed["status"]["phase"]) == ({"a": "b"}, "Pending")


async def test_an_update_of_the_status_changes_nothing_but_it(api: Api) -> None:
    """Recorded: 03 status by merge patch: spec in it is ignored"""
    name = (await api.pod())["metadata"]["name"]
    patch = {"spec": {"activeDeadlineSeconds": 5}, "status": {"phase": "Running", "message": "m"}}
    changed = (await api.patch(api.path("v1/pods", name, "status"), patch)).ok()
    assert (changed["status"]["phase"], changed["status"]["message"]) == ("Running", "m")
    assert "activeDeadlineSeconds" not in changed["spec"]


async def test_a_change_of_the_status_leaves_the_generation(api: Api) -> None:
    """API conventions: Metadata, generation"""
    made = await api.pod()
    path = api.path("v1/pods", made["metadata"]["name"], "status")
    changed = (await api.patch(path, {"status": {"phase": "Running"}})).ok()
    assert changed["metadata"].get("generation") == made["metadata"].get("generation")
    assert changed["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]


async def test_a_status_may_be_read_at_its_own_path(api: Api) -> None:
    """API conventions: Spec and Status"""
    made = await api.pod()
    assert (await api.get(api.path("v1/pods", made["metadata"]["name"], "status"))).ok() == made


async def test_what_has_no_status_has_no_such_path(api: Api) -> None:
    """Recorded: 01 unknown resource"""
    name = (await api.configmap())["metadata"]["name"]
    answer = await api.get(api.path("v1/configmaps", name, "status"))
    answer.refused(404, "NotFound", "the server could not find the requested resource")


async def test_the_status_of_what_is_missing_is_not_found(api: Api) -> None:
    """Recorded: 03 patch of a missing object"""
    name = api.name()
    answer = await api.patch(api.path("v1/pods", name, "status"), {"status": {}})
    answer.refused(404, "NotFound", f'pods "{name}" not found')


# --- scale -------------------------------------------------------------------------------------------------


async def test_a_scale_is_a_view_of_its_object(api: Api) -> None:
    """Recorded: 03 scale get"""
    metadata = (await deployment(api))["metadata"]
    scale = (await api.get(api.path(DEPLOYMENTS, metadata["name"], "scale"))).ok()
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    for field in ("name", "namespace", "uid", "creationTimestamp"):
        assert scale["metadata"][field] == metadata[field]
    assert "managedFields" not in scale["metadata"]
    assert scale["status"] == {"replicas": 0, "selector": "app=c"}


async def test_a_scale_of_no_replicas_leaves_them_out(api: Api) -> None:
    """Source: api/autoscaling/v1/types.go"""
    name = (await deployment(api))["metadata"]["name"]
    assert (await api.get(api.path(DEPLOYMENTS, name, "scale"))).ok()["spec"] == {}


@pytest.mark.parametrize("verb", ["patch", "put"])
async def test_a_write_to_the_scale_scales_the_object(api: Api, verb: str) -> None:
    """Recorded: 03 scale patch"""
    name = (await deployment(api, paused=True))["metadata"]["name"]
    path = api.path(DEPLOYMENTS, name, "scale")
    if verb == "patch":
        answer = await api.patch(path, {"spec": {"replicas": 3}})
    else:
        scale = (await api.get(path)).ok()
        del scale["metadata"]["resourceVersion"]  # a controller may have written meanwhile
        answer = await api.put(path, {**scale, "spec": {"replicas": 3}})
    assert answer.ok(200)["spec"] == {"replicas": 3}
    scaled = (await api.get(api.path(DEPLOYMENTS, name))).ok()
    assert (scaled["spec"]["replicas"], scaled["metadata"]["generation"]) == (3, 2)


async def test_a_scale_below_none_is_refused(api: Api) -> None:
    """Source: pkg/apis/autoscaling/validation/validation.go"""
    name = (await deployment(api))["metadata"]["name"]
    status = (await api.patch(api.path(DEPLOYMENTS, name, "scale"), {"spec": {"replicas": -1}})).refused(
        422, "Invalid"
    )
    assert "spec.replicas" in {cause["field"] for cause in status["details"]["causes"]}


@pytest.mark.parametrize(
    "resource", ["apps/v1/replicasets", "apps/v1/statefulsets", "v1/replicationcontrollers"]
)
async def test_what_has_replicas_has_a_scale(api: Api, resource: str) -> None:
    """Recorded: 01 apps resources"""
    labels = {"app": api.name()}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    selector = labels if resource.startswith("v1") else {"matchLabels": labels}
    spec: dict[str, Any] = {"replicas": 0, "selector": selector, "template": template}
    if resource.endswith("statefulsets"):
        spec["serviceName"] = "c"
    name = (await api.create(resource, {"spec": spec}))["metadata"]["name"]
    scale = (await api.get(api.path(resource, name, "scale"))).ok()
    assert (scale["kind"], scale["status"]["selector"]) == ("Scale", f"app={labels['app']}")


# --- binding -----------------------------------------------------------------------------------------------


def binding(name: str, node: str) -> dict[str, Any]:
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}


async def test_a_binding_puts_a_pod_on_a_node(api: Api) -> None:
    """Recorded: 04 bind a pod"""
    name = (await api.pod())["metadata"]["name"]
    answer = await api.post(api.path("v1/pods", name, "binding"), binding(name, f"no-{name}"))
    assert answer.ok(201) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }
    pod = (await api.get(api.path("v1/pods", name))).ok()
    assert pod["spec"]["nodeName"] == f"no-{name}"
    scheduled = [one for one in pod["status"]["conditions"] if one["type"] == "PodScheduled"]
    assert [one["status"] for one in scheduled] == ["True"]


async def test_a_pod_on_a_node_is_not_bound_again(api: Api) -> None:
    """Recorded: 04 bind again"""
    name = (await api.pod())["metadata"]["name"]
    path = api.path("v1/pods", name, "binding")
    (await api.post(path, binding(name, f"no-{name}"))).ok(201)
    status = (await api.post(path, binding(name, "n2"))).refused(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on pods/binding "{name}": pod {name} is already assigned to node '
        f'"no-{name}"',
    )
    assert status["details"] == {"name": name, "kind": "pods/binding"}


async def test_a_pod_is_not_put_on_a_node_by_an_update(api: Api) -> None:
    """Source: pkg/apis/core/validation/validation.go"""
    name = (await api.pod())["metadata"]["name"]
    (await api.patch(api.path("v1/pods", name), {"spec": {"nodeName": "n1"}})).refused(422, "Invalid")


# --- eviction ----------------------------------------------------------------------------------------------


def eviction(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **more}


async def test_an_eviction_deletes_the_pod(api: Api) -> None:
    """Recorded: 04 evict"""
    name = (await api.pod())["metadata"]["name"]
    answer = (await api.post(api.path("v1/pods", name, "eviction"), eviction(name))).ok(201)
    assert (answer["kind"], answer["status"], answer["code"]) == ("Status", "Success", 201)
    (await api.get(api.path("v1/pods", name))).refused(404, "NotFound")


async def test_an_eviction_of_what_is_missing_is_not_found(api: Api) -> None:
    """API concepts: API-initiated eviction"""
    name = api.name()
    answer = await api.post(api.path("v1/pods", name, "eviction"), eviction(name))
    answer.refused(404, "NotFound", f'pods "{name}" not found')


async def test_a_disruption_budget_refuses_an_eviction(api: Api) -> None:
    """API concepts: API-initiated eviction"""
    labels = {"app": api.name()}
    spec = {"minAvailable": 1, "selector": {"matchLabels": labels}}
    await api.create("policy/v1/poddisruptionbudgets", {"spec": spec})
    name = (await api.pod(labels=labels))["metadata"]["name"]
    ready = {"type": "Ready", "status": "True"}
    running = {"status": {"phase": "Running", "conditions": [ready]}}
    (await api.patch(api.path("v1/pods", name, "status"), running)).ok()
    answer = await api.post(api.path("v1/pods", name, "eviction"), eviction(name))
    status = answer.refused(
        429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget."
    )
    assert [cause["reason"] for cause in status["details"]["causes"]] == ["DisruptionBudget"]
    assert (await api.get(api.path("v1/pods", name))).status == 200


async def test_a_dry_run_of_an_eviction_leaves_the_pod(api: Api) -> None:
    """KEP-576: dry run"""
    name = (await api.pod())["metadata"]["name"]
    body = eviction(name, deleteOptions={"dryRun": ["All"]})
    (await api.post(api.path("v1/pods", name, "eviction"), body)).ok(201)
    assert (await api.get(api.path("v1/pods", name))).status == 200
