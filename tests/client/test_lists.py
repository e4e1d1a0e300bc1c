"""Lists in pages and single watches, over HTTP."""

from __future__ import annotations

import asyncio
import gc

import pytest

import kresilient as kr
from kresilient.client import Client
from kresilient.reads import ListCall

from .cluster import PATIENCE, Cluster, pod

NAMES = [f"p{number}" for number in range(7)]


@pytest.fixture(autouse=True)
def pods(cluster: Cluster) -> None:
    cluster.create(*NAMES)


# --- lists ---


async def test_a_list_follows_its_pages(cluster: Cluster, client: Client) -> None:
    call = client.list("v1/pods", page_size=3)
    assert [one.name for one in await call] == NAMES
    assert int(call.resource_version) >= int(cluster.truth()["default/p6"])
    pages = cluster.server.requests.where(verb="list")
    assert [record.query.get("limit") for record in pages] == ["3", "3", "3"]
    assert all("continue" in record.query for record in pages[1:])


async def test_a_list_can_be_walked_and_left_early(cluster: Cluster, client: Client) -> None:
    seen = []
    async for one in client.list("v1/pods", page_size=2):
        seen.append(one.name)
        if len(seen) == 3:
            break
    assert seen == NAMES[:3]
    assert cluster.server.requests.count(verb="list") == 2, "no page was fetched that nobody asked for"


async def test_selectors_and_namespace_are_the_servers_to_evaluate(cluster: Cluster, client: Client) -> None:
    cluster.server.create("v1/pods", pod("web", namespace="other", app="web"))
    cluster.server.create("v1/pods", pod("api", namespace="other", node="n2", app="api"))

    async def keys(**options: object) -> list[str]:
        return [one.key for one in await client.list("v1/pods", **options)]  # type: ignore[call-overload]

    assert await keys(namespace="other") == ["other/api", "other/web"]
    assert await keys(label_selector="app in (web, db)") == ["other/web"]
    assert await keys(label_selector={"app": "api"}) == ["other/api"]
    assert await keys(field_selector="spec.nodeName=n2") == ["other/api"]
    assert await keys(label_selector="app", field_selector="metadata.name!=web") == ["other/api"]


async def test_metadata_only_leaves_the_body_out(client: Client) -> None:
    (one, *_) = await client.list("v1/pods", metadata_only=True)
    assert one.name == "p0" and "spec" not in one


@pytest.mark.parametrize("page_size", [0, -1])
async def test_a_page_holds_at_least_one(client: Client, page_size: int) -> None:
    with pytest.raises(kr.ConfigError, match="page_size"):
        client.list("v1/pods", page_size=page_size)


async def test_an_expired_page_begins_an_awaited_list_again(cluster: Cluster, client: Client) -> None:
    cluster.server.faults.next("list", "v1/pods").after(1).status(410)
    assert [one.name for one in await client.list("v1/pods", page_size=3)] == NAMES
    fresh = [record for record in cluster.server.requests if "continue" not in record.query]
    assert len(fresh) == 2


async def test_a_list_whose_pages_always_expire_gives_up(cluster: Cluster, client: Client) -> None:
    for passed in range(1, 5):  # each lets the first pages pass that came before its turn
        cluster.server.faults.next("list", "v1/pods").after(passed).status(410)
    with pytest.raises(kr.Expired):
        await client.list("v1/pods", page_size=3)
    assert cluster.server.requests.count(verb="list") == 2 * (1 + ListCall.restarts)


async def test_an_expired_page_is_raised_to_who_walks_the_list(cluster: Cluster, client: Client) -> None:
    seen = []
    with pytest.raises(kr.Expired, match="list again"):
        async for one in client.list("v1/pods", page_size=3):
            seen.append(one.name)
            cluster.server.create("v1/nodes", {"metadata": {"name": one.name}})
            cluster.server.compact()
    assert seen == NAMES[:3], "of one snapshot, and nothing twice"


# --- watches ---


async def test_a_watch_yields_events_and_follows_bookmarks() -> None:
    cluster = Cluster(bookmark_interval=0.02)
    async with cluster.server, cluster.client() as client:
        start = str(cluster.server.state.version)
        async with client.watch("v1/pods", resource_version=start) as watch:
            cluster.create("a")
            first = await anext(watch)
            assert (first.type, first.object.key) == ("ADDED", "default/a")
            cluster.server.create("v1/nodes", {"metadata": {"name": "n"}})  # the bookmarks go on to this
            newest = cluster.server.state.version
            reading = asyncio.create_task(anext(watch))
            async with asyncio.timeout(PATIENCE):
                while int(watch.resource_version) < newest:  # noqa: ASYNC110  # nobody tells of a bookmark
                    await asyncio.sleep(0.005)
            cluster.server.delete("v1/pods", "default/a")
            assert [(await reading).type, (await anext(watch)).type, (await anext(watch)).type] == [
                *["MODIFIED"] * 2,  # marked, and at the end of its grace
                "DELETED",
            ]
        await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)


