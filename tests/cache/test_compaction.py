"""Compact caches: small, with one dictionary at a time, and like any other cache to whoever reads them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

import kresilient.cache.compressed as compressed
from kresilient.api.errors import ConfigError, PoisonObject
from kresilient.api.objects import KubeObject
from kresilient.api.views import View
from kresilient.cache import compaction
from kresilient.cache.compaction import Compaction
from kresilient.cache.compressed import Codec, CompactObject, held_bytes
from kresilient.cache.informer import Informer
from kresilient.cache.store import Table
from kresilient.observe.events import Listed

from .test_compressed import pods
from .world import World, pod

pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
looptime = pytest.mark.looptime


class Cache:
    """One table, filled as a cache is, and the tasks that it began."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.compaction = Compaction("pods", self._spawn)
        self.table = Table({}, lambda *_: None)
        self.compaction.watch(self.table)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.append(task)
        return task

    def put(self, obj: KubeObject) -> None:
        self.table.put(obj.key, self.compaction(obj))

    async def settled(self) -> None:
        for task in self.tasks:
            await task

    @property
    def codecs(self) -> set[Codec | None]:
        return {getattr(obj, "codec", None) for obj in self.table.objects.values()}


async def test_a_cache_of_less_than_a_megabyte_stays_as_it_is() -> None:
    cache, objects = Cache(), pods(100)
    for _ in range(10):  # updates make it no larger
        for obj in objects:
            cache.put(obj)
        await cache.settled()
    assert sum(len(obj.raw) for obj in objects) < 1_000_000 < 10 * sum(len(obj.raw) for obj in objects)
    assert cache.codecs == {None}


async def test_all_that_is_held_is_compressed_with_one_dictionary_and_newer_ones_replace_it() -> None:
    cache, objects, found = Cache(), pods(6000), []
    for count, obj in enumerate(objects):
        cache.put(obj)
        if count % 100 == 99:
            await cache.settled()
            if cache.codecs not in found:
                found.append(cache.codecs)
    assert found[0] == {None}
    assert all(len(codecs) == 1 for codecs in found)
    assert len(found) == len(cache.tasks) + 1 == 3
    assert [*cache.table.objects.values()] == objects
    assert 10 * sum(map(held_bytes, cache.table.objects.values())) < sum(len(obj.raw) for obj in objects)


async def test_what_comes_while_the_first_dictionary_is_trained_is_compressed_without() -> None:
    cache = Cache()
    for obj in pods(3000):
        cache.put(obj)
        if cache.tasks and not cache.tasks[0].done():
            break
    for obj in pods(3000):
        cache.put(obj)
    await asyncio.sleep(0)
    for obj in pods(10):
        cache.put(obj)
    late = [obj for obj in cache.table.objects.values() if isinstance(obj, CompactObject)]
    assert len(late) == 10
    await cache.settled()
    assert len(cache.codecs) == 1 and None not in cache.codecs


async def test_a_list_that_stands_beside_the_cache_is_compressed_too() -> None:
    cache = Cache()
    fresh = Table({}, lambda *_: None)
    cache.compaction.watch(fresh)
    for obj in pods(1500):
        fresh.put(obj.key, cache.compaction(obj))
    await cache.settled()
    assert all(isinstance(obj, CompactObject) for obj in fresh.objects.values())


async def test_the_loop_has_turns_while_a_cache_is_compressed() -> None:
    cache, turns = Cache(), 0
    for obj in pods(3000):
        cache.put(obj)
    done = asyncio.Event()
    cache.tasks[0].add_done_callback(lambda _: done.set())

    def turn() -> None:
        nonlocal turns
        turns += cache.codecs != {None}
        if not done.is_set():
            asyncio.get_running_loop().call_soon(turn)

    turn()
    await done.wait()
    assert turns >= sum(len(obj.raw) for obj in cache.table.objects.values()) // 1_000_000 - 1 >= 3


