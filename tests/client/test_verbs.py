"""Every verb, over HTTP: what is sent, what comes back, and the typed error where it fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

import kresilient as kr
from kresilient.api.objects import KubeObject
from kresilient.client import Client
from kresilient.transport.base import Request, Response

from ..transport.servers import always, response, serve
from .cluster import PATIENCE, Cluster, config_map, pod, widgets

DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "i:1"}]},
        },
    },
}


class Recorder:
    """A transport that notes every request before it passes it on."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.sent: list[Request] = []

    @property
    def server(self) -> str:
        return str(self.inner.server)

    async def send(self, request: Request) -> Response:
        self.sent.append(request)
        answer: Response = await self.inner.send(request)
        return answer

    async def close(self) -> None:
        await self.inner.close()


@pytest.fixture
async def recorded(cluster: Cluster) -> AsyncIterator[tuple[Client, list[Request]]]:
    """A client, and the requests it sends."""
    inner = cluster.client()
    recorder = Recorder(inner._transport)
    async with Client(recorder, qps=None) as client:
        yield client, recorder.sent


async def test_an_object_is_created_read_changed_and_deleted(client: Client) -> None:
    made = await client.create("v1/pods", pod("a", app="web"))
    assert (made.key, made.kind, made.labels) == ("default/a", "Pod", {"app": "web"})
    assert made.uid and made.resource_version

    read = await client.get("v1/pods", "default/a")
    assert read == made

    changed = {**read.to_dict()}
    changed["metadata"] = {**changed["metadata"], "labels": {"app": "api"}}
    updated = await client.update("v1/pods", changed)
    assert updated.labels == {"app": "api"}
    assert int(updated.resource_version) > int(made.resource_version)

    last = await client.delete("v1/pods", "default/a")
    assert last is not None and last.uid == made.uid
    with pytest.raises(kr.NotFound, match=r'pods "a" not found'):
        await client.get("v1/pods", "default/a")


async def test_a_delete_that_is_answered_with_a_status_returns_none(client: Client) -> None:
    await client.create("v1/configmaps", config_map("a"))
    assert await client.delete("v1/configmaps", "default/a") is None


async def test_a_cluster_scoped_object_needs_no_namespace(client: Client) -> None:
    made = await client.create("v1/nodes", {"metadata": {"name": "n1"}})
    assert made.key == "n1"
    assert (await client.get("v1/nodes", "n1")).uid == made.uid


@pytest.mark.parametrize(
    "where", ["in the object", "as an argument", "in both"], ids=lambda where: where.replace(" ", "-")
)
async def test_the_namespace_of_a_create_may_stand_in_either_place(client: Client, where: str) -> None:
    obj: dict[str, Any] = {"metadata": {"name": "a"}}
    options: dict[str, Any] = {}
    if where != "as an argument":
        obj["metadata"]["namespace"] = "default"
    if where != "in the object":
        options["namespace"] = "default"
    assert (await client.create("v1/configmaps", obj, **options)).key == "default/a"


async def test_a_create_without_or_with_two_namespaces_is_refused_before_it_is_sent(
    cluster: Cluster, client: Client
) -> None:
    with pytest.raises(kr.InvalidName, match=r"set metadata\.namespace"):
        await client.create("v1/configmaps", {"metadata": {"name": "a"}})
    with pytest.raises(kr.InvalidName, match="'default', not 'other'"):
        await client.create("v1/configmaps", config_map("a"), namespace="other")
    assert cluster.server.requests.total == 0


async def test_a_read_object_and_a_struct_can_be_written(client: Client) -> None:
    import msgspec

    class Meta(msgspec.Struct):
        name: str
        namespace: str

    class Settings(msgspec.Struct):
        metadata: Meta
        data: dict[str, str]

    made = await client.create("v1/configmaps", Settings(Meta("a", "default"), {"x": "1"}))
    assert (await client.update("v1/configmaps", made)).resource_version == made.resource_version


