"""How an object ends, by `rest.BeforeDelete` and the generic store: marks, grace, finalizers, versions."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

from .cluster import MAPS, PODS, asked, bound, change, delete, events, refused

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

HELD = {"finalizers": ["example.com/hold"]}


def made(server: MemoryApiServer, name: str = "c", **metadata: Any) -> dict[str, Any]:
    return server.create("v1/configmaps", {"metadata": {"name": name, **metadata}})


# --- what is held ------------------------------------------------------------------------------------


async def test_what_nothing_holds_is_gone_in_one_version_without_a_mark(bare: MemoryApiServer) -> None:
    uid = made(bare)["metadata"]["uid"]
    version = bare.state.version
    answer = await delete(bare, f"{MAPS}/c")
    assert answer.json["details"] == {"name": "c", "kind": "configmaps", "uid": uid}
    (event,) = await events(bare, MAPS, version)
    assert event["type"] == "DELETED"
    assert event["object"]["metadata"]["resourceVersion"] == str(version + 1)
    assert "deletionTimestamp" not in event["object"]["metadata"]


async def test_a_finalizer_holds_an_object_that_is_marked(bare: MemoryApiServer) -> None:
    made(bare, **HELD)
    marked = (await delete(bare, f"{MAPS}/c")).json["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 0
    assert marked["deletionTimestamp"]
    again = (await delete(bare, f"{MAPS}/c")).json["metadata"]
    assert again == marked, "no more to do, and no version"


async def test_the_write_that_takes_the_last_finalizer_shows_what_is_gone(bare: MemoryApiServer) -> None:
    made(bare, **HELD)
    marked = (await delete(bare, f"{MAPS}/c")).json["metadata"]["resourceVersion"]
    answer = await change(bare, f"{MAPS}/c", {"metadata": {"finalizers": None}})
    assert answer.status == 200
    assert "finalizers" not in answer.json["metadata"]
    assert answer.json["metadata"]["resourceVersion"] == marked, "it never had another"
    assert bare.get("v1/configmaps", "default/c") is None
    (event,) = await events(bare, MAPS, int(marked))
    assert event["object"]["metadata"]["finalizers"] == HELD["finalizers"], "as it was stored"


async def test_one_finalizer_of_two_does_not_end_it(bare: MemoryApiServer) -> None:
    made(bare, finalizers=["example.com/a", "example.com/b"])
    await delete(bare, f"{MAPS}/c")
    await change(bare, f"{MAPS}/c", {"metadata": {"finalizers": ["example.com/b"]}})
    assert bare.get("v1/configmaps", "default/c") is not None


async def test_a_mark_is_a_generation_of_its_own(bare: MemoryApiServer) -> None:
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    }
    bare.create("apps/v1/deployments", {"metadata": {"name": "d", **HELD}, "spec": spec})
    path = "/apis/apps/v1/namespaces/default/deployments/d"
    assert (await delete(bare, path)).json["metadata"]["generation"] == 2
    assert (await delete(bare, path)).json["metadata"]["generation"] == 2


async def test_poison_can_be_deleted(bare: MemoryApiServer) -> None:
    bare.state.put_raw("v1/configmaps", "default/bad", b'{"metadata":nonsense')
    assert (await delete(bare, f"{MAPS}/bad")).status == 200
    assert refused(await delete(bare, f"{MAPS}/bad"))[0] == 404


# --- grace -------------------------------------------------------------------------------------------


async def test_a_bound_pod_has_its_grace(bare: MemoryApiServer) -> None:
    bound(bare)
    answer = await delete(bare, f"{PODS}/p")
    metadata = answer.json["metadata"]
    assert (answer.status, answer.json["kind"]) == (200, "Pod")
    assert (metadata["deletionGracePeriodSeconds"], metadata["generation"]) == (30, 2)
    assert bare.get("v1/pods", "default/p") is not None


@pytest.mark.parametrize(("asked_for", "has"), [(5, 5), (300, 300), (-1, 1)])
async def test_a_delete_can_ask_for_another_grace(bare: MemoryApiServer, asked_for: int, has: int) -> None:
    bound(bare)
    metadata = (await delete(bare, f"{PODS}/p", gracePeriodSeconds=asked_for)).json["metadata"]
    assert metadata["deletionGracePeriodSeconds"] == has


async def test_a_second_delete_can_only_shorten_the_grace(bare: MemoryApiServer) -> None:
    bound(bare)
    first = (await delete(bare, f"{PODS}/p")).json["metadata"]
    for longer in ({}, {"gracePeriodSeconds": 30}, {"gracePeriodSeconds": 60}):
        assert (await delete(bare, f"{PODS}/p", **longer)).json["metadata"] == first
    await asyncio.sleep(5)
    shorter = (await delete(bare, f"{PODS}/p", gracePeriodSeconds=10)).json["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 10
    assert shorter["generation"] == first["generation"]
    ends = [datetime.fromisoformat(one["deletionTimestamp"]) for one in (shorter, first)]
    assert (ends[1] - ends[0]).total_seconds() == 20, "both counted from the first delete"


async def test_the_end_of_grace_is_a_last_change_and_then_the_end(bare: MemoryApiServer) -> None:
    bound(bare)
    await delete(bare, f"{PODS}/p")
    version = bare.state.version
    answer = await asked(bare, f"{PODS}/p?gracePeriodSeconds=0", method="DELETE")
    assert answer.json["metadata"]["resourceVersion"] == str(version + 2)
    found = await events(bare, PODS, version)
    assert [one["type"] for one in found] == ["MODIFIED", "DELETED"]
    assert [one["object"]["metadata"]["deletionGracePeriodSeconds"] for one in found] == [0, 0]
    assert bare.get("v1/pods", "default/p") is None


@pytest.mark.parametrize(
    "pod",
    [{"spec": {"nodeName": ""}}, {"status": {"phase": "Succeeded"}}, {"status": {"phase": "Failed"}}],
    ids=["unbound", "succeeded", "failed"],
)
async def test_a_pod_that_does_not_run_ends_at_once(bare: MemoryApiServer, pod: dict[str, Any]) -> None:
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}], **pod.get("spec", {})}
    bare.create("v1/pods", {"metadata": {"name": "p"}, "spec": spec, "status": pod.get("status", {})})
    version = bare.state.version
    assert (await delete(bare, f"{PODS}/p")).json["kind"] == "Pod"
    assert [one["type"] for one in await events(bare, PODS, version)] == ["MODIFIED", "DELETED"]


async def test_grace_that_is_over_leaves_a_pod_to_its_finalizers(bare: MemoryApiServer) -> None:
    bound(bare, **HELD)
    await delete(bare, f"{PODS}/p")
    await change(bare, f"{PODS}/p", {"metadata": {"finalizers": None}})
    assert bare.get("v1/pods", "default/p") is not None, "its grace is not over"
    await delete(bare, f"{PODS}/p", gracePeriodSeconds=0)
    assert bare.get("v1/pods", "default/p") is None


async def test_a_kubelet_ends_the_pods_of_its_node(server: MemoryApiServer) -> None:
    bound(server)
    version = server.state.version
    answer = await delete(server, f"{PODS}/p")
    assert answer.json["metadata"]["deletionGracePeriodSeconds"] == 30, "the answer does not wait for it"
    found = await events(server, PODS, version)
    grace = [one["object"]["metadata"]["deletionGracePeriodSeconds"] for one in found]
    assert ([one["type"] for one in found], grace) == (["MODIFIED", "MODIFIED", "DELETED"], [30, 0, 0])


# --- options -----------------------------------------------------------------------------------------


async def test_preconditions_are_those_of_one_state(bare: MemoryApiServer) -> None:
    metadata = made(bare)["metadata"]
    assert refused(await delete(bare, f"{MAPS}/c", preconditions={"uid": ""}))[:2] == (409, "Conflict")
    await change(bare, f"{MAPS}/c", {"data": {"k": "v"}})
    stale = await delete(bare, f"{MAPS}/c", preconditions={"resourceVersion": metadata["resourceVersion"]})
    assert "The object might have been modified" in refused(stale)[2]
    assert (await delete(bare, f"{MAPS}/c", preconditions={"uid": metadata["uid"]})).status == 200


@pytest.mark.parametrize("path", ["?dryRun=All", ""])
async def test_a_dry_run_deletes_nothing(bare: MemoryApiServer, path: str) -> None:
    bound(bare)
    version = bare.state.version
    options = {} if path else {"dryRun": ["All"]}
    answer = await asked(bare, f"{PODS}/p{path}", method="DELETE", body=options or None)
    assert answer.json["metadata"]["deletionGracePeriodSeconds"] == 30, "as it would be"
    assert bare.state.version == version
    pod = bare.get("v1/pods", "default/p")
    assert pod is not None
    assert "deletionTimestamp" not in pod["metadata"]


async def test_a_query_adds_nothing_to_a_body(bare: MemoryApiServer) -> None:
    made(bare)
    answer = await asked(bare, f"{MAPS}/c?dryRun=All", method="DELETE", body={"kind": "DeleteOptions"})
    assert answer.status == 200
    assert bare.get("v1/configmaps", "default/c") is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"orphanDependents": False, "propagationPolicy": "Background"},
            'propagationPolicy: Invalid value: "Background": '
            "orphanDependents and deletionPropagation cannot be both set",
        ),
        (
            {"propagationPolicy": "Never"},
            'propagationPolicy: Unsupported value: "Never": '
            'supported values: "Foreground", "Background", "Orphan", "nil"',
        ),
        ({"dryRun": ["Some"]}, 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
        (
            {"ignoreStoreReadErrorWithClusterBreakingPotential": True, "gracePeriodSeconds": 0},
            "ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: "
            "cannot be set together with .gracePeriodSeconds",
        ),
    ],
)
async def test_options_that_are_none_are_refused(
    bare: MemoryApiServer, options: dict[str, Any], said: str
) -> None:
    made(bare)
    answer = await delete(bare, f"{MAPS}/c", **options)
    message = f'DeleteOptions.meta.k8s.io "" is invalid: {said}'
    assert refused(answer) == (422, "Invalid", message)
    assert answer.json["details"]["group"] == "meta.k8s.io"
    assert bare.get("v1/configmaps", "default/c") is not None


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("gracePeriodSeconds=soon", 400, 'strconv.ParseInt: parsing "soon": invalid syntax'),
        (
            "gracePeriodSeconds=99999999999999999999",
            400,
            'strconv.ParseInt: parsing "99999999999999999999": value out of range',
        ),
    ],
)
async def test_a_query_that_does_not_parse_is_a_bad_request(
    bare: MemoryApiServer, query: str, code: int, message: str
) -> None:
    made(bare)
    answer = await asked(bare, f"{MAPS}/c?{query}", method="DELETE")
    assert refused(answer) == (code, "BadRequest", message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"gracePeriodSeconds": "0"},
            "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds "
            "of type int64",
        ),
        ({"kind": "Pod"}, "decoded object cannot be converted to DeleteOptions"),
    ],
)
async def test_a_body_that_does_not_decode_is_an_error_of_the_server(
    bare: MemoryApiServer, body: dict[str, Any], message: str
) -> None:
    made(bare)
    assert refused(await delete(bare, f"{MAPS}/c", **body)) == (500, "", message)


async def test_a_dependent_that_is_to_go_makes_the_answer_accepted(bare: MemoryApiServer) -> None:
    made(bare, **HELD)
    assert (await delete(bare, f"{MAPS}/c", orphanDependents=False)).status == 202
    made(bare, "d")
    assert (await delete(bare, f"{MAPS}/d", orphanDependents=False)).status == 200, "it is gone already"


# --- collections -------------------------------------------------------------------------------------


async def test_a_collection_is_deleted_as_it_was_listed(bare: MemoryApiServer) -> None:
    for name in ("a", "b", "c"):
        made(bare, name, labels={"app": "web" if name != "b" else "db"}, **HELD)
    version = bare.state.version
    answer = (await asked(bare, f"{MAPS}?labelSelector=app%3Dweb", method="DELETE")).json
    assert (answer["kind"], answer["metadata"]["resourceVersion"]) == ("ConfigMapList", str(version))
    assert [one["metadata"]["name"] for one in answer["items"]] == ["a", "c"]
    assert "deletionTimestamp" not in answer["items"][0]["metadata"], "as they were before"
    marks = {one["metadata"]["name"]: "deletionTimestamp" in one["metadata"] for one in _maps(bare)}
    assert marks == {"a": True, "b": False, "c": True}


async def test_a_limit_deletes_one_page(bare: MemoryApiServer) -> None:
    for name in ("a", "b", "c"):
        made(bare, name)
    answer = (await asked(bare, f"{MAPS}?limit=2", method="DELETE")).json
    assert answer["metadata"]["continue"]
    assert [one["metadata"]["name"] for one in _maps(bare)] == ["c"]


async def test_the_options_hold_for_each_of_a_collection(bare: MemoryApiServer) -> None:
    bound(bare, "a")
    bound(bare, "b")
    await delete(bare, PODS, gracePeriodSeconds=7)
    graces = [one["metadata"]["deletionGracePeriodSeconds"] for one in bare.objects("v1/pods").values()]
    assert graces == [7, 7]
    await delete(bare, PODS, gracePeriodSeconds=0, dryRun=["All"])
    assert len(bare.objects("v1/pods")) == 2


async def test_namespaces_are_not_deleted_as_a_collection(bare: MemoryApiServer) -> None:
    answer = await asked(bare, "/api/v1/namespaces", method="DELETE")
    assert refused(answer)[:2] == (405, "MethodNotAllowed")


def _maps(server: MemoryApiServer) -> list[dict[str, Any]]:
    return list(server.objects("v1/configmaps").values())
