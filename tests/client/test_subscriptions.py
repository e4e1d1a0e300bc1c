"""Handlers and event streams, over HTTP: order, merging, failures, and every way to end."""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict

import pytest

import kresilient as kr
from kresilient.client import Client
from kresilient.observe.events import BacklogMerging, HandlerFailed

from .cluster import PATIENCE, Cluster, Seen, held, pod


def label(cluster: Cluster, name: str, value: object) -> None:
    cluster.server.patch("v1/pods", f"default/{name}", {"metadata": {"labels": {"n": str(value)}}})


# --- what is delivered ---


async def test_each_callback_gets_its_own_events_plain_or_async(cluster: Cluster, client: Client) -> None:
    seen = Seen()
    async with cluster.following(client) as (pods, _):

        async def updated(old: kr.KubeObject, new: kr.KubeObject) -> None:
            await asyncio.sleep(0)
            seen(("updated", old.labels.get("n"), new.labels["n"]))

        pods.add_handler(
            on_add=lambda obj: seen(("added", obj.name)),
            on_update=updated,
            on_delete=lambda obj: seen(("deleted", obj.labels["n"])),
        )
        cluster.create("a")
        label(cluster, "a", 1)
        label(cluster, "a", 2)
        cluster.server.delete("v1/pods", "default/a")
        await seen.until(lambda: seen and seen[-1][0] == "deleted")
    assert seen == [
        ("added", "a"),
        ("updated", None, "1"),
        ("updated", "1", "2"),
        *[("updated", "2", "2")] * 2,  # marked, and at the end of its grace
        ("deleted", "2"),
    ]


async def test_a_late_handler_is_given_all_there_is_first(cluster: Cluster, client: Client) -> None:
    cluster.create("a", "b")
    async with cluster.following(client) as (pods, first):
        cluster.create("c")
        await first.until(lambda: len(first) == 3)
        late = Seen()
        subscription = pods.add_handler(on_event=late)
        cluster.create("d")
        await subscription.synced(PATIENCE)
        assert [(event.key, event.initial) for event in late] == [
            ("default/a", True),
            ("default/b", True),
            ("default/c", True),
        ]
        await late.until(lambda: len(late) == 4)
        assert (late[3].key, late[3].initial, late[3].source) == ("default/d", False, "watch")


async def test_a_handler_is_synced_only_once_its_calls_are_over(cluster: Cluster, client: Client) -> None:
    cluster.create("a", "b")
    async with client.informer("v1/pods") as pods:
        go_on, done = asyncio.Event(), 0

        async def slow(_: object) -> None:
            nonlocal done
            await go_on.wait()
            done += 1

        subscription = pods.add_handler(on_add=slow)
        with pytest.raises(kr.SyncError, match="was not given all initial objects within 0"):
            await subscription.synced(0.05)
        go_on.set()
        await subscription.synced(PATIENCE)
        assert done == 2


async def test_a_handler_that_raises_or_cancels_itself_gets_the_next_event(
    cluster: Cluster, client: Client
) -> None:
    seen = Seen()
    async with cluster.following(client) as (pods, _):

        async def faulty(obj: kr.KubeObject) -> None:
            seen(obj.name)
            if obj.name == "a":
                raise ValueError("of its own")
            if obj.name == "b":
                raise asyncio.CancelledError
            if obj.name == "c":
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)

        subscription = pods.add_handler(on_add=faulty)
        cluster.create("a", "b", "c", "d")
        await seen.until(lambda: "d" in seen)
        assert seen == ["a", "b", "c", "d"]
        assert subscription.failures == 3
        errors = [type(one.error) for one in cluster.seen.of(HandlerFailed)]
        assert errors == [ValueError, asyncio.CancelledError, TimeoutError]
    assert not client.health.crashes


async def test_handlers_run_together_but_never_two_for_one_key(cluster: Cluster, client: Client) -> None:
    running: defaultdict[str, int] = defaultdict(int)
    orders: defaultdict[str, list[str]] = defaultdict(list)
    most, overlaps, seen = 0, 0, Seen()

    async def handle(event: kr.Event[kr.KubeObject]) -> None:
        nonlocal most, overlaps
        running[event.key] += 1
        overlaps += running[event.key] > 1
        most = max(most, sum(running.values()))
        orders[event.key].append(event.object.labels.get("n", "new"))
        for _ in range(3):
            await asyncio.sleep(0)
        running[event.key] -= 1
        seen(event)

    names = [f"p{number}" for number in range(12)]
    cluster.create(*names)
    async with cluster.following(client) as (pods, _):
        pods.add_handler(on_event=handle, concurrency=8)
        for value in range(10):
            for name in names:
                label(cluster, name, value)
            await asyncio.sleep(0)
        await seen.until(lambda: len(seen) == 12 * 11)
    assert overlaps == 0 and 1 < most <= 8
    assert list(orders.values()) == [["new", *map(str, range(10))]] * 12


