"""Answers that are not what was asked for, and objects that are none: each an error or a recovery."""

from __future__ import annotations

import json
from typing import Any

import pytest

import kresilient as kr
from kresilient.cache.timing import Timing
from kresilient.client import Client
from kresilient.observe.events import Listed, ObjectQuarantined, ReflectorMoved

from ..client.cluster import PATIENCE, Cluster, pod

JSON = {"Content-Type": "application/json"}
STATUS = json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}).encode()
NO_ANSWERS = {
    "html": ([b"<html>Log in</html>"], {"Content-Type": "text/html"}),
    "html-said-to-be-json": ([b"<html>Log in</html>"], JSON),
    "empty": ([], JSON),
    "blank": ([b"  \n"], JSON),
    "status": ([STATUS], JSON),
    "broken-json": ([b'{"kind":"PodList","metadata":{"resourceVersion":"5"},"items":[{"meta'], JSON),
    "another-object": ([b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}'], JSON),
    "null": ([b"null"], JSON),
    "text": ([b"pong"], {"Content-Type": "text/plain"}),
}
no_answers = pytest.mark.parametrize(("chunks", "headers"), NO_ANSWERS.values(), ids=NO_ANSWERS)


@no_answers
async def test_what_is_no_list_is_an_error_to_who_asked(
    cluster: Cluster, client: Client, chunks: list[bytes], headers: dict[str, str]
) -> None:
    cluster.create("a")
    cluster.server.faults.on("list", "v1/pods").answer(*chunks, headers=headers)
    with pytest.raises(kr.WireError):
        await client.list("v1/pods")
    cluster.server.faults.clear()
    assert [one.name for one in await client.list("v1/pods")] == ["a"]


@no_answers
@pytest.mark.parametrize("streaming", [True, False])
async def test_what_is_no_list_is_never_an_empty_cache(
    cluster: Cluster, client: Client, chunks: list[bytes], headers: dict[str, str], streaming: bool
) -> None:
    cluster.create("a")
    verb = "watch" if streaming else "list"
    fault = cluster.server.faults.next(verb, "v1/pods").times(3).answer(*chunks, headers=headers)
    async with client.informer("v1/pods", streaming=streaming) as pods:
        await pods.synced(PATIENCE)
        assert pods.keys() == ["default/a"]
        assert fault.hits >= 1
    (listed,) = cluster.seen.of(Listed)
    assert listed.objects == 1, "no other answer was taken for the list"


@no_answers
async def test_what_is_no_watch_leaves_the_cache_as_it_is(
    cluster: Cluster, client: Client, chunks: list[bytes], headers: dict[str, str]
) -> None:
    cluster.create("a")
    async with cluster.following(client, streaming=False) as (pods, delivered):
        fault = cluster.server.faults.next("watch", "v1/pods").times(2).answer(*chunks, headers=headers)
        await cluster.server.restart()
        await cluster.seen.until(lambda: fault.hits == 2)
        assert pods.keys() == ["default/a"]
        cluster.create("b")
        await cluster.agrees(pods, delivered)
    assert len(cluster.seen.of(Listed)) == 1


@pytest.mark.parametrize(("chunks", "headers"), [NO_ANSWERS["html"], NO_ANSWERS["empty"], NO_ANSWERS["null"]])
async def test_what_is_no_object_is_an_error_to_who_asked(
    cluster: Cluster, client: Client, chunks: list[bytes], headers: dict[str, str]
) -> None:
    cluster.server.faults.on("get", "v1/pods").answer(*chunks, headers=headers)
    with pytest.raises(kr.WireError, match="v1/pods"):
        await client.get("v1/pods", "default/a")


async def test_sync_fails_with_the_last_reason(cluster: Cluster, client: Client) -> None:
    html = {"Content-Type": "text/html"}
    cluster.server.faults.next("watch", "v1/pods").status(500)
    cluster.server.faults.on("watch", "v1/pods").answer(b"<html>Log in", headers=html)
    async with client.informer("v1/pods") as pods:
        await cluster.seen.until(lambda: len(cluster.seen.of(ReflectorMoved)) > 4)
        with pytest.raises(kr.SyncError, match=r"v1/pods did not sync within 0\.05 s: .*text/html"):
            await pods.synced(0.05)


# --- objects ---


async def test_an_object_of_20_mb_is_read_listed_and_watched(cluster: Cluster, client: Client) -> None:
    first, second = "x" * (20 << 20), "y" * (20 << 20)
    cluster.server.create("v1/configmaps", {"metadata": {"name": "a"}, "data": {"big": first}})
    assert (await client.get("v1/configmaps", "default/a"))["data"]["big"] == first
    assert len((await client.list("v1/configmaps"))[0].raw) > 20 << 20
    for streaming in (True, False):
        async with cluster.following(client, "v1/configmaps", streaming=streaming) as (maps, delivered):
            cluster.server.patch("v1/configmaps", "default/a", {"data": {"big": second}})
            await delivered.until(lambda d=delivered: len(d) == 2)  # type: ignore[misc]
            assert maps.get("default/a")["data"]["big"] == second
            first, second = second, first


POISON = {
    "a-name-that-is-no-text": b'{"metadata":{"name":7,"namespace":"default","resourceVersion":"9"}}',
    "broken-json": b'{"metadata":{"name":"bad","namespace":"default"},"spec":}',
    "no-utf-8": b'{"metadata":{"name":"bad","namespace":"default"},"spec":{"x":"\xff"}}',
    "labels-that-are-none": b'{"metadata":{"name":"bad","namespace":"default","labels":[1]},"spec":{}}',
    "no-metadata": b'{"kind":"Pod","apiVersion":"v1","spec":{}}',
    "no-name": b'{"kind":"Pod","apiVersion":"v1","metadata":{},"spec":{}}',
}
poison = pytest.mark.parametrize("raw", POISON.values(), ids=POISON)
NAMED = {"broken-json", "no-utf-8", "labels-that-are-none"}


@poison
@pytest.mark.parametrize("streaming", [True, False])
async def test_poison_in_a_list_costs_nothing_but_itself(
    cluster: Cluster, client: Client, raw: bytes, streaming: bool
) -> None:
    cluster.create("a", "z")
    cluster.server.state.put_raw("v1/pods", "default/bad", raw)
    async with client.informer("v1/pods", streaming=streaming) as pods:
        await pods.synced(PATIENCE)
        assert pods.keys() == ["default/a", "default/z"]
        (aside,) = cluster.seen.of(ObjectQuarantined)
        if aside.key:
            assert list(pods.health.quarantined) == ["default/bad"]
            with pytest.raises(kr.PoisonObject, match="default/bad is set aside"):
                pods.get("default/bad")
        assert pods.health.reflectors[0].poisoned == 1
    assert bool(aside.key) == (raw in {POISON[name] for name in NAMED})


@poison
async def test_poison_in_a_watch_costs_nothing_but_itself(
    cluster: Cluster, client: Client, raw: bytes
) -> None:
    cluster.create("a", "bad")
    async with cluster.following(client) as (pods, delivered):
        cluster.server.state.put_raw("v1/pods", "default/bad", raw)
        cluster.create("b")
        await delivered.until(lambda: len(delivered) == 3)
        assert pods.keys() == ["default/a", "default/b", "default/bad"]
        (aside,) = cluster.seen.of(ObjectQuarantined)
        if aside.key:
            with pytest.raises(kr.PoisonObject):
                pods.get("default/bad")
    assert cluster.server.requests.count(verb="watch") == 1, "the stream went on"


async def test_a_paced_relist_repairs_what_poison_had_hidden(cluster: Cluster) -> None:
    timing = Timing(relist_base=0.05, small_jitter=0.01, backoff_base=0.02)
    async with cluster.client(timing=timing) as client, cluster.following(client) as (pods, delivered):
        cluster.server.state.put_raw("v1/pods", "default/bad", b'{"metadata":{"name":7}}')
        await cluster.seen.until(lambda: cluster.seen.of(ObjectQuarantined))
        cluster.server.delete("v1/pods", "default/bad")
        cluster.server.create("v1/pods", pod("bad"))
        await cluster.seen.until(lambda: len(cluster.seen.of(Listed)) >= 2)
        await cluster.agrees(pods, delivered)
        assert pods.health.quarantined == {}


async def test_poison_is_an_error_to_who_lists_without_a_cache(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    cluster.server.state.put_raw("v1/pods", "default/bad", POISON["no-utf-8"])
    with pytest.raises(kr.PoisonObject):
        await client.list("v1/pods")
    with pytest.raises(kr.WireError, match="no object"):
        await client.get("v1/pods", "default/bad")


# --- selectors and names ---


async def test_a_selector_that_does_not_parse_is_never_sent(cluster: Cluster, client: Client) -> None:
    for options in (
        {"label_selector": "app in web"},
        {"label_selector": "a=b=c"},
        {"label_selector": "=x"},
        {"field_selector": "spec.nodeName"},
        {"field_selector": "spec.nodeName>1"},
    ):
        for call in (client.list, client.watch, client.informer):
            with pytest.raises(kr.SelectorError):
                call("v1/pods", **options)  # type: ignore[operator]
    assert cluster.server.requests.total == 0


async def test_a_selector_that_the_server_rejects_fails_the_sync_with_its_words(
    cluster: Cluster, client: Client
) -> None:
    with pytest.raises(kr.BadRequest, match=r"spec\.nosuch"):
        await client.list("v1/pods", field_selector="spec.nosuch=1")
    async with client.informer("v1/pods", field_selector="spec.nosuch=1") as pods:
        with pytest.raises(kr.SyncError, match=r"spec\.nosuch"):
            await pods.synced(PATIENCE)


NAMES = [
    "default/a/b",
    "default/..",
    "default/.",
    "../a",
    "default/",
    "/a",
    "",
    "default/a%2fb",
    "default/a\x00",
]


@pytest.mark.parametrize("key", NAMES)
async def test_no_name_reaches_another_path(cluster: Cluster, client: Client, key: str) -> None:
    calls: list[Any] = [
        lambda: client.get("v1/pods", key),
        lambda: client.delete("v1/pods", key),
        lambda: client.patch("v1/pods", key, {}),
        lambda: client.get("v1/pods/status", key),
    ]
    for call in calls:
        with pytest.raises(kr.InvalidName):
            await call()
    assert cluster.server.requests.total == 0


@pytest.mark.parametrize("text", ["a/b", "..", ".", "a%2fb"])
async def test_no_name_within_an_object_or_argument_reaches_another_path(
    cluster: Cluster, client: Client, text: str
) -> None:
    named = {"metadata": {"name": text, "namespace": "default"}}
    placed = {"metadata": {"name": "a", "namespace": text}}
    for call in (
        lambda: client.update("v1/configmaps", named),
        lambda: client.create("v1/pods/eviction", named),
        lambda: client.create("v1/configmaps", placed),
    ):
        with pytest.raises(kr.InvalidName):
            await call()
    for now in (
        lambda: client.list("v1/pods", namespace=text),
        lambda: client.watch("v1/pods", namespace=text),
        lambda: client.informer("v1/pods", namespaces=text),
        lambda: client.list(f"v1/{text}"),
        lambda: client.watch(f"v1/{text}"),
    ):
        with pytest.raises(kr.InvalidName):
            now()
    assert cluster.server.requests.total == 0


async def test_strange_but_lawful_names_reach_their_own_path(cluster: Cluster, client: Client) -> None:
    role = "rbac.authorization.k8s.io/v1/clusterroles"
    name = "system:controller:a b?c#d"
    await client.create(role, {"metadata": {"name": "system:controller:x"}})
    assert (await client.get(role, "system:controller:x")).key == "system:controller:x"
    with pytest.raises(kr.NotFound):
        await client.get(role, name)
    assert cluster.server.requests.where(verb="get")[-1].name == name


async def test_an_object_without_a_name_or_of_another_shape_is_refused(
    cluster: Cluster, client: Client
) -> None:
    placed = {"metadata": {"namespace": "default"}}
    for wrong in ([], "text", {"metadata": [1]}, {**placed, "data": object()}):
        with pytest.raises(TypeError):
            await client.create("v1/configmaps", wrong)  # type: ignore[arg-type]
    with pytest.raises(kr.InvalidName, match=r"no metadata\.name"):
        await client.update("v1/configmaps", {"metadata": {"namespace": "default"}})
    assert cluster.server.requests.total == 0
