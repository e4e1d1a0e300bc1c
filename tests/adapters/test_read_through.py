"""Reads that an informer answers: exactly as the server would, and never older than one's own writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiException, CoreV1Api, CustomObjectsApi

import kresilient
from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.api.views import View
from kresilient.testing.server import FakeApiServer

from .conftest import config_map, pod, widget, widget_definition

PODS = "v1/pods"
MAPS = "v1/configmaps"


class Bench:
    """The same calls through a client that reads through, and through one that does not."""

    def __init__(self, server: FakeApiServer, client: kresilient.Client) -> None:
        self.server, self.client = server, client
        self.cached = CoreV1Api(ResilientApiClient(client=client, read_through=True))
        self.direct = CoreV1Api(ResilientApiClient(client=client))

    @asynccontextmanager
    async def holding(self, resource: Any = PODS, **options: Any) -> AsyncIterator[kresilient.Informer[Any]]:
        async with self.client.informer(resource, **options) as informer:
            await informer.synced(10)
            yield informer

    @property
    def asked(self) -> int:
        """Gets and lists that came to the server."""
        requests = self.server.requests
        return requests.where(verb="get").count + requests.where(verb="list").count


@pytest.fixture
def bench(apiserver: FakeApiServer, kube_client: kresilient.Client) -> Bench:
    for name in ("a", "b", "c"):
        apiserver.add(pod(name, app="web" if name < "c" else "db"))
    return Bench(apiserver, kube_client)


# --- what it answers -------------------------------------------------------------------------------------


async def test_a_get_is_answered_from_memory_as_the_server_would(bench: Bench) -> None:
    async with bench.holding():
        before = bench.asked
        cached = await bench.cached.read_namespaced_pod("a", "default")
        assert bench.asked == before
        assert cached == await bench.direct.read_namespaced_pod("a", "default")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_selector": "app in (web)"},
        {"field_selector": "spec.nodeName=n1,metadata.name!=a"},
        {"resource_version": "0"},
        {"resource_version": "1", "resource_version_match": "NotOlderThan"},
        {"limit": 100},
    ],
)
async def test_a_list_is_answered_from_memory_as_the_server_would(
    bench: Bench, options: dict[str, Any]
) -> None:
    async with bench.holding() as informer:
        before = bench.asked
        cached = await bench.cached.list_namespaced_pod("default", **options)
        assert bench.asked == before
        assert cached.metadata.resource_version == informer.resource_version
        assert cached == await bench.direct.list_namespaced_pod("default", **options)


async def test_objects_that_came_by_the_watch_look_alike(bench: Bench) -> None:
    async with bench.holding() as informer:
        events = informer.events()
        bench.server.add(pod("d"))
        async for event in events:
            if event.key == "default/d":
                break
        assert (
            await bench.cached.list_pod_for_all_namespaces()
            == await bench.direct.list_pod_for_all_namespaces()
        )
        cached = await bench.cached.read_namespaced_pod("d", "default")
        assert cached == await bench.direct.read_namespaced_pod("d", "default")


async def test_a_raw_answer_comes_from_memory_too(bench: Bench) -> None:
    async with bench.holding():
        before = bench.asked
        raw = await bench.cached.read_namespaced_pod("a", "default", _preload_content=False)
        assert (await raw.json())["kind"] == "Pod"
        assert bench.asked == before


async def test_equal_selectors_are_answered_however_they_are_written(bench: Bench) -> None:
    async with bench.holding(label_selector="app in (web)", field_selector="spec.nodeName=n1"):
        before = bench.asked
        options = {"label_selector": "app  in (web )", "field_selector": "spec.nodeName==n1"}
        assert len((await bench.cached.list_namespaced_pod("default", **options)).items) == 2
        assert bench.asked == before


async def test_custom_objects_are_answered(bench: Bench) -> None:
    bench.server.create("apiextensions.k8s.io/v1/customresourcedefinitions", widget_definition())
    bench.server.add(widget("left", 2))
    where = ("example.com", "v1", "default", "widgets")
    async with bench.holding("example.com/v1/widgets"):
        before = bench.asked
        cached = CustomObjectsApi(bench.cached.api_client)
        listed, one = (
            await cached.list_namespaced_custom_object(*where),
            await cached.get_namespaced_custom_object(*where, "left"),
        )
        assert bench.asked == before
    direct = CustomObjectsApi(bench.direct.api_client)
    assert listed == await direct.list_namespaced_custom_object(*where)
    assert one == await direct.get_namespaced_custom_object(*where, "left")


async def test_a_cluster_scoped_object_is_answered(bench: Bench) -> None:
    async with bench.holding("v1/namespaces"):
        before = bench.asked
        cached = await bench.cached.read_namespace("default")
        assert bench.asked == before
        assert cached == await bench.direct.read_namespace("default")


# --- what it leaves to the server ------------------------------------------------------------------------


async def test_nothing_is_read_through_unless_it_is_asked_for(bench: Bench) -> None:
    async with bench.holding():
        before = bench.asked
        await bench.direct.read_namespaced_pod("a", "default")
        assert bench.asked == before + 1


@pytest.mark.parametrize(
    "options",
    [
        {"namespaces": "other"},
        {"label_selector": "app=web"},
        {"field_selector": "spec.nodeName=n1"},
        {"metadata_only": True},
        {"strip": ["metadata.managedFields"]},
        {"transform": lambda obj: obj},
    ],
)
async def test_an_informer_that_holds_less_answers_no_list(bench: Bench, options: dict[str, Any]) -> None:
    bench.server.create("v1/namespaces", {"metadata": {"name": "other"}})
    async with bench.holding(**options):
        before = bench.asked
        assert len((await bench.cached.list_namespaced_pod("default")).items) == 3
        assert bench.asked == before + 1


async def test_a_view_answers_nothing(bench: Bench) -> None:
    class PodView(View, resource=PODS):
        spec: dict[str, Any]

    async with bench.holding(PodView):
        before = bench.asked
        await bench.cached.read_namespaced_pod("a", "default")
        assert bench.asked == before + 1


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 2},
        {"resource_version": "1", "resource_version_match": "Exact"},
        {"resource_version": "1", "limit": 100},
        {"field_selector": "spec.nodeName=n1", "label_selector": "app=web", "limit": 1},
    ],
)
async def test_what_only_the_server_can_honour_is_asked_of_it(bench: Bench, options: dict[str, Any]) -> None:
    async with bench.holding():
        before = bench.asked
        try:
            cached = await bench.cached.list_namespaced_pod("default", **options)
        except ApiException as error:
            assert error.status == 410
        else:
            assert cached == await bench.direct.list_namespaced_pod("default", **options)
            before += 1
        assert bench.asked == before + 1


async def test_a_version_that_the_cache_has_not_reached_is_asked_of_the_server(bench: Bench) -> None:
    async with bench.holding() as informer:
        bench.server.create("v1/configmaps", config_map("a"))
        newer = str(int(informer.resource_version) + 1)
        before = bench.asked
        await bench.cached.list_namespaced_pod("default", resource_version=newer)
        assert bench.asked == before + 1


async def test_an_absent_object_is_asked_of_the_server(bench: Bench) -> None:
    async with bench.holding():
        before = bench.asked
        with pytest.raises(ApiException) as missing:
            await bench.cached.read_namespaced_pod("none", "default")
        assert (missing.value.status, bench.asked) == (404, before + 1)


async def test_a_field_that_cannot_be_selected_here_is_the_servers_to_refuse(bench: Bench) -> None:
    async with bench.holding():
        with pytest.raises(ApiException) as refused:
            await bench.cached.list_namespaced_pod("default", field_selector="spec.colour=red")
        assert refused.value.status == 400


async def test_an_informer_that_has_not_synced_answers_nothing(bench: Bench) -> None:
    held = bench.server.faults.on("watch", PODS).hold()
    async with bench.client.informer(PODS):
        await held.hit()
        assert (await bench.cached.read_namespaced_pod("a", "default")).metadata.name == "a"
        held.lift()


async def test_an_informer_that_was_closed_answers_nothing(bench: Bench) -> None:
    async with bench.holding():
        pass
    before = bench.asked
    await bench.cached.read_namespaced_pod("a", "default")
    assert bench.asked == before + 1


# --- one's own writes ------------------------------------------------------------------------------------


async def test_what_was_written_is_read_whatever_the_watch_brings(bench: Bench) -> None:
    bench.server.create(MAPS, config_map("a", x="0"))
    async with bench.holding(MAPS):
        for number in range(1, 20):
            body = {"data": {"x": str(number)}}
            await bench.cached.patch_namespaced_config_map("a", "default", body)
            read = await bench.cached.read_namespaced_config_map("a", "default")
            assert read.data == {"x": str(number)}


async def test_a_write_that_the_watch_has_brought_is_read_from_memory_again(bench: Bench) -> None:
    bench.server.create(MAPS, config_map("a", x="0"))
    async with bench.holding(MAPS) as maps:
        written = await bench.cached.patch_namespaced_config_map("a", "default", {"data": {"x": "1"}})
        await maps.wait_for(written.metadata.resource_version, timeout=30)
        before = bench.asked
        assert (await bench.cached.read_namespaced_config_map("a", "default")).data == {"x": "1"}
        assert bench.asked == before


@pytest.mark.parametrize("silent", [True, False])
async def test_what_was_deleted_is_gone_whatever_the_watch_brings(bench: Bench, silent: bool) -> None:
    bench.server.create(MAPS, config_map("a"))
    if silent:
        bench.server.faults.on("watch", MAPS).drop_events(types="DELETED")
    async with bench.holding(MAPS):
        await bench.cached.delete_namespaced_config_map("a", "default")
        with pytest.raises(ApiException) as gone:
            await bench.cached.read_namespaced_config_map("a", "default")
        assert gone.value.status == 404
        names = [
            one.metadata.name for one in (await bench.cached.list_namespaced_config_map("default")).items
        ]
        assert "a" not in names


async def test_a_delete_that_waits_leaves_the_object_to_be_read(bench: Bench) -> None:
    made = config_map("a")
    made["metadata"]["finalizers"] = ["example.com/wait"]
    bench.server.create(MAPS, made)
    async with bench.holding(MAPS) as maps:
        await bench.cached.delete_namespaced_config_map("a", "default")
        await maps.wait_for(str(bench.server.state.version), timeout=30)
        before = bench.asked
        read = await bench.cached.read_namespaced_config_map("a", "default")
        assert read.metadata.deletion_timestamp is not None
        assert bench.asked == before
        bench.server.faults.on("watch", MAPS).drop_events(types="DELETED")
        await bench.cached.patch_namespaced_config_map("a", "default", {"metadata": {"finalizers": None}})
        with pytest.raises(ApiException):
            await bench.cached.read_namespaced_config_map("a", "default")


async def test_after_a_write_in_doubt_the_server_is_asked_until_it_was_listed(bench: Bench) -> None:
    bench.server.create(MAPS, config_map("a", x="0"))
    bench.server.faults.next("create", MAPS).status(504)
    async with bench.holding(MAPS) as maps:
        with pytest.raises(ApiException):
            await bench.cached.create_namespaced_config_map("default", config_map("b"))
        before = bench.asked
        await bench.cached.read_namespaced_config_map("a", "default")
        await bench.cached.list_namespaced_config_map("default")
        assert bench.asked == before + 2
        events = maps.events()
        bench.server.create(MAPS, config_map("c"))
        async for event in events:
            if event.key == "default/c":
                break
        await bench.cached.read_namespaced_config_map("a", "default")
        assert bench.asked == before + 2


async def test_a_delete_of_a_collection_is_seen(bench: Bench) -> None:
    bench.server.create(MAPS, config_map("a", x="0"))
    bench.server.faults.on("watch", MAPS).drop_events(types="DELETED")
    async with bench.holding(MAPS):
        await bench.cached.delete_collection_namespaced_config_map("default")
        assert (await bench.cached.list_namespaced_config_map("default")).items == []


async def test_a_dry_run_changes_nothing_to_wait_for(bench: Bench) -> None:
    async with bench.holding():
        await bench.cached.delete_namespaced_pod("a", "default", dry_run="All")
        before = bench.asked
        await bench.cached.read_namespaced_pod("a", "default")
        assert bench.asked == before


async def test_an_eviction_is_seen(bench: Bench) -> None:
    async with bench.holding():
        eviction = {"metadata": {"name": "a", "namespace": "default"}}
        await bench.cached.create_namespaced_pod_eviction("a", "default", eviction)
        before = bench.asked
        await bench.cached.list_namespaced_pod("default")
        assert bench.asked == before + 1
