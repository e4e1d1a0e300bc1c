"""kr8s, async: its usual round, and its watch when a version has expired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import kr8s
import pytest
import pytest_asyncio
from kr8s.asyncio import Api
from kr8s.asyncio.objects import ConfigMap, CustomResourceDefinition, Deployment, Pod, new_class

from kresilient.testing.server import FakeApiServer

from .manifests import config_map, deployment, pod, widget, widget_definition

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported"),  # 0.20 knows 1.35 at most
]


@pytest_asyncio.fixture
async def api(apiserver: FakeApiServer, tmp_path: Path) -> AsyncIterator[Api]:
    made = await kr8s.asyncio.api(kubeconfig=apiserver.kubeconfig_file(tmp_path / "kubeconfig"))
    yield made
    if made._session is not None:
        await made._session.aclose()


async def test_a_round_of_pods(apiserver: FakeApiServer, api: Api) -> None:
    web = await Pod(pod("web", app="web"), api=api)
    assert not await web.exists()
    await web.create()
    assert await web.exists()
    assert web.metadata.uid
    await web.label(tier="front")
    await web.annotate(note="kept")
    await web.remove_label("app")
    await web.patch({"status": {"phase": "Running"}}, subresource="status")
    await web.patch([{"op": "add", "path": "/metadata/labels/x", "value": "y"}], type="json")
    await web.refresh()
    assert (dict(web.labels), web.annotations["note"], web.status.phase) == (
        {"tier": "front", "x": "y"},
        "kept",
        "Running",
    )
    found = [one async for one in api.get("pods", namespace="default", label_selector={"tier": "front"})]
    assert [one.name for one in found] == ["web"]
    again = await Pod.get("web", namespace="default", api=api)
    assert again.metadata.uid == web.metadata.uid
    with pytest.raises(kr8s.ServerError, match='pods "web" already exists'):
        await (await Pod(pod("web"), api=api)).create()
    await web.delete()
    with pytest.raises(kr8s.NotFoundError):
        await web.refresh()
    assert apiserver.get("v1/pods", "default/web") is None


async def test_a_deployment_is_scaled_and_waited_for(apiserver: FakeApiServer, api: Api) -> None:
    shop = await Deployment(deployment("shop"), api=api)
    await shop.create()
    await shop.scale(3)
    assert shop.replicas == 3
    waiting = asyncio.create_task(shop.wait("condition=Available", timeout=10))
    await apiserver.watchers("apps/v1/deployments")
    available = {"type": "Available", "status": "True"}
    apiserver.patch("apps/v1/deployments", "default/shop", {"status": {"conditions": [available]}})
    await waiting
    await shop.delete(propagation_policy="Background")
    assert not await shop.exists()


async def test_a_watch_sees_what_comes_and_goes(apiserver: FakeApiServer, api: Api) -> None:
    apiserver.add(config_map("first"))
    seen = []
    async with asyncio.timeout(10):
        async for kind, one in api.watch("configmaps", namespace="default"):
            seen.append((kind, one.name))
            if len(seen) == 1:
                apiserver.add(config_map("second"))
                apiserver.patch("v1/configmaps", "default/first", {"data": {"a": "b"}})
                apiserver.delete("v1/configmaps", "default/second")
            if len(seen) == 4:
                break
    assert seen == [("ADDED", "first"), ("ADDED", "second"), ("MODIFIED", "first"), ("DELETED", "second")]


async def test_a_custom_resource(apiserver: FakeApiServer, api: Api) -> None:
    await (await CustomResourceDefinition(widget_definition(), api=api)).create()
    await apiserver.wait_for(
        "apiextensions.k8s.io/v1/customresourcedefinitions", "widgets.example.com", lambda crd: crd["status"]
    )
    widgets = new_class("Widget", "example.com/v1", scalable=True, scalable_spec="size")
    left = await widgets(widget("left", 2), api=api)
    await left.create()
    await left.scale(5)
    await left.refresh()
    assert left.spec.size == 5
    owned = await ConfigMap(config_map("owned"), api=api)
    await owned.create()
    await left.adopt(owned)
    stored = apiserver.get("v1/configmaps", "default/owned")
    assert stored is not None
    assert stored["metadata"]["ownerReferences"][0]["uid"] == left.metadata.uid
    assert [one.name async for one in api.get("widgets.example.com", namespace="default")] == ["left"]
    await left.delete()


async def test_what_is_served_and_who_one_is(api: Api) -> None:
    kinds = {one["kind"] for one in await api.api_resources()}
    assert {"Pod", "Deployment", "Lease", "CustomResourceDefinition"} <= kinds
    assert (await api.version())["gitVersion"].startswith("v1.")
    assert (await api.lookup_kind("deploy"))[:2] == ("deployment.apps/v1", "deployments")


async def test_an_overloaded_server_is_an_error(apiserver: FakeApiServer, api: Api) -> None:
    apiserver.faults.next("list", "v1/pods").status(503)
    with pytest.raises((kr8s.ServerError, httpx.HTTPStatusError)):
        [one async for one in api.get("pods", namespace="default")]
    assert [one async for one in api.get("pods", namespace="default")] == []
