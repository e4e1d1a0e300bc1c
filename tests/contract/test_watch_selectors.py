"""Watches of a selection: what enters it and leaves it."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api
from .client import Stream, seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"
FUTURE = 999_999_999_999
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


async def transitions(api: Api, watch: Stream, path: str, label: str) -> list[dict[str, Any]]:
    for value in ("other", label):
        (await api.patch(path, {"metadata": {"labels": {"app": value}}})).ok()
    return [await watch.next(), await watch.next()]


async def test_leaving_a_selector_is_a_deletion_and_coming_back_an_addition(api: Api) -> None:
    """Recorded: 06 add, change, leave the selector, come back, delete"""
    label = api.name()
    made = await api.configmap(labels={"app": label})
    query = {"labelSelector": f"app={label}", "resourceVersion": made["metadata"]["resourceVersion"]}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        path = api.path(CONFIGMAPS, made["metadata"]["name"])
        left, back = await transitions(api, watch, path, label)
    assert (left["type"], back["type"]) == ("DELETED", "ADDED")


async def test_an_object_that_left_is_shown_as_it_last_matched_at_the_new_version(api: Api) -> None:
    """Recorded: 06 add, change, leave the selector, come back, delete"""
    label = api.name()
    made = await api.configmap(labels={"app": label})
    query = {"labelSelector": f"app={label}", "resourceVersion": made["metadata"]["resourceVersion"]}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        path = api.path(CONFIGMAPS, made["metadata"]["name"])
        changed = (await api.patch(path, {"metadata": {"labels": {"app": "other"}}})).ok()
        left = (await watch.next())["object"]
    assert left["metadata"]["labels"] == {"app": label}
    assert left["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


async def test_what_is_not_selected_is_no_event(api: Api) -> None:
    """API concepts: Efficient detection of changes"""
    label = api.name()
    query = {"labelSelector": f"app={label}", "resourceVersion": await api.version()}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        await api.configmap(labels={"app": "other"})
        last = await api.configmap(labels={"app": label})
        assert seen(await watch.next()) == ("ADDED", last["metadata"]["name"])


async def test_a_watch_of_one_object_by_its_name(api: Api) -> None:
    """Recorded: 06 of one object by field selector"""
    one, other = await api.configmap(), await api.configmap()
    name = one["metadata"]["name"]
    query = {
        "fieldSelector": f"metadata.name={name}",
        "resourceVersion": other["metadata"]["resourceVersion"],
    }
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        for path in (other["metadata"]["name"], name):
            (await api.patch(api.path(CONFIGMAPS, path), {"data": {"k": "v"}})).ok()
        assert seen(await watch.next()) == ("MODIFIED", name)


async def test_a_watch_of_the_pods_of_a_node_begins_with_their_binding(api: Api) -> None:
    """Kubernetes documentation: Field Selectors"""
    name = (await api.pod())["metadata"]["name"]
    node = f"no-{name}"
    async with api.watch(api.path("v1/pods"), fieldSelector=f"spec.nodeName={node}") as watch:
        body = {"metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
        (await api.post(api.path("v1/pods", name, "binding"), body)).ok(201)
        event = await watch.next()
    assert seen(event) == ("ADDED", name)
    assert event["object"]["spec"]["nodeName"] == node
