"""Handlers and streams: who is told of what, in which order, and what a bad handler can do."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from kresilient.api.errors import ConfigError, LifecycleError, SyncError
from kresilient.api.objects import KubeObject
from kresilient.cache import turns as turns_module
from kresilient.cache.events import Event, EventType, Source
from kresilient.cache.informer import Informer
from kresilient.cache.turns import turns_of
from kresilient.observe.events import BacklogMerging, HandlerFailed

from .world import World, pod

pytestmark = pytest.mark.looptime

ADDED, UPDATED, DELETED = EventType


def label(world: World, name: str, value: object) -> None:
    world.server.patch("v1/pods", f"default/{name}", {"metadata": {"labels": {"v": str(value)}}})


def feeds(pods: Informer[Any]) -> int:
    """How many feeds a change of the cache goes to."""
    assert pods._shared is not None
    return len(pods._shared.recipients())


class Slow:
    """A handler that takes *seconds* for each event and notes which ran at once."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self.events: list[Event[KubeObject]] = []
        self.running: Counter[str] = Counter()
        self.most = 0
        self.overlaps = 0

    async def __call__(self, event: Event[KubeObject]) -> None:
        self.overlaps += self.running[event.key] > 0
        self.running[event.key] += 1
        self.most = max(self.most, self.running.total())
        try:
            await asyncio.sleep(self.seconds)
            self.events.append(event)
        finally:
            self.running[event.key] -= 1

    def state(self) -> dict[str, str]:
        """What somebody who follows the events believes: key -> version."""
        held: dict[str, KubeObject] = {}
        for event in self.events:
            before = held.pop(event.key, None)
            assert (event.type is ADDED) == (before is None), event
            assert event.old == before, event
            if event.type is not DELETED:
                held[event.key] = event.object
        return {key: obj.resource_version for key, obj in held.items()}


# --- what is told ---


async def test_each_callback_is_told_of_what_concerns_it(world: World) -> None:
    told: list[tuple[Any, ...]] = []
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)

        async def on_update(old: KubeObject, new: KubeObject) -> None:
            told.append(("update", old.labels.get("v"), new.labels.get("v")))

        pods.add_handler(
            on_event=lambda event: told.append(("event", str(event.type))),
            on_add=lambda obj: told.append(("add", obj.key)),
            on_update=on_update,
            on_delete=lambda obj: told.append(("delete", obj.labels.get("v"))),
        )
        world.server.create("v1/pods", pod("a"))
        label(world, "a", 1)
        world.server.delete("v1/pods", "default/a")
        await world.until(lambda: told and told[-1][0] == "delete")
    assert told == [
        ("event", "added"),
        ("add", "default/a"),
        ("event", "updated"),
        ("update", None, "1"),
        *[("event", "updated"), ("update", "1", "1")] * 2,  # marked, and at the end of its grace
        ("event", "deleted"),
        ("delete", "1"),
    ]


async def test_a_late_handler_is_brought_up_to_date_and_then_told_of_changes(world: World) -> None:
    for name in "ab":
        world.server.create("v1/pods", pod(name))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        label(world, "a", "now")
        await world.until(lambda: pods.list(label_selector="v=now"))
        seen: list[Event[KubeObject]] = []
        subscription = pods.add_handler(on_event=seen.append)
        await subscription.synced(10)
        told = [(e.type, e.key, e.object.labels.get("v"), e.initial, e.source, e.old) for e in seen]
        assert sorted(told, key=lambda one: one[1]) == [
            (ADDED, "default/a", "now", True, Source.LIST, None),
            (ADDED, "default/b", None, True, Source.LIST, None),
        ]
        world.server.create("v1/pods", pod("c"))
        await world.until(lambda: len(seen) == 3)
        assert (seen[2].key, seen[2].initial, seen[2].source) == ("default/c", False, Source.WATCH)


@pytest.mark.parametrize("early", [True, False])
async def test_a_handler_that_comes_before_the_last_list_is_told_of_every_object_once(
    world: World, early: bool
) -> None:
    for namespace, name in (("one", "a"), ("two", "a"), ("two", "b")):
        world.server.create("v1/pods", pod(name, namespace=namespace))
    world.server.faults.next("watch", namespace="two").times(2).status(503)
    async with world.client.informer("v1/pods", namespaces=["one", "two"]) as pods:
        if not early:
            await world.until(lambda: "list done" in world.rows)
        seen: list[Event[KubeObject]] = []
        subscription = pods.add_handler(on_event=seen.append)
        await world.until(lambda: seen)
        assert not pods.has_synced
        await subscription.synced(60)
        assert pods.has_synced
        assert sorted(e.key for e in seen) == ["one/a", "two/a", "two/b"]
        assert all(e.initial for e in seen)


