"""The official Python client: its usual round, its informer, its dynamic client, its leader election."""

from __future__ import annotations

import asyncio
import datetime
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import config, dynamic, utils, watch
from kubernetes.client import (
    ApiClient,
    ApiException,
    ApiextensionsV1Api,
    AppsV1Api,
    CoordinationV1Api,
    CoreV1Api,
    CustomObjectsApi,
    V1DeleteOptions,
    V1Preconditions,
    VersionApi,
)
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from kresilient.testing.server import FakeApiServer

from .conftest import Blocking
from .manifests import WIDGETS, config_map, deployment, pod, widget, widget_definition

pytestmark = pytest.mark.asyncio

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture
def api(apiserver: FakeApiServer) -> Iterator[ApiClient]:
    with config.new_client_from_config_dict(apiserver.kubeconfig()) as client:
        yield client


def refused(code: int, reason: str, call: Callable[[], Any]) -> None:
    with pytest.raises(ApiException) as caught:
        call()
    assert (caught.value.status, f'"reason":"{reason}"' in caught.value.body) == (code, True), caught.value


async def test_a_round_of_pods(apiserver: FakeApiServer, api: ApiClient, blocking: Blocking[None]) -> None:
    def a_round() -> None:
        core = CoreV1Api(api)
        assert VersionApi(api).get_code().git_version.startswith("v1.")
        made = core.create_namespaced_pod("default", pod("web", app="web"))
        assert made.metadata.uid
        assert made.metadata.creation_timestamp.tzinfo is not None
        assert core.read_namespaced_pod("web", "default").spec.containers[0].image == "nginx:1.27"
        refused(409, "AlreadyExists", lambda: core.create_namespaced_pod("default", pod("web")))
        refused(404, "NotFound", lambda: core.read_namespaced_pod("none", "default"))
        refused(
            404,
            "NotFound",
            lambda: core.create_namespaced_pod("nowhere", {**pod("x"), "metadata": {"name": "x"}}),
        )
        refused(
            422,
            "Invalid",
            lambda: core.create_namespaced_pod("default", {**pod("x"), "metadata": {"name": "X"}}),
        )

        core.patch_namespaced_pod("web", "default", {"metadata": {"labels": {"tier": "front"}}})
        core.patch_namespaced_pod(
            "web", "default", [{"op": "replace", "path": "/metadata/labels/app", "value": "shop"}]
        )
        core.patch_namespaced_pod_status("web", "default", {"status": {"phase": "Running"}})
        read = core.read_namespaced_pod("web", "default")
        assert (read.metadata.labels, read.status.phase) == ({"app": "shop", "tier": "front"}, "Running")
        assert [
            one.metadata.name for one in core.list_pod_for_all_namespaces(label_selector="tier=front").items
        ] == ["web"]
        assert core.list_namespaced_pod("default", field_selector="status.phase=Pending").items == []

        stale = core.read_namespaced_pod("web", "default")
        core.patch_namespaced_pod("web", "default", {"metadata": {"annotations": {"a": "b"}}})
        refused(409, "Conflict", lambda: core.replace_namespaced_pod("web", "default", stale))
        fresh = core.read_namespaced_pod("web", "default")
        fresh.metadata.annotations = {"a": "c"}
        assert core.replace_namespaced_pod("web", "default", fresh).metadata.annotations == {"a": "c"}

        other = V1DeleteOptions(preconditions=V1Preconditions(uid="11111111-2222-3333-4444-555555555555"))
        refused(409, "Conflict", lambda: core.delete_namespaced_pod("web", "default", body=other))
        assert core.delete_namespaced_pod("web", "default").metadata.name == "web"
        refused(404, "NotFound", lambda: core.read_namespaced_pod("web", "default"))

    await blocking(a_round)
    assert apiserver.get("v1/pods", "default/web") is None


async def test_pages_and_a_collection_deleted(
    apiserver: FakeApiServer, api: ApiClient, blocking: Blocking[None]
) -> None:
    def a_round() -> None:
        core = CoreV1Api(api)
        for number in range(25):
            core.create_namespaced_config_map("default", config_map(f"c{number:02}", n=str(number)))
        names, token = [], None
        while token != "":
            page = core.list_namespaced_config_map("default", limit=10, _continue=token)
            names += [one.metadata.name for one in page.items if one.metadata.name.startswith("c")]
            token = page.metadata._continue or ""
        assert names == [f"c{number:02}" for number in range(25)]
        core.delete_collection_namespaced_config_map("default")
        assert core.list_namespaced_config_map("default").items == []

    await blocking(a_round)


