"""What stands on an `ApiClient`: the dynamic client, leader election, `create_from_dict`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kubernetes_asyncio.client import CoreV1Api
from kubernetes_asyncio.dynamic import DynamicClient
from kubernetes_asyncio.dynamic.exceptions import DynamicApiError
from kubernetes_asyncio.leaderelection.electionconfig import Config
from kubernetes_asyncio.leaderelection.leaderelection import LeaderElection
from kubernetes_asyncio.leaderelection.resourcelock.leaselock import LeaseLock
from kubernetes_asyncio.utils import create_from_dict
from kubernetes_asyncio.watch import Watch

from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.observe.events import Admitted, Event
from kresilient.testing.server import FakeApiServer

from .conftest import config_map, widget, widget_definition

PATIENCE = 20.0


# --- the dynamic client ----------------------------------------------------------------------------------


@pytest.fixture
async def dynamic(
    apiserver: FakeApiServer, api: ResilientApiClient, tmp_path: Path
) -> AsyncIterator[DynamicClient]:
    apiserver.create("apiextensions.k8s.io/v1/customresourcedefinitions", widget_definition())
    yield await DynamicClient(api, cache_file=str(tmp_path / "discovered.json"))


async def test_the_dynamic_client_discovers_reads_and_writes(
    apiserver: FakeApiServer, dynamic: DynamicClient
) -> None:
    widgets = await dynamic.resources.get(api_version="example.com/v1", kind="Widget")
    await widgets.create(body=widget("left", 2), namespace="default")
    await widgets.create(body=widget("right", 5), namespace="default")
    listed = await widgets.get(namespace="default")
    assert [(one.metadata.name, one.spec.size) for one in listed.items] == [("left", 2), ("right", 5)]
    applied = await widgets.server_side_apply(
        name="right", namespace="default", body=widget("right", 6), field_manager="me", force_conflicts=True
    )
    assert applied.spec.size == 6
    await widgets.delete(name="left", namespace="default")
    assert list(apiserver.objects("example.com/v1/widgets")) == ["default/right"]


async def test_a_failure_is_an_answer_to_the_dynamic_client(dynamic: DynamicClient) -> None:
    widgets = await dynamic.resources.get(api_version="example.com/v1", kind="Widget")
    gone = await widgets.get(name="none", namespace="default")
    assert (gone.kind, gone.code, gone.reason) == ("Status", 404, "NotFound")


async def test_a_group_whose_server_is_away_is_left_out_of_discovery(
    apiserver: FakeApiServer, dynamic: DynamicClient
) -> None:
    page = apiserver.faults.on("*", "/apis/apps/v1")
    page.answer("no endpoints available", status=503, headers={"Content-Type": "text/plain"})
    assert await dynamic.resources.get_resources_for_api_version("apis", "apps", "v1", True) == {}


async def test_a_page_is_the_dynamic_clients_error(apiserver: FakeApiServer, dynamic: DynamicClient) -> None:
    widgets = await dynamic.resources.get(api_version="example.com/v1", kind="Widget")
    apiserver.faults.on("list", "*").answer("<html>", headers={"Content-Type": "text/html"})
    with pytest.raises(DynamicApiError, match="instead of JSON"):
        await widgets.get(namespace="default")


async def test_the_dynamic_client_watches(apiserver: FakeApiServer, dynamic: DynamicClient) -> None:
    widgets = await dynamic.resources.get(api_version="example.com/v1", kind="Widget")
    apiserver.add(widget("left", 2))
    async with asyncio.timeout(PATIENCE), Watch() as watch:
        async for event in dynamic.watch(widgets, namespace="default", watcher=watch):
            assert (event["type"], event["object"].spec.size) == ("ADDED", 2)
            break


# --- leader election -------------------------------------------------------------------------------------


async def test_a_leader_is_elected_and_renews_as_leases(
    apiserver: FakeApiServer, api: ResilientApiClient, seen: list[Event]
) -> None:
    led = asyncio.Event()

    async def lead() -> None:
        led.set()

    lock = LeaseLock("l", "default", "me", api)
    election = LeaderElection(Config(lock, 5, 4, 1, lead, None))
    running = asyncio.create_task(election.run())
    try:
        async with asyncio.timeout(PATIENCE):
            await led.wait()
            await apiserver.requests.wait_for(verb="update", resource="coordination.k8s.io/v1/leases")
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert apiserver.get("coordination.k8s.io/v1/leases", "default/l")["spec"]["holderIdentity"] == "me"
    asked = {(one.verb, one.resource) for one in seen if isinstance(one, Admitted)}
    leases = "coordination.k8s.io/v1/leases"
    assert asked == {("get", leases), ("create", leases), ("update", leases)}


async def test_a_renewal_in_doubt_does_not_end_the_election(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    lock = LeaseLock("l", "default", "me", api)
    election = LeaderElection(Config(lock, 5, 4, 1, asyncio.Event().wait, None))
    assert await election.try_acquire_or_renew()
    apiserver.faults.next("update", "coordination.k8s.io/v1/leases").status(504)
    assert await election.try_acquire_or_renew(), "it carries a version, so the repeat is safe"


# --- and others ------------------------------------------------------------------------------------------


async def test_manifests_are_created(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    await create_from_dict(api, {"apiVersion": "v1", "kind": "ConfigMap", **config_map("a", x="1")})
    assert (await CoreV1Api(api).read_namespaced_config_map("a", "default")).data == {"x": "1"}
