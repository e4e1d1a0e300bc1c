"""Reads of one object: what an informer may answer, and how live ones are shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import kresilient as kr
from kresilient.api.resources import Key
from kresilient.client import Client

from ..cache.world import World, pod
from .cluster import Cluster, widgets

looptime = pytest.mark.looptime
POD = "default/a"


class PodView(kr.View, resource="v1/pods"):
    spec: dict[str, Any]


class OtherView(kr.View, resource="v1/pods"):
    status: dict[str, Any]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    async with made.server, made.client:
        made.server.create("v1/pods", pod("a", labels={"app": "web"}))
        yield made


def gets(world: World) -> int:
    """Gets of pods that came to the server."""
    return world.server.requests.count(verb="get", resource="v1/pods")


def ask(world: World, key: Key = POD, **options: Any) -> asyncio.Task[kr.KubeObject]:
    return asyncio.create_task(world.client.get("v1/pods", key, **options))


# --- live reads -------------------------------------------------------------------------------------------


async def test_a_thousand_who_ask_at_once_make_one_request(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    found = await asyncio.gather(*(client.get("v1/pods", POD) for _ in range(1000)))
    assert {obj.name for obj in found} == {"a"}
    assert cluster.server.requests.count(verb="get") == 1


@looptime
async def test_who_asks_while_the_request_waits_for_admission_shares_it(world: World) -> None:
    async with world.connect(qps=0.1, burst=1) as client:
        await client.get("v1/pods", POD)
        reads = []
        for _ in range(9):
            reads.append(asyncio.create_task(client.get("v1/pods", POD)))
            await asyncio.sleep(1)
        await asyncio.gather(*reads)
    assert gets(world) == 2


@looptime
async def test_what_is_shared_is_the_same_object_by_whatever_name(world: World) -> None:
    world.server.faults.on("get").delay(1)
    other = world.client.get("v1/pods/status", POD)
    by_kind = world.client.get("v1", POD, kind="Pod")
    view = world.client.get(PodView, POD)
    *_, seen = await asyncio.gather(ask(world), other, by_kind, view)
    assert seen.spec["nodeName"] == "n1"
    assert sorted(record.subresource for record in world.server.requests.where(verb="get")) == ["", "status"]


@looptime
async def test_a_read_after_an_own_write_shows_it_whatever_was_in_the_air(world: World) -> None:
    world.server.faults.next("get").drip(50)  # what is answered was read before
    early = ask(world)
    await world.server.requests.wait_for(verb="get")
    written = await world.client.patch("v1/pods", POD, {"metadata": {"labels": {"app": "api"}}})
    late = await asyncio.gather(*(ask(world) for _ in range(100)))
    assert (await early).labels == {"app": "web"}
    assert {obj.resource_version for obj in late} == {written.resource_version}
    assert gets(world) == 2


@looptime
async def test_a_read_shows_at_least_what_an_informer_has_told(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        told = asyncio.Event()
        pods.add_handler(on_update=lambda old, new: told.set())
        world.server.faults.next("get").drip(50)
        early = ask(world)
        await world.server.requests.wait_for(verb="get")
        world.server.patch("v1/pods", POD, {"metadata": {"labels": {"app": "api"}}})
        await told.wait()
        assert (await ask(world)).labels == {"app": "api"}
        assert (await early).labels == {"app": "web"}


@looptime
async def test_an_error_reaches_all_who_share_it(world: World) -> None:
    errors = await asyncio.gather(*(ask(world, "default/none") for _ in range(50)), return_exceptions=True)
    assert {type(error) for error in errors} == {kr.NotFound} and len(set(map(id, errors))) == 50
    assert gets(world) == 1


@looptime
async def test_a_failed_read_is_repeated_once_for_all_who_share_it(world: World) -> None:
    world.server.faults.next("get").status(503)
    early = [ask(world) for _ in range(10)]
    await world.server.requests.wait_for(verb="get")
    late = [ask(world) for _ in range(10)]
    assert {obj.name for obj in await asyncio.gather(*early, *late)} == {"a"}
    assert gets(world) == 2


@looptime
async def test_the_request_ends_with_the_last_who_wants_it(world: World) -> None:
    world.server.faults.on("get").delay(10)
    first, second = ask(world), ask(world)
    await world.server.requests.wait_for(verb="get")
    first.cancel()
    await asyncio.sleep(1)
    assert world.server.requests.where(verb="get").running.count == 1
    second.cancel()
    await asyncio.sleep(1)
    assert world.server.requests.where(verb="get").running.count == 0
    assert first.cancelled() and second.cancelled()


@looptime
async def test_closing_the_client_is_told_to_all_who_share_a_read(world: World) -> None:
    world.server.faults.on("get").hang()
    reads = [ask(world) for _ in range(10)]
    await world.server.requests.wait_for(verb="get")
    await world.client.close()
    for error in await asyncio.gather(*reads, return_exceptions=True):
        assert isinstance(error, kr.LifecycleError)
    assert not world.client.health.crashes


@looptime
async def test_a_read_with_a_deadline_for_admission_is_not_shared(world: World) -> None:
    world.server.faults.on("get").delay(1)
    other = ask(world)
    with kr.admission(within=5.0):
        await asyncio.gather(other, ask(world))
    assert gets(world) == 2


# --- reads by an informer -----------------------------------------------------------------------------------

WHOLE: list[dict[str, Any]] = [
    {},
    {"namespaces": "default"},
    {"namespaces": ["default", "other"]},
    {"field_selector": "metadata.name=a"},
    {"field_selector": "metadata.namespace=default,metadata.name!=b"},
    {"index": ["spec.nodeName"]},
]
SELECTIVE: list[dict[str, Any]] = [{"label_selector": "app=web"}, {"field_selector": "spec.nodeName=n1"}]
PARTIAL: list[dict[str, Any]] = [
    {"metadata_only": True},
    {"strip": ["metadata.managedFields"]},
    {"transform": lambda obj: obj},
    {"resource": PodView},
]


def named(options: dict[str, Any]) -> str:
    return "+".join(options) or "all"


def holding(world: World, resource: Any = "v1/pods", **options: Any) -> kr.Informer[Any]:
    return world.client.informer(resource, **options)


@looptime
@pytest.mark.parametrize("cache", ["prefer", "only"])
@pytest.mark.parametrize("options", [*WHOLE, *SELECTIVE], ids=named)
async def test_what_an_informer_holds_whole_is_read_from_it(
    world: World, options: dict[str, Any], cache: Any
) -> None:
    async with holding(world, **options) as pods:
        await pods.synced(30)
        found = await world.client.get("v1/pods", POD, cache=cache)
        assert gets(world) == 0
        live = await world.client.get("v1/pods", POD)
    assert found.to_dict() == live.to_dict()


@looptime
@pytest.mark.parametrize("options", PARTIAL, ids=named)
async def test_what_an_informer_holds_in_part_is_read_from_the_server(
    world: World, options: dict[str, Any]
) -> None:
    async with holding(world, **options) as pods:
        await pods.synced(30)
        found = await world.client.get("v1/pods", POD, cache="prefer")
        assert (found["spec"]["containers"][0]["image"], gets(world)) == ("i", 1)
        with pytest.raises(kr.ConfigError, match="keeps parts of its objects only"):
            await world.client.get("v1/pods", POD, cache="only")


@looptime
async def test_a_view_is_read_from_an_informer_of_it_or_of_all(world: World) -> None:
    for resource in (PodView, "v1/pods"):
        async with holding(world, resource) as pods:
            await pods.synced(30)
            found = await world.client.get(PodView, POD, cache="only")
            assert (found.name, found.spec["nodeName"]) == ("a", "n1")
    assert gets(world) == 0


@looptime
@pytest.mark.parametrize(
    "options", [{"resource": OtherView}, {"resource": PodView, "strip": ["spec.x"]}], ids=str
)
async def test_a_view_is_not_read_from_an_informer_of_less(world: World, options: dict[str, Any]) -> None:
    async with holding(world, **options) as pods:
        await pods.synced(30)
        await world.client.get(PodView, POD, cache="prefer")
    assert gets(world) == 1


@looptime
@pytest.mark.parametrize("cache", ["prefer", "only"])
@pytest.mark.parametrize("options", WHOLE, ids=named)
async def test_an_informer_proves_that_there_is_none(
    world: World, options: dict[str, Any], cache: Any
) -> None:
    world.server.delete("v1/pods", POD)
    async with holding(world, **options) as pods:
        await pods.synced(30)
        with pytest.raises(kr.NotFound, match=r'pods "a" not found') as told:
            await world.client.get("v1/pods", POD, cache=cache)
        assert gets(world) == 0
        with pytest.raises(kr.NotFound) as answered:
            await world.client.get("v1/pods", POD)
    mine, real = told.value, answered.value
    assert (mine.code, mine.reason, mine.status.status) == (real.code, real.reason, real.status.status)
    assert mine.status.details == real.status.details
    assert real.status_sent and not mine.status_sent
    assert "by the informer of v1/pods" in str(mine)


@looptime
async def test_what_is_gone_is_named_with_its_group_as_the_server_does(world: World) -> None:
    async with holding(world, "apps/v1/deployments") as deployments:
        await deployments.synced(30)
        with pytest.raises(kr.NotFound, match=r'deployments\.apps "web" not found') as told:
            await world.client.get("apps/v1/deployments", "default/web", cache="prefer")
    with pytest.raises(kr.NotFound, match=r'deployments\.apps "web" not found') as answered:
        await world.client.get("apps/v1/deployments", "default/web")
    assert told.value.status.details == answered.value.status.details


@looptime
@pytest.mark.parametrize(
    "options",
    [
        *SELECTIVE,
        {"namespaces": "other"},
        {"field_selector": "metadata.name!=b"},
        {"field_selector": "metadata.namespace=other"},
    ],
    ids=named,
)
async def test_what_an_informer_may_not_be_shown_is_asked_of_the_server(
    world: World, options: dict[str, Any]
) -> None:
    async with holding(world, **options) as pods:
        await pods.synced(30)
        world.server.create("v1/pods", pod("b", node="n2"))
        found = await world.client.get("v1/pods", "default/b", cache="prefer")
        assert (found.name, gets(world)) == ("b", 1)
        with pytest.raises(kr.ConfigError, match=r"may hide it|does not hold namespace 'default'"):
            await world.client.get("v1/pods", "default/b", cache="only")


@looptime
async def test_a_custom_resource_is_the_same_by_its_kind_and_by_its_name(world: World) -> None:
    world.server.create("apiextensions.k8s.io/v1/customresourcedefinitions", widgets())
    made = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "default"},
    }
    world.server.create("example.com/v1/widgets", made)
    async with holding(world, "example.com/v1/widgets") as held:
        await held.synced(30)
        found = await world.client.get("example.com/v1", "default/w", kind="Widget", cache="only")
        assert (found.kind, found.name) == ("Widget", "w")
        with pytest.raises(kr.NotFound, match=r'widgets\.example\.com "none" not found'):
            await world.client.get("example.com/v1", "default/none", kind="Widget", cache="only")
    assert world.server.requests.count(verb="get", resource="example.com/v1/widgets") == 0


@looptime
async def test_one_of_several_informers_that_knows_is_enough(world: World) -> None:
    async with holding(world, metadata_only=True) as part, holding(world) as whole:
        await part.synced(30)
        await whole.synced(30)
        await world.client.get("v1/pods", POD, cache="only")
    assert gets(world) == 0


@looptime
async def test_before_an_informer_has_synced_the_server_is_asked(world: World) -> None:
    world.server.faults.on(("list", "watch")).status(403)
    async with holding(world):
        await world.client.get("v1/pods", POD, cache="prefer")
        assert gets(world) == 1
        with pytest.raises(kr.NotSyncedError, match=r"v1/pods has not synced.*403"):
            await world.client.get("v1/pods", POD, cache="only")
        assert gets(world) == 1


@looptime
async def test_what_was_set_aside_is_asked_of_the_server(world: World) -> None:
    broken = b'{"metadata":{"name":"bad","namespace":"default","labels":7}}'
    world.server.state.put_raw("v1/pods", "default/bad", broken)
    async with holding(world) as pods:
        await pods.synced(30)
        with pytest.raises(kr.WireError):  # what the server has is no better
            await world.client.get("v1/pods", "default/bad", cache="prefer")
        assert gets(world) == 1
        with pytest.raises(kr.PoisonObject, match="set default/bad aside"):
            await world.client.get("v1/pods", "default/bad", cache="only")


@looptime
@pytest.mark.parametrize("when", ["list", "watch"])
async def test_nothing_is_proved_absent_while_something_nameless_is_set_aside(
    world: World, when: str
) -> None:
    listed = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"items":[%s]}'
    if when == "list":
        body = listed % (world.server.state.version, b'{"metadata":null}')
        world.server.faults.next("list").answer(body)
    else:
        world.server.faults.next("watch").answer(
            b'{"type":"ADDED","object":{"metadata":null}}\n', then="stall"
        )
    async with holding(world, streaming=False) as pods:
        await pods.synced(30)
        await world.until(lambda: pods.health.reflectors[0].poisoned)
        with pytest.raises(kr.PoisonObject, match="set something nameless aside"):
            await world.client.get("v1/pods", "default/none", cache="only")
        with pytest.raises(kr.NotFound) as answered:
            await world.client.get("v1/pods", "default/none", cache="prefer")
        assert answered.value.status_sent
        await world.until(lambda: "the paced relist is due" in world.rows)
        await world.until(lambda: pods.keys() == [POD])
        with pytest.raises(kr.NotFound) as told:
            await world.client.get("v1/pods", "default/none", cache="only")
        assert not told.value.status_sent


@looptime
async def test_without_an_informer_only_the_cache_says_which_is_missing(world: World) -> None:
    with pytest.raises(kr.ConfigError, match=r'no informer of v1/pods.*cache="prefer"'):
        await world.client.get("v1/pods", POD, cache="only")
    async with holding(world) as pods:
        await pods.synced(30)
    await world.client.get("v1/pods", POD, cache="prefer")
    assert gets(world) == 1, "it was closed"


@looptime
async def test_an_informer_knows_nothing_of_subresources(world: World) -> None:
    async with holding(world) as pods:
        await pods.synced(30)
        await world.client.get("v1/pods/status", POD, cache="prefer")
    assert [record.subresource for record in world.server.requests.where(verb="get")] == ["status"]


@looptime
async def test_a_way_to_read_that_does_not_exist_is_refused(world: World) -> None:
    misspelt: Any = "prefered"
    with pytest.raises(kr.ConfigError, match=r"cache= is one of .*'prefer'"):
        await world.client.get("v1/pods", POD, cache=misspelt)
    with pytest.raises(kr.InvalidName):
        await world.client.get("v1/pods", "a", cache="only")
