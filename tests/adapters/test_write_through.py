"""What is written through `kubernetes_asyncio`'s APIs is shown by informers at once."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_asyncio.client import AppsV1Api, CoreV1Api, V1DeleteOptions

import kresilient
from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.testing.server import FakeApiServer

from .conftest import config_map

MAPS = "v1/configmaps"
A = "default/a"


async def test_every_write_is_shown_before_it_returns(
    apiserver: FakeApiServer, kube_client: kresilient.Client
) -> None:
    core = CoreV1Api(ResilientApiClient(client=kube_client))
    apiserver.faults.on("watch", MAPS).lag()
    async with kube_client.informer(MAPS, streaming=False) as maps:
        await maps.synced(10)
        await core.create_namespaced_config_map("default", config_map("a", x="1"))
        assert maps.get(A)["data"] == {"x": "1"}
        await core.patch_namespaced_config_map("a", "default", {"data": {"x": "2"}})
        assert maps.get(A)["data"] == {"x": "2"}
        await core.replace_namespaced_config_map("a", "default", config_map("a", x="3"))
        assert maps.get(A)["data"] == {"x": "3"}
        await core.delete_namespaced_config_map("a", "default")
        assert maps.get(A) is None


@pytest.mark.parametrize("how", ["query", "body"])
async def test_a_dry_run_is_not_shown(
    apiserver: FakeApiServer, kube_client: kresilient.Client, how: str
) -> None:
    core = CoreV1Api(ResilientApiClient(client=kube_client))
    apiserver.create(MAPS, config_map("a"))
    apiserver.faults.on("watch", MAPS).lag()
    dry: dict[str, Any] = {"dry_run": "All"}
    if how == "body":
        dry = {"body": V1DeleteOptions(dry_run=["All"])}
    async with kube_client.informer(MAPS, streaming=False) as maps:
        await maps.synced(10)
        await core.delete_namespaced_config_map("a", "default", **dry)
        assert maps.get(A) is not None


async def test_what_is_deleted_as_a_collection_waits_for_the_watch(
    apiserver: FakeApiServer, kube_client: kresilient.Client
) -> None:
    core = CoreV1Api(ResilientApiClient(client=kube_client))
    apiserver.create(MAPS, config_map("a"))
    replica = apiserver.faults.on("watch", MAPS).lag()
    async with kube_client.informer(MAPS, streaming=False) as maps:
        await maps.synced(10)
        await core.delete_collection_namespaced_config_map("default")
        assert maps.get(A) is not None
        replica.lift()
        await maps.wait_for(str(apiserver.state.version), timeout=60)
        assert maps.get(A) is None


async def test_a_scale_is_not_shown_in_the_place_of_its_deployment(
    apiserver: FakeApiServer, kube_client: kresilient.Client
) -> None:
    apps = AppsV1Api(ResilientApiClient(client=kube_client))
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    apiserver.create("apps/v1/deployments", {"metadata": {"name": "a", "namespace": "default"}, "spec": spec})
    apiserver.faults.on("watch", "apps/v1/deployments").lag()
    async with kube_client.informer("apps/v1/deployments", streaming=False) as deployments:
        await deployments.synced(10)
        await apps.patch_namespaced_deployment_scale("a", "default", {"spec": {"replicas": 3}})
        assert deployments.get(A).kind == "Deployment"
        assert deployments.get(A)["spec"]["replicas"] == 1
