"""Watches: what they begin with, what they send, and how they end."""

from __future__ import annotations

import asyncio

import pytest

from .api import Api
from .client import collection, seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"
FUTURE = 999_999_999_999
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


# --- what a watch begins with ------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}, {"resourceVersion": ""}])
async def test_a_watch_of_no_version_begins_with_what_is_there(api: Api, query: dict[str, str]) -> None:
    """Recorded: 06 from rv 0, ends by timeout"""
    label = api.name()
    made = {(await api.configmap(labels={"app": label}))["metadata"]["name"] for _ in range(3)}
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}", **query) as watch:
        events = [seen(await watch.next()) for _ in made]
    assert sorted(events) == sorted(("ADDED", name) for name in made)


async def test_a_watch_of_a_version_begins_after_it(api: Api) -> None:
    """API concepts: Efficient detection of changes"""
    label = api.name()
    first = await api.configmap(labels={"app": label})
    second = await api.configmap(labels={"app": label})
    query = {"labelSelector": f"app={label}", "resourceVersion": first["metadata"]["resourceVersion"]}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        assert seen(await watch.next()) == ("ADDED", second["metadata"]["name"])


async def test_an_event_carries_the_whole_object(api: Api) -> None:
    """Recorded: 06 from rv 0, ends by timeout"""
    label = api.name()
    made = await api.configmap(labels={"app": label})
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}") as watch:
        event = await watch.next()
    assert list(event) == ["type", "object"]
    assert event["object"] == made


async def test_a_watch_is_a_stream_of_json(api: Api) -> None:
    """Recorded: 06 from rv 0, ends by timeout"""
    async with api.watch(api.path(CONFIGMAPS), resourceVersion=await api.version()) as watch:
        assert watch.headers["Content-Type"].startswith("application/json")
        assert watch.headers["Transfer-Encoding"] == "chunked"


async def test_a_watch_of_the_cluster_has_every_namespace(api: Api) -> None:
    """API concepts: Resource URIs"""
    label = api.name()
    made = await api.configmap(labels={"app": label})
    async with api.watch(collection(CONFIGMAPS), labelSelector=f"app={label}") as watch:
        assert seen(await watch.next()) == ("ADDED", made["metadata"]["name"])


async def test_a_watch_at_the_old_path(api: Api) -> None:
    """Recorded: 06 old style path"""
    label = api.name()
    made = await api.configmap(labels={"app": label})
    path = f"/api/v1/watch/namespaces/{api.namespace}/configmaps"
    async with api.watch(path, labelSelector=f"app={label}") as watch:
        assert seen(await watch.next()) == ("ADDED", made["metadata"]["name"])


async def test_a_limit_means_nothing_to_a_watch(api: Api) -> None:
    """Recorded: 06 with limit"""
    label = api.name()
    for _ in range(3):
        await api.configmap(labels={"app": label})
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}", limit=1) as watch:
        assert [(await watch.next())["type"] for _ in range(3)] == ["ADDED"] * 3


# --- what a watch sends ------------------------------------------------------------------------------------


async def test_a_watch_sends_every_change_in_order(api: Api) -> None:
    """Recorded: 06 add, change, leave the selector, come back, delete"""
    name = api.name()
    path = api.path(CONFIGMAPS, name)
    query = {"fieldSelector": f"metadata.name={name}", "resourceVersion": await api.version()}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        made = await api.configmap(name=name)
        changed = (await api.patch(path, {"data": {"k": "v"}})).ok()
        (await api.delete(path)).ok()
        added, modified, deleted = [await watch.next() for _ in range(3)]
    assert [event["type"] for event in (added, modified, deleted)] == ["ADDED", "MODIFIED", "DELETED"]
    assert (added["object"], modified["object"]) == (made, changed)
    assert deleted["object"]["data"] == {"k": "v"}


async def test_a_deletion_has_a_version_of_its_own(api: Api) -> None:
    """Recorded: 06 add, change, leave the selector, come back, delete"""
    made = await api.configmap()
    name = made["metadata"]["name"]
    query = {
        "fieldSelector": f"metadata.name={name}",
        "resourceVersion": made["metadata"]["resourceVersion"],
    }
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        (await api.delete(api.path(CONFIGMAPS, name))).ok()
        event = await watch.next()
    assert event["type"] == "DELETED"
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_what_was_missed_is_sent_first(api: Api) -> None:
    """API concepts: Efficient detection of changes"""
    label = api.name()
    start = await api.version()
    made = [(await api.configmap(labels={"app": label}))["metadata"]["name"] for _ in range(3)]
    (await api.delete(api.path(CONFIGMAPS, made[0]))).ok()
    query = {"labelSelector": f"app={label}", "resourceVersion": start}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        events = [seen(await watch.next()) for _ in range(4)]
    assert events == [*(("ADDED", name) for name in made), ("DELETED", made[0])]