async def test_a_watch_ends_when_the_server_ends_it(cluster: Cluster, client: Client) -> None:
    cluster.server.faults.next("watch").answer(headers={"Content-Type": "application/json"})
    assert [event async for event in client.watch("v1/pods", resource_version="1")] == []


@pytest.mark.apiserver(gone="event")
async def test_an_error_event_is_the_typed_error(cluster: Cluster, client: Client) -> None:
    cluster.server.compact()
    watch = client.watch("v1/pods", resource_version="1")
    with pytest.raises(kr.Expired, match="too old resource version"):
        await anext(watch)
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_a_cancelled_read_of_a_watch_can_be_repeated_and_loses_nothing(
    cluster: Cluster, client: Client
) -> None:
    watch = client.watch("v1/pods", resource_version=str(cluster.server.state.version))
    opening = asyncio.create_task(anext(watch))
    await cluster.server.watchers("v1/pods", timeout=PATIENCE)
    opening.cancel()
    await asyncio.wait([opening])
    async with watch:
        for number in range(3):
            waiting = asyncio.create_task(anext(watch))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            cluster.create(f"new{number}")
            async with asyncio.timeout(PATIENCE):
                assert (await anext(watch)).object.name == f"new{number}"
    assert cluster.server.requests.count(verb="watch") <= 2


async def test_a_watch_that_a_cancelled_reader_dropped_is_ended(cluster: Cluster, client: Client) -> None:
    """The cancelled task keeps the frames that it left, and they the stream: the stream must not keep it."""

    async def follow() -> None:
        watch = client.watch("v1/pods", resource_version=start)
        assert (await anext(watch)).object.name == "a"
        read.set()
        await anext(watch)

    start, read = str(cluster.server.state.version), asyncio.Event()
    reader = asyncio.create_task(follow())
    await cluster.server.watchers("v1/pods", timeout=PATIENCE)
    cluster.create("a")
    await read.wait()
    reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled()
    del reader
    await asyncio.sleep(0)  # the loop holds what it woke this test with until the test waits again
    gc.collect()
    await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)


async def test_two_tasks_on_one_watch_are_told_so(cluster: Cluster, client: Client) -> None:
    async with client.watch("v1/pods", resource_version=str(cluster.server.state.version)) as watch:
        first = asyncio.create_task(anext(watch))
        await cluster.server.watchers("v1/pods", timeout=PATIENCE)
        with pytest.raises(kr.LifecycleError, match="two tasks"):
            await anext(watch)
        cluster.create("a")
        async with asyncio.timeout(PATIENCE):
            assert (await first).object.name == "a", "the first one is not disturbed"


async def test_a_poison_event_is_raised_and_the_watch_goes_on(cluster: Cluster, client: Client) -> None:
    async with client.watch("v1/pods", resource_version=str(cluster.server.state.version)) as watch:
        cluster.server.state.put_raw("v1/pods", "default/bad", b'{"metadata":{"name":7}}')
        cluster.create("a")
        with pytest.raises(kr.PoisonObject):
            await anext(watch)
        assert (await anext(watch)).object.name == "a"


async def test_a_watch_that_says_nothing_is_given_up(cluster: Cluster, client: Client) -> None:
    watch = client.watch("v1/pods", resource_version=str(cluster.server.state.version), stall=0.2)
    with pytest.raises(kr.ConnectionLost, match=r"nothing came for 0\.2 s"):
        await anext(watch)
    await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)


async def test_a_watch_that_is_closed_while_it_opens_leaves_nothing_behind(
    cluster: Cluster, client: Client
) -> None:
    cluster.server.faults.next("watch").delay(0.05)
    watch = client.watch("v1/pods", resource_version=str(cluster.server.state.version))
    reading = asyncio.create_task(anext(watch))
    await cluster.server.requests.wait_for(verb="watch", timeout=PATIENCE)
    await watch.aclose()
    with pytest.raises(StopAsyncIteration):
        await reading
    await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)
