"""A cache follows a server through everything servers do, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from kresilient.api.errors import NotSyncedError, PoisonObject, SyncError
from kresilient.api.objects import KubeObject
from kresilient.cache.events import Event, EventType, Source
from kresilient.cache.informer import Informer
from kresilient.cache.timing import Timing
from kresilient.observe.events import (
    Listed,
    ObjectQuarantined,
    ReflectorMoved,
    RequestFinished,
    Rewound,
    StaleEventIgnored,
)
from kresilient.testing.server import Fault, Match

from .world import World, pod

pytestmark = pytest.mark.looptime

ADDED, UPDATED, DELETED = EventType
Seen = list[Event[KubeObject]]


@asynccontextmanager
async def following(world: World, **options: Any) -> Any:
    """A synced informer of pods, and the list its handler fills."""
    async with world.client.informer("v1/pods", **options) as pods:
        seen: Seen = []
        subscription = pods.add_handler(on_event=seen.append)
        await pods.synced(300)
        await subscription.synced(300)
        yield pods, seen


def versions(pods: Informer[KubeObject]) -> dict[str, str]:
    return {obj.key: obj.resource_version for obj in pods.list()}


async def agrees(world: World, pods: Informer[KubeObject], within: float = 600.0) -> None:
    """Wait until the cache equals the server."""
    await world.until(lambda: pods.has_synced and versions(pods) == world.truth(), within, step=0.5)


def frame(kind: str, obj: Any) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), msgspec.json.encode(obj))


def bare(name: str, uid: str, version: int | str, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(version)},
        "spec": spec,
    }


# --- the good days ---


@pytest.mark.parametrize("streaming", [True, False])
async def test_it_lists_then_follows_every_change(make_world: Callable[..., World], streaming: bool) -> None:
    world = make_world(streaming_list=streaming)
    async with world.server, world.client:
        world.server.create("v1/pods", pod("a"))
        async with following(world) as (pods, seen):
            world.server.create("v1/pods", pod("b"))
            world.server.patch("v1/pods", "default/a", {"metadata": {"labels": {"x": "y"}}})
            world.server.delete("v1/pods", "default/b")
            await world.until(lambda: seen and seen[-1].type is DELETED)
            await agrees(world, pods)
    assert [(e.type, e.key, e.initial, e.source) for e in seen] == [
        (ADDED, "default/a", True, Source.LIST),
        (ADDED, "default/b", False, Source.WATCH),
        (UPDATED, "default/a", False, Source.WATCH),
        (UPDATED, "default/b", False, Source.WATCH),  # marked
        (UPDATED, "default/b", False, Source.WATCH),  # at the end of its grace
        (DELETED, "default/b", False, Source.WATCH),
    ]
    assert world.reported(Listed)[0].strategy == ("stream" if streaming else "cache")


async def test_a_quiet_day_costs_one_watch_every_few_minutes(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with following(world):
        before = len(world.server.requests)
        await asyncio.sleep(3600)
        assert len(world.server.requests) - before <= 20
    assert world.server.requests.count(verb="list", code=200) <= 6
    assert len(world.reported(Listed)) == 1


async def test_a_server_that_never_sends_a_bookmark_is_not_listed_again_for_being_quiet(
    make_world: Callable[..., World],
) -> None:
    world = make_world(bookmark_interval=1e9)
    async with world.server, world.client:
        world.server.create("v1/pods", pod("a"))
        async with following(world) as (pods, seen):
            before = len(world.server.requests)
            await asyncio.sleep(7200)
            assert len(world.server.requests) - before <= 30
            assert len(world.reported(Listed)) == 1
            world.server.create("v1/pods", pod("b"))
            await world.until(lambda: len(seen) == 2, 1)
            assert len(pods) == 2


async def test_a_watch_that_never_begins_to_answer_is_given_up(world: World) -> None:
    async with following(world) as (pods, _):
        world.server.faults.next("watch", "v1/pods").hang()
        await world.server.restart()
        world.server.create("v1/pods", pod("a"))
        await agrees(world, pods)


async def test_before_it_has_synced_it_does_not_answer(world: World) -> None:
    world.server.faults.on("watch", "v1/pods").status(503)
    async with world.client.informer("v1/pods") as pods:
        for read in (lambda: pods.get("default/a"), pods.list, pods.keys, lambda: len(pods)):
            with pytest.raises(NotSyncedError, match="synced"):
                read()
        with pytest.raises(SyncError, match=r"within 10 s.*503"):
            await pods.synced(10)


async def test_a_server_without_streaming_lists_is_asked_for_a_plain_one_and_not_again(
    make_world: Callable[..., World],
) -> None:
    world = make_world(streaming_list=False)
    async with world.server, world.client:
        async with following(world):
            await world.server.kill()
            world.server.create("v1/pods", pod("b"))
            await world.server.restart(history=False)
            await world.until(lambda: len(world.reported(Listed)) == 2)
        streaming = [r for r in world.server.requests if "sendInitialEvents" in dict(r.query)]
        assert len(streaming) == 1


async def test_a_streaming_list_without_its_end_falls_back_within_its_patience(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    world.server.faults.next("watch", "v1/pods").no_end_bookmark()
    start = asyncio.get_running_loop().time()
    async with following(world) as (pods, _):
        assert asyncio.get_running_loop().time() - start < 40
        assert versions(pods) == world.truth()
    assert world.rows[:2] == [
        "streaming list refused, ended, or past its time limit without its end bookmark",
        "list done",
    ]
    assert world.reported(Listed)[0].strategy == "cache"


# --- what a relist delivers ---


async def test_what_a_list_brings_again_is_held_once_from_when_it_arrives(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    world.server.create("v1/pods", pod("b"))
    async with following(world) as (pods, _):
        assert pods._shared is not None
        (reflector,) = pods._shared.reflectors.values()
        held = reflector.store.table.objects
        fresh, differs = reflector.store.new_table(), held["default/b"].to_dict()
        differs["spec"]["nodeName"] = "elsewhere"
        reflector._keep(KubeObject.decode(bytes(bytearray(held["default/a"].raw))), fresh)
        reflector._keep(KubeObject.from_dict(differs), fresh)
        assert fresh.objects["default/a"] is held["default/a"]
        assert fresh.objects["default/b"]["spec"]["nodeName"] == "elsewhere"


async def test_a_relist_tells_nothing_again_of_what_a_watch_has_brought(world: World) -> None:
    """Objects of a list do not say of what kind they are, as those of a watch do."""
    async with following(world, streaming=False) as (_, seen):
        world.server.create("v1/pods", pod("watched"))
        await world.until(lambda: len(seen) == 1)
        await world.server.kill()
        world.server.create("v1/pods", pod("missed"))
        await world.server.restart(history=False)
        await world.until(lambda: len(seen) >= 2)
        await asyncio.sleep(1.0)
    assert [(e.key, e.type, e.source) for e in seen] == [
        ("default/watched", ADDED, Source.WATCH),
        ("default/missed", ADDED, Source.RELIST),
    ]


async def test_a_relist_delivers_what_the_watch_missed_deletes_included(world: World) -> None:
    for name in ("stays", "changes", "goes", "is-replaced"):
        world.server.create("v1/pods", pod(name))
    async with following(world) as (pods, seen):
        seen.clear()
        await world.server.kill()
        world.server.delete("v1/pods", "default/goes")
        world.server.delete("v1/pods", "default/is-replaced")
        world.server.create("v1/pods", pod("is-replaced"))
        world.server.create("v1/pods", pod("comes"))
        world.server.patch("v1/pods", "default/changes", {"metadata": {"labels": {"x": "y"}}})
        await world.server.restart(history=False)
        await agrees(world, pods)
        await world.until(lambda: len(seen) == 5)
        assert pods.health.reflectors[0].relists == {"410: the version expired": 1}
    told = {(e.key.partition("/")[2], str(e.type)) for e in seen}
    assert told == {
        ("goes", "deleted"),
        ("comes", "added"),
        ("changes", "updated"),
        ("is-replaced", "deleted"),
        ("is-replaced", "added"),
    }
    assert {e.source for e in seen} == {Source.RELIST}


async def test_a_reader_never_sees_a_half_replaced_cache(world: World) -> None:
    for number in range(3000):
        world.server.create("v1/pods", pod(f"p{number:04}", labels={"round": "0"}))
    looks: list[set[str]] = []

    def look(obj: KubeObject) -> KubeObject:
        """Called for each object of the new list as it arrives, while the old one is being read."""
        if pods.has_synced and obj.name.endswith("00"):
            looks.append({held.labels["round"] for held in pods.list()})
            assert len(pods.by_index("round", *looks[-1])) == len(pods) == 3000
        return obj

    pods = world.client.informer("v1/pods", index={"round": "metadata.labels.round"}, transform=look)
    async with pods:
        await pods.synced(30)
        await world.server.kill()
        for number in range(3000):
            world.server.patch("v1/pods", f"default/p{number:04}", {"metadata": {"labels": {"round": "1"}}})
        await world.server.restart(history=False)
        await agrees(world, pods)
        assert {obj.labels["round"] for obj in pods.list()} == {"1"}
    assert looks == [{"0"}] * 30


# --- 410 in all three places ---


@pytest.mark.parametrize("gone", ["event", "status"])
async def test_an_expired_watch_relists_within_the_spread(
    make_world: Callable[..., World], gone: str
) -> None:
    world = make_world(gone=gone)
    async with world.server, world.client:
        world.server.create("v1/pods", pod("a"))
        async with following(world) as (pods, _):
            await world.server.kill()
            world.server.create("v1/pods", pod("b"))
            await world.server.restart(history=False)
            await agrees(world, pods)
        (expired,) = world.moves("410: the version expired")
        assert 1 < expired.delay <= 30


async def test_an_expired_list_goes_down_the_ladder(world: World) -> None:
    world.server.faults.next("list", "v1/pods").status(410)
    async with following(world, streaming=False) as (pods, _):
        assert pods.has_synced
    assert world.rows[:2] == ["410: the version expired", "list done"]
    assert [dict(r.query).get("limit") for r in world.server.requests if r.verb == "list"] == [None, "500"]


async def test_an_expired_page_begins_the_list_again_and_never_mixes_snapshots(world: World) -> None:
    for number in range(1200):
        world.server.create("v1/pods", pod(f"p{number:04}"))
    # The list at version 0: the ladder leads to pages.
    world.server.faults.next("list", "v1/pods").status(410)
    body = b'{"kind":"Status","apiVersion":"v1","metadata":{"continue":"fresh"},"status":"Failure",'
    body += b'"message":"too old","reason":"Expired","code":410}'
    world.server.faults.next("list", "v1/pods").after(1).status(410, body=body)
    async with following(world, streaming=False) as (pods, _):
        assert versions(pods) == world.truth()
    assert "410 on a later page, or a page of another snapshot" in world.rows
    assert "fresh" not in [dict(r.query).get("continue") for r in world.server.requests]


async def test_a_server_that_is_behind_is_asked_for_its_most_recent_list(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with following(world, streaming=False) as (pods, _):
        behind = (
            b'{"kind":"Status","status":"Failure","message":"Timeout: Too large resource version: 9",'
            b'"reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge"}],'
            b'"retryAfterSeconds":1},"code":504}'
        )
        world.server.faults.next("list", "v1/pods").status(504, body=behind)
        world.server.create("v1/pods", pod("b"))
        await world.server.restart(history=False)
        await world.until(lambda: world.moves("the server is behind: resource version too large"))
        await agrees(world, pods)
    assert world.reported(Listed)[-1].strategy == "latest"


# --- an outage ---


async def test_an_outage_costs_a_few_jittered_tries_and_no_relist(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with following(world) as (pods, seen):
        await world.server.kill()
        await asyncio.sleep(600)
        assert pods.get("default/a") is not None
        assert "refuses connections" in pods.health.reason
        probes = [event for event in world.reported(RequestFinished) if event.error]
        assert 20 <= len(probes) <= 45  # one every 15 to 30 s at the end
        await world.server.start()
        world.server.create("v1/pods", pod("b"))
        await agrees(world, pods)
        assert pods.health.reason == ""
    assert len(world.reported(Listed)) == 1
    assert [e.key for e in seen] == ["default/a", "default/b"]


async def test_retry_after_is_honoured(world: World) -> None:
    async with following(world) as (pods, _):
        world.server.faults.next("watch", "v1/pods").status(429, retry_after=20)
        await world.server.restart()
        await world.until(lambda: world.moves("429, 5xx, reset, timeout"))
        (move,) = world.moves("429, 5xx, reset, timeout")
        assert 20 <= move.delay <= 41
        await agrees(world, pods)


async def test_the_backoff_starts_over_only_after_two_healthy_minutes(world: World) -> None:
    async with following(world):
        for _ in range(4):
            world.server.faults.next("watch", "v1/pods").times(5).status(503)
            await world.server.restart()
            await world.until(lambda: len(world.server.faults) == 0)
            await asyncio.sleep(30)
        flapping = [move.delay for move in world.moves("429, 5xx, reset, timeout")]
        assert max(flapping[-3:]) >= 30
        await asyncio.sleep(200)
        world.server.faults.next("watch", "v1/pods").status(503)
        await world.server.restart()
        await world.until(lambda: len(world.moves("429, 5xx, reset, timeout")) == len(flapping) + 1)
        assert world.moves("429, 5xx, reset, timeout")[-1].delay <= 1.6


@pytest.mark.parametrize(
    ("status", "row"),
    [
        (401, "401 after a refresh of the credentials"),
        (403, "403, 404, a request the server rejects, or a set-up that cannot work"),
        (404, "403, 404, a request the server rejects, or a set-up that cannot work"),
    ],
)
async def test_a_refusal_fails_the_sync_at_once_with_its_reason_or_waits_on_request(
    world: World, status: int, row: str
) -> None:
    world.server.faults.next("*", "v1/pods").times(3).status(status)
    async with world.client.informer("v1/pods") as pods:
        with pytest.raises(SyncError, match=str(status)):
            await pods.synced(30)
        await pods.synced(300, fail_fast=False)
        assert pods.has_synced
    assert world.rows.count(row) == 3


@pytest.mark.parametrize(
    "arm",
    [
        lambda lists: lists.answer(b"<html>please log in</html>", headers={"Content-Type": "text/html"}),
        lambda lists: lists.answer(b""),
        lambda lists: lists.answer(b'{"kind":"Status","status":"Failure","code":504}'),
        lambda lists: lists.answer(
            b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":['
        ),
        lambda lists: lists.answer(b'{"kind":"PodList","apiV', then="reset"),
        lambda lists: lists.reset(after_bytes=150),
    ],
    ids=["html", "empty", "status", "cut cleanly", "reset", "cut in the middle"],
)
async def test_what_is_no_list_is_an_error_and_never_an_empty_cache(
    world: World, arm: Callable[[Match], Fault]
) -> None:
    world.server.create("v1/pods", pod("a"))
    world.server.create("v1/pods", pod("b"))
    fault = arm(world.server.faults.next("list", "v1/pods").times(2))
    async with following(world, streaming=False) as (pods, _):
        assert versions(pods) == world.truth()
    assert fault.hits == 2
    assert world.rows[2] == "list done"
    assert set(world.rows[:2]) <= {
        "a success that is no list or watch, or broken JSON",
        "429, 5xx, reset, timeout",
    }


# --- watches that end ---


async def test_a_watch_that_closes_at_once_and_empty_backs_off(world: World) -> None:
    async with following(world):
        world.server.faults.next("watch", "v1/pods").times(6).answer()
        await world.server.restart()
        await world.until(lambda: len(world.moves("the stream closed at once, empty")) == 6)
        delays = [move.delay for move in world.moves("the stream closed at once, empty")]
        assert delays[-1] > 10 and delays == sorted(delays)


async def test_a_stream_cut_within_a_frame_loses_nothing(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with following(world) as (pods, seen):
        late = bare("late", "u9", 60_900)
        cut = frame("ADDED", late) + frame("MODIFIED", late)[:70]
        world.server.faults.next("watch", "v1/pods").answer(cut)
        await world.server.restart()
        await world.until(lambda: pods.get("default/late") is not None)
        await world.until(lambda: world.moves("the stream was cut after it lived, perhaps in a frame"))
        await world.server.watchers("v1/pods", 1)
        request = [r for r in world.server.requests if r.verb == "watch"][-1]
        assert dict(request.query)["resourceVersion"] == "60900"
        assert [e.key for e in seen] == ["default/a", "default/late"]


async def test_a_silent_watch_is_given_up_and_opened_again_at_the_same_version(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with following(world) as (pods, _):
        version = pods.resource_version
        world.server.faults.next("watch", "v1/pods").silence()
        await world.server.restart()
        await world.server.requests.wait_for(2, verb="watch")
        world.server.create("v1/pods", pod("b"))
        await agrees(world, pods)
        last = [r for r in world.server.requests if r.verb == "watch"][-1]
        assert dict(last.query)["resourceVersion"] == version
    assert len(world.moves("silence up to the stall limit, or through the whole life of the watch")) == 1
    assert len(world.reported(Listed)) == 1


async def test_a_restored_etcd_shows_after_two_silences_and_the_cache_follows_it_back(world: World) -> None:
    world.server.create("v1/pods", pod("old"))
    async with following(world) as (pods, seen):
        backup = int(pods.resource_version)
        world.server.create("v1/pods", pod("lost"))
        await world.until(lambda: pods.get("default/lost") is not None)
        seen.clear()
        world.server.rewind(backup)
        await world.server.restart()
        await world.until(lambda: world.reported(Rewound), 1200)
        await agrees(world, pods)
        assert [(e.type, e.key) for e in seen] == [(DELETED, "default/lost")]
        assert pods.health.reflectors[0].rewinds == 1
        world.server.create("v1/pods", pod("new"))
        await agrees(world, pods)
    assert "a second silence in a row" in world.rows


async def test_two_silences_with_a_life_sign_between_them_are_no_suspicion(world: World) -> None:
    async with following(world) as (pods, _):
        silence = "silence up to the stall limit, or through the whole life of the watch"
        sign = {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": pods.resource_version}}
        watches = world.server.faults.next("watch", "v1/pods")
        watches.silence()
        world.server.faults.next("watch", "v1/pods").answer(frame("BOOKMARK", sign), then="stall")
        await world.server.restart()
        await world.until(lambda: len(world.moves(silence)) == 2, 600)
        await world.server.requests.wait_for(4, verb="watch")
    assert "a second silence in a row" not in world.rows


async def test_a_watch_that_speaks_after_harmless_silences_is_given_up_as_soon_as_any_other(
    make_world: Callable[..., World],
) -> None:
    world = make_world(bookmark_interval=1e9)
    async with world.server, world.client, following(world) as (pods, _):
        (reflector,) = pods._shared.reflectors.values()
        usual = reflector._stall
        await world.until(lambda: reflector._stall > usual and reflector._silence is not None, 3600)
        world.server.create("v1/pods", pod("a"))
        await world.until(lambda: "default/a" in pods)
        spoke, silence = asyncio.get_running_loop().time(), "silence up to the stall limit"
        before = sum(row.startswith(silence) for row in world.rows)
        await world.until(lambda: sum(row.startswith(silence) for row in world.rows) > before, 600)
        assert asyncio.get_running_loop().time() - spoke == pytest.approx(usual, abs=1)


async def test_an_own_write_is_shown_until_the_watch_has_passed_its_version(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with following(world) as (pods, _):
        (reflector,) = pods._shared.reflectors.values()
        held = pods.get("default/a")
        assert held is not None
        version = str(int(pods.resource_version) + 1)
        undone = held.to_dict()
        undone["metadata"] |= {"resourceVersion": version, "labels": {"by": "us"}}
        own = KubeObject.from_dict(undone)
        reflector.wrote(own.key, own.uid, version, own, sent=0.0)
        assert pods.get("default/a") is own
        world.server.create("v1/pods", pod("b"))
        await world.until(lambda: "default/b" in pods)
        assert pods.get("default/a") is held


async def test_a_restored_etcd_shows_where_no_silence_was_suspicious_for_long(
    make_world: Callable[..., World],
) -> None:
    world = make_world(bookmark_interval=1e9)
    async with world.server, world.client:
        world.server.create("v1/pods", pod("old"))
        async with following(world) as (pods, _):
            backup = int(pods.resource_version)
            world.server.create("v1/pods", pod("lost"))
            await world.until(lambda: pods.get("default/lost") is not None)
            await asyncio.sleep(7200)
            world.server.rewind(backup)
            await world.server.restart()
            await world.until(lambda: world.reported(Rewound), 1800)
            await agrees(world, pods)


async def test_an_own_write_in_the_very_turn_in_which_a_watch_is_given_up_is_looked_into_all_the_same(
    world: World,
) -> None:
    world.server.faults.on("watch", "v1/pods").silence()
    async with following(world, streaming=False) as (pods, _):
        (reflector,) = pods._shared.reflectors.values()
        await world.until(lambda: reflector._silence is not None)
        failed: list[Exception] = []

        def suspect() -> None:
            try:
                assert reflector._silence.expired(), "it was given up in this turn"
                reflector.suspect_rewind("a write was answered with an old version")
            except Exception as error:
                failed.append(error)

        loop = asyncio.get_running_loop()
        loop.call_at(reflector._silence_due(), loop.call_soon, loop.call_soon, suspect)
        await world.until(
            lambda: (
                "an own write was answered with a version below what was seen, or no watch gets to one"
                in world.rows
            )
        )
        assert failed == []


async def test_an_own_write_below_the_caches_version_shows_a_restored_etcd_at_once(world: World) -> None:
    world.server.create("v1/pods", pod("old"))
    async with following(world) as (pods, _):
        backup = int(pods.resource_version)
        for name in ("x", "y", "z"):
            world.server.create("v1/pods", pod(name))
        await world.until(lambda: len(pods) == 4)
        world.server.rewind(backup)
        await world.server.restart()
        await world.server.requests.wait_for(2, verb="watch", code=200)
        await world.client.create("v1/pods", pod("mine"))
        await world.until(lambda: world.reported(Rewound), 10)
        await agrees(world, pods)
    assert (
        "an own write was answered with a version below what was seen, or no watch gets to one" in world.rows
    )


async def test_a_history_that_went_back_and_has_come_past_the_cache_since_is_followed_and_announced(
    world: World,
) -> None:
    world.server.create("v1/pods", pod("old"))
    async with following(world) as (pods, seen):
        backup = int(pods.resource_version)
        for name in ("x", "y", "z"):
            world.server.create("v1/pods", pod(name))
        await world.until(lambda: len(pods) == 4)
        world.server.rewind(backup)
        went_back = "the server's version is below the cache's: its history went back"

        def others_write(event: object) -> None:
            if isinstance(event, ReflectorMoved) and event.row == went_back:
                for number in range(10):
                    world.server.create("v1/pods", pod(f"since-{number}"))

        world.client.observers.add(others_write)
        await world.client.create("v1/pods", pod("mine"))
        assert pods.health.reflectors[0].rewinds == len(world.reported(Rewound)) == 1
        assert versions(pods) == world.truth()
        await world.until(lambda: len(seen) == 18)
        assert {e.source for e in seen[4:]} == {Source.RELIST}


async def test_a_suspicion_is_settled_by_a_list_that_comes_in_the_place_of_the_proof(world: World) -> None:
    async with following(world) as (pods, _):
        (reflector,) = pods._shared.reflectors.values()
        world.server.faults.next("list", "v1/pods").status(410)
        reflector.suspect_rewind("a write was answered with an old version")
        settled = reflector.settled()
        assert settled is not None
        await world.until(lambda: len(world.reported(Listed)) == 2)
        assert settled.done()
        assert "the server's version is not below the cache's" not in world.rows
    assert not world.reported(Rewound)


async def test_any_other_list_from_the_past_is_not_accepted(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with following(world, streaming=False) as (pods, _):
        old = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}'
        world.server.faults.next("list", "v1/pods").answer(old)
        world.server.create("v1/pods", pod("b"))
        await world.server.restart(history=False)
        await world.until(lambda: "any other list is older than what was seen" in world.rows)
        assert pods.get("default/a") is not None
        await agrees(world, pods)
    assert not world.reported(Rewound)


# --- events out of order, twice, or of another object ---


async def scripted(world: World, *frames: bytes) -> None:
    """Let the next watch send *frames*, then fall silent."""
    world.server.faults.next("watch", "v1/pods").answer(*frames, then="stall")
    await world.server.restart()


async def test_an_event_that_is_not_newer_is_ignored_and_counted(world: World) -> None:
    async with following(world) as (pods, seen):
        one, two = bare("x", "u1", 61_000, v=1), bare("x", "u1", 61_001, v=2)
        await scripted(
            world, frame("ADDED", one), frame("MODIFIED", two), frame("MODIFIED", one), frame("MODIFIED", two)
        )
        await world.until(lambda: len(world.reported(StaleEventIgnored)) == 2)
        assert [e.object["spec"]["v"] for e in seen] == [1, 2]
        assert pods.resource_version == "61001"
        assert pods.health.reflectors[0].ignored == 2


async def test_a_delete_of_another_object_of_the_same_name_ends_the_one_that_is_held(world: World) -> None:
    async with following(world) as (pods, seen):
        await scripted(
            world, frame("ADDED", bare("x", "u1", 61_000)), frame("DELETED", bare("x", "u2", 61_005))
        )
        await world.until(lambda: len(seen) == 2)
        assert "default/x" not in pods
        assert [(event.type, event.object.uid) for event in seen] == [(ADDED, "u1"), (DELETED, "u1")]


async def test_a_late_event_of_a_deleted_object_does_not_bring_it_back(world: World) -> None:
    async with following(world) as (pods, seen):
        await scripted(
            world,
            frame("ADDED", bare("x", "u1", 61_000)),
            frame("DELETED", bare("x", "u1", 61_005)),
            frame("MODIFIED", bare("x", "u1", 61_003)),
            frame("ADDED", bare("y", "u2", 61_004)),
        )
        await world.until(lambda: pods.get("default/y") is not None)
        assert pods.get("default/x") is None
        assert [(e.type, e.key) for e in seen] == [
            (ADDED, "default/x"),
            (DELETED, "default/x"),
            (ADDED, "default/y"),
        ]
        assert pods.resource_version == "61005"


async def test_an_object_that_leaves_the_selector_may_come_back(world: World) -> None:
    world.server.create("v1/pods", pod("x", labels={"app": "web"}))
    async with following(world, label_selector="app=web") as (pods, seen):
        for app in ("other", "web"):
            world.server.patch("v1/pods", "default/x", {"metadata": {"labels": {"app": app}}})
        await world.until(lambda: len(seen) == 3)
        assert [e.type for e in seen] == [ADDED, DELETED, ADDED]
        assert pods.get("default/x") is not None


async def test_the_same_key_with_another_uid_is_a_delete_and_an_add(world: World) -> None:
    async with following(world) as (_, seen):
        await scripted(
            world, frame("ADDED", bare("x", "u1", 61_000)), frame("MODIFIED", bare("x", "u2", 61_002))
        )
        await world.until(lambda: len(seen) == 3)
        assert [(e.type, e.object.uid) for e in seen] == [(ADDED, "u1"), (DELETED, "u1"), (ADDED, "u2")]


async def test_versions_that_are_no_numbers_follow_the_order_of_arrival(world: World) -> None:
    async with following(world) as (pods, seen):
        await scripted(
            world,
            frame("ADDED", bare("x", "u1", "v-b", v=1)),
            frame("MODIFIED", bare("x", "u1", "v-a", v=2)),
            frame("DELETED", bare("y", "u1", "v-0")),
        )
        await world.until(lambda: len(seen) == 2)
        assert pods.get("default/x") is not None
        assert [e.object["spec"]["v"] for e in seen] == [1, 2]


# --- poison ---


async def test_a_poison_object_in_a_list_is_set_aside_under_its_key(world: World) -> None:
    world.server.create("v1/pods", pod("good"))
    world.server.state.put_raw(
        "v1/pods", "default/bad", b'{"metadata":{"name":"bad","namespace":"default","labels":7}}'
    )
    async with following(world) as (pods, _):
        assert [obj.key for obj in pods.list()] == ["default/good"]
        with pytest.raises(PoisonObject, match="default/bad"):
            pods.get("default/bad")
        assert list(pods.health.quarantined) == ["default/bad"]
    assert [e.key for e in world.reported(ObjectQuarantined)] == ["default/bad"]


async def test_a_poison_event_does_not_stop_the_stream_and_a_paced_relist_repairs(world: World) -> None:
    world.server.create("v1/pods", pod("x"))
    async with following(world) as (pods, _):
        broken = b'{"type":"MODIFIED","object":{"metadata":{"name":"x","namespace":"default","labels":7}}}\n'
        good = frame("ADDED", bare("y", "u2", 60_800))
        world.server.faults.next("watch", "v1/pods").answer(broken + good, then="stall")
        await world.server.restart()
        await world.until(lambda: pods.get("default/y") is not None, 5)
        with pytest.raises(PoisonObject):
            pods.get("default/x")
        poisoned = asyncio.get_running_loop().time()
        await world.until(lambda: "the paced relist is due" in world.rows)
        assert asyncio.get_running_loop().time() - poisoned <= 2 * Timing().relist_base < Timing().stall
        await world.until(lambda: not pods.health.quarantined)
        assert pods.get("default/x") is not None
        (move,) = world.moves("the paced relist is due")
        assert move.reason


async def test_a_transform_that_fails_sets_its_object_aside(world: World) -> None:
    world.server.create("v1/pods", pod("good"))
    world.server.create("v1/pods", pod("bad"))

    def picky(obj: KubeObject) -> KubeObject:
        if obj.name == "bad":
            raise ValueError("not this one")
        return obj

    async with following(world, transform=picky) as (pods, _):
        assert [obj.name for obj in pods.list()] == ["good"]
        with pytest.raises(PoisonObject, match="not this one"):
            pods.get("default/bad")


async def test_what_is_set_aside_keeps_neither_the_list_nor_the_event_it_came_with(world: World) -> None:
    world.server.create("v1/pods", pod("listed"))

    def picky(obj: KubeObject) -> KubeObject:
        raise ValueError("not this one")

    async with following(world, transform=picky) as (pods, _):
        world.server.create("v1/pods", pod("watched"))
        await world.until(lambda: len(pods.health.quarantined) == 2, 5)
        assert pods._shared is not None
        (store,) = pods._shared.stores
        for error in store.table.quarantined.values():
            assert "not this one" in str(error)
            assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)


# --- cancellation ---


async def test_a_cancelled_informer_leaves_no_watch_behind(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        await world.server.watchers("v1/pods", 1)
    await world.until(lambda: world.server.watch_count("v1/pods") == 0, 5)
    assert world.rows[-1] == "stop"
    assert world.client.health.informers == ()


# --- more of events out of order ---


@pytest.mark.parametrize(("version", "stays"), [(61_003, True), (61_005, False), (61_006, False)])
async def test_a_delete_older_than_the_object_held_is_ignored(
    world: World, version: int, stays: bool
) -> None:
    async with following(world) as (pods, seen):
        await scripted(
            world,
            frame("ADDED", bare("x", "u1", 61_000)),
            frame("MODIFIED", bare("x", "u1", 61_005)),
            frame("DELETED", bare("x", "u1", version)),
            frame("ADDED", bare("y", "u2", 61_010)),
        )
        await world.until(lambda: "default/y" in pods)
        assert ("default/x" in pods) == stays
        assert [e.key for e in seen if e.type is DELETED] == ([] if stays else ["default/x"])
        assert len(world.reported(StaleEventIgnored)) == stays


async def test_a_rewind_forgets_which_objects_were_deleted(world: World) -> None:
    world.server.create("v1/pods", pod("x", labels={"app": "other"}))
    backup = world.server.state.version
    async with following(world, label_selector="app=web") as (pods, seen):
        for app in ("web", "other"):
            world.server.create("v1/pods", pod(f"while-{app}"))
            world.server.patch("v1/pods", "default/x", {"metadata": {"labels": {"app": app}}})
        await world.until(lambda: [e.type for e in seen] == [ADDED, DELETED])
        world.server.rewind(backup)
        await world.server.restart()
        await world.until(lambda: world.reported(Rewound), 1200)
        world.server.patch("v1/pods", "default/x", {"metadata": {"labels": {"app": "web"}}})
        await world.until(lambda: len(seen) == 3, 10)
        assert "default/x" in pods


# --- more of streaming lists ---


def end_bookmark(version: int) -> bytes:
    meta = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    return frame("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": meta})


POISON = {"metadata": {"name": "x", "namespace": "default", "labels": 7}}


async def test_frames_behind_the_end_of_a_streaming_list_in_the_same_chunk_are_applied(world: World) -> None:
    a, b, c = (bare(name, f"u-{name}", 61_000 + number) for number, name in enumerate("abc"))
    gone = bare("a", "u-a", 61_007)
    chunk = frame("ADDED", a) + end_bookmark(61_000) + frame("ADDED", b) + frame("ADDED", c)
    world.server.faults.next("watch", "v1/pods").answer(
        chunk + frame("DELETED", gone) + b'{"type', then="stall"
    )
    async with following(world) as (pods, seen):
        await world.until(lambda: "default/c" in pods and "default/a" not in pods, 5)
        assert [(e.type, e.key, e.initial) for e in seen] == [
            (ADDED, "default/a", True),
            (ADDED, "default/b", False),
            (ADDED, "default/c", False),
            (DELETED, "default/a", False),
        ]
        assert pods.resource_version == "61007"


@pytest.mark.parametrize("readable", [True, False])
async def test_a_delete_within_a_streaming_list_leaves_no_ghost(world: World, readable: bool) -> None:
    deleted = bare("x", "u-x", 61_002) if readable else POISON
    world.server.faults.next("watch", "v1/pods").answer(
        frame("ADDED", bare("x", "u-x", 61_000)) + frame("ADDED", bare("y", "u-y", 61_001)),
        frame("DELETED", deleted) + end_bookmark(61_005),
        then="stall",
    )
    async with following(world) as (pods, seen):
        assert pods.keys() == ["default/y"]
        assert pods.get("default/x") is None
        assert [e.key for e in seen] == ["default/y"]
        assert pods.health.quarantined == {}
        assert pods.health.reflectors[0].poisoned == (not readable)


async def test_a_streaming_list_that_never_ends_is_given_up_even_while_objects_come(world: World) -> None:
    world.server.faults.next("watch", "v1/pods").no_end_bookmark()
    async with (
        world.connect(timing=Timing(streaming_limit=200)) as client,
        client.informer("v1/pods") as pods,
    ):
        objects = 0
        while not world.rows and objects < 40:  # one each 20 s keeps its patience
            assert not pods.has_synced
            world.server.create("v1/pods", pod(f"p{objects}"))
            objects += 1
            await asyncio.sleep(20)
        assert 10 <= objects <= 11
        await pods.synced(10)
        assert versions(pods) == world.truth()
    assert world.rows[0].startswith("streaming list refused, ended, or past its time limit")


# --- more of poison ---


async def test_a_poison_delete_removes_the_object_and_tells_of_it(world: World) -> None:
    world.server.create("v1/pods", pod("x"))
    async with following(world) as (pods, seen):
        await scripted(world, frame("DELETED", POISON))
        await world.until(lambda: len(seen) == 2, 5)
        assert (seen[1].type, seen[1].key, seen[1].object.uid) == (DELETED, "default/x", seen[0].object.uid)
        assert pods.get("default/x") is None and pods.health.quarantined == {}


async def test_the_relists_that_poison_causes_are_paced_and_each_pause_is_longer(world: World) -> None:
    now = asyncio.get_running_loop().time
    async with following(world) as (pods, _):
        relists, start = [], now()
        for number in range(720):  # poison each 10 s, for two hours
            raw = b'{"metadata":{"name":"bad","namespace":"default","labels":%d}}' % number
            world.server.state.put_raw("v1/pods", "default/bad", raw)
            await asyncio.sleep(10)
            if len(world.moves("the paced relist is due")) > len(relists):
                relists.append(now())
        gaps = [later - earlier for earlier, later in itertools.pairwise([start, *relists])]
        assert 5 <= len(gaps) <= 7
        for turn, gap in enumerate(gaps):
            base = min(1800, 60 * 2**turn)
            assert base <= gap <= 2 * base + 25
        assert pods.health.reflectors[0].poisoned >= 720


async def test_poison_without_a_key_in_a_relist_deletes_nothing_and_is_repaired(world: World) -> None:
    for name in ("stays", "goes"):
        world.server.create("v1/pods", pod(name))
    async with following(world, streaming=False) as (pods, seen):
        await world.server.kill()
        world.server.delete("v1/pods", "default/goes")
        body = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"items":[%s]}'
        chunk = body % (world.server.state.version, b'{"metadata":null}')
        world.server.faults.next("list", "v1/pods").answer(chunk)
        await world.server.restart(history=False)
        await world.until(lambda: len(world.reported(Listed)) == 2)
        assert pods.keys() == ["default/goes", "default/stays"]
        assert [e.type for e in seen] == [ADDED, ADDED]
        assert [e.key for e in world.reported(ObjectQuarantined)] == [""]
        await world.until(lambda: len(world.reported(Listed)) == 3, 130)
        assert versions(pods) == world.truth()
        assert [(e.type, e.key) for e in seen[2:]] == [(DELETED, "default/goes")]
    assert world.rows.count("the paced relist is due") == 1


async def test_a_list_for_another_reason_repairs_what_poison_hides_as_well(world: World) -> None:
    world.server.create("v1/pods", pod("x"))
    async with following(world) as (pods, _):
        await scripted(world, frame("MODIFIED", POISON))
        await world.until(lambda: pods.health.quarantined, 5)
        await world.server.kill()
        world.server.create("v1/pods", pod("y"))
        await world.server.restart(history=False)
        await world.until(lambda: len(world.reported(Listed)) == 2, 30)
        await asyncio.sleep(3600)
        assert versions(pods) == world.truth()
    assert len(world.reported(Listed)) == 2
    assert "the paced relist is due" not in world.rows


async def test_a_transform_that_fails_for_an_object_that_often_changes_causes_no_relist(world: World) -> None:
    def picky(obj: KubeObject) -> KubeObject:
        if obj.name == "bad":
            raise ValueError("not this one")
        return obj

    world.server.create("v1/pods", pod("good"))
    async with following(world, transform=picky) as (pods, seen):
        world.server.create("v1/pods", pod("bad"))
        for turn in range(24 * 6):
            await asyncio.sleep(600)
            world.server.patch("v1/pods", "default/bad", {"metadata": {"labels": {"turn": str(turn)}}})
        await world.until(lambda: pods.resource_version == str(world.server.state.version))
        assert list(pods.health.quarantined) == ["default/bad"]
        assert [e.key for e in seen] == ["default/good"]
    assert len(world.reported(Listed)) == 1
    assert world.server.requests.count(verb="list", resource="v1/pods") == 0


async def test_a_relist_without_a_version_is_an_error_and_wipes_nothing(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with following(world, streaming=False) as (pods, seen):
        empty = b'{"kind":"PodList","metadata":{},"items":[]}'
        fault = world.server.faults.next("list", "v1/pods").times(2).answer(empty)
        world.server.create("v1/pods", pod("b"))
        await world.server.restart(history=False)
        await world.until(lambda: fault.hits == 2)
        assert "default/a" in pods
        await agrees(world, pods)
        assert [e.type for e in seen if e.key == "default/a"] == [ADDED]
    assert world.rows.count("a success that is no list or watch, or broken JSON") == 2
    assert "resourceVersion" in world.moves("a success that is no list or watch, or broken JSON")[0].reason


# --- a server that answers, and does not help: what it costs ---


@pytest.mark.parametrize("gone", ["event", "status"])
async def test_a_server_that_calls_every_version_expired_is_not_listed_in_a_loop(
    world: World, gone: str
) -> None:
    world.server.create("v1/pods", pod("a"))
    watches = world.server.faults.on("watch", "v1/pods")
    watches.status(410) if gone == "status" else watches.error_event(410)
    async with following(world, streaming=False) as (pods, _):
        await asyncio.sleep(600)
        assert pods.get("default/a") is not None
    assert 5 < world.server.requests.count(verb="list") < 40


@pytest.mark.parametrize("brings", ["a blank line", "a known event", "a known bookmark"])
async def test_a_watch_that_brings_nothing_new_and_closes_at_once_backs_off(
    world: World, brings: str
) -> None:
    known = world.server.create("v1/pods", pod("a"))
    here = frame("BOOKMARK", {"metadata": {"resourceVersion": str(world.server.state.version)}})
    piece = {"a blank line": b"\n", "a known event": frame("MODIFIED", known), "a known bookmark": here}
    world.server.faults.on("watch", "v1/pods").answer(piece[brings])
    async with following(world, streaming=False) as (pods, seen):
        await asyncio.sleep(600)
        assert [e.key for e in seen] == pods.keys() == ["default/a"]
    assert 5 < world.server.requests.count(verb="watch") < 60
    assert world.server.requests.count(verb="list") == 1


async def test_writes_that_change_nothing_are_no_sign_of_a_restored_etcd(world: World) -> None:
    for name in "ab":
        world.server.create("v1/pods", pod(name, labels={"x": "y"}))
    async with following(world) as (pods, seen):
        world.server.patch("v1/pods", "default/b", {"metadata": {"labels": {"x": "z"}}})
        await world.until(lambda: len(seen) == 3)
        before = world.server.requests.total
        for _ in range(10):
            answer = await world.client.patch("v1/pods", "default/a", {"metadata": {"labels": {"x": "y"}}})
            assert int(answer.resource_version) < int(pods.resource_version)
            await asyncio.sleep(1)
        assert world.server.requests.total - before == 10
    assert world.rows[:-1] == ["list done"]


async def test_a_list_is_a_life_sign_that_the_backoff_counts_from(world: World) -> None:
    world.server.faults.next("list", "v1/pods").times(6).status(503)
    world.server.faults.next("watch", "v1/pods").hang()
    row = "429, 5xx, reset, timeout"
    async with world.client.informer("v1/pods", streaming=False) as pods:
        await pods.synced(600)
        assert world.moves(row)[-1].delay > 10
        await world.until(lambda: len(world.moves(row)) == 7)
        assert world.moves(row)[-1].delay <= 1.6


# --- the version from which it goes on ---


def asked_versions(world: World) -> list[str]:
    """The versions that watches and lists have begun at, in order."""
    return [dict(request.query).get("resourceVersion", "") for request in world.server.requests]


@pytest.mark.parametrize(
    "ending",
    [
        frame("ERROR", {"kind": "Status", "status": "Failure", "reason": "InternalError", "code": 500}),
        frame("ERROR", {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}),
        b"<html>please log in</html>\n",
        b'{"type":"WHAT","object":{}}\n',
        b"",
    ],
    ids=["error 500", "error 403", "html", "an unknown type", "a close"],
)
async def test_whatever_ends_a_watch_it_goes_on_from_where_it_got(world: World, ending: bytes) -> None:
    async with following(world) as (pods, _):
        opened_at = pods.resource_version
        moved = frame("ADDED", bare("y", "u2", 61_000)) + ending
        world.server.faults.next("watch", "v1/pods").answer(moved)
        await world.server.restart()
        await world.until(lambda: "default/y" in pods)
        await world.until(lambda: world.server.requests.total == 3)
        assert asked_versions(world) == ["", opened_at, "61000"]
    assert len(world.reported(Listed)) == 1


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_paced_relist_is_not_older_than_what_the_watch_has_brought(
    world: World, streaming: bool
) -> None:
    async with following(world, streaming=streaming) as (pods, _):
        await scripted(world, frame("MODIFIED", POISON), frame("ADDED", bare("y", "u2", 61_000)))
        await world.until(lambda: "default/y" in pods)
        await world.until(lambda: "the paced relist is due" in world.rows)
        await world.server.requests.wait_for(3)
        due = list(world.server.requests)[2]
        assert due.verb == ("watch" if streaming else "list")
        assert due.query["resourceVersion"] == "61000"
        assert due.query["resourceVersionMatch"] == "NotOlderThan"


async def test_an_own_write_is_held_against_what_the_watch_has_brought(world: World) -> None:
    async with following(world) as (pods, _):
        await scripted(world, frame("ADDED", bare("y", "u2", 61_000)))
        await world.until(lambda: "default/y" in pods)
        await world.client.create("v1/pods", pod("mine"))
        # Above the version that the watch was opened at, below the one it got to.
        await world.until(lambda: world.reported(Rewound), 10)
        assert world.reported(Rewound)[0].from_version == "61000"
        await agrees(world, pods)


async def test_an_own_write_between_two_watches_shows_a_restored_etcd_as_well(world: World) -> None:
    world.server.create("v1/pods", pod("old"))
    async with following(world) as (pods, _):
        backup = int(pods.resource_version)
        for name in ("x", "y", "z"):
            world.server.create("v1/pods", pod(name))
        await world.until(lambda: len(pods) == 4)
        world.server.rewind(backup)
        await world.server.restart()
        await world.until(lambda: pods.health.reflectors[0].state == "waiting", step=0.01)
        await world.client.create("v1/pods", pod("mine"))
        await world.until(lambda: world.reported(Rewound), 30)
        await agrees(world, pods)


async def test_a_write_that_was_behind_and_proved_harmless_costs_no_event(world: World) -> None:
    async with following(world) as (pods, _):
        await scripted(world, frame("ADDED", bare("y", "u2", 61_000)))
        await world.until(lambda: "default/y" in pods)
        newest = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"61500"},"items":[]}'
        world.server.faults.next("list", "v1/pods").answer(newest)
        await world.client.create("v1/pods", pod("mine"))
        await world.until(lambda: "the server's version is not below the cache's" in world.rows, 10)
        await world.until(lambda: list(world.server.requests)[-1].verb == "watch", 10)
        assert asked_versions(world)[-1] == "61000"
    assert not world.reported(Rewound)
