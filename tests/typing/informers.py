"""Informers of objects and of views: reads, handlers, events, options."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, assert_type

import kresilient as kr

from .pods import PodView


async def an_informer_of_objects(client: kr.Client) -> None:
    async with client.informer("v1/pods", index=["spec.nodeName"]) as pods:
        assert_type(pods, kr.Informer[kr.KubeObject])
        await pods.synced(timeout=30)

        pod = pods.get("default/web-0")
        assert_type(pod, kr.KubeObject | None)
        if pod is not None:
            assert_type(pod.key, str)
            assert_type(pod.labels["app"], str)
            assert_type(pod.annotations, dict[str, str])
            assert_type(pod.deleting, bool)
            assert_type(pod["spec"]["nodeName"], Any)
            assert_type(pod.field("spec.containers[0].image", default=""), Any)
            assert_type(pod.to_dict(), dict[str, Any])
            assert_type(pod.as_type(PodView), PodView)

        assert_type(pods.list(), list[kr.KubeObject])
        assert_type(pods.list(namespace="default", label_selector="app in (web, api)"), list[kr.KubeObject])
        assert_type(pods.by_index("spec.nodeName", "n1"), list[kr.KubeObject])
        assert_type(pods.index_values("spec.nodeName"), list[Hashable])
        assert_type(pods.keys(namespace="default"), list[str])
        assert_type(len(pods), int)
        assert_type("default/web-0" in pods, bool)
        assert_type(pods.has_synced, bool)
        assert_type(pods.resource_version, str)
        assert_type(await pods.get("default/web-0", max_staleness=5.0), kr.KubeObject | None)
        assert_type(await pods.get("a", max_staleness=5, timeout=1, fallback="live"), kr.KubeObject | None)
        assert_type(await pods.list(namespace="default", max_staleness=5.0), list[kr.KubeObject])
        assert_type(
            await pods.by_index("spec.nodeName", "n1", max_staleness=0, fallback="live"), list[kr.KubeObject]
        )
        assert_type(pods.contact_age, float)
        assert_type(pods.proved_age, float)
        assert_type(pods.health, kr.InformerHealth)
        assert_type(pods.footprint(top=3), kr.Footprint)
        assert_type(client.footprint(), tuple[kr.Footprint, ...])


async def an_informer_of_a_view(client: kr.Client) -> None:
    pods: kr.Informer[PodView] = client.informer(PodView)
    async with pods:
        assert_type(pods.get("default/web-0"), PodView | None)
        assert_type(pods.list(field_selector="spec.nodeName=n1"), list[PodView])
        assert_type(await pods.get("default/web-0", max_staleness=5.0), PodView | None)
        assert_type(await pods.list(max_staleness=5.0), list[PodView])
        assert_type([pod.spec.node_name for pod in pods.by_index("node", "n1")], list[str])
    assert_type(client.informer(PodView, namespaces="default"), kr.Informer[PodView])


async def events_of_objects(pods: kr.Informer[kr.KubeObject]) -> None:
    async for event in pods.events(max_backlog=100):
        assert_type(event, kr.Event[kr.KubeObject])
        assert_type(event.type, kr.EventType)
        assert_type(event.key, str)
        assert_type(event.object, kr.KubeObject)
        assert_type(event.old, kr.KubeObject | None)
        assert_type(event.new, kr.KubeObject | None)
        assert_type(event.initial, bool)
        assert_type(event.source, kr.Source)


async def events_of_a_view(pods: kr.Informer[PodView]) -> None:
    async with pods.events() as events:
        assert_type(events, kr.EventStream[PodView])
        assert_type(events.pending, int)
        async for event in events:
            assert_type(event, kr.Event[PodView])
            assert_type(event.object.spec.node_name, str)
            if event.type is kr.EventType.UPDATED and event.old is not None:
                assert_type(event.old.status.phase, str)


# --- handlers, plain and async, functions and methods ---


def added(pod: kr.KubeObject) -> None: ...
def updated(old: kr.KubeObject, new: kr.KubeObject) -> None: ...
async def deleted(pod: kr.KubeObject) -> None: ...
def view_added(pod: PodView) -> None: ...
async def view_updated(old: PodView, new: PodView) -> None: ...


class Controller:
    async def changed(self, event: kr.Event[PodView]) -> None: ...

    def gone(self, pod: object) -> None:
        """A handler may accept more than it is given."""


async def handlers(objects: kr.Informer[kr.KubeObject], views: kr.Informer[PodView]) -> None:
    subscription = objects.add_handler(on_add=added, on_update=updated, on_delete=deleted)
    assert_type(subscription, kr.Subscription[kr.KubeObject])
    await subscription.synced(timeout=10)
    assert_type(subscription.pending, int)
    assert_type(subscription.failures, int)
    await subscription.close(drain=True, timeout=5)

    controller = Controller()
    views.add_handler(on_add=view_added, on_update=view_updated)
    views.add_handler(on_event=controller.changed, on_delete=controller.gone, concurrency=4, max_backlog=10)
    nodes: set[str] = set()
    views.add_handler(on_add=lambda pod: nodes.add(pod.spec.node_name))


# --- options ---


def by_image(pod: kr.KubeObject) -> Iterable[str]:
    return [container["image"] for container in pod["spec"]["containers"]]


def by_owner(pod: kr.KubeObject) -> tuple[tuple[str, str], ...]:
    return tuple((one["kind"], one["name"]) for one in pod.field("metadata.ownerReferences", default=()))


def without_env(pod: kr.KubeObject) -> Mapping[str, Any]:
    data = pod.to_dict()
    for container in data["spec"]["containers"]:
        container.pop("env", None)
    return data


def as_it_is(pod: kr.KubeObject) -> kr.KubeObject:
    return pod


def options(client: kr.Client) -> None:
    client.informer("v1/pods", index={"image": by_image, "owner": by_owner, "node": "spec.nodeName"})
    client.informer("v1/pods", index=("spec.nodeName", "status.phase"))
    client.informer("v1/pods", transform=without_env, strip=["metadata.managedFields"])
    client.informer("v1/pods", transform=as_it_is, streaming=False, serve_stale_for=300)
    client.informer("v1/pods", namespaces={"default", "kube-system"}, metadata_only=True)
    client.informer("v1/pods", label_selector={"app": "web"}, field_selector="status.phase!=Failed")
    client.informer("v1/pods", label_selector=kr.LabelSelector.parse("app,!canary"))
    client.informer("v1/pods", field_selector=kr.FieldSelector.parse("spec.nodeName=n1"))
    client.informer(PodView, index=["spec.nodeName"], label_selector="app=web", namespaces=["default"])
    assert_type(client.informer("apps/v1", kind="Deployment"), kr.Informer[kr.KubeObject])
    assert_type(client.informer(kr.Resource.parse("v1/nodes")), kr.Informer[kr.KubeObject])


async def by_hand(client: kr.Client) -> None:
    pods = await client.informer(PodView).start()
    assert_type(pods, kr.Informer[PodView])
    await pods.close(drain=True, timeout=5)


def oldest(pods: kr.Informer[PodView]) -> PodView | None:
    """A function of a user's own over an informer."""
    return min(pods.list(), key=lambda pod: pod.resource_version, default=None)
