"""Streams that break, stall, expire or never end: the cache comes back right, by itself."""

from __future__ import annotations

import asyncio

import pytest

import kresilient as kr
from kresilient.cache.timing import Timing
from kresilient.client import Client
from kresilient.observe.events import Listed, ReflectorMoved

from ..client.cluster import PATIENCE, Cluster, held, pod


def rows(cluster: Cluster) -> list[str]:
    return [event.row for event in cluster.seen.of(ReflectorMoved)]


def timing(**changes: float) -> Timing:
    return Timing(**{"small_jitter": 0.01, "spread": 0.01, "backoff_base": 0.02, **changes})  # type: ignore[arg-type]


# --- cuts ---

FRAME = len(b'{"type":"ADDED","object":')
CUTS = [0, 1, FRAME - 1, FRAME, FRAME + 1, 200, 511, 512, 700, 1500]


@pytest.mark.parametrize("at", CUTS)
async def test_a_watch_cut_anywhere_loses_nothing_and_repeats_nothing(
    cluster: Cluster, client: Client, at: int
) -> None:
    async with cluster.following(client, streaming=False) as (pods, delivered):
        await cluster.server.watchers("v1/pods", timeout=PATIENCE)
        cluster.server.faults.next("watch", "v1/pods").reset(after_bytes=at)
        await cluster.server.restart()
        await cluster.server.watchers("v1/pods", timeout=PATIENCE)
        for name in ("a", "b", "c"):
            cluster.server.create("v1/pods", pod(name, ü="ü"))
        await delivered.until(lambda: len(delivered) >= 3)
        await cluster.agrees(pods, delivered)
    assert [event.key for event in delivered] == ["default/a", "default/b", "default/c"]
    assert len(cluster.seen.of(Listed)) == 1


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("at", [0, 1, 30, 300, 1000])
async def test_a_list_cut_anywhere_is_read_again_whole(
    cluster: Cluster, client: Client, at: int, streaming: bool
) -> None:
    cluster.create("a", "b", "c")
    fault = cluster.server.faults.next("watch" if streaming else "list", "v1/pods").reset(after_bytes=at)
    async with client.informer("v1/pods", streaming=streaming) as pods:
        await pods.synced(PATIENCE)
        assert held(pods) == cluster.truth()
    assert fault.hits == 1 and len(cluster.seen.of(Listed)) == 1


@pytest.mark.parametrize("at", [1, 300])
async def test_an_answer_cut_anywhere_is_asked_for_again(cluster: Cluster, client: Client, at: int) -> None:
    cluster.create("a", "b")
    cluster.server.faults.next("list", "v1/pods").reset(after_bytes=at)
    assert [one.name for one in await client.list("v1/pods")] == ["a", "b"]
    cluster.server.faults.next("get", "v1/pods").reset(after_bytes=at)
    assert (await client.get("v1/pods", "default/a")).name == "a"