async def test_what_changes_nothing_is_no_event(api: Api) -> None:
    """Recorded: 02 update that changes nothing"""
    label = api.name()
    made = await api.configmap(labels={"app": label})
    query = {"labelSelector": f"app={label}", "resourceVersion": made["metadata"]["resourceVersion"]}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        (await api.put(api.path(CONFIGMAPS, made["metadata"]["name"]), made)).ok()
        last = await api.configmap(labels={"app": label})
        assert seen(await watch.next()) == ("ADDED", last["metadata"]["name"])


async def test_a_dry_run_is_no_event(api: Api) -> None:
    """KEP-576: dry run"""
    label = api.name()
    query = {"labelSelector": f"app={label}", "resourceVersion": await api.version()}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        await api.configmap(labels={"app": label})
        body = {"metadata": {"name": api.name(), "labels": {"app": label}}}
        (await api.post(api.path(CONFIGMAPS), body, dryRun="All")).ok(201)
        last = await api.configmap(labels={"app": label})
        await watch.next()
        assert seen(await watch.next()) == ("ADDED", last["metadata"]["name"])


async def test_marking_an_object_deleted_is_a_change_and_its_end_a_deletion(api: Api) -> None:
    """Kubernetes documentation: Finalizers"""
    made = await api.configmap(finalizers=["example.com/hold"])
    name = made["metadata"]["name"]
    path = api.path(CONFIGMAPS, name)
    query = {
        "fieldSelector": f"metadata.name={name}",
        "resourceVersion": made["metadata"]["resourceVersion"],
    }
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        (await api.delete(path)).ok()
        (await api.patch(path, {"metadata": {"finalizers": None}})).ok()
        first, last = await watch.next(), await watch.next()
    assert (first["type"], last["type"]) == ("MODIFIED", "DELETED")
    assert "deletionTimestamp" in first["object"]["metadata"]


async def test_two_watches_see_the_same(api: Api) -> None:
    """API concepts: Efficient detection of changes"""
    label = api.name()
    query = {"labelSelector": f"app={label}", "resourceVersion": await api.version()}
    async with (
        api.watch(api.path(CONFIGMAPS), **query) as one,
        api.watch(collection(CONFIGMAPS), **query) as two,
    ):
        for _ in range(3):
            await api.configmap(labels={"app": label})
        for _ in range(3):
            assert await one.next() == await two.next()


# --- how a watch ends --------------------------------------------------------------------------------------


async def test_a_watch_ends_when_its_time_is_up(api: Api) -> None:
    """Recorded: 06 from rv 0, ends by timeout"""
    label = api.name()
    await api.configmap(labels={"app": label})
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}", timeoutSeconds=1) as watch:
        assert [event["type"] for event in await watch.rest()] == ["ADDED"]


async def test_a_watch_of_a_version_that_is_forgotten_is_an_error_event(api: Api) -> None:
    """Recorded: 06 from a very old version"""
    async with api.watch(api.path(CONFIGMAPS), resourceVersion=1) as watch:
        (event,) = await watch.rest()
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")


async def test_a_watch_of_a_version_to_come_is_silent(api: Api) -> None:
    """Recorded: 06 from a future version"""
    query = {"resourceVersion": FUTURE, "timeoutSeconds": 2}
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        rest = asyncio.create_task(watch.rest())
        await api.configmap()
        assert await rest == []


async def test_a_watch_of_no_version_number_is_refused(api: Api) -> None:
    """Recorded: 06 bad version"""
    answer = await api.get(api.path(CONFIGMAPS), watch=1, resourceVersion="abc")
    answer.refused(
        500, None, 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax'
    )


async def test_what_cannot_be_watched_is_refused(api: Api) -> None:
    """Recorded: 06 resource that cannot be watched"""
    answer = await api.get("/api/v1/componentstatuses", watch=1, timeoutSeconds=1)
    answer.refused(405, "MethodNotAllowed", 'watch is not supported on resources of kind "componentstatuses"')


async def test_a_watch_of_metadata_sends_metadata(api: Api) -> None:
    """Recorded: 06 metadata only"""
    label = api.name()
    made = await api.configmap({"k": "v"}, labels={"app": label})
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}", accept=PARTIAL) as watch:
        event = await watch.next()
    assert event["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": made["metadata"],
    }


async def test_a_watch_of_a_namespace_that_does_not_exist_is_silent(api: Api) -> None:
    """Recorded: 05 list in a missing namespace"""
    query = {"timeoutSeconds": 1, "resourceVersion": "0"}
    async with api.watch(f"/api/v1/namespaces/{api.name()}/configmaps", **query) as watch:
        assert await watch.rest() == []
