"""What an informer holds and answers, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

import kresilient as kr
from kresilient.api.objects import KubeObject
from kresilient.client import Client
from kresilient.observe.events import HandlerFailed

from .cluster import PATIENCE, Cluster, held, pod, widgets

WIDGETS = "apiextensions.k8s.io/v1/customresourcedefinitions"


async def test_it_follows_what_everybody_writes_the_client_itself_included(
    cluster: Cluster, client: Client
) -> None:
    cluster.create("a")
    async with cluster.following(client) as (pods, delivered):
        assert pods.get("default/a").name == "a"
        assert pods.get("default/none") is None and "default/none" not in pods
        await client.create("v1/pods", pod("b"))
        await client.patch("v1/pods", "default/a", {"metadata": {"labels": {"app": "web"}}})
        await client.delete("v1/pods", "default/b")
        await delivered.until(lambda: delivered[-1].type == "deleted")
        assert held(pods) == cluster.truth()
        assert pods.get("default/a").labels == {"app": "web"}
    assert [(event.type, event.key) for event in delivered] == [
        ("added", "default/a"),
        ("added", "default/b"),
        ("updated", "default/a"),
        *[("updated", "default/b")] * 2,  # marked, and at the end of its grace
        ("deleted", "default/b"),
    ]
    assert cluster.server.requests.count(verb="watch") == 1


async def test_reads_select_in_key_order(cluster: Cluster, client: Client) -> None:
    for namespace, name, app in (("b", "x", "web"), ("a", "z", "api"), ("a", "y", "web")):
        cluster.server.create("v1/pods", pod(name, namespace=namespace, app=app))
    async with cluster.following(client) as (pods, _):
        assert pods.keys() == ["a/y", "a/z", "b/x"]
        assert pods.keys(namespace="a") == ["a/y", "a/z"]
        assert [one.key for one in pods.list(label_selector="app in (web, db)")] == ["a/y", "b/x"]
        assert [one.key for one in pods.list(label_selector={"app": "api"})] == ["a/z"]
        assert [one.key for one in pods.list(namespace="a", label_selector="app=web")] == ["a/y"]
        assert [one.key for one in pods.list(field_selector="metadata.name!=x")] == ["a/y", "a/z"]
        assert pods.list(namespace="none") == []
        for wrong in ({"label_selector": "app in web"}, {"field_selector": "spec.nosuch=1"}):
            with pytest.raises(kr.SelectorError):
                pods.list(**wrong)
        assert len(pods) == 3 and bool(pods)


async def test_several_namespaces_have_a_watch_each_and_read_as_one(cluster: Cluster, client: Client) -> None:
    for namespace in ("c", "a", "b"):
        for name in ("y", "x"):
            cluster.server.create("v1/pods", pod(name, namespace=namespace, node=f"{namespace}{name}"))
    options = {"namespaces": ["c", "a"], "index": ["spec.nodeName"]}
    async with cluster.following(client, **options) as (pods, delivered):
        assert pods.keys() == [one.key for one in pods.list()] == ["a/x", "a/y", "c/x", "c/y"]
        assert pods.get("c/x").key == "c/x"
        with pytest.raises(kr.ConfigError, match="not b"):
            pods.get("b/x")
        assert [one.key for one in pods.by_index("spec.nodeName", "cy")] == ["c/y"]
        assert sorted(pods.index_values("spec.nodeName")) == ["ax", "ay", "cx", "cy"]
        assert [one.key for one in pods.list(namespace="c")] == ["c/x", "c/y"]
        assert len(pods) == 4
        cluster.server.create("v1/pods", pod("z", namespace="b"))
        cluster.server.create("v1/pods", pod("z", namespace="a"))
        await delivered.until(lambda: len(delivered) == 5)
        assert pods.keys() == ["a/x", "a/y", "a/z", "c/x", "c/y"]
    watches = cluster.server.requests.where(verb="watch")
    assert sorted(record.namespace for record in watches) == ["a", "c"]


async def test_the_server_evaluates_the_selectors_of_an_informer(cluster: Cluster, client: Client) -> None:
    cluster.server.create("v1/pods", pod("web", app="web"))
    cluster.server.create("v1/pods", pod("api", app="api"))
    cluster.server.create("v1/pods", pod("far", app="web", node="n2"))
    options = {"label_selector": "app=web", "field_selector": "spec.nodeName=n1"}
    async with cluster.following(client, **options) as (pods, delivered):
        assert pods.keys() == ["default/web"]
        cluster.server.patch("v1/pods", "default/api", {"metadata": {"labels": {"app": "web"}}})
        cluster.server.patch("v1/pods", "default/web", {"metadata": {"labels": {"app": "api"}}})
        await delivered.until(lambda: len(delivered) == 3)
        assert pods.keys() == ["default/api"]
        assert [event.type for event in delivered] == ["added", "added", "deleted"]
        assert delivered[-1].object.labels == {"app": "web"}, "as it last matched"


async def test_indexes_by_path_and_by_function_follow_the_objects(cluster: Cluster, client: Client) -> None:
    def by_app(obj: KubeObject) -> Iterable[str]:
        return obj.labels["app"]  # type: ignore[return-value]  # one value; no label is an error

    cluster.server.create("v1/pods", pod("b", app="web"))
    cluster.server.create("v1/pods", pod("a", app="web", node="n2"))
    cluster.create("bare")
    index = {"node": "spec.nodeName", "app": by_app, "images": "spec.containers[*].image"}
    async with cluster.following(client, index=index) as (pods, delivered):
        assert [one.name for one in pods.by_index("app", "web")] == ["a", "b"]
        assert [one.name for one in pods.by_index("node", "n1")] == ["b", "bare"]
        assert len(pods.by_index("images", "i")) == 3
        assert pods.by_index("app", "none") == []
        failed = cluster.seen.of(HandlerFailed)
        assert {(one.handler, one.key) for one in failed} == {("index app", "default/bare")}
        assert "default/bare" in pods, "an index that fails costs no object"
        cluster.server.patch("v1/pods", "default/a", {"metadata": {"labels": {"app": "api"}}})
        await delivered.until(lambda: len(delivered) == 4)
        assert [one.name for one in pods.by_index("app", "api")] == ["a"]
        assert [one.name for one in pods.by_index("app", "web")] == ["b"]
        cluster.server.delete("v1/pods", "default/a")
        await delivered.until(lambda: delivered[-1].type == "deleted")
        assert pods.index_values("app") == ["web"]
        with pytest.raises(kr.ConfigError, match=r"no index 'zone'; declared are .*'node'"):
            pods.by_index("zone", "z")


async def test_metadata_only_holds_no_body(cluster: Cluster, client: Client) -> None:
    cluster.server.create("v1/pods", pod("a", app="web"))
    async with cluster.following(client, metadata_only=True) as (pods, _):
        held_pod = pods.get("default/a")
        assert held_pod.labels == {"app": "web"} and "spec" not in held_pod
        assert (held_pod.kind, held_pod.uid) == ("PartialObjectMetadata", (await truth(client)).uid)


async def truth(client: Client) -> KubeObject:
    return await client.get("v1/pods", "default/a")


async def test_strip_and_transform_decide_what_is_kept(cluster: Cluster, client: Client) -> None:
    def without_status(obj: KubeObject) -> dict[str, Any]:
        data = obj.to_dict()
        data.pop("status", None)
        return data

    cluster.create("a")
    options = {"strip": ["spec.containers", "metadata.managedFields"], "transform": without_status}
    async with cluster.following(client, **options) as (pods, delivered):
        cluster.create("b")
        await delivered.until(lambda: len(delivered) == 2)
        for one in pods.list():
            assert one["spec"]["nodeName"] == "n1" and "containers" not in one["spec"]
            assert "status" not in one and one.uid


class Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class PodView(kr.View, resource="v1/pods"):
    spec: Spec


async def test_a_view_gives_typed_fields_to_reads_and_handlers(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    async with cluster.following(client, PodView) as (pods, delivered):
        cluster.server.patch("v1/pods", "default/a", {"metadata": {"labels": {"x": "y"}}})
        await delivered.until(lambda: len(delivered) == 2)
        one = pods.get("default/a")
        assert isinstance(one, PodView) and one.spec.node_name == "n1" and one.key == "default/a"
        assert [type(each) for each in pods.list()] == [PodView]
        event = delivered[1]
        assert isinstance(event.old, PodView) and event.new.labels == {"x": "y"}
        events = pods.events()
        assert isinstance((await anext(events)).object, PodView)


async def test_an_object_that_does_not_fit_its_view_is_set_aside_alone(
    cluster: Cluster, client: Client
) -> None:
    class Odd(kr.View, resource="v1/configmaps"):
        data: dict[str, int]

    cluster.server.create("v1/configmaps", {"metadata": {"name": "a"}, "data": {"x": "text"}})
    async with cluster.following(client, Odd) as (maps, _):
        with pytest.raises(kr.PoisonObject, match="set aside"):
            maps.get("default/a")
        assert list(maps.health.quarantined) == ["default/a"]


async def test_an_object_read_cannot_change_the_cache(cluster: Cluster, client: Client) -> None:
    cluster.server.create("v1/pods", pod("a", app="web"))
    async with cluster.following(client) as (pods, _):
        pods.get("default/a")["spec"]["nodeName"] = "changed"
        with pytest.raises(TypeError):
            pods.get("default/a").labels["app"] = "changed"
        assert pods.get("default/a")["spec"]["nodeName"] == "n1"


# --- discovery ---


async def test_a_kind_is_found_by_discovery_once_for_all_who_ask(cluster: Cluster, client: Client) -> None:
    cluster.server.create(WIDGETS, widgets())
    cluster.server.create("example.com/v1/widgets", {"metadata": {"name": "w"}, "spec": {"size": 1}})
    handles = [client.informer("example.com/v1", kind="Widget") for _ in range(3)]
    plain = client.informer("example.com/v1/widgets")
    await asyncio.gather(*(handle.start() for handle in (*handles, plain)))
    await asyncio.gather(*(handle.synced(PATIENCE) for handle in (*handles, plain)))
    assert handles[0].get("default/w")["spec"] == {"size": 1}
    assert cluster.server.requests.count(resource="/apis/example.com/v1") == 1
    assert cluster.server.requests.count(resource="example.com/v1/widgets") == 1, "one cache for all"
    for handle in (*handles, plain):
        await handle.close()


async def test_a_built_in_kind_needs_no_discovery(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    async with cluster.following(client, "v1", kind="Pod") as (pods, _):
        assert pods.keys() == ["default/a"]
    assert {record.resource for record in cluster.server.requests} == {"v1/pods"}


async def test_an_unknown_kind_is_an_error_that_one_question_proves(cluster: Cluster, client: Client) -> None:
    handle = client.informer("example.com/v1", kind="Widget")
    for _ in range(2):
        with pytest.raises(kr.ConfigError, match=r"no kind 'Widget' in example\.com/v1.*installed"):
            await handle.start()
    assert cluster.server.requests.total == 2
    with pytest.raises(kr.ConfigError):
        await client.get("apps/v1", "default/a", kind="Nonsense")


async def test_a_kind_that_was_installed_since_is_found(cluster: Cluster, client: Client) -> None:
    cluster.server.create(WIDGETS, widgets())
    with pytest.raises(kr.ConfigError):
        await client.get("example.com/v1", "default/g", kind="Gadget")
    cluster.server.create(WIDGETS, widgets("Gadget", "gadgets", "Cluster"))
    cluster.server.create("example.com/v1/gadgets", {"metadata": {"name": "g"}})
    assert (await client.get("example.com/v1", "g", kind="Gadget")).key == "g"
    with pytest.raises(kr.InvalidName, match="cluster-scoped"):
        await client.get("example.com/v1", "default/g", kind="Gadget")


async def test_a_discovery_that_fails_can_be_asked_again(cluster: Cluster, client: Client) -> None:
    cluster.server.create(WIDGETS, widgets())
    cluster.server.faults.next("*", "/apis/example.com/v1").status(403)
    handle = client.informer("example.com/v1", kind="Widget")
    with pytest.raises(kr.Forbidden):
        await handle.start()
    async with handle:
        await handle.synced(PATIENCE)
