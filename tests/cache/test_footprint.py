"""What a cache says of its own memory: the truth, nearly, and who fills it."""

from __future__ import annotations

import gc
import json
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from textwrap import dedent
from typing import Any

import pytest

from kresilient.api import objects
from kresilient.api.errors import ConfigError, LifecycleError
from kresilient.api.objects import KubeObject
from kresilient.api.views import View
from kresilient.api.wire import ListDecoder, WatchDecoder, WatchEvent
from kresilient.cache.footprint import Footprint, Share, footprint
from kresilient.cache.index import IndexSpec, parse_indexes
from kresilient.cache.intake import Intake
from kresilient.cache.store import Table

from .world import World, pod

looptime = pytest.mark.looptime


def owned(
    name: str, by: str, *, namespace: str = "default", controller: bool | None = True
) -> dict[str, Any]:
    kind, _, owner = by.partition("/")
    made = pod(name, namespace=namespace)
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": f"u-{owner}"}
    if controller is not None:
        reference["controller"] = controller
    made["metadata"]["ownerReferences"] = [reference]
    return made


@contextmanager
def allocated() -> Iterator[list[int]]:
    """The bytes of Python's memory that are there afterwards and were not before."""
    found: list[int] = []
    gc.collect()
    tracemalloc.start()
    try:
        yield found
        gc.collect()
        found.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()


# --- the estimate ---


@pytest.mark.parametrize("how", ["list", "watch"])
@pytest.mark.parametrize("labels", [0, 1, 5, 12])
@pytest.mark.parametrize(
    "index",
    [
        {},
        {"node": "spec.nodeName"},
        {"node": "spec.nodeName", "uid": "metadata.uid", "image": "spec.images[*]"},
    ],
    ids=["no index", "one index", "three indexes"],
)
def test_what_python_adds_is_what_it_has_allocated_within_three_hundredths(
    how: str, labels: int, index: dict[str, str]
) -> None:
    count = 1500
    items = []
    for number in range(count):
        meta: dict[str, Any] = {
            "name": f"web-7d9f8b6c5-{number:05}",
            "namespace": f"team-{number % 20}",
            "uid": f"{number:08x}-1111-2222-3333-{number:012x}",
            "resourceVersion": str(1_000_000 + number),
        }
        if labels:
            meta["labels"] = {f"app.kubernetes.io/{n}": f"value-{n}-of-{number % 50}" for n in range(labels)}
        spec = {"nodeName": f"node-{number % 100}", "images": [f"one:{number % 7}", f"two:{number}"]}
        items.append({"metadata": meta, "spec": spec, "status": {"message": "x" * 300}})
    filled(how, items[:10], index)  # what is made once, and not for each object
    with allocated() as found:
        table = filled(how, items, index)
        table.keys()
    held = list(table.objects.values())
    raw = sum(len(obj.raw) for obj in held)
    measured = footprint("pods", [table])
    assert len(held) == measured.objects == count
    assert measured.json_bytes == raw
    added = found[0] - raw
    assert measured.header_bytes + measured.table_bytes == pytest.approx(added, rel=0.03)


@pytest.mark.parametrize("labels", [0, 5])
@pytest.mark.parametrize("replicas", [1, 20])
def test_what_headers_have_in_common_counts_once(labels: int, replicas: int) -> None:
    count, written = 1500, []
    for number in range(count):
        workload = number // replicas
        meta: dict[str, Any] = {
            "name": f"web-7d9f8b6c5-{number:05}",
            "namespace": f"team-{workload % 20}",
            "uid": f"{number:08x}-1111-2222-3333-{number:012x}",
            "resourceVersion": str(1_000_000 + number),
        }
        if labels:
            meta["labels"] = {f"example.com/{n}": f"value-{n}-of-{workload}" for n in range(labels)}
        item = {"metadata": meta, "spec": {}, "status": {"message": "x" * 300}}
        written.append(json.dumps(item).encode())
    intake, table = Intake(strip=["status"]), Table({}, lambda *_: None)
    intake(KubeObject.decode(written[0]))  # what is made once, and not for each object
    with allocated() as found:
        for one in written:
            obj = KubeObject.decode(one)
            table.put(obj.key, intake(obj))
        table.keys()
        del obj
        objects._labels_in_common.cache_clear()  # the most recent labels, for the objects to come
        objects.in_common.cache_clear()
    measured = footprint("pods", [table], headers_shared=True)
    added = found[0] - measured.json_bytes
    assert measured.header_bytes + measured.table_bytes == pytest.approx(added, rel=0.03)