async def test_a_slow_handler_costs_nobody_else_and_ends_with_the_truth(
    cluster: Cluster, client: Client
) -> None:
    cluster.create("a", "b", "c")
    go_on, state, seen = asyncio.Event(), dict[str, str](), Seen()

    async def slow(event: kr.Event[kr.KubeObject]) -> None:
        await go_on.wait()
        if event.type is kr.EventType.DELETED:
            assert state.pop(event.key) is not None
        else:
            before = event.old.resource_version if event.old is not None else None
            assert state.get(event.key) == before, "old is what this handler saw last"
            state[event.key] = event.object.resource_version
        seen(event)

    async with cluster.following(client) as (pods, fast):
        subscription = pods.add_handler(on_event=slow, max_backlog=2)
        for value in range(30):
            for name in ("a", "b", "c"):
                label(cluster, name, value)
        cluster.server.delete("v1/pods", "default/c")
        cluster.create("fleeting")
        cluster.server.delete("v1/pods", "default/fleeting")
        await fast.until(lambda: len(fast) == 3 + 90 + 7)
        assert subscription.pending <= 2 + 2 * 4
        assert cluster.seen.of(BacklogMerging)
        go_on.set()
        await seen.until(lambda: state == cluster.truth() and not subscription.pending)
        assert subscription.failures == 0 and len(seen) < 20


# --- ends ---


async def test_drain_hands_over_what_is_pending_and_no_drain_drops_it(
    cluster: Cluster, client: Client
) -> None:
    for drain, expected in ((True, 5), (False, 1)):
        go_on, begun, seen = asyncio.Event(), asyncio.Event(), Seen()

        async def slow(obj: kr.KubeObject, go_on=go_on, begun=begun, seen=seen) -> None:  # type: ignore[no-untyped-def]
            begun.set()
            await go_on.wait()
            seen(obj)

        async with cluster.following(client) as (pods, delivered):
            pods.add_handler(on_add=slow)
            cluster.create(*(f"p{number}-{drain}".lower() for number in range(5)))
            await delivered.until(lambda n=5 if drain else 10: len(delivered) == n)  # type: ignore[misc]
            await asyncio.wait_for(begun.wait(), PATIENCE)
            closing = asyncio.create_task(pods.close(drain=drain, timeout=PATIENCE))
            await asyncio.sleep(0)
            go_on.set()
            await closing
        assert len(seen) == expected


async def test_a_handler_is_cancelled_when_its_time_is_over(cluster: Cluster, client: Client) -> None:
    cluster.create("a", "b")
    begun, cancelled = asyncio.Event(), 0

    async def stuck(_: object) -> None:
        nonlocal cancelled
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled += 1

    async with client.informer("v1/pods") as pods:
        subscription = pods.add_handler(on_add=stuck)
        await asyncio.wait_for(begun.wait(), PATIENCE)
        waiting = asyncio.create_task(subscription.synced())
        await subscription.close(drain=True, timeout=0.05)
        assert cancelled == 1
        with pytest.raises(kr.LifecycleError, match="closed before"):
            await asyncio.wait_for(waiting, PATIENCE)
        await subscription.close()
    assert not client._tasks


async def test_a_handler_that_will_not_end_does_not_hold_the_close(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    begun, free = asyncio.Event(), asyncio.Event()

    async def stubborn(_: object) -> None:
        begun.set()
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    async with client.informer("v1/pods") as pods:
        subscription = pods.add_handler(on_add=stubborn)
        await asyncio.wait_for(begun.wait(), PATIENCE)
        async with asyncio.timeout(PATIENCE):
            await subscription.close(timeout=0.05)
        free.set()


@pytest.mark.parametrize("what", ["subscription", "informer", "client"])
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_handler_may_close_what_runs_it(cluster: Cluster, what: str, concurrency: int) -> None:
    cluster.create("a", "b", "c", "d")
    client = await cluster.client().open()
    pods = await client.informer("v1/pods").start()
    closed = Seen()

    async def last(_: object) -> None:
        await asyncio.sleep(0)
        await {"subscription": subscription, "informer": pods, "client": client}[what].close(timeout=PATIENCE)
        closed(what)

    subscription = pods.add_handler(on_add=last, concurrency=concurrency)
    await closed.until(lambda: closed, within=PATIENCE / 2)
    if what == "subscription":
        assert client.health.informers
    else:
        await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)
    await client.close()
    assert all(task.done() for task in client._tasks) and not client.health.crashes


