"""The client: how it is made, and each of its verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import msgspec

import kresilient as kr

from .pods import PodView


def connecting() -> None:
    assert_type(kr.connect(), kr.Client)
    kr.connect(qps=20, burst=40)
    kr.connect(qps=None)
    kr.connect(limiter=kr.Limiter(50.0, 100), retry=kr.RetryPolicy())
    kr.connect(kubeconfig=Path("~/.kube/config"), context="dev", namespace="web")
    kr.connect(server="https://10.0.0.1:6443", token_file="/run/token", ca_file="/run/ca.crt")
    kr.connect(server="https://10.0.0.1:6443", client_cert_file="a.crt", client_key_file="a.key", proxy=None)
    kr.connect(impersonate="jane", user_agent="agent/1", headers={"X-Team": "web"}, compression=True)
    kr.connect(impersonate=kr.Impersonation("jane", groups=("dev",)))
    kr.connect(kr.ClusterConfig(server="http://127.0.0.1:8001"))
    kr.connect(observers=[observed])


def observed(event: object) -> None: ...


async def life() -> None:
    async with kr.connect() as client:
        assert_type(client, kr.Client)
        assert_type(client.health, kr.ClientHealth)
        assert_type(client.health.ok, bool)
        assert_type(client.ready(max_contact_age=300), kr.Readiness)
        assert_type(client.ready().ok, bool)
        assert_type(client.health.informers, tuple[kr.InformerHealth, ...])
        assert_type(client.namespace, str)
        client.call_soon_threadsafe(print, "from another thread")
    by_hand = await kr.connect().open()
    assert_type(by_hand, kr.Client)
    await by_hand.close(drain=True, timeout=5)


async def a_get_gives_what_was_asked_for(client: kr.Client) -> None:
    assert_type(await client.get("v1/pods", "default/web-0"), kr.KubeObject)
    assert_type(await client.get(kr.Resource.parse("v1/nodes"), "n1"), kr.KubeObject)
    assert_type(await client.get("apps/v1", "default/web", kind="Deployment"), kr.KubeObject)
    assert_type(await client.get("apps/v1/deployments/scale", "default/web"), kr.KubeObject)
    assert_type(await client.get("v1/pods", "default/web-0", cache="prefer"), kr.KubeObject)
    assert_type(await client.get(PodView, "default/web-0", cache="only"), PodView)
    pod = await client.get(PodView, "default/web-0")
    assert_type(pod, PodView)
    assert_type(pod.spec.node_name, str)


async def a_list_is_awaited_or_iterated(client: kr.Client) -> None:
    assert_type(await client.list("v1/pods", namespace="default"), list[kr.KubeObject])
    assert_type(await client.list(PodView, label_selector="app=web"), list[PodView])
    async for obj in client.list("v1/pods", field_selector="spec.nodeName=n1", page_size=100):
        assert_type(obj, kr.KubeObject)
    async for pod in client.list(PodView, resource_version="0"):
        assert_type(pod, PodView)
    assert_type([pod.node async for pod in client.list(PodView)], list[str])
    pages = client.list("v1/pods", metadata_only=True)
    await pages
    assert_type(pages.resource_version, str)


async def a_raw_watch(client: kr.Client) -> None:
    async with client.watch("v1/pods", resource_version="7", timeout_seconds=60) as stream:
        async for event in stream:
            assert_type(event, kr.WatchEvent)
            assert_type(event.type, str)
            assert_type(event.object, kr.KubeObject)
        assert_type(stream.resource_version, str)


class Labels(msgspec.Struct):
    labels: dict[str, str]


class Change(msgspec.Struct):
    metadata: Labels


async def writes(client: kr.Client, pod: kr.KubeObject, view: PodView) -> None:
    made = await client.create("v1/configmaps", {"metadata": {"name": "a"}}, namespace="default")
    assert_type(made, kr.KubeObject)
    await client.create("apps/v1", {"metadata": {"name": "a"}}, kind="Deployment", dry_run=True)

    data: dict[str, Any] = pod.to_dict()
    assert_type(await client.update("v1/pods", data, field_manager="me"), kr.KubeObject)
    await client.update("v1/pods/status", pod)

    seen = {"metadata": {"labels": {"seen": "true"}}}
    assert_type(await client.patch("v1/pods", "default/web-0", seen), kr.KubeObject)
    await client.patch("v1/pods", pod.key, Change(Labels({"seen": "true"})), type="strategic")
    await client.patch("v1/pods", view.key, seen, type="apply", field_manager="me", force=True)
    steps = [{"op": "test", "path": "/metadata/uid", "value": "1"}, {"op": "remove", "path": "/spec/x"}]
    await client.patch("v1/pods", pod.key, steps, type="json", field_validation="Strict")

    gone = await client.delete("v1/pods", pod.key, uid=pod.uid, propagation="Foreground", grace_period=0)
    assert_type(gone, kr.KubeObject | None)
