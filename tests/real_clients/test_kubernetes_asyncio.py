"""kubernetes_asyncio: its usual round, its Watch over an expired version, its dynamic client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from kubernetes_asyncio import config, watch
from kubernetes_asyncio.client import (
    ApiClient,
    ApiException,
    ApiextensionsV1Api,
    AppsV1Api,
    AuthorizationV1Api,
    CoreV1Api,
    CustomObjectsApi,
    VersionApi,
)
from kubernetes_asyncio.dynamic import DynamicClient
from kubernetes_asyncio.utils import create_from_dict

from kresilient.testing.server import FakeApiServer

from .manifests import config_map, deployment, pod, widget, widget_definition

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def api(apiserver: FakeApiServer) -> AsyncIterator[ApiClient]:
    async with await config.new_client_from_config_dict(apiserver.kubeconfig()) as client:
        yield client


async def test_a_round_of_pods(apiserver: FakeApiServer, api: ApiClient) -> None:
    core = CoreV1Api(api)
    assert (await VersionApi(api).get_code()).major == "1"
    made = await core.create_namespaced_pod("default", pod("web", app="web"))
    assert made.metadata.creation_timestamp.tzinfo is not None
    with pytest.raises(ApiException) as taken:
        await core.create_namespaced_pod("default", pod("web"))
    assert taken.value.status == 409
    assert '"reason":"AlreadyExists"' in taken.value.body

    await core.patch_namespaced_pod("web", "default", {"metadata": {"labels": {"tier": "front"}}})
    operations = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}]
    await core.patch_namespaced_pod("web", "default", operations, _content_type="application/json-patch+json")
    await core.patch_namespaced_pod_status("web", "default", {"status": {"phase": "Running"}})
    listed = await core.list_pod_for_all_namespaces(label_selector="tier in (front)")
    assert [(one.metadata.name, one.status.phase) for one in listed.items] == [("web", "Running")]
    assert listed.items[0].metadata.annotations == {"a": "b"}

    listed.items[0].metadata.resource_version = "1"
    with pytest.raises(ApiException, match="the object has been modified"):
        await core.replace_namespaced_pod("web", "default", listed.items[0])
    await core.delete_namespaced_pod("web", "default", grace_period_seconds=0)
    with pytest.raises(ApiException) as gone:
        await core.read_namespaced_pod("web", "default")
    assert gone.value.status == 404
    assert apiserver.get("v1/pods", "default/web") is None


async def test_a_namespace_takes_what_is_in_it_along(apiserver: FakeApiServer, api: ApiClient) -> None:
    core = CoreV1Api(api)
    await create_from_dict(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    cart = config_map("cart", items="3")
    cart["metadata"]["namespace"] = "shop"
    await create_from_dict(api, cart)
    assert (await core.read_namespaced_config_map("cart", "shop")).data == {"items": "3"}
    await core.delete_namespace("shop")
    await apiserver.wait_gone("v1/namespaces", "shop")
    assert (await core.list_config_map_for_all_namespaces(field_selector="metadata.name=cart")).items == []


async def test_a_deployment_is_scaled(api: ApiClient) -> None:
    apps = AppsV1Api(api)
    await apps.create_namespaced_deployment("default", deployment("shop"))
    scale = await apps.read_namespaced_deployment_scale("shop", "default")
    assert (scale.spec.replicas, scale.status.selector) == (1, "app=shop")
    scale.spec.replicas = 3
    await apps.replace_namespaced_deployment_scale("shop", "default", scale)
    read = await apps.read_namespaced_deployment("shop", "default")
    assert (read.spec.replicas, read.metadata.generation) == (3, 2)


async def test_a_watch_from_a_list_and_over_its_expiry(apiserver: FakeApiServer, api: ApiClient) -> None:
    core, seen = CoreV1Api(api), []
    apiserver.add(pod("first"))
    async with watch.Watch() as stream, asyncio.timeout(20):
        async for event in stream.stream(core.list_namespaced_pod, "default"):
            name = event["object"].metadata.name
            seen.append((event["type"], name))
            match len(seen):
                case 1:
                    apiserver.add(pod("second"))
                case 2:  # it goes on from the last version that it saw, by itself
                    apiserver.state.end_watches()
                    apiserver.delete("v1/pods", "default/first")
                case 4:
                    break
    added = [("ADDED", "first"), ("ADDED", "second")]
    assert seen == [*added, ("MODIFIED", "first"), ("DELETED", "first")], "marked, then gone"

    apiserver.compact()
    with pytest.raises(ApiException) as expired:
        async with watch.Watch() as stream, asyncio.timeout(20):
            async for _ in stream.stream(core.list_namespaced_pod, "default", resource_version="1"):
                pass
    assert expired.value.status == 410


async def test_custom_objects_and_the_dynamic_client(api: ApiClient) -> None:
    await ApiextensionsV1Api(api).create_custom_resource_definition(widget_definition())
    where: tuple[Any, ...] = ("example.com", "v1", "default", "widgets")
    await CustomObjectsApi(api).create_namespaced_custom_object(*where, widget("left", 2))
    client = await DynamicClient(api)
    widgets = await client.resources.get(api_version="example.com/v1", kind="Widget")
    await widgets.create(body=widget("right", 5), namespace="default")
    listed = await widgets.get(namespace="default")
    assert [(one.metadata.name, one.spec.size) for one in listed.items] == [("left", 2), ("right", 5)]
    applied = await widgets.server_side_apply(
        name="right", namespace="default", body=widget("right", 6), field_manager="me", force_conflicts=True
    )
    assert applied.spec.size == 6
    await widgets.delete(name="left", namespace="default")
    gone = await widgets.get(name="left", namespace="default")  # this client raises nothing
    assert (gone.kind, gone.code, gone.reason) == ("Status", 404, "NotFound")


async def test_an_overloaded_server_is_an_error_with_its_delay(
    apiserver: FakeApiServer, api: ApiClient
) -> None:
    apiserver.faults.on("list", "v1/pods").status(429, retry_after=1)
    with pytest.raises(ApiException) as busy:
        await CoreV1Api(api).list_namespaced_pod("default")
    assert (busy.value.status, busy.value.headers["Retry-After"]) == (429, "1")


async def test_what_one_may_do_is_reviewed(api: ApiClient) -> None:
    asked = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}}
    review = await AuthorizationV1Api(api).create_self_subject_access_review(asked)
    assert review.status.allowed is True