async def test_a_deployment_is_scaled(api: ApiClient, blocking: Blocking[None]) -> None:
    def a_round() -> None:
        apps = AppsV1Api(api)
        made = apps.create_namespaced_deployment("default", deployment("shop"))
        assert (made.metadata.generation, made.spec.replicas) == (1, 1)
        assert (
            apps.patch_namespaced_deployment_scale("shop", "default", {"spec": {"replicas": 5}}).spec.replicas
            == 5
        )
        read = apps.read_namespaced_deployment("shop", "default")
        assert (read.metadata.generation, read.spec.replicas) == (2, 5)
        status = apps.patch_namespaced_deployment_status(
            "shop", "default", {"status": {"readyReplicas": 5, "replicas": 5}}
        )
        assert (status.metadata.generation, status.status.ready_replicas) == (2, 5)
        by_container = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "nginx:2"}]}}}}
        containers = apps.patch_namespaced_deployment(
            "shop", "default", by_container
        ).spec.template.spec.containers
        assert [(one.name, one.image) for one in containers] == [("app", "nginx:2")]

    await blocking(a_round)


async def test_custom_resources(api: ApiClient, blocking: Blocking[None]) -> None:
    def a_round() -> None:
        ApiextensionsV1Api(api).create_custom_resource_definition(widget_definition())
        objects = CustomObjectsApi(api)
        where = ("example.com", "v1", "default", "widgets")
        objects.create_namespaced_custom_object(*where, widget("left", 3))
        refused(422, "Invalid", lambda: objects.create_namespaced_custom_object(*where, widget("bad", -1)))
        patched = objects.patch_namespaced_custom_object(*where, "left", {"spec": {"size": 4}})
        assert patched["spec"]["size"] == 4
        status = {"status": {"size": 4}}
        assert objects.patch_namespaced_custom_object_status(*where, "left", status)["status"] == {"size": 4}
        assert objects.get_namespaced_custom_object_scale(*where, "left")["spec"] == {"replicas": 4}
        assert len(objects.list_cluster_custom_object("example.com", "v1", "widgets")["items"]) == 1
        objects.delete_namespaced_custom_object(*where, "left")
        ApiextensionsV1Api(api).delete_custom_resource_definition(WIDGETS)
        with pytest.raises(ApiException) as gone:
            objects.list_cluster_custom_object("example.com", "v1", "widgets")
        assert gone.value.status == 404

    await blocking(a_round)


async def test_a_watch_and_its_expiry(
    apiserver: FakeApiServer, api: ApiClient, blocking: Blocking[None]
) -> None:
    def a_round() -> None:
        core, seen = CoreV1Api(api), []
        version = core.list_namespaced_pod("default").metadata.resource_version
        core.create_namespaced_pod("default", pod("web"))
        core.patch_namespaced_pod("web", "default", {"metadata": {"labels": {"a": "b"}}})
        core.delete_namespaced_pod("web", "default")
        stream = watch.Watch().stream(
            core.list_namespaced_pod, "default", resource_version=version, timeout_seconds=1
        )
        for event in stream:
            seen.append((event["type"], event["object"].metadata.name))
        assert seen == [
            (kind, "web") for kind in ("ADDED", "MODIFIED", "MODIFIED", "DELETED")
        ]  # marked first
        apiserver.compact()
        with pytest.raises(ApiException) as expired:
            next(watch.Watch().stream(core.list_namespaced_pod, "default", resource_version=version))
        assert expired.value.status == 410

    await blocking(a_round)


