"""What an informer answers from memory, and what it says of itself when it cannot."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from kresilient.api.errors import (
    ConfigError,
    InvalidName,
    KresilientError,
    LifecycleError,
    NotSyncedError,
    SelectorError,
    SyncError,
)
from kresilient.api.label_selectors import LabelSelector
from kresilient.api.objects import KubeObject
from kresilient.api.views import View
from kresilient.cache.events import Event
from kresilient.observe.events import HandlerFailed, TaskCrashed

from .world import World, pod

pytestmark = pytest.mark.looptime


class Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class PodView(View, resource="v1/pods"):
    spec: Spec


def keys(objects: list[Any]) -> list[str]:
    return [obj.key for obj in objects]


# --- reads ---


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=web", ["default/web-1", "default/web-2"]),
        ("app=web,tier=front", ["default/web-1"]),
        ("app!=web", ["default/bare", "default/db"]),
        ("!app", ["default/bare"]),
        ("app in (db)", ["default/db"]),
        ({"app": "web", "tier": "back"}, ["default/web-2"]),
        (LabelSelector.parse("tier"), ["default/web-1", "default/web-2"]),
        ("app=none", []),
        (None, ["default/bare", "default/db", "default/web-1", "default/web-2"]),
    ],
    ids=str,
)
async def test_a_list_can_be_narrowed_by_labels(world: World, selector: Any, expected: list[str]) -> None:
    world.server.create("v1/pods", pod("web-2", labels={"app": "web", "tier": "back"}))
    world.server.create("v1/pods", pod("web-1", labels={"app": "web", "tier": "front"}))
    world.server.create("v1/pods", pod("db", labels={"app": "db"}))
    world.server.create("v1/pods", pod("bare"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        assert keys(pods.list(label_selector=selector)) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("spec.nodeName=n1", ["default/a", "other/a"]),
        ("spec.nodeName!=n1", ["default/b"]),
        ("metadata.name=a,metadata.namespace=other", ["other/a"]),
        ("metadata.name=none", []),
        ("", ["default/a", "default/b", "other/a"]),
    ],
)
async def test_a_list_can_be_narrowed_by_fields(world: World, selector: str, expected: list[str]) -> None:
    world.server.create("v1/pods", pod("b", node="n2"))
    world.server.create("v1/pods", pod("a", node="n1"))
    world.server.create("v1/pods", pod("a", namespace="other", node="n1"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        assert keys(pods.list(field_selector=selector)) == expected


async def test_narrowings_add_up(world: World) -> None:
    for namespace, name, app in itertools.product(("default", "other"), "ab", ("x",)):
        world.server.create("v1/pods", pod(name, namespace=namespace, labels={"app": app}, node=f"n-{name}"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        found = pods.list(namespace="other", label_selector="app=x", field_selector="spec.nodeName=n-b")
        assert keys(found) == ["other/b"]


async def test_a_selector_that_cannot_be_matched_here_is_an_error(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        with pytest.raises(SelectorError):
            pods.list(label_selector="a in b")
        with pytest.raises(SelectorError):
            pods.list(field_selector="spec.unknown=1")


@pytest.mark.parametrize("namespaces", [None, ["other", "default-2", "default", "void"]])
async def test_keys_and_lists_stay_in_key_order_through_every_change(
    world: World, namespaces: list[str] | None
) -> None:
    # "default-2/b" comes before "default/b": the order of keys is not that of namespaces.
    for namespace, name in itertools.product(("default", "default-2", "other"), "dbf"):
        world.server.create("v1/pods", pod(name, namespace=namespace))
    async with world.client.informer("v1/pods", namespaces=namespaces) as pods:
        await pods.synced(30)
        expected = [
            f"{namespace}/{name}" for namespace in ("default-2", "default", "other") for name in "bdf"
        ]
        assert pods.keys() == keys(pods.list()) == expected
        for change in ("default/a", "other/c", "default-2/zz", "default/e"):
            namespace, _, name = change.partition("/")
            world.server.create("v1/pods", pod(name, namespace=namespace))
            expected = sorted([*expected, change])
            await world.until(lambda change=change: change in pods)
            assert pods.keys() == keys(pods.list()) == expected
        for change in ("default/b", "default-2/zz", "other/d"):
            world.server.delete("v1/pods", change)
            expected.remove(change)
            await world.until(lambda change=change: change not in pods)
            assert pods.keys() == keys(pods.list()) == expected
        assert len(pods) == len(expected)
        assert pods.keys(namespace="other") == keys(pods.list(namespace="other"))
        assert pods.keys(namespace="other") == [key for key in expected if key.startswith("other/")]
        for read in (pods.keys, pods.list):
            if namespaces is None:
                assert read(namespace="nowhere") == []
            else:
                with pytest.raises(ConfigError, match="not nowhere"):
                    read(namespace="nowhere")


async def test_each_of_several_namespaces_is_read_by_key_and_no_other_is_held(world: World) -> None:
    for namespace in ("one", "two", "three"):
        world.server.create("v1/pods", pod("a", namespace=namespace))
    async with world.client.informer("v1/pods", namespaces=["one", "two"]) as pods:
        await pods.synced(30)
        with pytest.raises(ConfigError, match="not three"):
            pods.get("three/a")
        assert {key: getattr(pods.get(key), "key", None) for key in ("one/a", "two/a")} == {
            "one/a": "one/a",
            "two/a": "two/a",
        }
        assert "three/a" not in pods and len(pods) == 2
        assert pods.resource_version == ""
        assert len(pods.health.reflectors) == 2
        with pytest.raises(InvalidName):
            pods.get("a/b/c")


async def test_an_informer_of_several_namespaces_is_synced_when_all_are(world: World) -> None:
    world.server.faults.next("watch", namespace="two").times(3).status(503)
    async with world.client.informer("v1/pods", namespaces=["one", "two"]) as pods:
        await world.until(lambda: "list done" in world.rows)
        assert not pods.has_synced
        with pytest.raises(NotSyncedError):
            pods.list()
        with pytest.raises(NotSyncedError):
            pods.get("two/a")
        await pods.synced(60)
        assert pods.list() == []


async def test_an_index_follows_what_changes_and_what_goes(world: World) -> None:
    for name in "ab":
        world.server.create("v1/pods", pod(name, labels={"app": "web"}))
    async with world.client.informer("v1/pods", index={"app": "metadata.labels.app"}) as pods:
        await pods.synced(30)
        assert keys(pods.by_index("app", "web")) == ["default/a", "default/b"]
        world.server.patch("v1/pods", "default/a", {"metadata": {"labels": {"app": "db"}}})
        await world.until(lambda: pods.by_index("app", "db"))
        assert keys(pods.by_index("app", "web")) == ["default/b"]
        assert sorted(map(str, pods.index_values("app"))) == ["db", "web"]
        world.server.delete("v1/pods", "default/b")
        await world.until(lambda: "default/b" not in pods)
        assert pods.by_index("app", "web") == []
        assert pods.index_values("app") == ["db"]


async def test_an_index_over_several_namespaces_answers_in_key_order(world: World) -> None:
    for namespace, name in itertools.product(("zeta", "mid", "mid-2"), "cab"):
        world.server.create("v1/pods", pod(name, namespace=namespace, node="n2" if name == "c" else "n1"))
    options: dict[str, Any] = {"namespaces": ["zeta", "mid", "mid-2"], "index": ["spec.nodeName"]}
    async with world.client.informer("v1/pods", **options) as pods:
        await pods.synced(30)
        expected = [f"{namespace}/{name}" for namespace in ("mid-2", "mid", "zeta") for name in "ab"]
        assert keys(pods.by_index("spec.nodeName", "n1")) == expected
        assert sorted(map(str, pods.index_values("spec.nodeName"))) == ["n1", "n2"]


async def test_an_index_that_was_not_declared_is_named(world: World) -> None:
    async with world.client.informer("v1/pods", index=["spec.nodeName"]) as pods:
        await pods.synced(30)
        with pytest.raises(ConfigError, match=r"no index 'app'; declared are \['spec.nodeName'\]"):
            pods.by_index("app", "x")
        with pytest.raises(ConfigError, match="no index 'app'"):
            pods.index_values("app")


async def test_an_extractor_that_fails_is_reported_by_name_and_object(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with world.client.informer("v1/pods", index={"bad": lambda obj: [obj["absent"]]}) as pods:
        await pods.synced(30)
        assert keys(pods.list()) == ["default/a"]
        (failed,) = world.reported(HandlerFailed)
        assert (failed.handler, failed.key, type(failed.error)) == ("index bad", "default/a", KeyError)


async def test_an_informer_of_a_view_hands_out_views_everywhere(world: World) -> None:
    world.server.create("v1/pods", pod("a", labels={"app": "web"}, node="n1"))
    async with world.client.informer(PodView, index=["spec.nodeName"]) as pods:
        await pods.synced(30)
        seen: list[Event[PodView]] = []
        updates: list[tuple[PodView, PodView]] = []
        pods.add_handler(on_event=seen.append, on_update=lambda old, new: updates.append((old, new)))
        held = pods.get("default/a")
        assert isinstance(held, PodView) and held.spec == Spec("n1") and held.labels == {"app": "web"}
        assert [type(one) for one in pods.list()] == [PodView]
        assert [type(one) for one in pods.by_index("spec.nodeName", "n1")] == [PodView]
        async with pods.events() as events:
            assert isinstance((await anext(events)).object, PodView)
        world.server.patch("v1/pods", "default/a", {"metadata": {"labels": {"app": "db"}}})
        await world.until(lambda: len(seen) == 2)
        assert [type(one.object) for one in seen] == [PodView, PodView]
        assert seen[0].old is None and isinstance(seen[1].old, PodView)
        assert [(old.labels["app"], new.labels["app"]) for old, new in updates] == [("web", "db")]


async def test_the_cache_of_a_view_holds_its_fields_only(world: World) -> None:
    world.server.create("v1/pods", pod("a", node="n1"))
    async with world.client.informer(PodView) as pods:
        await pods.synced(30)
        shared = pods._shared
        assert shared is not None
        raw = shared.stores[0].table.objects["default/a"].raw
        assert set(msgspec.json.decode(raw)) == {"metadata", "spec"}
        assert msgspec.json.decode(raw)["spec"] == {"nodeName": "n1"}


async def test_what_a_reader_does_with_an_object_changes_nothing(world: World) -> None:
    world.server.create("v1/pods", pod("a", node="n1"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        held = pods.get("default/a")
        assert held is not None
        held["spec"]["nodeName"] = "elsewhere"
        pods.list().clear()
        pods.keys().clear()
        assert pods.list()[0]["spec"]["nodeName"] == "n1"
        assert pods.keys() == ["default/a"]


async def test_threads_may_read_while_the_loop_changes_the_cache(world: World) -> None:
    for number in range(100):
        world.server.create("v1/pods", pod(f"p{number:03}"))
    async with world.client.informer("v1/pods", index=["spec.nodeName"]) as pods:
        await pods.synced(30)
        over, looked = threading.Event(), threading.Event()
        wrong: list[object] = []

        def read() -> None:
            while not over.is_set():
                try:
                    for found in (pods.keys(), keys(pods.list()), keys(pods.by_index("spec.nodeName", "n1"))):
                        if found != sorted(set(found)):
                            wrong.append(found)
                    pods.get("default/p000")
                    looked.set()
                except Exception as error:
                    wrong.append(error)
                    looked.set()

        thread = threading.Thread(target=read)
        thread.start()
        try:
            looked.wait(10)
            for number in range(0, 100, 2):
                world.server.delete("v1/pods", f"default/p{number:03}")
                world.server.create("v1/pods", pod(f"q{number:03}"))
                # One change after the other, so that the thread reads while each is taken in.
                await world.until(partial(pods.__contains__, f"default/q{number:03}"))
        finally:
            over.set()
            thread.join()
        assert wrong == []
        assert pods.keys() == sorted(world.truth())


# --- health ---


async def test_a_client_is_not_well_while_the_server_refuses_the_watch_of_a_synced_informer(
    world: World,
) -> None:
    world.server.create("v1/pods", pod("a"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        assert world.client.health.ok
        world.server.faults.next("watch", "v1/pods").times(3).status(403)
        await world.server.restart()
        await world.until(
            lambda: world.moves("403, 404, a request the server rejects, or a set-up that cannot work")
        )
        assert not world.client.health.ok
        assert pods.has_synced and keys(pods.list()) == ["default/a"]
        assert "403" in pods.health.reason
        await world.until(lambda: len(world.server.faults) == 0)
        await world.server.watchers("v1/pods", 1, timeout=120)
        world.server.create("v1/pods", pod("b"))
        await world.until(lambda: "default/b" in pods)
        assert world.client.health.ok and pods.health.reason == ""


async def test_the_time_of_the_last_contact_moves_with_every_life_sign_and_with_no_other(
    world: World,
) -> None:
    now = asyncio.get_running_loop().time
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        await asyncio.sleep(50)
        world.server.create("v1/pods", pod("a"))
        await world.until(lambda: "default/a" in pods, step=0.01)
        assert now() - pods.health.reflectors[0].contact < 1
        await asyncio.sleep(100)  # a bookmark came
        assert now() - pods.health.reflectors[0].contact < 61
        await world.server.kill()
        last = pods.health.reflectors[0].contact
        await asyncio.sleep(300)
        assert pods.health.reflectors[0].contact == last


async def test_a_list_is_a_contact_too(world: World) -> None:
    world.server.faults.next("watch", "v1/pods").silence()
    world.server.faults.next("watch", "v1/pods").status(410)
    world.server.faults.on("watch", "v1/pods").silence()
    async with world.client.informer("v1/pods", streaming=False) as pods:
        await asyncio.sleep(20)
        start = pods.health.reflectors[0].contact
        await world.server.restart()
        await world.until(lambda: world.rows.count("list done") == 2)
        assert pods.health.reflectors[0].contact > start


async def test_health_counts_what_is_held_and_names_it(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with world.client.informer("v1/pods", label_selector="!x") as pods:
        assert not pods.health.synced and not world.client.health.ok
        await pods.synced(30)
        (health,) = world.client.health.informers
        assert (health.name, health.synced, health.objects, health.reason) == ("v1/pods !x", True, 1, "")
        assert health.reflectors[0].resource_version == pods.resource_version
    assert pods.health.reason == "closed" and not pods.has_synced


# --- life ---


async def test_a_closed_informer_is_read_no_more(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
    for read in (lambda: pods.get("default/a"), pods.list, pods.keys, lambda: len(pods)):
        with pytest.raises(LifecycleError, match="closed: make a new one"):
            read()
    with pytest.raises(LifecycleError):
        await pods.start()


async def test_who_waits_for_a_sync_hears_that_the_informer_was_closed(world: World) -> None:
    world.server.faults.on("*", "v1/pods").status(503)
    pods = await world.client.informer("v1/pods").start()
    waiting = asyncio.create_task(pods.synced(300))
    await asyncio.sleep(5)
    await pods.close()
    with pytest.raises(LifecycleError, match="closed before it had synced"):
        await waiting


# --- a crash ---


class Bug(BaseException):
    """What no `except Exception` catches."""


def crash_on_bad(obj: KubeObject) -> KubeObject:
    if obj.name == "bad":
        raise Bug("in the transform")
    return obj


async def test_a_crashed_cache_is_not_read_and_says_why(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with world.client.informer("v1/pods", transform=crash_on_bad) as pods:
        await pods.synced(30)
        world.server.create("v1/pods", pod("bad"))
        await world.until(lambda: not pods.has_synced, 5)
        for read in (lambda: pods.get("default/a"), pods.list, pods.keys, lambda: len(pods)):
            with pytest.raises(NotSyncedError, match=r"crashed: Bug\('in the transform'\)"):
                read()
        assert "crashed" in pods.health.reason and not pods.health.synced


async def test_one_crashed_reflector_of_several_makes_the_whole_cache_unreadable(world: World) -> None:
    async with world.client.informer("v1/pods", namespaces=["one", "two"], transform=crash_on_bad) as pods:
        await pods.synced(30)
        world.server.create("v1/pods", pod("bad", namespace="two"))
        await world.until(lambda: not pods.has_synced, 5)
        with pytest.raises(NotSyncedError, match="crashed"):
            pods.get("one/a")


async def test_waiting_for_a_cache_that_crashes_raises_with_the_cause(world: World) -> None:
    world.server.create("v1/pods", pod("bad"))
    async with world.client.informer("v1/pods", transform=crash_on_bad) as pods:
        with pytest.raises(SyncError, match="cannot sync: the reflector crashed") as raised:
            await pods.synced(30)
        assert isinstance(raised.value.__cause__, Bug)
        with pytest.raises(SyncError):
            await pods.synced(30, fail_fast=False)


async def test_the_feeds_of_a_crashed_cache_end_with_its_error(world: World) -> None:
    async with world.client.informer("v1/pods", transform=crash_on_bad) as pods:
        await pods.synced(30)
        events, handled = pods.events(), list[str]()
        subscription = pods.add_handler(on_add=lambda obj: handled.append(obj.name))
        world.server.create("v1/pods", pod("a"))
        world.server.create("v1/pods", pod("bad"))
        assert (await anext(events)).key == "default/a"
        with pytest.raises(KresilientError, match=r"crashed: Bug\('in the transform'\)") as raised:
            async with asyncio.timeout(10):
                await anext(events)
        assert isinstance(raised.value.__cause__, Bug)
        assert subscription.closed and handled == ["a"]


async def test_a_stream_of_a_crashed_cache_that_is_dropped_is_gone_with_those_who_read_it(
    world: World,
) -> None:
    async with world.client.informer("v1/pods", transform=crash_on_bad) as pods:
        await pods.synced(30)
        streams = [pods.events(), pods.events()]
        world.server.create("v1/pods", pod("bad"))
        for events in streams * 2:
            with pytest.raises(KresilientError, match="crashed") as raised:
                await anext(events)
            assert len(raised.traceback) == 2, "each reader has an error of its own, and it grows with none"
        left = [weakref.ref(events) for events in streams]
        del events, streams, raised
        gc.collect()
        assert [ref() for ref in left] == [None, None]


async def test_a_crash_is_in_the_clients_health_and_is_observed(world: World) -> None:
    world.server.create("v1/pods", pod("bad"))
    async with world.client.informer("v1/pods", transform=crash_on_bad):
        await world.until(lambda: world.reported(TaskCrashed), 5)
        (crashed,) = world.reported(TaskCrashed)
        assert crashed.task == "kresilient reflector v1/pods" and isinstance(crashed.error, Bug)
        assert world.client.health.crashes == ("kresilient reflector v1/pods: Bug('in the transform')",)
    assert not world.client.health.ok, "a crash is remembered"


async def test_a_synced_informer_is_no_longer_ok_once_it_crashed(world: World) -> None:
    async with world.client.informer("v1/pods", transform=crash_on_bad) as pods:
        await pods.synced(30)
        assert world.client.health.ok
        world.server.create("v1/pods", pod("bad"))
        await world.until(lambda: world.reported(TaskCrashed), 5)
        assert not world.client.health.ok


async def test_a_quiet_watch_that_the_server_takes_again_is_well_before_any_bookmark(
    make_world: Callable[..., World],
) -> None:
    world = make_world(bookmark_interval=1e9)
    async with world.server, world.client, world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        fault = world.server.faults.next("watch", "v1/pods").status(403)
        await world.server.restart()
        await world.until(lambda: fault.hits and not world.client.health.ok)
        assert "403" in pods.health.reason
        await world.server.watchers("v1/pods", 1, timeout=300)
        await world.until(lambda: world.client.health.ok, 1)
        assert pods.health.reason == ""
