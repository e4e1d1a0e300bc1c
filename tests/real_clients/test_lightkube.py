"""lightkube, blocking and async: its usual round, server-side apply, generic resources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from lightkube import ApiError, AsyncClient, Client, KubeConfig, codecs
from lightkube.core.exceptions import ConditionError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Node, Pod
from lightkube.types import CascadeType, PatchType

from kresilient.testing.server import FakeApiServer

from .conftest import Blocking
from .manifests import config_map, deployment, pod, widget, widget_definition

pytestmark = pytest.mark.asyncio


@pytest.fixture
def client(apiserver: FakeApiServer) -> Iterator[Client]:
    with Client(KubeConfig.from_dict(apiserver.kubeconfig()), field_manager="me", trust_env=False) as made:
        yield made


@pytest_asyncio.fixture
async def async_client(apiserver: FakeApiServer) -> AsyncIterator[AsyncClient]:
    config = KubeConfig.from_dict(apiserver.kubeconfig())
    async with AsyncClient(config, field_manager="me", trust_env=False) as made:
        yield made


async def test_a_blocking_round(apiserver: FakeApiServer, client: Client, blocking: Blocking[None]) -> None:
    def a_round() -> None:
        web = client.create(codecs.from_dict(pod("web", app="web")))
        assert web.metadata.creationTimestamp is not None
        with pytest.raises(ApiError) as taken:
            client.create(codecs.from_dict(pod("web")))
        assert (taken.value.status.code, taken.value.status.reason) == (409, "AlreadyExists")
        client.patch(Pod, "web", {"metadata": {"labels": {"tier": "front"}}})
        containers = {"spec": {"containers": [{"name": "app", "image": "nginx:2"}]}}
        patched = client.patch(Pod, "web", containers, patch_type=PatchType.STRATEGIC)
        assert [(one.name, one.image) for one in patched.spec.containers] == [("app", "nginx:2")]
        client.patch(Pod.Status, "web", {"status": {"phase": "Running"}}, patch_type=PatchType.MERGE)
        client.set(Pod, "web", labels={"set": "yes"})
        found = client.get(Pod, "web")
        assert found.metadata.labels == {"app": "web", "tier": "front", "set": "yes"}
        assert found.status.phase == "Running"
        names = [one.metadata.name for one in client.list(Pod, namespace="*", labels={"tier": "front"})]
        assert names == ["web"]
        found.metadata.resourceVersion = "1"
        with pytest.raises(ApiError, match="the object has been modified"):
            client.replace(found)
        client.delete(Pod, "web")
        with pytest.raises(ApiError) as gone:
            client.get(Pod, "web")
        assert gone.value.status.code == 404

    await blocking(a_round)
    assert apiserver.get("v1/pods", "default/web") is None


async def test_lists_in_pages(apiserver: FakeApiServer, client: Client, blocking: Blocking[None]) -> None:
    apiserver.add(*(config_map(f"c{number:02}") for number in range(25)))

    def a_round() -> None:
        names = [one.metadata.name for one in client.list(ConfigMap, chunk_size=10)]
        assert [name for name in names if name.startswith("c")] == [f"c{number:02}" for number in range(25)]
        client.deletecollection(ConfigMap)
        assert list(client.list(ConfigMap)) == []

    await blocking(a_round)
    assert apiserver.requests.count(verb="list", resource="v1/configmaps") >= 4


async def test_server_side_apply(apiserver: FakeApiServer, client: Client, blocking: Blocking[None]) -> None:
    def a_round() -> None:
        applied = client.apply(codecs.from_dict(deployment("shop", 2)))
        assert applied.spec.replicas == 2
        assert [one.manager for one in applied.metadata.managedFields] == ["me"]
        client.apply(codecs.from_dict(deployment("shop", 2)), field_manager="other")
        with pytest.raises(ApiError) as conflict:
            client.apply(codecs.from_dict(deployment("shop", 3)), field_manager="other")
        assert conflict.value.status.code == 409
        assert ".spec.replicas" in conflict.value.status.message
        forced = client.apply(codecs.from_dict(deployment("shop", 3)), field_manager="other", force=True)
        assert forced.spec.replicas == 3
        client.patch(Deployment.Scale, "shop", {"spec": {"replicas": 4}}, patch_type=PatchType.MERGE)
        assert client.get(Deployment, "shop").spec.replicas == 4
        client.delete(Deployment, "shop", cascade=CascadeType.BACKGROUND)

    await blocking(a_round)
    assert apiserver.get("apps/v1/deployments", "default/shop") is None


async def test_an_async_round_at_cluster_scope(async_client: AsyncClient) -> None:
    await async_client.create(Namespace(metadata=ObjectMeta(name="shop")))
    await async_client.create(Node(metadata=ObjectMeta(name="n1")))
    cart = {**config_map("cart"), "metadata": {"name": "cart"}}
    await async_client.create(codecs.from_dict(cart), namespace="shop")
    names = [one.metadata.name async for one in async_client.list(Namespace)]
    assert "shop" in names
    assert (await async_client.get(ConfigMap, "cart", namespace="shop")).metadata.namespace == "shop"
    with pytest.raises(ApiError) as nowhere:
        await async_client.create(codecs.from_dict(cart), namespace="nowhere")
    assert (nowhere.value.status.code, nowhere.value.status.details.name) == (404, "nowhere")


async def test_an_async_watch_and_wait(apiserver: FakeApiServer, async_client: AsyncClient) -> None:
    apiserver.add(pod("first"))
    seen = []
    async with asyncio.timeout(10):
        async for kind, one in async_client.watch(Pod, namespace="default"):
            seen.append((kind, one.metadata.name))
            if len(seen) == 1:
                apiserver.add(pod("second"))
                apiserver.delete("v1/pods", "default/first")
            if len(seen) == 4:
                break
    added = [("ADDED", "first"), ("ADDED", "second")]
    assert seen == [*added, ("MODIFIED", "first"), ("DELETED", "first")], "marked, then gone"

    waiting = asyncio.create_task(async_client.wait(Pod, "second", for_conditions=["Ready"]))
    await apiserver.watchers("v1/pods")
    ready = {"type": "Ready", "status": "True"}
    apiserver.patch("v1/pods", "default/second", {"status": {"conditions": [ready]}})
    assert (await waiting).metadata.name == "second"
    with pytest.raises(ConditionError):
        await async_client.wait(Pod, "second", for_conditions=["Other"], raise_for_conditions=["Ready"])


async def test_generic_resources(async_client: AsyncClient) -> None:
    await async_client.create(codecs.from_dict(widget_definition()))
    assert (
        await async_client.get(CustomResourceDefinition, "widgets.example.com")
    ).status.acceptedNames.kind == "Widget"
    widgets = create_namespaced_resource("example.com", "v1", "Widget", "widgets")
    await async_client.create(widgets.from_dict(widget("left", 2)))
    await async_client.patch(widgets.Status, "left", {"status": {"size": 2}}, patch_type=PatchType.MERGE)
    applied = await async_client.apply(widgets.from_dict(widget("right", 7)))
    assert applied.spec["size"] == 7
    listed = [(one.metadata.name, one.spec["size"]) async for one in async_client.list(widgets)]
    assert listed == [("left", 2), ("right", 7)]
    with pytest.raises(ApiError) as invalid:
        await async_client.patch(widgets, "left", {"spec": {"size": -1}}, patch_type=PatchType.MERGE)
    assert invalid.value.status.code == 422
    await async_client.delete(widgets, "left")


async def test_an_expired_watch_is_an_error(apiserver: FakeApiServer, async_client: AsyncClient) -> None:
    apiserver.add(pod("first"))
    apiserver.compact()
    with pytest.raises(ApiError) as expired:
        async for _ in async_client.watch(Pod, namespace="default", resource_version="1"):
            pass
    assert expired.value.status.code == 410