async def test_a_view_reads_typed_fields_but_is_never_written(client: Client) -> None:
    class Settings(kr.View, resource="v1/configmaps"):
        data: dict[str, str]

    await client.create("v1/configmaps", config_map("a", x="1"))
    read = await client.get(Settings, "default/a")
    assert (read.name, read.data) == ("a", {"x": "1"})
    assert [one.data for one in await client.list(Settings)] == [{"x": "1"}]
    with pytest.raises(TypeError, match="projection"):
        await client.update("v1/configmaps", read)


# --- patches ---


async def test_a_merge_patch_merges_and_removes(client: Client) -> None:
    await client.create("v1/configmaps", config_map("a", x="1", y="2"))
    patched = await client.patch("v1/configmaps", "default/a", {"data": {"x": None, "z": "3"}})
    assert patched["data"] == {"y": "2", "z": "3"}


async def test_a_json_patch_is_a_list_of_operations(client: Client) -> None:
    await client.create("v1/configmaps", config_map("a", x="1"))
    steps = [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "remove", "path": "/data/x"}]
    assert not (await client.patch("v1/configmaps", "default/a", steps, type="json")).get("data")
    with pytest.raises(kr.Invalid):
        await client.patch("v1/configmaps", "default/a", steps, type="json")


async def test_a_strategic_patch_merges_lists_by_their_key(client: Client) -> None:
    await client.create("apps/v1/deployments", DEPLOYMENT)
    second = {"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "j"}]}}}}
    patched = await client.patch("apps/v1/deployments", "default/web", second, type="strategic")
    assert {one["name"] for one in patched["spec"]["template"]["spec"]["containers"]} == {"c", "d"}


async def test_an_apply_creates_what_is_not_there_and_says_whose_the_fields_are(
    recorded: tuple[Client, list[Request]],
) -> None:
    client, sent = recorded
    for data in ({"x": "1"}, {"x": "2"}):
        applied = await client.patch(
            "v1/configmaps",
            "default/a",
            {"data": data},
            type="apply",
            field_manager="me",
            force=data["x"] == "2",
        )
        assert applied["data"] == data
    assert [dict(one.query) for one in sent] == [
        {"fieldManager": "me", "force": "false"},
        {"fieldManager": "me", "force": "true"},
    ]
    assert {one.headers["Content-Type"] for one in sent} == {"application/apply-patch+yaml"}


@pytest.mark.parametrize(
    ("patch", "options", "message"),
    [
        ({}, {"type": "apply"}, "needs field_manager="),
        ({}, {"force": True}, "force= goes with type='apply' only"),
        ({}, {"type": "yaml"}, "'yaml' is no type of patch"),
    ],
)
async def test_a_patch_that_cannot_work_is_refused_before_it_is_sent(
    cluster: Cluster, client: Client, patch: Any, options: Any, message: str
) -> None:
    with pytest.raises(kr.ConfigError, match=message):
        await client.patch("v1/configmaps", "default/a", patch, **options)
    with pytest.raises(TypeError, match="a json patch must be a list"):
        await client.patch("v1/configmaps", "default/a", {}, type="json")
    assert cluster.server.requests.total == 0


# --- subresources, dry runs, options ---


async def test_a_status_is_written_apart_from_its_object(client: Client) -> None:
    await client.create("v1/pods", pod("a"))
    change = {"status": {"phase": "Running"}, "metadata": {"labels": {"ignored": "there"}}}
    patched = await client.patch("v1/pods/status", "default/a", change)
    assert patched["status"]["phase"] == "Running"
    read = (await client.get("v1/pods/status", "default/a")).to_dict()
    read["status"]["phase"] = "Failed"
    assert (await client.update("v1/pods/status", read))["status"]["phase"] == "Failed"


async def test_a_scale_is_read_and_written_as_what_it_is(client: Client) -> None:
    await client.create("apps/v1/deployments", DEPLOYMENT)
    scale = await client.get("apps/v1/deployments/scale", "default/web")
    assert (scale.kind, scale["spec"]["replicas"]) == ("Scale", 2)
    await client.update("apps/v1/deployments/scale", {**scale.to_dict(), "spec": {"replicas": 5}})
    await client.patch("apps/v1/deployments/scale", "default/web", {"spec": {"replicas": 7}})
    assert (await client.get("apps/v1/deployments", "default/web"))["spec"]["replicas"] == 7


async def test_an_eviction_is_a_create_below_its_pod(cluster: Cluster, client: Client) -> None:
    await client.create("v1/pods", pod("a"))
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "a", "namespace": "default"},
    }
    answer = await client.create("v1/pods/eviction", eviction)
    assert (answer.kind, answer["status"]) == ("Status", "Success")
    assert cluster.truth() == {}