async def test_the_dynamic_client(api: ApiClient, blocking: Blocking[None]) -> None:
    def a_round() -> None:
        client = dynamic.DynamicClient(api)
        client.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition").create(
            body=widget_definition()
        )
        client.resources.invalidate_cache()
        widgets = client.resources.get(api_version="example.com/v1", kind="Widget")
        widgets.create(body=widget("left", 2), namespace="default")
        assert [one.metadata.name for one in widgets.get(namespace="default").items] == ["left"]
        applied = widgets.server_side_apply(
            namespace="default", name="right", body=widget("right", 7), field_manager="me"
        )
        assert applied.spec.size == 7
        widgets.patch(name="left", namespace="default", body={"spec": {"size": 9}}, content_type=MERGE_PATCH)
        sizes = {
            event["object"].metadata.name: event["object"].spec.size
            for event in widgets.watch(namespace="default", timeout=1)
        }
        assert sizes == {"left": 9, "right": 7}
        widgets.delete(name="left", namespace="default")

    await blocking(a_round)


async def test_objects_from_yaml(apiserver: FakeApiServer, api: ApiClient, blocking: Blocking[None]) -> None:
    def a_round() -> None:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "till"}}
        listed = {"apiVersion": "v1", "kind": "List", "items": [pod("web"), config_map("cart")]}
        utils.create_from_yaml(api, yaml_objects=[space, listed, deployment("shop")])
        utils.create_from_yaml(api, yaml_objects=[account], namespace="shop")
        with pytest.raises(utils.FailToCreateError, match="already exists"):
            utils.create_from_yaml(api, yaml_objects=[space])

    await blocking(a_round)
    assert apiserver.get("v1/pods", "default/web") is not None
    assert apiserver.get("apps/v1/deployments", "default/shop") is not None
    assert apiserver.get("v1/serviceaccounts", "shop/till") is not None


async def test_the_informer_comes_through_an_expired_watch(
    apiserver: FakeApiServer, api: ApiClient, blocking: Blocking[None]
) -> None:
    informer = SharedInformer(CoreV1Api(api).list_namespaced_pod, namespace="default")
    seen: list[tuple[str, str]] = []
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda obj, kind=kind: seen.append((kind, obj.metadata.name)))
    apiserver.add(pod("first"), pod("gone"))
    informer.start()
    try:
        await apiserver.watchers("v1/pods")
        apiserver.add(pod("second"))
        apiserver.patch("v1/pods", "default/first", {"metadata": {"labels": {"a": "b"}}})
        await blocking(lambda: until(lambda: ("MODIFIED", "first") in seen))
        assert seen == [("ADDED", "first"), ("ADDED", "gone"), ("ADDED", "second"), ("MODIFIED", "first")]

        await apiserver.restart(history=False)  # what happens now is in no watch
        apiserver.delete("v1/pods", "default/gone")
        apiserver.compact()
        await blocking(lambda: until(lambda: ("DELETED", "gone") in seen))
        assert sorted(informer.cache.list_keys()) == ["default/first", "default/second"]
        assert apiserver.requests.count(verb="list", resource="v1/pods") >= 2
    finally:
        stopping = asyncio.create_task(blocking(informer.stop))
        while not stopping.done():  # it waits for its stream to end, and may open another
            apiserver.state.end_watches()
            await asyncio.sleep(0.01)
        await stopping


async def test_a_leader_that_cannot_renew_its_lease_stops_leading(
    apiserver: FakeApiServer, api: ApiClient, blocking: Blocking[None]
) -> None:
    led: list[str] = []
    lock = LeaseLock("leader", "default", "one")
    lock.api_instance = CoordinationV1Api(api)
    settings = electionconfig.Config(
        lock,
        lease_duration=3,
        renew_deadline=2,
        retry_period=1,
        onstarted_leading=lambda: led.append("started"),
        onstopped_leading=lambda: led.append("stopped"),
    )
    thread = threading.Thread(target=leaderelection.LeaderElection(settings).run)
    thread.start()
    try:
        leases = "coordination.k8s.io/v1/leases"
        lease = await apiserver.wait_for(leases, "default/leader", lambda lease: lease["spec"]["renewTime"])
        assert lease["spec"]["holderIdentity"] == "one"
        renewed = datetime.datetime.fromisoformat(lease["spec"]["renewTime"])
        assert abs(renewed.timestamp() - time.time()) < 10
    finally:
        apiserver.patch(leases, "default/leader", {"spec": {"holderIdentity": "another"}})
        await blocking(thread.join)
    assert led == ["started", "stopped"]


def until(condition: Callable[[], object], within: float = 20.0) -> None:
    """Wait, in a thread, for what another thread does."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
