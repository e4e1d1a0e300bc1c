"""Namespaces take objects in, close, are emptied, and go."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

from .cluster import asked, change, delete, events, refused

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

TEAM = "/api/v1/namespaces/team"
HELD = {"finalizers": ["example.com/hold"]}


def team(server: MemoryApiServer, **metadata: Any) -> dict[str, Any]:
    return server.create("v1/namespaces", {"metadata": {"name": "team", **metadata}})


def within(server: MemoryApiServer, name: str, **metadata: Any) -> None:
    server.create("v1/configmaps", {"metadata": {"name": name, "namespace": "team", **metadata}})


def running(server: MemoryApiServer, **metadata: Any) -> None:
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
    server.create("v1/pods", {"metadata": {"name": "p", "namespace": "team", **metadata}, "spec": spec})


def conditions(server: MemoryApiServer) -> dict[str, tuple[str, str, str]]:
    found = server.get("v1/namespaces", "team")
    assert found is not None
    return {
        one["type"]: (one["status"], one["reason"], one["message"]) for one in found["status"]["conditions"]
    }


# --- what they let in --------------------------------------------------------------------------------


async def test_a_cluster_begins_with_four_namespaces(bare: MemoryApiServer) -> None:
    assert list(bare.objects("v1/namespaces")) == ["default", "kube-node-lease", "kube-public", "kube-system"]


async def test_a_namespace_that_is_not_there_takes_nothing_in(bare: MemoryApiServer) -> None:
    for path in ("configmaps", "pods/p/binding", "pods/p/eviction"):
        answer = await asked(bare, f"{TEAM}/{path}", method="POST", body={"metadata": {"name": "p"}})
        assert refused(answer) == (404, "NotFound", 'namespaces "team" not found')


@pytest.mark.parametrize(
    ("path", "body", "subject"),
    [
        ("configmaps", {"metadata": {"name": "x"}}, 'configmaps "x"'),
        ("pods/p/binding", {"metadata": {"name": "p"}, "target": {"name": "n2"}}, 'pods "p"'),
        ("pods/p/eviction", {"metadata": {"name": "p"}}, 'pods "p"'),
    ],
)
async def test_a_namespace_that_ends_takes_nothing_in(
    bare: MemoryApiServer, path: str, body: dict[str, Any], subject: str
) -> None:
    team(bare)
    running(bare)
    await delete(bare, TEAM)
    answer = await asked(bare, f"{TEAM}/{path}", method="POST", body=body)
    said = "unable to create new content in namespace team because it is being terminated"
    assert refused(answer) == (403, "Forbidden", f"{subject} is forbidden: {said}")
    assert answer.json["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace team is being terminated",
            "field": "metadata.namespace",
        }
    ]


async def test_what_is_in_a_namespace_that_ends_can_still_be_changed(bare: MemoryApiServer) -> None:
    team(bare)
    within(bare, "c")
    await delete(bare, TEAM)
    assert (await change(bare, f"{TEAM}/configmaps/c", {"data": {"k": "v"}})).status == 200


@pytest.mark.parametrize("name", ["default", "kube-public", "kube-system"])
async def test_some_namespaces_stay(server: MemoryApiServer, name: str) -> None:
    answer = await delete(server, f"/api/v1/namespaces/{name}")
    said = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    assert refused(answer) == (403, "Forbidden", said)


# --- how they end without a controller ---------------------------------------------------------------


async def test_a_namespace_waits_for_its_finalizer(bare: MemoryApiServer) -> None:
    team(bare)
    marked = (await delete(bare, TEAM)).json
    assert (marked["status"], marked["spec"]) == ({"phase": "Terminating"}, {"finalizers": ["kubernetes"]})
    assert "deletionGracePeriodSeconds" not in marked["metadata"]
    assert (await delete(bare, TEAM)).json == marked, "a second delete waits too"


async def test_finalize_lets_it_go_whatever_is_in_it(bare: MemoryApiServer) -> None:
    team(bare)
    within(bare, "c")
    marked = (await delete(bare, TEAM)).json
    answer = await asked(bare, f"{TEAM}/finalize", method="PUT", body=marked | {"spec": {}})
    assert (answer.status, answer.json["spec"]) == (200, {})
    assert bare.get("v1/namespaces", "team") is None
    assert bare.get("v1/configmaps", "team/c") is not None


async def test_finalize_waits_for_the_finalizers_of_its_metadata(bare: MemoryApiServer) -> None:
    team(bare, **HELD)
    marked = (await delete(bare, TEAM)).json
    await asked(bare, f"{TEAM}/finalize", method="PUT", body=marked | {"spec": {}})
    assert bare.get("v1/namespaces", "team") is not None
    await change(bare, TEAM, {"metadata": {"finalizers": None}})
    assert bare.get("v1/namespaces", "team") is None


async def test_only_finalize_changes_the_finalizers_of_a_namespace(bare: MemoryApiServer) -> None:
    made = team(bare)
    for path in (TEAM, f"{TEAM}/status"):
        await asked(bare, path, method="PUT", body=made | {"spec": {}})
        assert (await asked(bare, TEAM)).json["spec"] == {"finalizers": ["kubernetes"]}
    assert refused(await asked(bare, f"{TEAM}/finalize", method="DELETE"))[0] == 405


async def test_the_status_of_a_namespace_is_written_apart(bare: MemoryApiServer) -> None:
    made = team(bare)
    status = {"phase": "Active", "conditions": [{"type": "Ready", "status": "True"}]}
    await asked(bare, f"{TEAM}/status", method="PUT", body=made | {"status": status})
    assert conditions_of((await asked(bare, TEAM)).json) == ["Ready"]


def conditions_of(namespace: dict[str, Any]) -> list[str]:
    return [one["type"] for one in namespace["status"]["conditions"]]


async def test_preconditions_of_a_namespace_have_words_of_their_own(bare: MemoryApiServer) -> None:
    uid = team(bare)["metadata"]["uid"]
    answer = await delete(bare, TEAM, preconditions={"uid": "other"})
    said = f"Precondition failed: UID in precondition: other, UID in object meta: {uid}"
    assert refused(answer)[2] == f'Operation cannot be fulfilled on namespaces "team": {said}'


# --- how they end with one ---------------------------------------------------------------------------


async def test_all_that_is_in_it_goes_and_then_the_namespace(server: MemoryApiServer) -> None:
    team(server)
    within(server, "a")
    within(server, "b")
    running(server)
    server.create("v1/configmaps", {"metadata": {"name": "elsewhere"}})
    version = server.state.version
    answer = await delete(server, TEAM)
    assert answer.json["status"] == {"phase": "Terminating"}, "the answer does not wait"
    assert server.get("v1/namespaces", "team") is None
    assert list(server.objects("v1/configmaps")) == ["default/elsewhere"]
    assert list(server.objects("v1/pods")) == []
    last = (await events(server, "/api/v1/namespaces", version))[-1]
    assert last["type"] == "DELETED"
    assert conditions_of(last["object"])[-1] == "NamespaceFinalizersRemaining"


async def test_its_conditions_say_what_it_waits_for(server: MemoryApiServer) -> None:
    team(server)
    within(server, "a", **HELD)
    within(server, "b", **HELD)
    await delete(server, TEAM)
    said = conditions(server)
    assert said["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: configmaps. has 2 resource instances",
    )
    assert said["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/hold in 2 resource instances",
    )
    assert said["NamespaceDeletionContentFailure"][:2] == ("False", "ContentDeleted")
    for name in ("a", "b"):
        assert server.get("v1/namespaces", "team") is not None
        await change(server, f"{TEAM}/configmaps/{name}", {"metadata": {"finalizers": None}})
    assert server.get("v1/namespaces", "team") is None


async def test_pods_go_before_all_else(server: MemoryApiServer) -> None:
    team(server)
    within(server, "c")
    running(server, **HELD)
    await delete(server, TEAM)
    assert server.get("v1/configmaps", "team/c") is not None
    await change(server, f"{TEAM}/pods/p", {"metadata": {"finalizers": None}})
    assert server.get("v1/configmaps", "team/c") is None
    assert server.get("v1/namespaces", "team") is None


async def test_without_a_kubelet_a_pod_holds_its_namespace() -> None:
    async with MemoryApiServer(controllers=["namespace"]) as server:
        team(server)
        running(server)
        await delete(server, TEAM)
        assert server.get("v1/namespaces", "team") is not None
        await delete(server, f"{TEAM}/pods/p", gracePeriodSeconds=0)
        assert server.get("v1/namespaces", "team") is None


async def test_a_namespace_with_a_finalizer_of_its_own_stays_when_it_is_empty(
    server: MemoryApiServer,
) -> None:
    team(server, **HELD)
    await delete(server, TEAM)
    left = (await asked(server, TEAM)).json
    assert left["spec"] == {}
    await change(server, TEAM, {"metadata": {"finalizers": None}})
    assert server.get("v1/namespaces", "team") is None


async def test_custom_resources_go_with_their_namespace(server: MemoryApiServer) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"plural": "widgets", "kind": "Widget"}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    definition = {"metadata": {"name": "widgets.example.com"}, "spec": spec}
    server.create("apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    team(server)
    server.create("example.com/v1/widgets", {"metadata": {"name": "w", "namespace": "team"}})
    await delete(server, TEAM)
    assert list(server.objects("example.com/v1/widgets")) == []
    assert server.get("v1/namespaces", "team") is None


async def test_a_namespace_can_be_made_again(server: MemoryApiServer) -> None:
    first = team(server)
    within(server, "c")
    await delete(server, TEAM)
    assert team(server)["metadata"]["uid"] != first["metadata"]["uid"]
    within(server, "c")
    await delete(server, TEAM)
    assert server.get("v1/namespaces", "team") is None


async def test_a_rewind_takes_up_what_was_going_on_then(server: MemoryApiServer) -> None:
    team(server)
    within(server, "c", **HELD)
    await delete(server, TEAM)
    then = server.state.version
    await change(server, f"{TEAM}/configmaps/c", {"metadata": {"finalizers": None}})
    assert server.get("v1/namespaces", "team") is None
    server.rewind(then)
    assert server.get("v1/namespaces", "team") is not None
    await change(server, f"{TEAM}/configmaps/c", {"metadata": {"finalizers": None}})
    assert server.get("v1/namespaces", "team") is None