def filled(how: str, items: list[dict[str, Any]], index: IndexSpec) -> Table:
    """A table of *items*, as they come from a server in pieces of 64 KiB."""
    table = Table(parse_indexes(index), lambda *_: None)
    written = [json.dumps(item).encode() for item in items]
    if how == "list":
        head = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":['
        body, lists = head + b",".join(written) + b"]}", ListDecoder()
        for start in range(0, len(body), 65536):
            for item in lists.feed(body[start : start + 65536]):
                table.put(item.key, item)  # type: ignore[arg-type]
        for item in lists.close()[0]:
            table.put(item.key, item)  # type: ignore[arg-type]
    else:
        watch = WatchDecoder()
        kind = b'{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1",'
        body = b"".join(kind + one[1:] + b"}\n" for one in written)
        for start in range(0, len(body), 65536):
            for frame in watch.feed(body[start : start + 65536]):
                assert isinstance(frame, WatchEvent)
                table.put(frame.object.key, frame.object)
    return table


@looptime
async def test_a_cache_that_strips_is_smaller_by_what_it_drops(world: World) -> None:
    for number in range(20):
        world.server.create("v1/pods", pod(f"p{number}", nodeSelector={"disk": "x" * 1000}))
    informer = world.client.informer
    async with informer("v1/pods") as whole, informer("v1/pods", strip=["spec.nodeSelector"]) as stripped:
        await whole.synced(30)
        await stripped.synced(30)
        more, less = whole.footprint(), stripped.footprint()
    assert more.objects == less.objects == 20
    assert more.json_bytes - less.json_bytes > 20 * 1000
    assert more.header_bytes > less.header_bytes  # one namespace for all


# --- who fills it ---


