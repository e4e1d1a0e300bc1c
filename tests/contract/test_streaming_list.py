"""Lists that come as a watch, and the bookmark that ends them."""

from __future__ import annotations

import pytest

from .api import Api
from .client import seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"
FUTURE = 999_999_999_999
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


STREAMED = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


async def test_a_streaming_list_ends_with_a_bookmark(api: Api) -> None:
    """Recorded: 06 streaming list"""
    label = api.name()
    made = [await api.configmap(labels={"app": label}) for _ in range(3)]
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}", **STREAMED) as watch:
        events = [await watch.next() for _ in range(4)]
    assert [event["type"] for event in events] == ["ADDED", "ADDED", "ADDED", "BOOKMARK"]
    assert sorted(seen(event)[1] for event in events[:3]) == sorted(one["metadata"]["name"] for one in made)
    end = events[3]["object"]
    assert list(end) == ["kind", "apiVersion", "metadata"]
    assert (end["kind"], end["apiVersion"]) == ("ConfigMap", "v1")
    assert list(end["metadata"]) == ["resourceVersion", "annotations"]
    assert end["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    newest = max(int(one["metadata"]["resourceVersion"]) for one in made)
    assert int(end["metadata"]["resourceVersion"]) >= newest


async def test_a_streaming_list_of_nothing_is_its_bookmark(api: Api) -> None:
    """KEP-3157: watch list"""
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={api.name()}", **STREAMED) as watch:
        assert (await watch.next())["type"] == "BOOKMARK"


async def test_a_streaming_list_goes_on_as_a_watch(api: Api) -> None:
    """KEP-3157: watch list"""
    label = api.name()
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}", **STREAMED) as watch:
        assert (await watch.next())["type"] == "BOOKMARK"
        made = await api.configmap(labels={"app": label})
        assert seen(await watch.next()) == ("ADDED", made["metadata"]["name"])


async def test_a_streaming_list_of_a_version_is_not_older(api: Api) -> None:
    """KEP-3157: watch list"""
    label = api.name()
    made = (await api.configmap(labels={"app": label}))["metadata"]
    query = {"labelSelector": f"app={label}", "resourceVersion": made["resourceVersion"], **STREAMED}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        assert seen(await watch.next()) == ("ADDED", made["name"])
        end = (await watch.next())["object"]
    assert int(end["metadata"]["resourceVersion"]) >= int(made["resourceVersion"])


async def test_a_streaming_list_without_bookmarks_has_no_end(api: Api) -> None:
    """Recorded: 06 streaming list without bookmarks"""
    label = api.name()
    made = await api.configmap(labels={"app": label})
    query = {**STREAMED, "allowWatchBookmarks": "false"}
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}", **query) as watch:
        assert seen(await watch.next()) == ("ADDED", made["metadata"]["name"])
        last = await api.configmap(labels={"app": label})
        assert seen(await watch.next()) == ("ADDED", last["metadata"]["name"])


async def test_no_initial_events_means_a_watch_from_now(api: Api) -> None:
    """KEP-3157: watch list"""
    label = api.name()
    await api.configmap(labels={"app": label})
    query = {**STREAMED, "sendInitialEvents": "false"}
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}", **query) as watch:
        last = await api.configmap(labels={"app": label})
        event = await watch.next()
        while event["type"] == "BOOKMARK":
            event = await watch.next()
        assert seen(event) == ("ADDED", last["metadata"]["name"])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            {"sendInitialEvents": "true"},
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to "
            "NotOlderThan",
        ),
        (
            {"resourceVersionMatch": "NotOlderThan", "resourceVersion": "1"},
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless "
            "sendInitialEvents is provided",
        ),
    ],
    ids=["initial events without a match", "match without initial events"],
)
async def test_a_watch_refuses(api: Api, query: dict[str, str], message: str) -> None:
    """Recorded: 06 streaming list without resourceVersionMatch"""
    answer = await api.get(api.path(CONFIGMAPS), watch=1, timeoutSeconds=1, **query)
    answer.refused(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {message}')
