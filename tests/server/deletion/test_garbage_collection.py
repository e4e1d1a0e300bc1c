"""What has owners goes with them: in the background, before them, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

from ..asked import Asked
from .cluster import MAPS, PODS, asked, bound, change, delete, events, owned

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

SETS = "/apis/apps/v1/namespaces/default/replicasets"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


def owner(server: MemoryApiServer, name: str = "owner", **metadata: Any) -> dict[str, Any]:
    return server.create("v1/configmaps", {"metadata": {"name": name, **metadata}})


async def post(server: MemoryApiServer, metadata: dict[str, Any], path: str = MAPS) -> Asked:
    return await asked(server, path, method="POST", body={"metadata": metadata})


def names(server: MemoryApiServer, resource: str = "v1/configmaps") -> list[str]:
    return [one["metadata"]["name"] for one in server.objects(resource).values()]


def references(server: MemoryApiServer, name: str) -> list[str]:
    found = server.get("v1/configmaps", f"default/{name}")
    assert found is not None
    return [one["name"] for one in found["metadata"].get("ownerReferences", [])]


# --- background --------------------------------------------------------------------------------------


async def test_dependents_go_after_their_owner_and_theirs_after_them(server: MemoryApiServer) -> None:
    first = owner(server)
    second = owned(server, "child", first)
    owned(server, "grandchild", second)
    bound(server, "pod", ownerReferences=owned(server, "x", second)["metadata"]["ownerReferences"])
    version = server.state.version
    await delete(server, f"{MAPS}/owner")
    assert names(server) == names(server, "v1/pods") == []
    gone = [one["object"]["metadata"]["name"] for one in await events(server, MAPS, version)]
    assert gone == ["owner", "child", "grandchild", "x"]


async def test_a_dependent_stays_while_one_of_its_owners_does(server: MemoryApiServer) -> None:
    a, b = owner(server, "a"), owner(server, "b")
    owned(server, "child", a, b)
    await delete(server, f"{MAPS}/a")
    assert references(server, "child") == ["b"], "and forgets the other"
    await delete(server, f"{MAPS}/b")
    assert names(server) == []


async def test_a_finalizer_holds_a_dependent(server: MemoryApiServer) -> None:
    owned(server, "child", owner(server), finalizers=["example.com/hold"])
    await delete(server, f"{MAPS}/owner")
    child = server.get("v1/configmaps", "default/child")
    assert child is not None
    assert "deletionTimestamp" in child["metadata"]
    await change(server, f"{MAPS}/child", {"metadata": {"finalizers": None}})
    assert names(server) == []


@pytest.mark.parametrize(
    "wrong",
    [{"uid": "00000000-0000-0000-0000-000000000000"}, {"name": "another"}],
    ids=["uid", "name"],
)
async def test_an_owner_that_never_was_counts_as_gone(server: MemoryApiServer, wrong: dict[str, Any]) -> None:
    reference = owned(server, "a", owner(server))["metadata"]["ownerReferences"][0]
    answer = await post(server, {"name": "b", "ownerReferences": [reference | wrong]})
    assert answer.status == 201, "the answer does not wait"
    assert names(server) == ["a", "owner"]


async def test_an_owner_in_another_namespace_counts_as_gone(server: MemoryApiServer) -> None:
    references = owned(server, "a", owner(server))["metadata"]["ownerReferences"]
    path = "/api/v1/namespaces/kube-public/configmaps"
    assert (await post(server, {"name": "b", "ownerReferences": references}, path)).status == 201
    assert names(server) == ["a", "owner"]


async def test_what_a_test_puts_there_stays_until_an_owner_of_it_is_deleted(
    server: MemoryApiServer, tmp_path: Path
) -> None:
    reference = owned(server, "a", owner(server))["metadata"]["ownerReferences"][0]
    stale = {"name": "b", "ownerReferences": [reference, reference | {"uid": "of-another-cluster"}]}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": stale}
    (tmp_path / "dump.json").write_text(json.dumps(manifest))
    server.load(tmp_path / "dump.json")
    await change(server, f"{MAPS}/b", {"data": {"k": "v"}})
    assert names(server) == ["a", "b", "owner"]
    await delete(server, f"{MAPS}/owner")
    assert names(server) == []


async def test_an_owner_that_is_made_again_is_another(server: MemoryApiServer) -> None:
    owned(server, "child", owner(server))
    await delete(server, f"{MAPS}/owner", propagationPolicy="Orphan")
    assert names(server) == ["child"]
    owner(server)
    assert references(server, "child") == []


async def test_what_cannot_be_looked_up_is_let_be(server: MemoryApiServer) -> None:
    reference = {"apiVersion": "nobody.example.com/v1", "kind": "Thing", "name": "x", "uid": "u"}
    await post(server, {"name": "a", "ownerReferences": [reference]})
    inside = owner(server)
    owned(server, "outside", inside, resource="v1/nodes")
    await delete(server, f"{MAPS}/owner")
    assert names(server) == ["a"]
    assert names(server, "v1/nodes") == ["outside"], "a cluster-scoped object has no owner in a namespace"


async def test_events_are_not_collected(server: MemoryApiServer) -> None:
    first = owner(server)
    reference = owned(server, "child", first)["metadata"]["ownerReferences"]
    event = {
        "metadata": {"name": "e", "ownerReferences": reference},
        "involvedObject": {"kind": "ConfigMap", "name": "owner", "namespace": "default"},
    }
    server.create("v1/events", event)
    await delete(server, f"{MAPS}/owner")
    assert names(server, "v1/events") == ["e"]


async def test_nothing_is_collected_by_an_api_server_alone(bare: MemoryApiServer) -> None:
    owned(bare, "child", owner(bare))
    await delete(bare, f"{MAPS}/owner")
    assert names(bare) == ["child"]
    await delete(bare, f"{MAPS}/child", propagationPolicy="Foreground")
    child = bare.get("v1/configmaps", "default/child")
    assert child is not None
    assert child["metadata"]["finalizers"] == ["foregroundDeletion"]


async def test_custom_resources_own_and_are_owned(server: MemoryApiServer) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    server.create("apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    widget = server.create("example.com/v1/widgets", {"metadata": {"name": "w"}})
    owned(server, "child", widget)
    owned(server, "widget", owner(server), resource="example.com/v1/widgets")
    await delete(server, f"{WIDGETS}/w")
    await delete(server, f"{MAPS}/owner")
    assert names(server) == names(server, "example.com/v1/widgets") == []


@pytest.mark.parametrize(("version", "left"), [("autoscaling/v1", []), ("autoscaling/v9", ["child"])])
async def test_an_owner_is_found_at_every_version_that_is_served(
    server: MemoryApiServer, version: str, left: list[str]
) -> None:
    """What names it at another one stays for ever: a kind that is not served cannot be asked for."""
    spec = {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}}
    scaler = server.create(
        "autoscaling/v2/horizontalpodautoscalers", {"metadata": {"name": "s"}, "spec": spec}
    )
    owned(server, "child", {**scaler, "apiVersion": version})
    await change(server, f"{MAPS}/child", {"metadata": {"labels": {"a": "b"}}})
    assert names(server) == ["child"]
    scalers = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    assert (await delete(server, f"{scalers}/s")).status == 200
    assert names(server) == left


# --- foreground --------------------------------------------------------------------------------------


async def test_an_owner_in_the_foreground_goes_last(server: MemoryApiServer) -> None:
    first = owner(server)
    owned(server, "child", owned(server, "parent", first, blocks=True), blocks=True)
    version = server.state.version
    answer = await delete(server, f"{MAPS}/owner", propagationPolicy="Foreground")
    assert answer.json["metadata"]["finalizers"] == ["foregroundDeletion"]
    gone = [
        one["object"]["metadata"]["name"]
        for one in await events(server, MAPS, version)
        if one["type"] == "DELETED"
    ]
    assert gone == ["child", "parent", "owner"]


async def test_an_owner_waits_for_dependents_that_block_it_and_no_others(server: MemoryApiServer) -> None:
    first = owner(server)
    hold = {"finalizers": ["example.com/hold"]}
    owned(server, "blocks", first, blocks=True, **hold)
    owned(server, "does-not", first, **hold)
    await delete(server, f"{MAPS}/owner", propagationPolicy="Foreground")
    assert names(server) == ["blocks", "does-not", "owner"]
    await change(server, f"{MAPS}/blocks", {"metadata": {"finalizers": None}})
    assert names(server) == ["does-not"]


async def test_a_dependent_that_stops_blocking_lets_its_owner_go(server: MemoryApiServer) -> None:
    child = owned(server, "child", owner(server), blocks=True, finalizers=["example.com/hold"])
    await delete(server, f"{MAPS}/owner", propagationPolicy="Foreground")
    reference = child["metadata"]["ownerReferences"][0] | {"blockOwnerDeletion": False}
    await change(server, f"{MAPS}/child", {"metadata": {"ownerReferences": [reference]}})
    assert names(server) == ["child"]


async def test_a_dependent_of_a_second_owner_survives_a_foreground_deletion(
    server: MemoryApiServer,
) -> None:
    owned(server, "child", owner(server, "a"), owner(server, "b"), blocks=True)
    await delete(server, f"{MAPS}/a", propagationPolicy="Foreground")
    assert names(server) == ["b", "child"]
    assert references(server, "child") == ["b"]


async def test_owners_of_each_other_do_not_wait_for_ever(server: MemoryApiServer) -> None:
    a = owner(server, "a")
    b = owned(server, "b", a, blocks=True)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "b", "uid": b["metadata"]["uid"]}
    patch = {"metadata": {"ownerReferences": [reference | {"blockOwnerDeletion": True}]}}
    await change(server, f"{MAPS}/a", patch)
    await delete(server, f"{MAPS}/a", propagationPolicy="Foreground")
    assert names(server) == []


# --- orphans -----------------------------------------------------------------------------------------


async def test_orphans_forget_their_owner(server: MemoryApiServer) -> None:
    first, other = owner(server), owner(server, "other")
    owned(server, "child", first)
    owned(server, "shared", first, other)
    await delete(server, f"{MAPS}/owner", propagationPolicy="Orphan")
    assert names(server) == ["child", "other", "shared"]
    assert (references(server, "child"), references(server, "shared")) == ([], ["other"])


async def test_a_finalizer_that_is_there_says_the_policy(server: MemoryApiServer) -> None:
    owned(server, "child", owner(server, finalizers=["orphan"]))
    await delete(server, f"{MAPS}/owner")
    assert names(server) == ["child"]


async def test_a_policy_overrides_the_finalizer_of_another(server: MemoryApiServer) -> None:
    owned(server, "child", owner(server, finalizers=["orphan"]))
    await delete(server, f"{MAPS}/owner", propagationPolicy="Background")
    assert names(server) == []


JOB = {
    "metadata": {"name": "j"},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
}


@pytest.mark.parametrize(("query", "left"), [("", ["child"]), ("?propagationPolicy=Background", [])])
async def test_the_pods_of_a_job_are_orphaned_unless_it_is_said(
    server: MemoryApiServer, query: str, left: list[str]
) -> None:
    owned(server, "child", server.create("batch/v1/jobs", JOB))
    path = f"/apis/batch/v1/namespaces/default/jobs/j{query}"
    answer = await asked(server, path, method="DELETE")
    assert names(server) == left
    assert ("child pods are preserved by default" in answer.headers.get("Warning", "")) is not bool(query)


async def test_a_controller_owner_reference_of_a_pod_is_followed(server: MemoryApiServer) -> None:
    selector = {"matchLabels": {"a": "b"}}
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"selector": selector, "template": template}
    made = server.create("apps/v1/replicasets", {"metadata": {"name": "rs"}, "spec": spec})
    reference = owned(server, "x", made)["metadata"]["ownerReferences"]
    bound(server, ownerReferences=reference)
    await delete(server, f"{SETS}/rs")
    assert (await asked(server, f"{PODS}/p")).status == 404


async def test_a_write_that_fails_leaves_the_rest_for_the_next(server: MemoryApiServer) -> None:
    owned(server, "child", owner(server))
    room = [True]

    def commit(storage: tuple[str, str], change: Any) -> None:
        if change.new.key == "default/child" and room:
            room.clear()
            raise OSError("no space left")

    server.state.commit = commit
    with pytest.raises(OSError, match="no space"):
        server.delete("v1/configmaps", "default/owner")
    assert names(server) == ["child"]
    owner(server, "another")
    assert names(server) == ["another"]