async def test_blank_lines_in_a_watch_are_nothing(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    cluster.server.faults.next("watch", "v1/pods").insert(b"\n\r\n  \n\n")
    async with cluster.following(client) as (pods, delivered):
        cluster.create("b")
        await cluster.agrees(pods, delivered)
    assert cluster.server.requests.count(verb="watch") == 1
    cluster.server.faults.next("watch", "v1/pods").insert(b"\n\n")
    async with client.watch("v1/pods", resource_version="0") as watch:
        assert (await anext(watch)).object.name == "a"


async def test_junk_in_the_middle_of_a_watch_ends_it_and_nothing_else(
    cluster: Cluster, client: Client
) -> None:
    cluster.create("a")
    async with cluster.following(client, streaming=False) as (pods, delivered):
        cluster.server.faults.next("watch", "v1/pods").insert(b"<html>502 Bad Gateway</html>\n")
        await cluster.server.restart()
        cluster.create("b")
        await cluster.agrees(pods, delivered)
    assert "a success that is no list or watch, or broken JSON" in rows(cluster)
    assert len(cluster.seen.of(Listed)) == 1


# --- 410, in all three places ---


@pytest.mark.parametrize("gone", ["event", "status"])
async def test_an_expired_watch_is_listed_anew_with_the_deletes_it_missed(gone: str) -> None:
    cluster = Cluster(gone=gone)
    async with cluster.server, cluster.client() as client:
        cluster.create("stays", "goes")
        async with cluster.following(client) as (pods, delivered):
            await cluster.server.kill()
            cluster.server.delete("v1/pods", "default/goes")
            await cluster.server.restart(history=False)
            await cluster.agrees(pods, delivered)
            await delivered.until(lambda: len(delivered) == 3)
        assert (delivered[-1].type, delivered[-1].source) == ("deleted", "relist")
        assert "410: the version expired" in rows(cluster)


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_expired_list_is_asked_for_in_another_way(
    cluster: Cluster, client: Client, streaming: bool
) -> None:
    cluster.create("a")
    cluster.server.faults.next("watch" if streaming else "list", "v1/pods").times(2).status(410)
    async with client.informer("v1/pods", streaming=streaming) as pods:
        await pods.synced(PATIENCE)
        assert pods.keys() == ["default/a"]
    assert rows(cluster).count("410: the version expired") == 2


async def test_an_expired_page_begins_the_list_of_an_informer_again(cluster: Cluster) -> None:
    cluster.create(*(f"p{number:03}" for number in range(600)))
    cluster.server.faults.next("list", "v1/pods").status(410)  # so that the most recent list is asked for
    cluster.server.faults.next("list", "v1/pods").after(1).status(410)
    async with cluster.client() as client, client.informer("v1/pods", streaming=False) as pods:
        await pods.synced(PATIENCE)
        assert held(pods) == cluster.truth()
    assert "410 on a later page, or a page of another snapshot" in rows(cluster)


# --- silence ---


async def test_a_stalled_stream_is_given_up_and_nothing_is_missed(cluster: Cluster) -> None:
    async with cluster.client(timing=timing(stall=0.3)) as client:
        # One object, and the end of the list.
        cluster.server.faults.next("watch", "v1/pods").silence(after_events=2)
        cluster.create("a")
        async with cluster.following(client) as (pods, delivered):
            cluster.create("b")
            cluster.server.delete("v1/pods", "default/a")
            await cluster.agrees(pods, delivered)
            await delivered.until(lambda: delivered[-1].type == "deleted")
    assert "silence up to the stall limit, or through the whole life of the watch" in rows(cluster)
    assert len(cluster.seen.of(Listed)) == 1, "a stall is no reason to list"


async def test_a_stream_that_stalls_in_a_frame_is_given_up(cluster: Cluster) -> None:
    async with (
        cluster.client(timing=timing(stall=0.3)) as client,
        cluster.following(client, streaming=False) as (pods, delivered),
    ):
        half = [b'{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"na']
        json = {"Content-Type": "application/json"}
        cluster.server.faults.next("watch", "v1/pods").answer(*half, headers=json, then="stall")
        await cluster.server.restart()
        cluster.create("a")
        await cluster.agrees(pods, delivered)


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "busy"])
async def test_a_streaming_list_without_its_end_falls_back(cluster: Cluster, silent: bool) -> None:
    cluster.create("a")
    watch = cluster.server.faults.next("watch", "v1/pods")
    fault = watch.no_end_bookmark() if silent else watch.silence(after_events=1)
    async with (
        cluster.client(timing=timing(streaming_patience=0.2)) as client,
        cluster.following(client) as (pods, delivered),
    ):
        cluster.create("b")
        await cluster.agrees(pods, delivered)
    assert fault.hits == 1
    assert cluster.server.requests.count(verb="list") == 1, "and never a loop"
    (listed,) = cluster.seen.of(Listed)
    assert listed.strategy == "cache"


@pytest.mark.apiserver(streaming_list=False)
async def test_a_server_without_streaming_lists_gets_a_plain_one(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    async with cluster.following(client) as (pods, delivered):
        cluster.create("b")
        await cluster.agrees(pods, delivered)
    assert [event.strategy for event in cluster.seen.of(Listed)] == ["cache"]


async def test_a_list_that_stalls_fails_the_sync_with_its_reason(cluster: Cluster) -> None:
    cluster.create("a")
    cluster.server.faults.on("watch", "v1/pods").silence()
    cluster.server.faults.on("list", "v1/pods").silence(after_bytes=10)
    async with (
        cluster.client(timing=timing(streaming_patience=0.1)) as client,
        client.informer("v1/pods") as pods,
    ):
        with pytest.raises(kr.SyncError, match=r"no end bookmark|still being read"):
            await pods.synced(0.5)
        cluster.server.faults.clear()


# --- overload ---


async def test_retry_after_is_waited_for_and_nothing_is_listed_twice(
    cluster: Cluster, client: Client
) -> None:
    cluster.create("a")
    fault = cluster.server.faults.next("watch", "v1/pods").times(2).status(429, retry_after=1)
    async with cluster.following(client) as (pods, _):
        assert pods.keys() == ["default/a"]
    waits = [event.delay for event in cluster.seen.of(ReflectorMoved) if "429" in event.row]
    assert fault.hits == 2 and all(delay >= 1 for delay in waits) and len(waits) == 2


@pytest.mark.apiserver(max_inflight=1)
async def test_an_overloaded_server_answers_everybody_in_the_end(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    cluster.server.faults.next("get", "v1/pods").delay(0.05)
    answers = await asyncio.gather(*(client.get("v1/pods", "default/a") for _ in range(3)))
    assert [one.name for one in answers] == ["a"] * 3
