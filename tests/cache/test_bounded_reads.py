"""Reads with a bound on their age: from memory where that is shown to be current, else past it, or not."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from kresilient.api.errors import (
    ConfigError,
    LifecycleError,
    NotSyncedError,
    PoisonObject,
    ServerUnavailable,
    StaleError,
)
from kresilient.api.objects import KubeObject
from kresilient.api.views import View
from kresilient.cache.informer import Informer
from kresilient.observe.events import Rewound

from .world import World, pod

pytestmark = pytest.mark.looptime


def asked(world: World) -> list[tuple[str, dict[str, str]]]:
    """What was asked since `world.server.requests.clear()`: the verb and the query of each request."""
    return [(one.verb, dict(one.query)) for one in world.server.requests]


def asked_of(world: World, verb: str) -> int:
    return sum(one.verb == verb for one in world.server.requests)


async def following(world: World, **options: Any) -> Informer[KubeObject]:
    """A synced informer whose proof is a minute old."""
    pods = await world.client.informer("v1/pods", **options).start()
    await pods.synced(30)
    await world.server.watchers("v1/pods", 1)
    await asyncio.sleep(30)
    world.server.requests.clear()
    return pods


async def lagging(world: World, **options: Any) -> Any:
    """The same, with a watch that is stuck, and an object `new` that it has not brought."""
    lag = world.server.faults.on("watch", "v1/pods").lag()
    pods = await following(world, **options)
    world.server.create("v1/pods", pod("new", labels={"app": "web"}))
    return pods, lag


# --- from memory ---


async def test_within_its_bound_a_read_costs_no_request(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with await following(world, index=["spec.nodeName"]) as pods:
        assert (await pods.get("default/a", max_staleness=40)).name == "a"  # type: ignore[union-attr]
        assert await pods.get("default/none", max_staleness=40) is None
        assert [obj.name for obj in await pods.list(max_staleness=40)] == ["a"]
        assert [obj.name for obj in await pods.by_index("spec.nodeName", "n1", max_staleness=40)] == ["a"]
        assert asked(world) == []


async def test_an_infinite_bound_is_none(world: World) -> None:
    async with world.client.informer("v1/pods", streaming=False) as pods:
        await pods.synced(30)
        assert pods.proved_age == math.inf
        await world.server.watchers("v1/pods", 1)
        world.server.requests.clear()
        assert await pods.list(max_staleness=math.inf) == []
        assert asked(world) == []


# --- one list of one object for all ---


async def test_a_thousand_who_need_a_proof_share_one_list_of_one_object(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with await following(world, label_selector="!x") as pods:
        world.server.create("v1/pods", pod("b"))
        reads = [pods.get("default/b", max_staleness=5) for _ in range(500)]
        more = [pods.list(max_staleness=0) for _ in range(500)]
        found = await asyncio.gather(*reads, *more)
        assert all(one is not None and one.name == "b" for one in found[:500])  # type: ignore[union-attr]
        assert asked(world) == [("list", {"labelSelector": "!x", "limit": "1"})]
        assert pods.proved_age < 1
        await pods.get("default/a", max_staleness=5)
        assert asked_of(world, "list") == 1, "and it holds for the next"


async def test_a_read_without_any_staleness_sees_what_was_written_before_it(world: World) -> None:
    async with await following(world) as pods:
        for number in range(20):
            name = f"p{number}"
            world.server.create("v1/pods", pod(name))
            assert await pods.get(f"default/{name}", max_staleness=0) is not None
        assert asked_of(world, "list") == 20


async def test_a_proof_that_was_asked_for_before_a_write_does_not_serve_who_reads_after_it(
    world: World,
) -> None:
    async with await following(world) as pods:
        held = world.server.faults.next("list", "v1/pods").delayed(1).delay(0)
        early = asyncio.create_task(pods.get("default/a", max_staleness=0))
        await world.until(lambda: held.hits, step=0.01)
        world.server.create("v1/pods", pod("a"))
        assert await pods.get("default/a", max_staleness=0) is not None
        await early
        assert asked_of(world, "list") == 2


async def test_a_watch_that_is_behind_is_waited_for(world: World) -> None:
    pods, lag = await lagging(world)
    async with pods:
        reading = asyncio.create_task(pods.get("default/new", max_staleness=5))
        await asyncio.sleep(5)
        assert not reading.done()
        lag.lift()
        assert (await reading).name == "new"
        assert asked_of(world, "list") == 1 and pods.proved_age == pytest.approx(5, abs=0.5)


async def test_a_quiet_watch_is_shown_to_lack_nothing_by_a_second_short_one(world: World) -> None:
    world.server.create("v1/pods", pod("a", labels={"app": "web"}))
    world.server.create("v1/pods", pod("b", labels={"app": "web"}))
    async with await following(world, label_selector="app=web") as pods:
        world.server.create("v1/nodes", {"metadata": {"name": "n1"}})  # the server's version rises
        version = pods.resource_version
        found = await asyncio.gather(*(pods.list(max_staleness=5) for _ in range(100)))
        assert [len(one) for one in found] == [2] * 100
        assert pods.proved_age < 3 and pods.resource_version == version
        (_, _), (verb, query) = asked(world)
        assert (verb, query["resourceVersion"], query["timeoutSeconds"]) == ("watch", version, "3")
        await world.server.watchers("v1/pods", 1, timeout=5)


async def test_the_second_watch_proves_nothing_before_the_first_has_what_it_saw(world: World) -> None:
    for name in "ab":
        world.server.create("v1/pods", pod(name))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        stuck = world.server.faults.next("watch", "v1/pods").lag()  # and who comes later is told the truth
        await world.server.restart()
        await world.until(lambda: stuck.hits, 30)
        world.server.create("v1/pods", pod("c"))
        world.server.create("v1/nodes", {"metadata": {"name": "n1"}})
        with pytest.raises(StaleError):
            await pods.list(max_staleness=0, timeout=8)
        assert "default/c" not in pods
        stuck.lift()
        await world.until(lambda: "default/c" in pods, 5)
        assert pods.proved_age < 9, "the proof was met when the object came, without a bookmark"


async def test_the_second_watch_ends_as_soon_as_the_first_is_there(world: World) -> None:
    pods, lag = await lagging(world)
    async with pods:
        reading = asyncio.create_task(pods.get("default/new", max_staleness=0))
        await world.server.watchers("v1/pods", 2, timeout=5)
        await asyncio.sleep(0.2)
        lag.lift()
        await asyncio.sleep(0.1)
        assert reading.done() and await reading is not None
        await world.server.watchers("v1/pods", 1, timeout=0.1)


async def test_the_second_watch_ends_with_the_last_who_waits_for_it(world: World) -> None:
    pods, _ = await lagging(world)
    async with pods:
        reads = [asyncio.create_task(pods.get("default/new", max_staleness=0)) for _ in range(3)]
        await world.server.watchers("v1/pods", 2, timeout=5)
        for one in reads:
            one.cancel()
        await asyncio.wait(reads)
        await world.server.watchers("v1/pods", 1, timeout=0.1)


@pytest.mark.parametrize("names", [[], ["a"]])
async def test_a_cache_of_one_object_or_none_is_proved_by_the_list_itself(
    world: World, names: list[str]
) -> None:
    for name in names:
        world.server.create("v1/pods", pod(name))
    async with await following(world, field_selector="metadata.name=a") as pods:
        world.server.create("v1/nodes", {"metadata": {"name": "n1"}})
        assert [obj.name for obj in await pods.list(max_staleness=5)] == names
        assert [verb for verb, _ in asked(world)] == ["list"]
        assert pods.proved_age < 0.1


async def test_one_object_of_another_version_is_waited_for(world: World) -> None:
    world.server.create("v1/pods", pod("other"))
    pods, lag = await lagging(world, field_selector="metadata.name=other")
    async with pods:
        world.server.patch("v1/pods", "default/other", {"metadata": {"labels": {"x": "y"}}})
        reading = asyncio.create_task(pods.get("default/other", max_staleness=5))
        await asyncio.sleep(1)
        assert not reading.done()
        lag.lift()
        assert (await reading).labels == {"x": "y"}  # type: ignore[union-attr]


# --- where it cannot be shown ---


async def test_what_cannot_be_shown_in_time_is_an_error_that_tells_the_age(world: World) -> None:
    pods, _ = await lagging(world)
    async with pods:
        age = pods.proved_age
        started = asyncio.get_running_loop().time()
        with pytest.raises(StaleError, match=r"older than 5 s.*within 4 s.*version \d+.*fallback=") as raised:
            await pods.get("default/new", max_staleness=5, timeout=4)
        assert asyncio.get_running_loop().time() - started == pytest.approx(4, abs=0.01)
        assert raised.value.age == pytest.approx(age + 4, abs=0.1)


async def test_a_server_that_is_away_is_an_error_within_the_timeout(world: World) -> None:
    async with await following(world) as pods:
        await world.server.kill()
        with pytest.raises(StaleError, match="within 10 s"):
            await pods.list(max_staleness=5)
        assert pods.list() == []


async def test_a_server_that_refuses_is_an_error_at_once_for_all(world: World) -> None:
    async with await following(world) as pods:
        world.server.faults.next("list", "v1/pods").status(403)
        outcomes = await asyncio.gather(
            *(pods.get("default/a", max_staleness=5) for _ in range(10)), return_exceptions=True
        )
        for outcome in outcomes:
            assert isinstance(outcome, StaleError) and "403" in str(outcome)
        assert asked_of(world, "list") == 1
        assert await pods.get("default/a", max_staleness=5) is None, "nothing is kept of a failure"


async def test_a_failing_proof_is_repeated_as_any_read(world: World) -> None:
    async with await following(world) as pods:
        world.server.faults.next("list", "v1/pods").times(2).status(503)
        assert await pods.get("default/a", max_staleness=5) is None
        assert asked_of(world, "list") == 3


async def test_a_restored_etcd_is_noticed_by_a_proof_and_read_as_it_is_now(world: World) -> None:
    world.server.create("v1/pods", pod("old"))
    async with await following(world) as pods:
        backup = int(pods.resource_version)
        for name in ("x", "y"):
            world.server.create("v1/pods", pod(name))
        await world.until(lambda: len(pods) == 3)
        world.server.rewind(backup)
        await world.server.restart()
        await world.server.watchers("v1/pods", 1, timeout=30)
        assert [obj.name for obj in await pods.list(max_staleness=1, timeout=30)] == ["old"]
        assert len(world.reported(Rewound)) == 1


# --- live ---


async def test_a_thousand_who_fall_back_share_one_live_read(world: World) -> None:
    pods, _ = await lagging(world)
    async with pods:
        reads = [pods.get("default/new", max_staleness=5, fallback="live") for _ in range(1000)]
        found = await asyncio.gather(*reads)
        assert {one.name for one in found if one is not None} == {"new"} and None not in found
        assert [verb for verb, _ in asked(world)] == ["list", "get"]
        assert "default/new" not in pods, "the watch alone fills the cache"


async def test_live_reads_of_different_keys_share_the_proof_and_keep_apart(world: World) -> None:
    pods, _ = await lagging(world)
    async with pods:
        keys = ("default/new", "default/none", "other/new")
        found = await asyncio.gather(*(pods.get(k, max_staleness=5, fallback="live") for k in keys))
        assert [one is not None for one in found] == [True, False, False]
        assert [asked_of(world, verb) for verb in ("list", "get")] == [1, 3]


async def test_a_cache_that_is_current_is_read_from_memory_whatever_the_fallback(world: World) -> None:
    async with await following(world) as pods:
        world.server.create("v1/pods", pod("a"))
        found = await asyncio.gather(
            *(pods.get("default/a", max_staleness=5, fallback="live") for _ in range(10))
        )
        assert None not in found and [verb for verb, _ in asked(world)] == ["list"]


async def test_a_live_read_finds_only_what_the_informer_would_hold(world: World) -> None:
    pods, _ = await lagging(world, label_selector="app=web", field_selector="spec.nodeName=n1")
    async with pods:
        world.server.create("v1/pods", pod("api", labels={"app": "api"}))
        world.server.create("v1/pods", pod("far", labels={"app": "web"}, node="n2"))
        found = [
            await pods.get(f"default/{name}", max_staleness=0, fallback="live")
            for name in ("new", "api", "far", "none")
        ]
        assert [one is not None for one in found] == [True, False, False, False]
        assert {verb for verb, _ in asked(world)} == {"list"}
        assert [o.name for o in await pods.list(max_staleness=0, fallback="live")] == ["new"]


async def test_a_live_list_has_namespaces_selectors_and_indexes_as_the_cache_has(world: World) -> None:
    pods, _ = await lagging(world, index=["spec.nodeName"])
    async with pods:
        world.server.create("v1/pods", pod("b", namespace="other", labels={"app": "api"}, node="n2"))
        bound: dict[str, Any] = {"max_staleness": 5, "fallback": "live"}
        found = await asyncio.gather(
            pods.list(**bound),
            pods.list(namespace="other", **bound),
            pods.list(label_selector="app=web", **bound),
            pods.list(field_selector="spec.nodeName=n2", **bound),
            pods.by_index("spec.nodeName", "n2", **bound),
        )
        assert [[obj.name for obj in one] for one in found] == [["new", "b"], ["b"], ["new"], ["b"], ["b"]]
        assert asked_of(world, "list") == 2, "the proof, and one list for all"


class Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class Placed(View, resource="v1/pods"):
    spec: Spec


async def test_a_live_read_is_kept_and_shown_as_the_cache_would(world: World) -> None:
    world.server.faults.on("watch", "v1/pods").lag()
    async with (
        world.client.informer(Placed) as views,
        world.client.informer("v1/pods", strip=["spec"]) as stripped,
        world.client.informer("v1/pods", metadata_only=True) as headers,
    ):
        for one in (views, stripped, headers):
            await one.synced(30)
        await asyncio.sleep(10)
        world.server.create("v1/pods", pod("a"))
        view = await views.get("default/a", max_staleness=5, fallback="live")
        assert isinstance(view, Placed) and view.spec.node_name == "n1"
        bare = await stripped.get("default/a", max_staleness=5, fallback="live")
        assert bare is not None and "spec" not in bare
        (header,) = await headers.list(max_staleness=5, fallback="live")
        assert "spec" not in header and header.kind == "PartialObjectMetadata"
        assert (await headers.get("default/a", max_staleness=5, fallback="live")).raw == header.raw  # type: ignore[union-attr]


async def test_the_error_of_a_live_read_reaches_all(world: World) -> None:
    pods, _ = await lagging(world)
    async with pods:
        world.server.faults.on("get", "v1/pods").status(501)
        reads = (pods.get("default/new", max_staleness=5, fallback="live") for _ in range(10))
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        assert all(isinstance(one, ServerUnavailable) for one in outcomes) and asked_of(world, "get") == 1


async def test_an_object_that_does_not_decode_is_no_live_answer(world: World) -> None:
    def refuses(obj: KubeObject) -> KubeObject:
        raise ValueError("not this one")

    pods, _ = await lagging(world, transform=refuses)
    async with pods:
        with pytest.raises(PoisonObject, match="not this one"):
            await pods.get("default/new", max_staleness=5, fallback="live")
        assert await pods.list(max_staleness=5, fallback="live") == []


# --- who leaves, and what ends ---


async def test_who_is_cancelled_takes_the_proof_from_nobody_and_the_last_gives_it_up(world: World) -> None:
    async with await following(world) as pods:
        held = world.server.faults.on("list", "v1/pods").delay(5)
        reads = [asyncio.create_task(pods.get("default/a", max_staleness=5)) for _ in range(3)]
        await world.until(lambda: held.hits)
        reads[0].cancel()
        await asyncio.sleep(1)
        assert world.server.inflight == 1
        for one in reads:
            one.cancel()
        await asyncio.wait(reads)
        await world.until(lambda: world.server.inflight == 0, 1)


async def test_a_timeout_of_one_is_none_of_the_others(world: World) -> None:
    pods, lag = await lagging(world)
    async with pods:
        patient = asyncio.create_task(pods.get("default/new", max_staleness=5, timeout=60))
        with pytest.raises(StaleError):
            await pods.get("default/new", max_staleness=5, timeout=2)
        lag.lift()
        assert (await patient).name == "new"  # type: ignore[union-attr]
        assert asked_of(world, "list") == 1


@pytest.mark.parametrize("waits_for", ["the list", "the watch"])
async def test_who_waits_hears_that_the_informer_was_closed(world: World, waits_for: str) -> None:
    pods, _ = await lagging(world)
    if waits_for == "the list":
        world.server.faults.on("list", "v1/pods").hang()
    reading = asyncio.create_task(pods.get("default/new", max_staleness=5, timeout=60))
    await asyncio.sleep(10)
    await pods.close()
    with pytest.raises(LifecycleError, match="closed"):
        async with asyncio.timeout(1):
            await reading
    await world.until(lambda: world.server.watch_count("v1/pods") == 0, 5)


async def test_a_closed_client_leaves_nobody_waiting(make_world: Callable[..., World]) -> None:
    world = make_world()
    async with world.server:
        async with world.client:
            pods, _ = await lagging(world)
            reading = asyncio.create_task(pods.get("default/new", max_staleness=5, timeout=60))
            await asyncio.sleep(1)
        with pytest.raises(LifecycleError):
            await reading
        assert world.client.health.crashes == ()


async def test_a_crashed_cache_leaves_nobody_waiting(world: World) -> None:
    class Bug(BaseException):
        pass

    def crash(obj: KubeObject) -> KubeObject:
        raise Bug

    pods, lag = await lagging(world, transform=crash)
    async with pods:
        reading = asyncio.create_task(pods.get("default/none", max_staleness=5, timeout=60))
        await asyncio.sleep(1)
        lag.lift()
        with pytest.raises(Exception, match="crashed"):
            async with asyncio.timeout(5):
                await reading


# --- own writes ---


async def test_own_writes_are_in_every_answer_that_a_bound_allows(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    pods, lag = await lagging(world)
    async with pods:
        await world.client.create("v1/pods", pod("mine"))
        await world.client.delete("v1/pods", "default/new", grace_period=0)
        live = await pods.list(max_staleness=0, fallback="live")
        assert [obj.name for obj in live] == ["a", "mine"]
        with pytest.raises(StaleError):
            await pods.list(max_staleness=0, timeout=5)  # of others' writes nothing is known
        assert [obj.name for obj in pods.list()] == ["a", "mine"]
        lag.lift()
        assert [obj.name for obj in await pods.list(max_staleness=0)] == ["a", "mine"]


async def test_an_own_write_of_the_only_object_is_shown_to_be_all_there_is(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    world.server.faults.on("watch", "v1/pods").lag()
    async with await following(world, field_selector="metadata.name=a") as pods:
        await world.client.patch("v1/pods", "default/a", {"metadata": {"labels": {"x": "y"}}})
        found = await pods.get("default/a", max_staleness=0)
        assert found is not None and found.labels == {"x": "y"}


# --- what else ---


async def test_a_bound_on_several_namespaces_is_shown_for_each_that_is_read(world: World) -> None:
    async with world.client.informer("v1/pods", namespaces=["one", "two"]) as pods:
        await pods.synced(30)
        await asyncio.sleep(30)
        world.server.create("v1/pods", pod("a", namespace="one"))
        world.server.create("v1/pods", pod("b", namespace="two"))
        world.server.requests.clear()
        assert await pods.get("two/b", max_staleness=1) is not None
        assert asked_of(world, "list") == 1
        assert [obj.key for obj in await pods.list(namespace="two", max_staleness=1)] == ["two/b"]
        assert asked_of(world, "list") == 1
        assert [obj.key for obj in await pods.list(max_staleness=1)] == ["one/a", "two/b"]
        assert asked_of(world, "list") == 2
        with pytest.raises(ConfigError, match="holds the namespaces one, two, not three"):
            await pods.get("three/c", max_staleness=1)


async def test_before_it_has_synced_no_bound_is_met(world: World) -> None:
    world.server.faults.on("watch", "v1/pods").status(503)
    async with world.client.informer("v1/pods") as pods:
        with pytest.raises(NotSyncedError):
            await pods.get("default/a", max_staleness=5, fallback="live")
        with pytest.raises(NotSyncedError):
            pods.list(max_staleness=5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_staleness": -1}, "max_staleness= is in seconds and not negative; got -1"),
        ({"max_staleness": math.nan}, "max_staleness="),
        ({"max_staleness": 1, "timeout": 0}, "timeout= of a read"),
        ({"max_staleness": 1, "fallback": "dead"}, "is \"live\" or None; got 'dead'"),
    ],
)
async def test_a_bound_that_makes_no_sense_is_refused_before_anything_is_awaited(
    world: World, options: dict[str, Any], words: str
) -> None:
    async with await following(world, index=["spec.nodeName"]) as pods:
        for read in (
            lambda: pods.get("default/a", **options),
            lambda: pods.list(**options),
            lambda: pods.by_index("spec.nodeName", "n1", **options),
        ):
            with pytest.raises(ConfigError, match=words):
                read()


async def test_nothing_is_left_behind_by_reads_of_many_keys(world: World) -> None:
    pods, _ = await lagging(world)
    async with pods:
        for number in range(30):
            await pods.get(f"default/p{number}", max_staleness=0, fallback="live")
        await asyncio.sleep(0.1)
        (reads,) = next(iter(world.client.caches(pods._shared.options.resource))).bounded.values()  # type: ignore[union-attr]
        assert len(reads._objects) == 0 and not reads._tasks and len(asyncio.all_tasks()) < 10
