"""Opening, sharing, cancelling and closing, at every moment at which that can happen."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

import pytest

import kresilient as kr
from kresilient.client import Client
from kresilient.observe.events import TaskCrashed
from kresilient.transport.base import Request

from .cluster import PATIENCE, Cluster, Seen, config_map, held, widgets

WIDGETS = "apiextensions.k8s.io/v1/customresourcedefinitions"


# --- the client ---


async def test_a_client_is_used_between_open_and_close_only(cluster: Cluster) -> None:
    client = kr.connect(server=cluster.server.url, qps=None)
    for use in (lambda: client.get("v1/pods", "default/a"), lambda: client.delete("v1/pods", "default/a")):
        with pytest.raises(kr.LifecycleError, match="not open"):
            await use()
    for use_now in (lambda: client.list("v1/pods"), lambda: client.informer("v1/pods")):
        with pytest.raises(kr.LifecycleError, match="not open"):
            use_now()
    async with client:
        assert await client.list("v1/pods") == []
        assert await client.open() is client
    await client.close()
    for use_now in (lambda: client.list("v1/pods"), lambda: client.watch("v1/pods")):
        with pytest.raises(kr.LifecycleError, match="closed: make a new one"):
            use_now()
    with pytest.raises(kr.LifecycleError, match="make a new one"):
        await client.open()
    with pytest.raises(kr.LifecycleError, match="not open"):
        client.call_soon_threadsafe(print)


def test_an_option_that_there_is_not_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"connect has no option 'qsp'; see kresilient\.ConnectOptions"):
        kr.connect(qsp=5)  # type: ignore[call-arg]


async def test_a_client_that_was_never_opened_can_be_closed() -> None:
    await kr.connect(server="http://127.0.0.1:1").close()


async def test_a_client_closed_while_it_opens_stays_closed(cluster: Cluster) -> None:
    loading, go_on = asyncio.Event(), asyncio.Event()
    inner = cluster.client()._transport

    async def load() -> object:
        loading.set()
        await go_on.wait()
        return inner, "default"

    client = Client(load)  # type: ignore[arg-type]
    opening = asyncio.create_task(client.open())
    await loading.wait()
    await client.close()
    go_on.set()
    with pytest.raises(kr.LifecycleError, match="closed"):
        await opening
    with pytest.raises(kr.LifecycleError):
        await client.get("v1/pods", "default/a")
    with pytest.raises(kr.LifecycleError, match="closed"):
        await inner.send(Request("GET", "/version"))  # type: ignore[union-attr]


async def test_two_tasks_that_open_a_client_open_one(cluster: Cluster) -> None:
    made = 0

    async def load() -> object:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return cluster.client()._transport, "default"

    client = Client(load)  # type: ignore[arg-type]
    await asyncio.gather(client.open(), client.open())
    assert made == 1
    await client.close()


async def test_an_opening_that_is_cancelled_can_be_repeated(cluster: Cluster) -> None:
    tries = 0

    async def load() -> object:
        nonlocal tries
        tries += 1
        if tries == 1:
            await asyncio.Event().wait()
        return cluster.client()._transport, "default"

    client = Client(load)  # type: ignore[arg-type]
    opening = asyncio.create_task(client.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    async with client:
        assert await client.list("v1/pods") == []


async def test_another_event_loop_is_refused(cluster: Cluster, client: Client) -> None:
    async with cluster.following(client) as (pods, _):
        errors: list[BaseException] = []

        async def elsewhere() -> None:
            for use in (client.get("v1/pods", "default/a"), pods.synced(), pods.start()):
                try:
                    await use
                except kr.LifecycleError as error:
                    errors.append(error)
            for call in (pods.events, lambda: pods.add_handler(on_add=print)):
                try:
                    call()
                except kr.LifecycleError as error:
                    errors.append(error)

        await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
        assert len(errors) == 4, "joining a handle that runs already is no use of the loop"
        assert all("another event loop" in str(error) for error in errors)


async def test_use_after_a_fork_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(kr.LifecycleError, match="fork"):
        await client.get("v1/pods", "default/a")
    monkeypatch.undo()


@pytest.mark.parametrize("write", [False, True])
async def test_close_ends_the_requests_that_run(cluster: Cluster, write: bool) -> None:
    cluster.server.faults.on("*").hang()
    client = await cluster.client().open()
    call = (
        client.create("v1/configmaps", config_map("a")) if write else client.get("v1/configmaps", "default/a")
    )
    running = asyncio.create_task(call)
    await cluster.server.requests.wait_for(timeout=PATIENCE)
    await client.close()
    with pytest.raises(kr.OutcomeUnknown if write else (kr.LifecycleError, kr.ConnectionLost)):
        async with asyncio.timeout(PATIENCE):
            await running
    assert cluster.server.requests.total == 1


async def test_close_ends_informers_and_whoever_waits_for_them(cluster: Cluster) -> None:
    cluster.server.faults.on("watch").status(503)
    client = await cluster.client().open()
    pods = await client.informer("v1/pods").start()
    waiting = asyncio.create_task(pods.synced())
    pulling = asyncio.create_task(anext(pods.events()))
    handled = asyncio.create_task(pods.add_handler(on_add=print).synced())
    await cluster.server.requests.wait_for(3, timeout=PATIENCE)
    await client.close()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(kr.LifecycleError, match="closed"):
            await waiting
        with pytest.raises(StopAsyncIteration):
            await pulling
        with pytest.raises(kr.LifecycleError, match="closed"):
            await handled
    with pytest.raises(kr.LifecycleError, match="closed"):
        pods.list()
    with pytest.raises(kr.LifecycleError, match="closed"):
        pods.add_handler(on_add=print)
    assert asyncio.all_tasks() - {asyncio.current_task()} == {
        task for task in asyncio.all_tasks() if "aiohttp" in repr(task) or "web" in repr(task)
    } - {asyncio.current_task()}


async def test_a_cancelled_close_closes_all_the_same(cluster: Cluster) -> None:
    client = await cluster.client().open()
    cluster.create("a")
    pods = await client.informer("v1/pods").start()
    handling = asyncio.Event()

    async def stuck(_: object) -> None:
        handling.set()
        await asyncio.Event().wait()

    pods.add_handler(on_add=stuck)
    await handling.wait()
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing], timeout=PATIENCE)
    assert closing.cancelled()
    await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)
    assert not client._tasks
    with pytest.raises(kr.LifecycleError):
        await client.list("v1/pods")


async def test_health_tells_how_the_client_stands(cluster: Cluster, client: Client) -> None:
    assert client.health.ok and client.health.server == cluster.server.url
    fault = cluster.server.faults.on("watch", "v1/nodes").status(503)
    async with client.informer("v1/nodes") as nodes, cluster.following(client) as (pods, _):
        await cluster.seen.until(lambda: fault.hits and nodes.health.reason)
        health = client.health
        assert not health.ok
        bad, good = health.informers
        assert (bad.name, bad.synced) == ("v1/nodes", False) and "503" in bad.reason
        assert (good.name, good.synced, good.reason) == ("v1/pods", True, "")
        assert pods.health.reflectors[0].state == "watching"
    assert client.health.informers == () and not client.health.crashes


async def test_a_crash_reaches_health_and_everybody_who_waits(
    cluster: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kresilient.cache.reflector import Reflector

    async with cluster.following(client) as (pods, _):
        pulling = asyncio.create_task(anext(events := pods.events()))

        def bug(*_: object) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(Reflector, "_receive", bug)
        cluster.create("a")
        with pytest.raises(kr.KresilientError, match="crashed"):
            await asyncio.wait_for(pulling, PATIENCE)
        await events.aclose()
        with pytest.raises(kr.NotSyncedError, match="a bug"):
            pods.list()
        with pytest.raises(kr.SyncError, match="a bug"):
            await pods.synced()
        assert not client.health.ok and "a bug" in client.health.crashes[0]
        assert cluster.seen.of(TaskCrashed)
        monkeypatch.undo()
        async with cluster.following(client) as (again, _):
            assert list(held(again)) == ["default/a"], "a new handle begins a new cache"


# --- handles ---


async def test_equal_arguments_share_one_watch_until_the_last_handle_is_closed(
    cluster: Cluster, client: Client
) -> None:
    first = await client.informer("v1/pods", label_selector="b,a=1", index=["spec.nodeName"]).start()
    second = await client.informer("v1/pods", label_selector="a = 1, b", index=["spec.nodeName"]).start()
    await asyncio.gather(first.synced(PATIENCE), second.synced(PATIENCE))
    assert cluster.server.requests.count(resource="v1/pods") == 1
    await first.close()
    assert cluster.server.watch_count("v1/pods") == 1
    assert second.list() == []
    with pytest.raises(kr.LifecycleError, match="closed"):
        first.list()
    await second.close()
    await second.close()
    await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)


@pytest.mark.parametrize(
    "options",
    [
        {"label_selector": "a"},
        {"field_selector": "spec.nodeName=n1"},
        {"namespaces": "default"},
        {"index": ["spec.nodeName"]},
        {"metadata_only": True},
        {"strip": ["metadata.managedFields"]},
        {"transform": lambda obj: obj},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_different_arguments_have_a_cache_of_their_own(
    cluster: Cluster, client: Client, options: dict[str, object]
) -> None:
    async with client.informer("v1/pods") as plain, client.informer("v1/pods", **options) as other:  # type: ignore[call-overload]
        await asyncio.gather(plain.synced(PATIENCE), other.synced(PATIENCE))
        assert cluster.server.requests.count(resource="v1/pods", verb="watch") == 2


async def test_a_cache_that_is_opened_while_its_last_handle_closes_is_a_new_one(
    cluster: Cluster, client: Client
) -> None:
    cluster.create("a")
    for _ in range(5):
        old = await client.informer("v1/pods").start()
        await old.synced(PATIENCE)
        closing = asyncio.create_task(old.close())
        await asyncio.sleep(0)
        async with cluster.following(client) as (new, delivered):
            await closing
            cluster.server.patch("v1/pods", "default/a", {"metadata": {"labels": {"x": "y"}}})
            await cluster.agrees(new, delivered)
    await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)


async def test_a_handle_is_used_between_start_and_close_only(client: Client) -> None:
    pods = client.informer("v1/pods")
    for read in (pods.list, lambda: pods.get("default/a"), pods.keys, pods.events, lambda: len(pods)):
        with pytest.raises(kr.LifecycleError, match="not started"):
            read()
    assert pods.health.reason == "not started"
    await pods.close()
    with pytest.raises(kr.LifecycleError, match="closed: make a new one"):
        await pods.start()
    assert pods.health.reason == "closed"


async def test_a_start_that_is_cancelled_joins_nothing(cluster: Cluster, client: Client) -> None:
    cluster.server.create(WIDGETS, widgets())
    cluster.server.faults.next("*", "/apis/example.com/v1").delay(0.05)
    handle = client.informer("example.com/v1", kind="Widget")
    starting = asyncio.create_task(handle.start())
    await cluster.server.requests.wait_for(resource="/apis/example.com/v1", timeout=PATIENCE)
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled() and client.health.informers == ()
    async with handle:
        await handle.synced(PATIENCE)


async def test_a_handle_closed_while_it_starts_leaves_no_watch(cluster: Cluster, client: Client) -> None:
    cluster.server.create(WIDGETS, widgets())
    cluster.server.faults.next("*", "/apis/example.com/v1").delay(0.05)
    handle = client.informer("example.com/v1", kind="Widget")
    starting = asyncio.create_task(handle.start())
    await cluster.server.requests.wait_for(resource="/apis/example.com/v1", timeout=PATIENCE)
    await handle.close()
    with pytest.raises(kr.LifecycleError, match="closed"):
        await starting
    assert client.health.informers == () and not client._informers.handles


async def test_a_handle_started_twice_at_once_counts_once(cluster: Cluster, client: Client) -> None:
    cluster.server.create(WIDGETS, widgets())
    handle = client.informer("example.com/v1", kind="Widget")
    await asyncio.gather(handle.start(), handle.start())
    await handle.synced(PATIENCE)
    await handle.close()
    await cluster.server.watchers("example.com/v1/widgets", 0, timeout=PATIENCE)
    assert client.health.informers == ()


async def test_a_cancelled_wait_for_sync_changes_nothing(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    cluster.server.faults.next("watch", "v1/pods").delay(0.05)
    async with client.informer("v1/pods") as pods:
        waiting = asyncio.create_task(pods.synced())
        await cluster.server.requests.wait_for(verb="watch", timeout=PATIENCE)
        waiting.cancel()
        await asyncio.wait([waiting])
        await pods.synced(PATIENCE)
        assert pods.keys() == ["default/a"]


async def test_a_cancelled_close_of_a_handle_cancels_handlers_and_watch(
    cluster: Cluster, client: Client
) -> None:
    cluster.create("a")
    handling, cancelled = asyncio.Event(), asyncio.Event()

    async def stuck(_: object) -> None:
        handling.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    pods = await client.informer("v1/pods").start()
    pods.add_handler(on_add=stuck)
    await asyncio.wait_for(handling.wait(), PATIENCE)
    closing = asyncio.create_task(pods.close())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing], timeout=PATIENCE)
    await asyncio.wait_for(cancelled.wait(), PATIENCE)
    await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)
    assert client.health.informers == ()


async def test_leaving_a_block_by_an_error_closes_everything(cluster: Cluster) -> None:
    with pytest.raises(ZeroDivisionError):
        async with cluster.client() as client, cluster.following(client):
            raise ZeroDivisionError
    await cluster.server.watchers("v1/pods", 0, timeout=PATIENCE)


async def test_what_cannot_work_is_refused_before_anything_is_sent(cluster: Cluster, client: Client) -> None:
    refused: list[tuple[type[Exception], Callable[[], object]]] = [
        (kr.ConfigError, lambda: client.informer("v1/pods", namespaces=[])),
        (kr.ConfigError, lambda: client.informer("v1/pods/status")),
        (kr.ConfigError, lambda: client.informer("v1/pods", index="spec.nodeName")),
        (kr.ConfigError, lambda: client.informer("v1/pods", strip=["metadata.uid"])),
        (kr.InvalidName, lambda: client.informer("v1/nodes", namespaces="default")),
        (kr.InvalidName, lambda: client.informer("v1/pods", namespaces=["a/b"])),
        (kr.SelectorError, lambda: client.informer("v1/pods", index=["spec..nodeName"])),
        (TypeError, lambda: client.informer(7)),  # type: ignore[call-overload]
    ]
    for error, call in refused:
        with pytest.raises(error):
            call()
    assert cluster.server.requests.total == 0


# --- threads ---


async def test_reads_from_a_thread_while_changes_pour_in(cluster: Cluster, client: Client) -> None:
    done, failures, reads = threading.Event(), [], 0

    async with cluster.following(client, index=["spec.nodeName"]) as (pods, delivered):

        def read() -> None:
            nonlocal reads
            try:
                while not done.is_set():
                    keys = pods.keys()
                    assert keys == sorted(keys)
                    for one in pods.list(namespace="default", label_selector="app"):
                        assert one["spec"]["nodeName"]
                    for one in pods.by_index("spec.nodeName", "n1"):
                        pods.get(one.key)
                    len(pods), "default/p1" in pods, pods.index_values("spec.nodeName")
                    reads += 1
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for number in range(150):
                cluster.create(f"p{number}")
                if number % 3 == 2:
                    cluster.server.delete("v1/pods", f"default/p{number - 1}")
                if number % 25 == 0:
                    await cluster.agrees(pods, delivered)
            await cluster.agrees(pods, delivered)
        finally:
            done.set()
            await asyncio.to_thread(thread.join)
        assert not failures and reads
        assert pods.keys() == sorted(cluster.truth())


def test_keys_sorted_by_a_thread_are_not_kept_where_the_cache_changed_meanwhile() -> None:
    from kresilient.api.objects import KubeObject
    from kresilient.cache.store import Table

    def obj(name: str) -> KubeObject:
        return KubeObject.from_dict({"metadata": {"name": name}})

    table = Table({}, lambda *_: None)
    written = False

    class Slow(str):
        """A key whose comparison lets the writer in, as a switch of threads does."""

        def __lt__(self, other: str) -> bool:
            nonlocal written
            if not written:
                written = True
                table.put("c", obj("c"))
            return str.__lt__(self, other)

    for name in ("b", "a"):
        table.put(Slow(name), obj(name))
    table.keys()
    assert table.keys() == ["a", "b", "c"]
    table.remove("c")
    assert table.keys() == ["a", "b"]


async def test_a_thread_reaches_everything_else_over_the_bridge(cluster: Cluster, client: Client) -> None:
    seen = Seen()
    async with cluster.following(client) as (pods, _):

        def in_thread() -> None:
            client.call_soon_threadsafe(lambda: pods.add_handler(on_event=seen))

        await asyncio.to_thread(in_thread)
        cluster.create("a")
        await seen.until(lambda: len(seen) == 1)


async def test_closing_from_another_loop_is_refused_and_changes_nothing(cluster: Cluster) -> None:
    cluster.create("a")
    async with cluster.client() as client, client.informer("v1/pods") as pods:
        await pods.synced(PATIENCE)

        def elsewhere() -> list[str]:
            said = []
            for close in (pods.close, client.close):
                with pytest.raises(kr.LifecycleError) as caught:
                    asyncio.run(close())
                said.append(str(caught.value))
            for use in (lambda: pods.events(), lambda: client.list("v1/pods")):
                with pytest.raises(kr.LifecycleError) as caught:
                    use()
                said.append(str(caught.value))
            return said

        said = await asyncio.to_thread(elsewhere)
        assert all("another event loop" in one for one in said) and len(said) == 4
        assert len(pods) == 1
        cluster.create("b")
        async for event in pods.events():
            if event.key == "default/b":
                break