async def test_a_review_is_answered_without_a_name(client: Client) -> None:
    review = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}}
    answer = await client.create("authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert answer["status"]["allowed"] is True


async def test_a_dry_run_changes_nothing(cluster: Cluster, client: Client) -> None:
    await client.create("v1/configmaps", config_map("a", x="1"))
    before = cluster.truth("v1/configmaps")
    assert (await client.create("v1/configmaps", config_map("b"), dry_run=True)).key == "default/b"
    changed = config_map("a", x="2")
    assert (await client.update("v1/configmaps", changed, dry_run=True))["data"] == {"x": "2"}
    patched = await client.patch("v1/configmaps", "default/a", changed, dry_run=True)
    assert patched["data"] == {"x": "2"}
    await client.delete("v1/configmaps", "default/a", dry_run=True)
    assert cluster.truth("v1/configmaps") == before


async def test_the_options_of_a_delete_are_sent(recorded: tuple[Client, list[Request]]) -> None:
    client, sent = recorded
    held = pod("a")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    made = await client.create("v1/pods", held)
    last = await client.delete(
        "v1/pods",
        "default/a",
        uid=made.uid,
        resource_version=made.resource_version,
        propagation="Foreground",
        grace_period=30,
    )
    assert last is not None and last.deleting
    assert json.loads(sent[-1].body or b"") == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": {"uid": made.uid, "resourceVersion": made.resource_version},
        "propagationPolicy": "Foreground",
        "gracePeriodSeconds": 30,
    }
    assert (await client.get("v1/pods", "default/a")).deleting
    for wrong in ({"propagation": "Sideways"}, {"grace_period": -1}):
        with pytest.raises(kr.ConfigError):
            await client.delete("v1/pods", "default/a", **wrong)  # type: ignore[arg-type]


async def test_a_precondition_that_does_not_hold_is_a_conflict(cluster: Cluster, client: Client) -> None:
    await client.create("v1/pods", pod("a"))
    for wrong in ({"uid": "another"}, {"resource_version": "1"}):
        with pytest.raises(kr.Conflict):
            await client.delete("v1/pods", "default/a", **wrong)  # type: ignore[arg-type]
    assert list(cluster.truth()) == ["default/a"]


# --- typed errors ---


async def test_each_refusal_has_its_type_and_the_servers_words(client: Client) -> None:
    made = await client.create("v1/configmaps", config_map("a"))
    with pytest.raises(kr.AlreadyExists, match='configmaps "a" already exists') as caught:
        await client.create("v1/configmaps", config_map("a"))
    assert isinstance(caught.value, kr.Conflict) and caught.value.status.reason == "AlreadyExists"

    await client.patch("v1/configmaps", "default/a", {"data": {"x": "1"}})
    with pytest.raises(kr.Conflict, match="read the object again") as conflict:
        await client.update("v1/configmaps", made)
    assert not isinstance(conflict.value, kr.AlreadyExists)

    with pytest.raises(kr.NotFound):
        await client.patch("v1/configmaps", "default/none", {})
    with pytest.raises(kr.Invalid):
        await client.create("v1/configmaps", config_map("Not_A_Name"))


@pytest.mark.parametrize("status", [500, 503])
async def test_a_read_outlives_a_passing_failure(cluster: Cluster, client: Client, status: int) -> None:
    cluster.create("a")
    fault = cluster.server.faults.next("get", "v1/pods").times(2).status(status)
    assert (await client.get("v1/pods", "default/a")).name == "a"
    assert fault.hits == 2