async def test_a_cache_that_closes_ends_its_training() -> None:
    cache = Cache()
    for obj in pods(1500):
        cache.put(obj)
    assert cache.compaction.close() == cache.tasks
    with pytest.raises(asyncio.CancelledError):
        await cache.tasks[0]
    for obj in pods(1500):
        cache.put(obj)
    assert len(cache.tasks) == 1
    assert cache.compaction.close() == []


# --- informers ---


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every object is compressed as soon as it comes, but for the first."""
    monkeypatch.setattr(compaction, "_PLAIN", 1)
    yield


def large(name: str, **more: Any) -> dict[str, Any]:
    return pod(
        name, tolerations=[{"key": f"example.com/{n}", "operator": "Exists"} for n in range(50)], **more
    )


def compressed_ones(informer: Informer[Any]) -> int:
    return sum(isinstance(obj, CompactObject) for obj in informer.list())


@looptime
async def test_without_zstd_an_informer_says_what_to_install(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(compressed, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'kresilient\[compact\]'"):
        world.client.informer("v1/pods", compact=True)
    world.client.informer("v1/pods")


@looptime
async def test_only_those_that_are_both_compact_share_a_cache(world: World) -> None:
    informer = world.client.informer
    async with (
        informer("v1/pods", compact=True) as one,
        informer("v1/pods", compact=True) as other,
        informer("v1/pods") as plain,
    ):
        assert one._shared is other._shared is not plain._shared


@looptime
async def test_what_is_read_is_as_in_any_cache(world: World, at_once: None) -> None:
    for number in range(30):
        world.server.create(
            "v1/pods", large(f"p{number}", node=f"n{number % 3}", labels={"app": f"a{number % 2}"})
        )
    informer = world.client.informer
    async with (
        informer("v1/pods", index=["spec.nodeName"]) as plain,
        informer("v1/pods", index=["spec.nodeName"], compact=True) as compact,
    ):
        await plain.synced(30)
        await compact.synced(30)
        await world.until(lambda: compressed_ones(compact) == 30)
        assert compact.list() == plain.list()
        assert compact.by_index("spec.nodeName", "n1") == plain.by_index("spec.nodeName", "n1") != []
        assert compact.list(label_selector="app=a1") == plain.list(label_selector="app=a1") != []
        assert len(compact.list(field_selector="spec.nodeName=n2")) == 10
        assert compact.get("default/p7") == plain.get("default/p7")
        smaller, larger = compact.footprint(), plain.footprint()
    assert 4 * smaller.json_bytes < larger.json_bytes
    assert [one.objects for one in smaller.owners] == [one.objects for one in larger.owners]


@looptime
async def test_own_writes_and_events_are_compressed_and_tell_the_same(world: World, at_once: None) -> None:
    world.server.create("v1/pods", large("first"))
    told: list[tuple[str, str, str]] = []
    async with world.client.informer("v1/pods", compact=True) as pods:
        await pods.synced(30)
        pods.add_handler(
            on_add=lambda new: told.append(("add", new.name, new["spec"]["nodeName"])),
            on_update=lambda old, new: told.append(("update", new.name, new["metadata"]["labels"]["x"])),
            on_delete=lambda old: told.append(("delete", old.name, old["spec"]["nodeName"])),
        )
        await world.client.create("v1/pods", large("own", namespace="default"))
        assert isinstance(pods.get("default/own"), CompactObject)
        await world.client.patch("v1/pods", "default/own", {"metadata": {"labels": {"x": "1"}}})
        world.server.create("v1/pods", large("theirs"))
        await world.until(lambda: told[-1][1] == "theirs")
        await world.client.delete("v1/pods", "default/own", grace_period=0)
        await world.until(lambda: told[-1][0] == "delete")
        assert isinstance(pods.get("default/theirs"), CompactObject)
    assert told == [
        ("add", "first", "n1"),
        ("add", "own", "n1"),
        ("update", "own", "1"),
        ("add", "theirs", "n1"),
        ("update", "own", "1"),  # it is being deleted
        ("delete", "own", "n1"),
    ]


@looptime
@pytest.mark.parametrize("streaming", [True, False])
async def test_a_relist_tells_what_changed_and_keeps_what_did_not(
    world: World, at_once: None, streaming: bool
) -> None:
    for number in range(10):
        world.server.create("v1/pods", large(f"p{number}"))
    told: list[str] = []
    async with world.client.informer("v1/pods", compact=True, streaming=streaming) as pods:
        await pods.synced(30)
        await world.until(lambda: compressed_ones(pods) == 10)
        before = {obj.key: obj for obj in pods.list()}
        pods.add_handler(
            on_update=lambda old, new: told.append(f"update {new.name} {new['metadata']['labels']}"),
            on_delete=lambda old: told.append(f"delete {old.name}"),
        )
        await world.server.kill()
        world.server.patch("v1/pods", "default/p3", {"metadata": {"labels": {"x": "1"}}})
        world.server.delete("v1/pods", "default/p4")
        await world.server.restart(history=False)
        await world.until(lambda: world.reported(Listed)[1:])
        await world.until(lambda: len(told) == 2)
        after = {obj.key: obj for obj in pods.list()}
    assert told == ["delete p4", "update p3 {'x': '1'}"]
    assert [key for key, obj in after.items() if obj is not before[key]] == ["default/p3"]


class Tolerations(View, resource="v1/pods"):
    spec: dict[str, Any]


@looptime
@pytest.mark.parametrize(
    "options",
    [
        {"strip": ["spec.containers"]},
        {"transform": lambda obj: {**obj.to_dict(), "status": None}},
        {"metadata_only": True},
    ],
    ids=["strip", "transform", "metadata only"],
)
async def test_what_is_left_of_an_object_is_what_is_compressed(
    world: World, at_once: None, options: dict[str, Any]
) -> None:
    for number in range(10):
        made = large(f"p{number}")
        made["metadata"]["annotations"] = {"note": "all work and no play " * 40}
        world.server.create("v1/pods", made)
    informer = world.client.informer
    async with informer("v1/pods", **options) as plain, informer("v1/pods", **options, compact=True) as small:
        await plain.synced(30)
        await small.synced(30)
        await world.until(lambda: compressed_ones(small) == 10)
        assert small.list() == plain.list()


@looptime
async def test_a_view_is_read_from_what_is_compressed(world: World, at_once: None) -> None:
    for number in range(10):
        world.server.create("v1/pods", large(f"p{number}"))
    async with world.client.informer(Tolerations, compact=True) as views:
        await views.synced(30)
        shared = views._shared
        assert shared is not None
        table = shared.stores[0].table
        await world.until(lambda: all(isinstance(obj, CompactObject) for obj in table.objects.values()))
        assert [view.spec["tolerations"][49]["key"] for view in views.list()] == ["example.com/49"] * 10


@looptime
async def test_one_that_does_not_decode_is_set_aside_beside_its_last_good_state(
    world: World, at_once: None
) -> None:
    world.server.create("v1/pods", large("a"))
    world.server.create("v1/pods", large("b"))
    async with world.client.informer("v1/pods", compact=True) as pods:
        await pods.synced(30)
        await world.until(lambda: compressed_ones(pods) == 2)
        broken = b'{"type":"MODIFIED","object":{"metadata":{"name":"b","namespace":"default","labels":7}}}\n'
        world.server.faults.next("watch", "v1/pods").answer(broken, then="stall")
        await world.server.restart()
        await world.until(lambda: pods.health.quarantined)
        assert [obj.name for obj in pods.list()] == ["a", "b"]
        with pytest.raises(PoisonObject):
            pods.get("default/b")
        await world.until(lambda: not pods.health.quarantined)
        assert isinstance(pods.get("default/b"), CompactObject)


@looptime
async def test_an_informer_that_closes_leaves_no_training_behind(world: World) -> None:
    for number in range(200):
        made = large(f"p{number:03}")
        made["metadata"]["annotations"] = {"note": f"{number} " * 2000}
        world.server.create("v1/pods", made)
    async with world.client.informer("v1/pods", compact=True) as pods:
        await pods.synced(30)
    assert not [task for task in asyncio.all_tasks() if "dictionary" in task.get_name()]
    assert not world.client.health.crashes
