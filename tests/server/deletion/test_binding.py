"""Bindings: a pod is given to a node, once."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

from ..asked import Asked
from .cluster import PODS, asked, bound, delete, refused

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


def waiting(server: MemoryApiServer, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "p", "labels": {"a": "pod"}, "annotations": {"x": "pod"}}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    return server.create("v1/pods", pod)


async def bind(server: MemoryApiServer, query: str = "", **binding: Any) -> Asked:
    body = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}, **binding}
    return await asked(server, f"{PODS}/p/binding{query}", method="POST", body=body)


async def test_a_pod_is_given_to_a_node_that_nobody_knows(bare: MemoryApiServer) -> None:
    waiting(bare)
    assert (await bind(bare)).status == 201
    pod = (await asked(bare, f"{PODS}/p")).json
    assert (pod["spec"]["nodeName"], pod["metadata"]["generation"]) == ("n1", 1)
    (condition,) = pod["status"]["conditions"]
    assert list(condition) == ["type", "status", "lastProbeTime", "lastTransitionTime"]


async def test_labels_and_annotations_go_with_it(bare: MemoryApiServer) -> None:
    waiting(bare)
    more = {"name": "p", "labels": {"b": "binding"}, "annotations": {"x": "binding"}}
    await bind(bare, metadata=more)
    metadata = (await asked(bare, f"{PODS}/p")).json["metadata"]
    assert metadata["labels"] == {"a": "pod", "b": "binding"}
    assert metadata["annotations"] == {"x": "binding"}


async def test_the_older_resource_binds_too(bare: MemoryApiServer) -> None:
    waiting(bare)
    body = {"metadata": {"name": "p"}, "target": {"name": "n1"}}
    path = "/api/v1/namespaces/default/bindings"
    assert (await asked(bare, path, method="POST", body=body)).status == 201
    assert refused(await asked(bare, path, method="POST", body=body))[0] == 409


async def test_a_dry_run_binds_nothing(bare: MemoryApiServer) -> None:
    waiting(bare)
    assert (await bind(bare, "?dryRun=All")).status == 201
    assert "nodeName" not in (await asked(bare, f"{PODS}/p")).json["spec"]


async def test_a_pod_that_is_bound_stays_where_it_is(bare: MemoryApiServer) -> None:
    bound(bare)
    said = 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
    assert refused(await bind(bare)) == (409, "Conflict", said)


async def test_a_pod_that_ends_is_not_bound(bare: MemoryApiServer) -> None:
    bare.create(
        "v1/pods",
        {
            "metadata": {"name": "p", "finalizers": ["example.com/hold"]},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    )
    await delete(bare, f"{PODS}/p")
    assert refused(await bind(bare))[2].endswith("pod p is being deleted, cannot be assigned to a host")


async def test_a_gate_holds_a_pod_back(bare: MemoryApiServer) -> None:
    waiting(bare, schedulingGates=[{"name": "wait"}])
    assert refused(await bind(bare))[2].endswith("pod p has non-empty .spec.schedulingGates")


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        (
            {"metadata": {"name": "q"}},
            (400, "BadRequest", "name in URL does not match name in Binding object"),
        ),
        ({"target": {"kind": "Node"}}, (500, "", "target.name: Required value")),
        (
            {"target": {"kind": "Rack"}},
            (
                500,
                "",
                '[target.kind: Unsupported value: "Rack": supported values: "Node", "<empty>", '
                "target.name: Required value]",
            ),
        ),
    ],
)
async def test_a_binding_that_is_none_is_refused(
    bare: MemoryApiServer, binding: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    waiting(bare)
    assert refused(await bind(bare, **binding)) == expected


async def test_uid_and_version_are_preconditions(bare: MemoryApiServer) -> None:
    waiting(bare)
    for field in ({"uid": "other"}, {"resourceVersion": "1"}):
        answer = await bind(bare, metadata={"name": "p", **field})
        assert refused(answer)[:2] == (409, "Conflict")
        assert "Precondition failed" in refused(answer)[2]


async def test_a_pod_that_is_not_there_is_not_found(bare: MemoryApiServer) -> None:
    assert refused(await bind(bare)) == (404, "NotFound", 'pods "p" not found')