@looptime
async def test_the_largest_namespaces_and_owners_come_first(world: World) -> None:
    for number in range(6):
        world.server.create("v1/pods", owned(f"api-{number}", "ReplicaSet/api", namespace="prod"))
    for number in range(5):
        world.server.create("v1/pods", owned(f"job-{number}", "Job/nightly", namespace="batch"))
    for number in range(3):
        world.server.create("v1/pods", owned(f"more-{number}", "Job/nightly", namespace="prod"))
    world.server.create("v1/pods", pod("alone", namespace="batch"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        found = pods.footprint()
    assert [(one.namespace, one.objects) for one in found.namespaces] == [("prod", 9), ("batch", 6)]
    assert [(one.namespace, one.owner, one.objects) for one in found.owners] == [
        ("prod", "ReplicaSet/api", 6),
        ("batch", "Job/nightly", 5),
        ("prod", "Job/nightly", 3),
        ("batch", "Pod", 1),
    ]


@looptime
async def test_the_shares_of_all_namespaces_and_of_all_owners_are_the_whole(world: World) -> None:
    for number in range(30):
        by = f"ReplicaSet/r{number % 7}" if number % 3 else "Job/j"
        world.server.create("v1/pods", owned(f"p{number}", by, namespace=f"n{number % 4}"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        found = pods.footprint(top=1000)
    for shares in (found.namespaces, found.owners):
        assert sum(one.objects for one in shares) == found.objects == 30
        assert sum(one.bytes for one in shares) == found.json_bytes + found.header_bytes
    assert found.bytes == found.json_bytes + found.header_bytes + found.table_bytes


@looptime
async def test_an_owner_that_is_no_controller_does_not_count(world: World) -> None:
    world.server.create("v1/pods", owned("a", "ReplicaSet/r", controller=None))
    world.server.create("v1/pods", owned("b", "ReplicaSet/r", controller=False))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        assert [(one.owner, one.objects) for one in pods.footprint().owners] == [("Pod", 2)]


@looptime
async def test_objects_without_a_namespace_have_a_share_of_their_own(world: World) -> None:
    world.server.create("v1/nodes", {"metadata": {"name": "n1"}})
    async with world.client.informer("v1/nodes") as nodes:
        await nodes.synced(30)
        found = nodes.footprint()
    assert [(one.namespace, one.objects) for one in found.namespaces] == [("", 1)]
    assert [(one.namespace, one.owner) for one in found.owners] == [("", "Node")]
    assert "(cluster)" in str(found)


@looptime
@pytest.mark.parametrize("top", [1, 3])
async def test_only_the_top_are_named(world: World, top: int) -> None:
    for number in range(5):
        world.server.create("v1/pods", owned("p", f"ReplicaSet/r{number}", namespace=f"n{number}"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        found = pods.footprint(top=top)
    assert len(found.namespaces) == len(found.owners) == top
    assert found.objects == 5


@looptime
@pytest.mark.parametrize("top", [0, -1, 1001])
async def test_how_many_are_named_has_bounds(world: World, top: int) -> None:
    async with world.client.informer("v1/pods") as pods:
        with pytest.raises(ConfigError, match="from 1 to 1000"):
            pods.footprint(top=top)


@looptime
@pytest.mark.parametrize("options", [{}, {"metadata_only": True}])
async def test_the_kind_is_that_of_the_resource_however_it_is_held(
    world: World, options: dict[str, Any]
) -> None:
    world.server.create("v1/pods", pod("a"))
    world.server.create("v1/pods", owned("b", "ReplicaSet/r"))
    async with world.client.informer("v1/pods", **options) as pods:
        await pods.synced(30)
        assert {one.owner for one in pods.footprint().owners} == {"Pod", "ReplicaSet/r"}


class Phase(View, resource="v1/pods"):
    status: dict[str, Any] = {}


@looptime
@pytest.mark.parametrize(
    "options",
    [{"resource": Phase}, {"resource": "v1/pods", "strip": ["metadata.ownerReferences"]}],
    ids=["a View", "strip"],
)
async def test_a_cache_that_drops_the_owners_says_so(world: World, options: dict[str, Any]) -> None:
    world.server.create("v1/pods", owned("a", "ReplicaSet/r"))
    async with world.client.informer(**options) as pods:
        await pods.synced(30)
        found = pods.footprint()
    assert not found.owners_known
    assert [(one.owner, one.objects) for one in found.owners] == [("Pod", 1)]
    assert "owners are not kept" in str(found)


@looptime
async def test_owners_that_a_transform_made_into_something_else_are_no_owners(world: World) -> None:
    def mangle(obj: Any) -> dict[str, Any]:
        made: dict[str, Any] = obj.to_dict()
        made["metadata"]["ownerReferences"] = "ReplicaSet/r"
        return made

    world.server.create("v1/pods", owned("a", "ReplicaSet/r"))
    async with world.client.informer("v1/pods", transform=mangle) as pods:
        await pods.synced(30)
        assert [one.owner for one in pods.footprint().owners] == ["Pod"]


# --- whom it may be asked of ---


@looptime
async def test_an_informer_of_several_namespaces_is_measured_whole(world: World) -> None:
    for namespace in ("a", "b", "c"):
        world.server.create("v1/pods", pod("p", namespace=namespace))
    async with world.client.informer("v1/pods", namespaces=["a", "b"]) as pods:
        await pods.synced(30)
        found = pods.footprint()
    assert found.objects == 2
    assert {one.namespace for one in found.namespaces} == {"a", "b"}


@looptime
async def test_before_the_first_list_nothing_is_held_and_after_close_nothing_is_said(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    pods = world.client.informer("v1/pods")
    with pytest.raises(LifecycleError, match="not started"):
        pods.footprint()
    async with pods:
        assert pods.footprint().objects == 0
        assert "0 objects" in str(pods.footprint())
        await pods.synced(30)
        assert pods.footprint().objects == 1
    with pytest.raises(LifecycleError, match="closed"):
        pods.footprint()


@looptime
async def test_a_client_names_its_largest_cache_first_and_each_cache_once(world: World) -> None:
    world.server.create("v1/nodes", {"metadata": {"name": "n1"}})
    for number in range(10):
        world.server.create("v1/pods", pod(f"p{number}"))
    assert world.client.footprint() == ()
    informer = world.client.informer
    async with informer("v1/nodes") as nodes, informer("v1/pods") as pods, informer("v1/pods") as same:
        for one in (nodes, pods, same):
            await one.synced(30)
        assert world.client.footprint() == (pods.footprint(), nodes.footprint())
        assert pods.footprint().objects == 10


@looptime
async def test_a_thread_may_measure_while_the_loop_changes_the_cache(world: World) -> None:
    for number in range(200):
        world.server.create("v1/pods", pod(f"p{number:03}", node=f"n{number}"))
    async with world.client.informer("v1/pods", index=["spec.nodeName"]) as pods:
        await pods.synced(30)
        over, looked = threading.Event(), threading.Event()
        wrong: list[object] = []

        def measure() -> None:
            while not over.is_set():
                try:
                    found = pods.footprint(top=1000)
                    if found.objects != sum(one.objects for one in found.owners):
                        wrong.append(found)
                except Exception as error:
                    wrong.append(error)
                looked.set()

        thread = threading.Thread(target=measure)
        thread.start()
        try:
            looked.wait(10)
            for number in range(0, 200, 4):
                world.server.delete("v1/pods", f"default/p{number:03}")
                world.server.create("v1/pods", pod(f"q{number:03}", node=f"m{number}"))
                await world.until(partial(pods.__contains__, f"default/q{number:03}"))
        finally:
            over.set()
            thread.join()
        assert wrong == []


# --- what a human reads ---


def test_it_prints_as_a_table() -> None:
    found = Footprint(
        name="v1/pods app=web",
        objects=30_000,
        json_bytes=210_100_000,
        header_bytes=24_000_000,
        table_bytes=5_900_000,
        namespaces=(Share("prod", "", 28_000, 226_000_000), Share("dev", "", 2_000, 8_100_000)),
        owners=(Share("prod", "ReplicaSet/web-7d9f", 12_000, 99_000_000), Share("dev", "Pod", 2, 11_200)),
    )
    assert str(found) == dedent("""\
        v1/pods app=web: 30,000 objects, 240.0 MB
          JSON 210.1 MB, headers 24.0 MB, tables 5.9 MB
          namespace                 objects    memory  of all
          prod                       28,000  226.0 MB  94.2 %
          dev                         2,000    8.1 MB   3.4 %
          owner                     objects    memory  of all
          prod/ReplicaSet/web-7d9f   12,000   99.0 MB  41.2 %
          dev/Pod                         2   11.2 kB   0.0 %""")
