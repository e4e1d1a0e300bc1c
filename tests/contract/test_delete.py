"""What a delete answers, what holds an object, and who may delete what: preconditions, finalizers, grace."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
import pytest_asyncio

from .api import Api
from .client import Client

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOLD = "example.com/hold"
NIL = "00000000-0000-0000-0000-000000000000"


async def test_a_delete_answers_success_with_the_uid(api: Api) -> None:
    """Recorded: 04 delete"""
    made = await api.configmap()
    name = made["metadata"]["name"]
    assert (await api.delete(api.path("v1/configmaps", name))).ok(200) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": name, "kind": "configmaps", "uid": made["metadata"]["uid"]},
    }


async def test_what_was_deleted_is_gone(api: Api) -> None:
    """Recorded: 04 gone"""
    name = (await api.configmap())["metadata"]["name"]
    (await api.delete(api.path("v1/configmaps", name))).ok()
    (await api.get(api.path("v1/configmaps", name))).refused(404, "NotFound")


async def test_what_is_missing_cannot_be_deleted(api: Api) -> None:
    """Recorded: 04 delete again"""
    name = (await api.configmap())["metadata"]["name"]
    (await api.delete(api.path("v1/configmaps", name))).ok()
    answer = await api.delete(api.path("v1/configmaps", name))
    answer.refused(404, "NotFound", f'configmaps "{name}" not found')


async def test_a_dry_run_of_a_delete_deletes_nothing(api: Api) -> None:
    """Recorded: 04 dry run delete"""
    made = await api.configmap()
    path = api.path("v1/configmaps", made["metadata"]["name"])
    assert (await api.delete(path, dryRun="All")).ok(200)["status"] == "Success"
    assert (await api.get(path)).ok() == made


# --- preconditions -----------------------------------------------------------------------------------------


async def test_a_delete_of_another_uid_is_a_conflict(api: Api) -> None:
    """Recorded: 04 delete with wrong uid precondition"""
    made = await api.configmap()
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    path = api.path("v1/configmaps", name)
    status = (await api.delete(path, {"preconditions": {"uid": NIL}})).refused(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on ConfigMap "{name}": the UID in the precondition ({NIL}) does not '
        f"match the UID in record ({uid}). The object might have been deleted and then recreated",
    )
    assert status["details"] == {"name": name, "kind": "ConfigMap"}
    assert (await api.get(path)).status == 200


async def test_a_delete_of_another_version_is_a_conflict(api: Api) -> None:
    """Recorded: 04 delete with wrong resourceVersion precondition"""
    made = await api.configmap()
    name, version = made["metadata"]["name"], made["metadata"]["resourceVersion"]
    path = api.path("v1/configmaps", name)
    (await api.delete(path, {"preconditions": {"resourceVersion": "1"}})).refused(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on ConfigMap "{name}": the ResourceVersion in the precondition (1) '
        f"does not match the ResourceVersion in record ({version}). The object might have been modified",
    )


async def test_a_delete_whose_preconditions_hold_is_taken(api: Api) -> None:
    """API conventions: Concurrency control and consistency"""
    metadata = (await api.configmap())["metadata"]
    options = {"preconditions": {key: metadata[key] for key in ("uid", "resourceVersion")}}
    (await api.delete(api.path("v1/configmaps", metadata["name"]), options)).ok(200)


# --- finalizers --------------------------------------------------------------------------------------------


async def test_a_finalizer_holds_an_object_that_is_deleted(api: Api) -> None:
    """Recorded: 04 delete with a finalizer"""
    made = await api.configmap(finalizers=[HOLD])
    path = api.path("v1/configmaps", made["metadata"]["name"])
    marked = (await api.delete(path)).ok(200)
    assert marked["kind"] == "ConfigMap"
    assert marked["metadata"]["deletionTimestamp"] >= made["metadata"]["creationTimestamp"]
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    assert int(marked["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert (await api.get(path)).ok() == marked


async def test_a_second_delete_changes_nothing(api: Api) -> None:
    """Source: apiserver/pkg/registry/generic/registry/store.go"""
    name = (await api.configmap(finalizers=[HOLD]))["metadata"]["name"]
    path = api.path("v1/configmaps", name)
    marked = (await api.delete(path)).ok(200)
    assert (await api.delete(path)).ok(200) == marked


async def test_no_finalizer_is_added_to_what_is_being_deleted(api: Api) -> None:
    """Recorded: 04 add a finalizer while deleting"""
    name = (await api.configmap(finalizers=[HOLD]))["metadata"]["name"]
    path = api.path("v1/configmaps", name)
    (await api.delete(path)).ok(200)
    why = (
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
        '[]string{"example.com/new"}'
    )
    status = (await api.patch(path, {"metadata": {"finalizers": [HOLD, "example.com/new"]}})).refused(
        422, "Invalid", f'ConfigMap "{name}" is invalid: metadata.finalizers: {why}'
    )
    cause = {"reason": "FieldValueForbidden", "message": why, "field": "metadata.finalizers"}
    assert cause in status["details"]["causes"]


async def test_removing_the_last_finalizer_answers_an_object_that_is_gone(api: Api) -> None:
    """Recorded: 04 remove the finalizer"""
    name = (await api.configmap(finalizers=[HOLD]))["metadata"]["name"]
    path = api.path("v1/configmaps", name)
    marked = (await api.delete(path)).ok(200)
    last = (await api.patch(path, {"metadata": {"finalizers": None}})).ok(200)
    assert "finalizers" not in last["metadata"]
    assert last["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
    (await api.get(path)).refused(404, "NotFound")


async def test_one_of_two_finalizers_still_holds_it(api: Api) -> None:
    """Kubernetes documentation: Finalizers"""
    name = (await api.configmap(finalizers=[HOLD, "example.com/b"]))["metadata"]["name"]
    path = api.path("v1/configmaps", name)
    (await api.delete(path)).ok(200)
    (await api.patch(path, {"metadata": {"finalizers": ["example.com/b"]}})).ok(200)
    assert (await api.get(path)).ok()["metadata"]["finalizers"] == ["example.com/b"]


async def test_what_is_being_deleted_may_still_be_changed(api: Api) -> None:
    """Kubernetes documentation: Finalizers"""
    name = (await api.configmap(finalizers=[HOLD]))["metadata"]["name"]
    path = api.path("v1/configmaps", name)
    (await api.delete(path)).ok(200)
    assert (await api.patch(path, {"data": {"k": "v"}})).ok(200)["data"] == {"k": "v"}


@pytest.mark.parametrize(
    ("policy", "finalizer"), [("Orphan", "orphan"), ("Foreground", "foregroundDeletion")]
)
async def test_a_propagation_policy_is_kept_as_a_finalizer(api: Api, policy: str, finalizer: str) -> None:
    """Kubernetes documentation: Garbage Collection, cascading deletion"""
    name = (await api.configmap(finalizers=[HOLD]))["metadata"]["name"]
    marked = (await api.delete(api.path("v1/configmaps", name), propagationPolicy=policy)).ok(200)
    assert sorted(marked["metadata"]["finalizers"]) == sorted([HOLD, finalizer])


async def test_an_unknown_propagation_policy_is_refused(api: Api) -> None:
    """Source: apimachinery/pkg/apis/meta/v1/validation/validation.go"""
    name = (await api.configmap())["metadata"]["name"]
    answer = await api.delete(api.path("v1/configmaps", name), {"propagationPolicy": "Sideways"})
    status = answer.refused(422, "Invalid")
    assert status["message"] == (
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": '
        'supported values: "Foreground", "Background", "Orphan", "nil"'
    )


async def test_two_words_on_propagation_are_refused(api: Api) -> None:
    """Source: apimachinery/pkg/apis/meta/v1/validation/validation.go"""
    name = (await api.configmap())["metadata"]["name"]
    options = {"propagationPolicy": "Orphan", "orphanDependents": True}
    status = (await api.delete(api.path("v1/configmaps", name), options)).refused(422, "Invalid")
    assert status["message"].endswith("orphanDependents and deletionPropagation cannot be both set")


# --- collections -------------------------------------------------------------------------------------------


async def test_a_collection_is_deleted_by_label(api: Api) -> None:
    """API concepts: Collections"""
    label = api.name()
    some = [(await api.configmap(labels={"app": label}))["metadata"]["name"] for _ in range(3)]
    other = (await api.configmap())["metadata"]["name"]
    answer = (await api.delete(api.path("v1/configmaps"), labelSelector=f"app={label}")).ok(200)
    assert answer["kind"] == "ConfigMapList"
    assert sorted(one["metadata"]["name"] for one in answer["items"]) == sorted(some)
    left = (await api.get(api.path("v1/configmaps"))).ok()["items"]
    assert {one["metadata"]["name"] for one in left} & {*some, other} == {other}


async def test_a_collection_without_a_match_is_an_empty_list(api: Api) -> None:
    """Recorded: 04 delete collection by label"""
    answer = (await api.delete(api.path("v1/configmaps"), labelSelector=f"app={api.name()}")).ok(200)
    assert (answer["kind"], answer["apiVersion"], answer["items"]) == ("ConfigMapList", "v1", [])


async def test_a_collection_is_deleted_by_field(api: Api) -> None:
    """API concepts: Collections"""
    one, two = [(await api.configmap())["metadata"]["name"] for _ in range(2)]
    (await api.delete(api.path("v1/configmaps"), fieldSelector=f"metadata.name={one}")).ok(200)
    assert (await api.get(api.path("v1/configmaps", one))).status == 404
    assert (await api.get(api.path("v1/configmaps", two))).status == 200


async def test_a_collection_keeps_what_a_finalizer_holds(api: Api) -> None:
    """Kubernetes documentation: Finalizers"""
    label = api.name()
    name = (await api.configmap(labels={"app": label}, finalizers=[HOLD]))["metadata"]["name"]
    (await api.delete(api.path("v1/configmaps"), labelSelector=f"app={label}")).ok(200)
    assert "deletionTimestamp" in (await api.get(api.path("v1/configmaps", name))).ok()["metadata"]


async def test_a_dry_run_of_a_collection_deletes_nothing(api: Api) -> None:
    """KEP-576: dry run"""
    label = api.name()
    name = (await api.configmap(labels={"app": label}))["metadata"]["name"]
    (await api.delete(api.path("v1/configmaps"), labelSelector=f"app={label}", dryRun="All")).ok(200)
    assert (await api.get(api.path("v1/configmaps", name))).status == 200


# --- namespaces --------------------------------------------------------------------------------------------


async def test_a_namespace_that_is_deleted_is_terminating_and_takes_no_objects(api: Api) -> None:
    """Recorded: 04 create in a terminating namespace"""
    name = (await api.create("v1/namespaces", at="/api/v1/namespaces"))["metadata"]["name"]
    inside = f"/api/v1/namespaces/{name}/configmaps"
    await api.create("v1/configmaps", {"metadata": {"finalizers": [HOLD]}}, at=inside)
    marked = (await api.delete(f"/api/v1/namespaces/{name}")).ok(200)
    assert marked["status"]["phase"] == "Terminating"
    assert "deletionTimestamp" in marked["metadata"]
    status = (await api.post(inside, {"metadata": {"name": "x"}})).refused(
        403,
        "Forbidden",
        f'configmaps "x" is forbidden: unable to create new content in namespace {name} because it is '
        "being terminated",
    )
    assert status["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": f"namespace {name} is being terminated",
            "field": "metadata.namespace",
        }
    ]


# --- grace -------------------------------------------------------------------------------------------------


def seconds(start: str, end: str) -> float:
    parse = datetime.fromisoformat
    return (parse(end) - parse(start)).total_seconds()


async def bound(api: Api, **spec: object) -> str:
    """A pod on a node that is not there; its path."""
    name = (await api.pod(**spec))["metadata"]["name"]
    node = {"target": {"apiVersion": "v1", "kind": "Node", "name": f"no-{name}"}, "metadata": {"name": name}}
    (await api.post(api.path("v1/pods", name, "binding"), node)).ok(201)
    return api.path("v1/pods", name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def unattended(client: Client, namespace: str) -> None:
    """Claims about the grace of a pod need one that nobody ends before it is over."""
    api = Api(client, namespace)
    path = await bound(api)
    await api.delete(path)
    ended = (await api.get(path)).status == 404
    await api.clean()
    if ended:
        pytest.skip("a pod on a node that is not there ends at once: something plays the kubelet's part")


@pytest.mark.usefixtures("unattended")
async def test_a_pod_on_a_node_is_given_its_grace(api: Api) -> None:
    """Recorded: 04 delete a bound pod: graceful"""
    path = await bound(api)
    before = (await api.get(path)).ok()["metadata"]
    marked = (await api.delete(path)).ok(200)["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 30
    assert 25 <= seconds(before["creationTimestamp"], marked["deletionTimestamp"]) <= 60
    assert marked["generation"] == before["generation"] + 1
    assert (await api.get(path)).status == 200


async def test_the_grace_of_a_pod_is_its_own(api: Api) -> None:
    """Kubernetes documentation: Termination of Pods"""
    path = await bound(api, terminationGracePeriodSeconds=7)
    assert (await api.delete(path)).ok(200)["metadata"]["deletionGracePeriodSeconds"] == 7


async def test_a_delete_may_ask_for_another_grace(api: Api) -> None:
    """Kubernetes documentation: Termination of Pods"""
    path = await bound(api)
    marked = (await api.delete(path, {"gracePeriodSeconds": 5})).ok(200)
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 5


@pytest.mark.usefixtures("unattended")
async def test_a_later_delete_may_shorten_the_grace(api: Api) -> None:
    """Source: apiserver/pkg/registry/rest/delete.go"""
    path = await bound(api)
    first = (await api.delete(path)).ok(200)["metadata"]
    second = (await api.delete(path, gracePeriodSeconds=10)).ok(200)["metadata"]
    assert second["deletionGracePeriodSeconds"] == 10
    assert seconds(second["deletionTimestamp"], first["deletionTimestamp"]) == 20


@pytest.mark.usefixtures("unattended")
async def test_a_later_delete_does_not_lengthen_the_grace(api: Api) -> None:
    """Source: apiserver/pkg/registry/rest/delete.go"""
    path = await bound(api)
    first = (await api.delete(path)).ok(200)
    assert (await api.delete(path, gracePeriodSeconds=100)).ok(200) == first


async def test_a_delete_without_grace_ends_a_pod_at_once(api: Api) -> None:
    """Recorded: 04 delete it at once"""
    path = await bound(api)
    last = (await api.delete(path, gracePeriodSeconds=0)).ok(200)
    assert (last["kind"], last["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 0)
    (await api.get(path)).refused(404, "NotFound")


async def test_a_pod_on_no_node_is_gone_at_once(api: Api) -> None:
    """Recorded: 04 delete an unbound pod"""
    name = (await api.pod())["metadata"]["name"]
    last = (await api.delete(api.path("v1/pods", name))).ok(200)
    assert (last["kind"], last["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 0)
    (await api.get(api.path("v1/pods", name))).refused(404, "NotFound")


async def test_a_pod_that_has_ended_is_gone_at_once(api: Api) -> None:
    """Source: pkg/registry/core/pod/strategy.go"""
    path = await bound(api)
    (await api.patch(f"{path}/status", {"status": {"phase": "Succeeded"}})).ok()
    (await api.delete(path)).ok(200)
    (await api.get(path)).refused(404, "NotFound")


async def test_of_two_deletes_at_once_one_finds_the_object(api: Api) -> None:
    """API concepts: Resource deletion"""
    name = (await api.configmap())["metadata"]["name"]
    answers = await asyncio.gather(*(api.delete(api.path("v1/configmaps", name)) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 404, 404, 404]