async def test_one_subscriber_does_not_hold_up_another(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        stuck, seen = Slow(1e6), list[str]()
        pods.add_handler(on_event=stuck)
        pods.add_handler(on_add=lambda obj: seen.append(obj.name))
        for name in "abc":
            world.server.create("v1/pods", pod(name))
        await world.until(lambda: seen == ["a", "b", "c"], 5)
        assert stuck.events == []


# --- synced ---


async def test_a_subscription_is_synced_once_its_handler_has_dealt_with_all_there_was(world: World) -> None:
    for number in range(5):
        world.server.create("v1/pods", pod(f"p{number}"))
    async with world.client.informer("v1/pods") as pods:
        slow = Slow(1.0)
        subscription = pods.add_handler(on_event=slow, concurrency=2)
        with pytest.raises(SyncError, match=r"within 2.5 s"):
            await subscription.synced(2.5)
        assert len(slow.events) == 4
        await subscription.synced(10)
        assert len(slow.events) == 5 and subscription.pending == 0


async def test_a_subscription_to_nothing_is_synced_at_once(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        subscription = pods.add_handler(on_event=print)
        await subscription.synced(10)
        assert pods.has_synced
        await subscription.synced(0.1)


async def test_who_waits_for_a_subscription_hears_that_it_was_closed(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with world.client.informer("v1/pods") as pods:
        subscription = pods.add_handler(on_event=Slow(1e6))
        waiting = asyncio.create_task(subscription.synced(100))
        await asyncio.sleep(1)
        await subscription.close(timeout=1)
        with pytest.raises(LifecycleError, match="closed before it was given all there was"):
            await waiting


# --- the end ---


async def test_a_closed_subscription_is_told_nothing_more_and_costs_nothing(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        seen: list[Event[KubeObject]] = []
        subscription = pods.add_handler(on_event=seen.append)
        world.server.create("v1/pods", pod("a"))
        await world.until(lambda: len(seen) == 1)
        assert feeds(pods) == 1
        await subscription.close()
        await subscription.close()
        assert subscription.closed and feeds(pods) == 0
        world.server.create("v1/pods", pod("b"))
        await world.until(lambda: "default/b" in pods)
        await asyncio.sleep(1)
        assert [e.key for e in seen] == ["default/a"] and subscription.pending == 0


@pytest.mark.parametrize("drain", [True, False])
async def test_closing_handles_what_is_pending_where_that_is_asked_for(world: World, drain: bool) -> None:
    for number in range(5):
        world.server.create("v1/pods", pod(f"p{number}"))
    async with world.client.informer("v1/pods") as pods:
        slow = Slow(1.0)
        subscription = pods.add_handler(on_event=slow)
        await world.until(lambda: len(slow.events) == 2, step=0.05)
        world.server.create("v1/pods", pod("p5"))
        await world.until(lambda: subscription.pending == 1, step=0.05)
        assert slow.running.total() == 1
        await subscription.close(drain=drain, timeout=60)
        assert [e.key for e in slow.events] == [f"default/p{n}" for n in range(6 if drain else 3)]


async def test_draining_takes_no_longer_than_its_time_and_then_cancels(world: World) -> None:
    for number in range(100):
        world.server.create("v1/pods", pod(f"p{number}"))
    now = asyncio.get_running_loop().time
    async with world.client.informer("v1/pods") as pods:
        slow = Slow(1.0)
        subscription = pods.add_handler(on_event=slow)
        await world.until(lambda: slow.events)
        start = now()
        await subscription.close(drain=True, timeout=5)
        assert now() - start == pytest.approx(5, abs=0.1)
        done = len(slow.events)
        assert 4 <= done <= 7 and slow.running.total() == 0
        await asyncio.sleep(10)
        assert len(slow.events) == done


async def test_leaving_the_informer_ends_its_subscriptions(world: World) -> None:
    async with world.client.informer("v1/pods") as other:
        async with world.client.informer("v1/pods") as pods:
            await pods.synced(30)
            seen: list[str] = []
            subscription = pods.add_handler(on_add=lambda obj: seen.append(obj.name))
            assert feeds(other) == 1
        assert subscription.closed and feeds(other) == 0
        world.server.create("v1/pods", pod("a"))
        await world.until(lambda: "default/a" in other)
        assert seen == []


async def test_a_handler_may_close_its_own_subscription(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        seen: list[str] = []

        async def once(obj: KubeObject) -> None:
            seen.append(obj.name)
            await subscription.close()

        subscription = pods.add_handler(on_add=once)
        for name in "ab":
            world.server.create("v1/pods", pod(name))
        await world.until(lambda: "default/b" in pods and subscription.closed, 5)
        await asyncio.sleep(1)
        assert seen == ["a"]


# --- bad handlers ---


@pytest.mark.parametrize("waits", [True, False])
async def test_a_handler_that_raises_is_reported_and_told_of_the_next_event(
    world: World, waits: bool
) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        seen: list[str] = []

        def plain(obj: KubeObject) -> None:
            seen.append(obj.name)
            if obj.name == "bad":
                raise ValueError(obj.name)

        async def awaited(obj: KubeObject) -> None:
            await asyncio.sleep(0)
            plain(obj)

        subscription = pods.add_handler(on_add=awaited if waits else plain)
        for name in ("a", "bad", "b"):
            world.server.create("v1/pods", pod(name))
        await world.until(lambda: seen == ["a", "bad", "b"], 5)
        (failed,) = world.reported(HandlerFailed)
        assert (failed.informer, failed.key) == ("v1/pods", "default/bad")
        assert failed.handler.endswith("awaited" if waits else "plain")
        assert isinstance(failed.error, ValueError)
        assert subscription.failures == 1 and not subscription.closed
    assert world.client.health.crashes == ()


@pytest.mark.parametrize("waits", [True, False])
async def test_a_cancellation_of_the_handlers_own_does_not_end_its_subscription(
    world: World, waits: bool
) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        seen: list[str] = []

        async def handle(obj: KubeObject) -> None:
            seen.append(obj.name)
            if obj.name == "bad":
                inner = asyncio.create_task(asyncio.sleep(100))
                inner.cancel()
                await inner

        def plain(obj: KubeObject) -> None:
            seen.append(obj.name)
            if obj.name == "bad":
                cancelled = asyncio.get_running_loop().create_future()
                cancelled.cancel()
                cancelled.result()

        subscription = pods.add_handler(on_add=handle if waits else plain)
        for name in ("bad", "b"):
            world.server.create("v1/pods", pod(name))
        await world.until(lambda: seen == ["bad", "b"], 5)
        assert [type(e.error) for e in world.reported(HandlerFailed)] == [asyncio.CancelledError]
        assert subscription.failures == 1 and not subscription.closed


async def test_closing_cancels_a_handler_and_that_is_no_failure(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with world.client.informer("v1/pods") as pods:
        slow = Slow(1e6)
        subscription = pods.add_handler(on_event=slow)
        await world.until(lambda: slow.running.total())
        await subscription.close(timeout=1)
        assert slow.running.total() == 0
        assert world.reported(HandlerFailed) == []


@pytest.mark.looptime(False)
async def test_handlers_that_never_wait_let_others_have_their_turn() -> None:
    world, turns, over = World(), 0, False

    async def count() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await asyncio.sleep(0)

    async with world.server, world.client:
        for number in range(60):
            world.server.create("v1/pods", pod(f"p{number:02}"))
        async with world.client.informer("v1/pods") as pods:
            await pods.synced(30)
            counting = asyncio.create_task(count())
            seen: list[int] = []

            def busy(_: KubeObject) -> None:
                seen.append(turns)
                time.sleep(0.001)

            await pods.add_handler(on_add=busy).synced(30)
            over = True
            await counting
    # 60 ms of handling at least, in slices of 5: others had some ten turns.
    assert len(seen) == 60
    assert len(set(seen)) >= 6


@pytest.mark.looptime(False)
async def test_handlers_that_never_wait_share_one_turn_however_many_they_are() -> None:
    world, turn, over = World(), 0, False
    calls: Counter[int] = Counter()

    async def count() -> None:
        nonlocal turn
        while not over:
            turn += 1
            await asyncio.sleep(0)

    def busy(_: KubeObject) -> None:
        calls[turn] += 1
        time.sleep(0.001)  # more than the share of one of ten

    async with world.server, world.client, world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        subscriptions = [pods.add_handler(on_add=busy) for _ in range(10)]
        counting = asyncio.create_task(count())
        for number in range(6):
            world.server.create("v1/pods", pod(f"p{number}"))
        await world.until(lambda: calls.total() == 60, step=0)
        over = True
        await counting
        for subscription in subscriptions:
            await subscription.close()
    assert max(calls.values()) <= 10


async def test_who_waits_in_a_handler_takes_nobodys_time(world: World) -> None:
    turns = turns_of(asyncio.get_running_loop())
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        slow, seen = Slow(10.0), list[int]()
        pods.add_handler(on_event=slow, concurrency=3)
        pods.add_handler(on_add=lambda _: seen.append(turns.busy))
        await asyncio.sleep(1)
        assert turns.busy == 0
        for name in "abcde":
            world.server.create("v1/pods", pod(name))
            await asyncio.sleep(1)
        assert seen == [1] * 5 and slow.most == 3
    assert turns.busy == 0


async def test_a_burst_of_events_is_told_in_runs_between_which_others_have_their_turn(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        seen: list[str] = []
        pods.add_handler(on_add=lambda obj: seen.append(obj.name), max_backlog=250)
        names = [f"p{number:04}" for number in range(1000)]
        for name in names:
            world.server.create("v1/pods", pod(name))
        there: list[int] = []
        while len(seen) < len(names):
            await asyncio.sleep(0)
            there.append(len(pods))
        assert seen == names and world.reported(BacklogMerging) == []
        assert max(later - earlier for earlier, later in pairwise(there)) <= 200


async def test_a_watch_does_not_outrun_handlers_that_never_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "_TURN", -1.0)  # each event takes a turn of the loop
    world.server.create("v1/pods", pod("a"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        seen: list[str] = []
        pods.add_handler(on_update=lambda _, new: seen.append(new.labels["v"]), max_backlog=100)
        for value in range(300):
            label(world, "a", value)
            if value % 20 == 19:
                await world.until(lambda last=str(value): pods.list(label_selector=f"v={last}"), step=0)
        await world.until(lambda: seen and seen[-1] == "299")
        assert seen == [str(value) for value in range(300)]
        assert world.reported(BacklogMerging) == []


async def test_a_watch_goes_on_however_far_a_handler_is_behind(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        subscription = pods.add_handler(on_event=Slow(1e6), max_backlog=10)
        start = asyncio.get_running_loop().time()
        for value in range(30):
            label(world, "a", value)
            await world.until(lambda last=str(value): pods.list(label_selector=f"v={last}"), step=0.001)
        assert subscription.pending == 10
        assert asyncio.get_running_loop().time() - start < 1


async def test_a_handler_that_comes_within_a_run_of_events_is_told_of_each_object_once(world: World) -> None:
    told: dict[str, list[tuple[str, bool]]] = {"first": [], "late": []}

    def handler(name: str) -> None:
        pods.add_handler(on_event=lambda event: told[name].append((event.object.name, event.initial)))

    def transform(obj: KubeObject) -> KubeObject:
        if obj.name == "b":
            handler("late")
        return obj

    async with world.client.informer("v1/pods", transform=transform) as pods:
        await pods.synced(30)
        handler("first")
        for name in "abc":
            world.server.create("v1/pods", pod(name))
        await world.until(lambda: len(told["first"]) == 3)
    assert told == {
        "first": [("a", False), ("b", False), ("c", False)],
        "late": [("a", True), ("b", False), ("c", False)],
    }


async def test_a_handler_that_reads_the_cache_sees_at_least_what_it_was_told_of(world: World) -> None:
    server, maps = world.server, "v1/configmaps"
    for name in ("gone", "changed"):
        server.create(maps, {"metadata": {"name": name, "namespace": "default"}})
    async with world.client.informer(maps) as informer:
        await informer.synced(30)
        told: list[tuple[Source, EventType, bool]] = []

        def read(event: Event[KubeObject]) -> None:
            told.append((event.source, event.type, informer.get(event.key) == event.new))

        await informer.add_handler(on_event=read).synced(30)
        for source in (Source.WATCH, Source.RELIST):
            told.clear()
            if source is Source.RELIST:
                await server.kill()
            server.patch(maps, "default/changed", {"data": {"by": source}})
            server.delete(maps, "default/gone")
            server.create(maps, {"metadata": {"name": f"new-{source}", "namespace": "default"}})
            if source is Source.RELIST:
                await server.restart(history=False)
            await world.until(lambda: len(told) == 3, 600)
            assert sorted(told) == [(source, kind, True) for kind in sorted(EventType)]
            server.create(maps, {"metadata": {"name": "gone", "namespace": "default"}})
            await world.until(lambda: len(told) == 4)


# --- a slow one ---


async def test_a_handler_that_keeps_up_sees_every_change(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        slow = Slow(0.001)
        pods.add_handler(on_event=slow, max_backlog=3)
        world.server.create("v1/pods", pod("a"))
        for value in range(50):
            label(world, "a", value)
            await asyncio.sleep(0.1)
        await world.until(lambda: len(slow.events) == 51)
        assert world.reported(BacklogMerging) == []


async def test_a_slow_handler_with_a_full_backlog_ends_at_the_truth(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        slow = Slow(5.0)
        subscription = pods.add_handler(on_event=slow, max_backlog=4)
        changes = 0
        for turn in range(40):
            for name in "abc":
                key = f"default/{name}"
                if world.server.get("v1/pods", key) is None:
                    world.server.create("v1/pods", pod(name))
                elif (turn + ord(name)) % 7 == 0:
                    world.server.delete("v1/pods", key)
                else:
                    label(world, name, turn)
                changes += 1
            await asyncio.sleep(0.5)
            assert subscription.pending <= 4 + 2 * 3
        await world.until(lambda: slow.state() == world.truth() and not subscription.pending)
        assert len(slow.events) < changes / 2
        merging = world.reported(BacklogMerging)
        assert merging and merging[0].pending == 4
        assert merging[0].informer == "v1/pods"


async def test_objects_are_handled_side_by_side_but_never_one_twice_at_once(world: World) -> None:
    for name in "abcd":
        world.server.create("v1/pods", pod(name))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        slow = Slow(1.0)
        pods.add_handler(on_event=slow, concurrency=3)
        for turn in range(10):
            for name in "aabbcd":
                label(world, name, f"{turn}-{world.server.state.version}")
            await asyncio.sleep(0.3)
        await world.until(lambda: slow.state() == world.truth())
        assert (slow.overlaps, slow.most) == (0, 3)
        assert len(slow.events) == 4 + 60


# --- streams ---


async def test_a_stream_gives_the_same_events_and_ends_with_its_informer(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    seen: list[tuple[EventType, str, bool]] = []
    pods = await world.client.informer("v1/pods").start()

    async def follow() -> None:
        async for event in pods.events():
            seen.append((event.type, event.key, event.initial))

    following = asyncio.create_task(follow())
    await world.until(lambda: seen)
    world.server.create("v1/pods", pod("b"))
    world.server.delete("v1/pods", "default/a")
    await world.until(lambda: seen[-1][0] is DELETED)
    await pods.close()
    async with asyncio.timeout(10):
        await following
    assert seen == [
        (ADDED, "default/a", True),
        (ADDED, "default/b", False),
        *[(UPDATED, "default/a", False)] * 2,  # marked, and at the end of its grace
        (DELETED, "default/a", False),
    ]


@pytest.mark.parametrize("how", ["closed", "left", "dropped"])
async def test_a_stream_that_nobody_reads_any_more_costs_nothing(world: World, how: str) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        events = pods.events()
        assert feeds(pods) == 1
        gone = weakref.ref(events)
        if how == "closed":
            await events.aclose()
        elif how == "left":
            async with events:
                pass
        else:
            del events
            gc.collect()
            assert gone() is None
        assert feeds(pods) == 0


async def test_a_cancelled_reader_of_a_stream_has_taken_nothing(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        async with pods.events() as events:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(events), 5)
            world.server.create("v1/pods", pod("a"))
            async with asyncio.timeout(5):
                assert (await anext(events)).key == "default/a"


async def test_a_stream_has_one_reader(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        async with pods.events() as events:
            first = asyncio.create_task(anext(events))
            await asyncio.sleep(0.1)
            with pytest.raises(LifecycleError, match="two tasks read one event stream"):
                await asyncio.wait_for(anext(events), 5)
            world.server.create("v1/pods", pod("a"))
            assert (await first).key == "default/a"


async def test_a_slow_stream_merges_as_a_slow_handler_does(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        async with pods.events(max_backlog=2) as events:
            world.server.create("v1/pods", pod("a"))
            for value in range(50):
                label(world, "a", value)
            await world.until(lambda: pods.list(label_selector="v=49"))
            assert events.pending <= 4
            last = await anext(events)
            while events.pending:
                last = await anext(events)
            assert last.object.labels["v"] == "49"
            assert world.reported(BacklogMerging)


# --- what is refused ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs on_add, on_update, on_delete or on_event"),
        ({"on_add": "print"}, "must be callable"),
        ({"on_add": print, "concurrency": 0}, "concurrency must be at least 1"),
        ({"on_add": print, "max_backlog": 0}, "max_backlog must be at least 1"),
    ],
)
async def test_a_handler_that_cannot_work_is_refused_and_not_attached(
    world: World, options: dict[str, Any], message: str
) -> None:
    async with world.client.informer("v1/pods") as pods:
        with pytest.raises(ConfigError, match=message):
            pods.add_handler(**options)
        assert feeds(pods) == 0