async def test_a_closed_subscription_hears_nothing_more_and_leaves_nothing(
    cluster: Cluster, client: Client
) -> None:
    async with cluster.following(client) as (pods, delivered):
        for _ in range(50):
            seen = Seen()
            subscription = pods.add_handler(on_event=seen)
            await subscription.close()
        cluster.create("a")
        await delivered.until(lambda: len(delivered) == 1)
        assert not seen
        assert len(pods._subscriptions) <= 2, "closed ones are not kept"


# --- streams ---


async def test_a_stream_pulls_the_same_feed_and_ends_with_the_informer(
    cluster: Cluster, client: Client
) -> None:
    cluster.create("a")
    pods = await client.informer("v1/pods").start()
    events = pods.events()
    first = await anext(events)
    assert (first.key, first.initial) == ("default/a", True)
    label(cluster, "a", 1)
    second = await anext(events)
    assert (second.type, second.old.labels, second.new.labels) == ("updated", {}, {"n": "1"})
    cluster.server.delete("v1/pods", "default/a")
    assert [(await anext(events)).type for _ in range(3)] == ["updated", "updated", "deleted"]
    waiting = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    await pods.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert [event async for event in events] == []


async def test_a_cancelled_read_of_a_stream_loses_nothing(cluster: Cluster, client: Client) -> None:
    async with cluster.following(client) as (pods, delivered):
        events = pods.events()
        got = []
        for number in range(20):
            waiting = asyncio.create_task(anext(events))
            await asyncio.sleep(0)
            cluster.create(f"p{number:02}")
            if number % 2:  # cancelled in the very turn in which the event comes
                await delivered.until(lambda n=number: len(delivered) > n)  # type: ignore[misc]
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                got.append(waiting.result().key)
        while len(got) < 20:
            got.append((await asyncio.wait_for(anext(events), PATIENCE)).key)
        assert got == [f"default/p{number:02}" for number in range(20)]


async def test_two_tasks_on_one_stream_are_told_so(cluster: Cluster, client: Client) -> None:
    async with cluster.following(client) as (pods, _):
        events = pods.events()
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0)
        with pytest.raises(kr.LifecycleError, match=r"give each its own informer\.events\(\)"):
            await anext(events)
        cluster.create("a")
        assert (await asyncio.wait_for(first, PATIENCE)).key == "default/a"


async def test_a_stream_that_is_dropped_is_let_go(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    async with cluster.following(client) as (pods, delivered):
        shared = pods._shared
        assert shared is not None
        async for _ in pods.events():  # pragma: no branch
            break
        for how in ("dropped", "in a cycle", "closed"):
            events = pods.events()
            assert len(shared._feeds) == 2
            if how == "in a cycle":
                events.itself = events  # type: ignore[attr-defined]
            elif how == "closed":
                async with events:
                    pass
            del events
            gc.collect()
            assert len(shared._feeds) == 1, how
        cluster.create("b")
        await delivered.until(lambda: len(delivered) == 2)


async def test_a_stream_that_a_cancelled_reader_dropped_is_let_go(cluster: Cluster, client: Client) -> None:
    """The cancelled task keeps the frames that it left, and they the stream: the feed must not keep it."""
    async with cluster.following(client) as (pods, _):

        async def follow() -> None:
            events = pods.events()
            reading.set()
            await anext(events)

        reading, shared = asyncio.Event(), pods._shared
        assert shared is not None
        reader = asyncio.create_task(follow())
        await reading.wait()
        assert len(shared._feeds) == 2
        reader.cancel()
        await asyncio.wait([reader])
        assert reader.cancelled()
        del reader
        await asyncio.sleep(0)  # the loop holds what it woke this test with until the test waits again
        gc.collect()
        assert len(shared._feeds) == 1


async def test_a_stream_nobody_reads_stays_bounded(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    async with cluster.following(client) as (pods, delivered):
        events = pods.events(max_backlog=2)
        for value in range(50):
            label(cluster, "a", value)
        await delivered.until(lambda: len(delivered) == 51)
        assert events.pending <= 4
        last = [await anext(events) for _ in range(1 + events.pending)][-1]
        assert last.object.resource_version == held(pods)["default/a"]


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"max_backlog": 0}, {}, {"on_add": 7}])
async def test_a_handler_that_cannot_work_is_refused(
    cluster: Cluster, client: Client, options: dict[str, object]
) -> None:
    if options and "on_add" not in options:
        options = {"on_event": print, **options}
    async with cluster.following(client) as (pods, delivered):
        with pytest.raises(kr.ConfigError):
            pods.add_handler(**options)
        cluster.server.create("v1/pods", pod("a"))
        await delivered.until(lambda: delivered)
