"""How old a cache is: contact is not proof, and a proof counts from when it was begun."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest

from kresilient.api.errors import LifecycleError
from kresilient.cache.freshness import NEVER, Freshness
from kresilient.cache.timing import Timing
from kresilient.observe.events import Listed, Rewound

from .world import World, pod

# --- the two times by themselves ---


def test_a_cache_that_is_there_already_is_proved_as_of_when_the_read_was_begun() -> None:
    freshness = Freshness()
    freshness.reached("10")
    freshness.shown("10", 5.0)
    assert freshness.proved == 5.0
    freshness.shown("9", 7.0)
    assert freshness.proved == 7.0


def test_a_cache_that_is_behind_is_proved_once_it_gets_there_and_no_sooner() -> None:
    freshness = Freshness()
    freshness.reached("10")
    freshness.shown("20", 5.0)
    freshness.shown("30", 6.0)
    freshness.reached("19")
    assert freshness.proved == NEVER
    freshness.reached("20")
    assert freshness.proved == 5.0
    freshness.reached("40")
    assert freshness.proved == 6.0


def test_an_older_proof_that_is_met_late_takes_nothing_back() -> None:
    freshness = Freshness()
    freshness.reached("10")
    freshness.shown("20", 5.0)
    freshness.replaced("15", consistent_since=8.0)
    freshness.reached("20")
    assert freshness.proved == 8.0


def test_only_a_consistent_list_proves_what_it_replaces() -> None:
    freshness = Freshness()
    freshness.replaced("10", consistent_since=None)
    assert freshness.proved == NEVER
    freshness.replaced("10", consistent_since=3.0)
    assert freshness.proved == 3.0


def test_any_list_that_is_new_enough_meets_a_proof_that_waits() -> None:
    freshness = Freshness()
    freshness.reached("10")
    freshness.shown("20", 5.0)
    freshness.replaced("25", consistent_since=None)
    assert freshness.proved == 5.0


def test_what_was_to_be_reached_in_a_history_that_is_gone_proves_nothing_of_the_new_one() -> None:
    freshness = Freshness()
    freshness.reached("10")
    freshness.shown("20", 5.0)
    freshness.shown("12", 9.0)  # while the list that went back was read
    freshness.replaced("8", consistent_since=7.0)
    assert freshness.proved == 7.0
    freshness.reached("11")
    assert freshness.proved == 7.0
    freshness.reached("12")
    assert freshness.proved == 9.0
    freshness.reached("30")
    assert freshness.proved == 9.0


def test_versions_that_are_no_numbers_prove_by_being_the_same_only() -> None:
    freshness = Freshness()
    freshness.reached("b")
    freshness.shown("a", 5.0)
    assert freshness.proved == NEVER
    freshness.reached("c")
    assert freshness.proved == NEVER
    freshness.shown("c", 6.0)
    assert freshness.proved == 6.0


def test_a_server_that_is_never_caught_up_with_is_not_remembered_without_bound() -> None:
    freshness = Freshness()
    freshness.reached("10")
    for number in range(1000):
        freshness.shown(str(100 + number), float(number))
    assert len(freshness._claims) <= 16
    freshness.reached("100")
    assert freshness.proved == 0.0
    freshness.reached("1099")
    assert freshness.proved == 999.0


# --- a cache in a world ---

looptime = pytest.mark.looptime


def ages(informer: object) -> tuple[float, float]:
    return informer.contact_age, informer.proved_age  # type: ignore[attr-defined]


@looptime
async def test_events_and_bookmarks_are_contact_and_prove_nothing(world: World) -> None:
    now = asyncio.get_running_loop().time
    async with world.client.informer("v1/pods") as pods:
        assert ages(pods) == (math.inf, math.inf)
        started = now()
        await pods.synced(30)
        assert pods.proved_age == pytest.approx(now() - started, abs=0.1)  # a streaming list is consistent
        for number in range(10):
            await asyncio.sleep(50)
            world.server.create("v1/pods", pod(f"p{number}"))
            await world.until(lambda: len(pods) == number + 1, 5)  # noqa: B023
            assert pods.contact_age < 1
        await asyncio.sleep(500)
        assert pods.contact_age < 61
        assert pods.proved_age == pytest.approx(now() - started, abs=0.1)
    with pytest.raises(LifecycleError, match="closed"):
        ages(pods)


@looptime
async def test_a_list_from_the_servers_cache_proves_nothing(world: World) -> None:
    async with world.client.informer("v1/pods", streaming=False) as pods:
        await pods.synced(30)
        assert world.reported(Listed)[0].strategy == "cache"
        assert pods.contact_age < 1 and pods.proved_age == math.inf


@looptime
@pytest.mark.parametrize("streaming", [True, False])
async def test_a_list_that_is_only_not_older_proves_nothing_new(world: World, streaming: bool) -> None:
    now = asyncio.get_running_loop().time
    async with world.client.informer("v1/pods", streaming=streaming) as pods:
        started = now()
        await pods.synced(30)
        proved = pods.proved_age
        await asyncio.sleep(100)
        world.server.create("v1/pods", pod("a"))
        await world.server.restart(history=False)
        await world.until(lambda: len(world.reported(Listed)) == 2, 120)
        assert world.reported(Listed)[1].strategy == ("stream" if streaming else "not-older")
        assert pods.proved_age == (pytest.approx(now() - started, abs=0.1) if streaming else proved)


@looptime
async def test_a_most_recent_list_proves_as_of_when_it_was_begun(world: World) -> None:
    for number in range(3):
        world.server.create("v1/pods", pod(f"p{number}"))
    async with world.client.informer("v1/pods", streaming=False) as pods:
        await pods.synced(30)
        world.server.faults.next("list", "v1/pods").status(410)
        world.server.faults.next("list", "v1/pods").after(1).drip(100)
        world.server.create("v1/pods", pod("unseen"))
        await world.server.restart(history=False)
        await world.until(lambda: len(world.reported(Listed)) == 2, 600)
        last = world.reported(Listed)[1]
        assert last.strategy == "latest" and last.duration > 5
        assert pods.proved_age == pytest.approx(last.duration, abs=0.2)
        assert pods.contact_age < 0.2


@looptime
async def test_a_list_of_one_proves_a_cache_that_has_been_silent(make_world: Callable[..., World]) -> None:
    world = make_world(bookmark_interval=1e9)
    async with world.server, world.client, world.client.informer("v1/pods", streaming=False) as pods:
        await pods.synced(30)
        assert pods.proved_age == math.inf
        await world.until(lambda: "the server's version is not below the cache's" in world.rows, 3600)
        assert pods.proved_age < 1


@looptime
async def test_a_lagging_server_sends_bookmarks_and_proves_nothing_until_it_has_caught_up(
    make_world: Callable[..., World],
) -> None:
    world = make_world(bookmark_interval=1e9)
    now = asyncio.get_running_loop().time
    async with world.server, world.client, world.client.informer("v1/pods", streaming=False) as pods:
        await pods.synced(30)
        lag = world.server.faults.on("watch", "v1/pods").lag()
        await world.server.restart()
        world.server.create("v1/pods", pod("a"))
        await world.until(lambda: "the server's version is not below the cache's" in world.rows, 3600)
        begun = now()
        await asyncio.sleep(20)
        assert "default/a" not in pods and pods.proved_age == math.inf
        lag.lift()
        await world.until(lambda: "default/a" in pods, 5)
        assert pods.proved_age == pytest.approx(now() - begun, abs=1)


@looptime
async def test_a_restored_etcd_is_proved_by_the_list_that_followed_it_back(world: World) -> None:
    world.server.create("v1/pods", pod("old"))
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        backup = int(pods.resource_version)
        world.server.create("v1/pods", pod("lost"))
        await world.until(lambda: "default/lost" in pods)
        world.server.rewind(backup)
        await world.server.restart()
        await world.until(lambda: world.reported(Rewound), 1200)
        assert pods.proved_age < 1 and "default/lost" not in pods


@looptime
async def test_of_several_namespaces_the_oldest_counts(world: World) -> None:
    fault = world.server.faults.on("*", "v1/pods", namespace="two").status(503)
    async with world.client.informer("v1/pods", namespaces=["one", "two"]) as pods:
        await asyncio.sleep(100)
        assert ages(pods) == (math.inf, math.inf)
        one = pods.health.reflectors[0]
        assert math.isfinite(one.contact) and math.isfinite(one.proved)
        fault.lift()
        await pods.synced(120)
        assert pods.proved_age > 100 and pods.contact_age < 61


@looptime
async def test_a_failure_is_no_contact(world: World) -> None:
    async with world.client.informer("v1/pods") as pods:
        await pods.synced(30)
        world.server.faults.on("*", "v1/pods").status(503)
        await world.server.restart()
        await asyncio.sleep(300)
        assert pods.contact_age > 299
        assert pods.health.contact_age == pods.contact_age
        assert pods.health.proved_age == pods.proved_age > 299


@looptime
async def test_the_time_a_list_waits_to_be_admitted_makes_its_proof_no_older(world: World) -> None:
    async with (
        world.connect(qps=0.1, burst=1) as client,
        client.informer("v1/services") as first,
        client.informer("v1/pods") as pods,
    ):
        await first.synced(30)
        await pods.synced(30)
        assert pods.proved_age < 1


@looptime
async def test_a_streaming_list_that_takes_long_proves_as_of_its_beginning(world: World) -> None:
    for number in range(5):
        world.server.create("v1/pods", pod(f"p{number}"))
    world.server.faults.next("watch", "v1/pods").drip(100)
    patient = Timing(streaming_patience=200)
    async with world.connect(timing=patient) as client, client.informer("v1/pods") as pods:
        await pods.synced(200)
        duration = world.reported(Listed)[0].duration
        assert duration > 5 and pods.proved_age == pytest.approx(duration, abs=0.2)