async def test_a_create_whose_answer_is_lost_is_unknown_and_sent_once(
    cluster: Cluster, client: Client
) -> None:
    cluster.server.faults.next("create", "v1/configmaps").reset(after_bytes=0)
    with pytest.raises(kr.OutcomeUnknown, match="read the object before"):
        await client.create("v1/configmaps", config_map("a"))
    assert cluster.server.requests.count(verb="create") == 1
    assert list(cluster.truth("v1/configmaps")) == ["default/a"], "it did happen"


async def test_a_create_that_was_done_but_answered_with_junk_is_unknown(
    cluster: Cluster, client: Client
) -> None:
    json_type = {"Content-Type": "application/json"}
    cluster.server.faults.next("create").answer(b'{"metadata":{}}', status=201, headers=json_type)
    with pytest.raises(kr.OutcomeUnknown, match="cannot be read"):
        await client.create("v1/configmaps", config_map("a"))
    assert cluster.server.requests.count(verb="create") == 1


async def test_a_delete_with_a_precondition_is_repeated_where_one_without_is_not(
    cluster: Cluster, client: Client
) -> None:
    made = await client.create("v1/configmaps", config_map("a"))
    cluster.server.faults.next("delete").times(2).reset()
    with pytest.raises(kr.OutcomeUnknown):
        await client.delete("v1/configmaps", "default/a")
    assert cluster.server.requests.count(verb="delete") == 1
    assert await client.delete("v1/configmaps", "default/a", uid=made.uid) is None
    assert cluster.server.requests.count(verb="delete") == 3


async def test_a_cancelled_write_is_aborted(cluster: Cluster, client: Client) -> None:
    cluster.server.faults.next("create").hang()
    creating = asyncio.create_task(client.create("v1/configmaps", config_map("a")))
    await cluster.server.requests.wait_for(verb="create", timeout=PATIENCE)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    assert await client.list("v1/configmaps") == []
    assert cluster.server.requests.count(verb="create") == 1


# --- as whom, and how fast ---


async def test_user_agent_and_impersonation_reach_the_server() -> None:
    obj = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"default"}}'
    async with serve(always(response(obj))) as server:
        who = kr.Impersonation("jane", groups=("dev", "ops"), extra={"scopes": ("view",)})
        async with kr.connect(server=server.url, user_agent="agent/1.2", impersonate=who) as client:
            assert (await client.get("v1/pods", "default/a")).name == "a"
    (got,) = server.requests
    assert got.header("User-Agent") == "agent/1.2"
    assert got.header("Impersonate-User") == "jane"
    assert got.header_values("Impersonate-Group") == ["dev", "ops"]
    assert got.header("Impersonate-Extra-scopes") == "view"


async def test_no_more_requests_leave_than_burst_and_rate_allow(cluster: Cluster) -> None:
    names = [f"p{number}" for number in range(20)]
    cluster.create(*names)
    async with kr.connect(server=cluster.server.url, qps=0.01, burst=3) as client:
        asked = [asyncio.create_task(client.get("v1/pods", f"default/{name}")) for name in names]
        done, waiting = await asyncio.wait(asked, timeout=0.5)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert len(waiting) >= 17 and all(task.result().name in names for task in done)
    assert cluster.server.requests.total <= 3


async def test_custom_resources_have_every_verb(cluster: Cluster, client: Client) -> None:
    cluster.server.create("apiextensions.k8s.io/v1/customresourcedefinitions", widgets())
    made = await client.create(
        "example.com/v1", {"metadata": {"name": "w"}, "spec": {"size": 1}}, kind="Widget", namespace="default"
    )
    assert (made.kind, made.api_version) == ("Widget", "example.com/v1")
    patched = await client.patch("example.com/v1", "default/w", {"spec": {"size": 2}}, kind="Widget")
    assert isinstance(patched, KubeObject) and patched["spec"] == {"size": 2}
    assert (await client.get("example.com/v1/widgets", "default/w"))["spec"] == {"size": 2}
    assert [one.key for one in await client.list("example.com/v1/widgets")] == ["default/w"]
    await client.delete("example.com/v1", "default/w", kind="Widget")
    assert await client.list("example.com/v1/widgets") == []
