"""How long a cache may be read in an outage, and what a probe is told."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from kresilient.api.errors import ConfigError, LifecycleError, StaleError
from kresilient.cache.informer import Informer
from kresilient.client_health import Readiness

from .world import World, pod

pytestmark = pytest.mark.looptime


def reads(pods: Informer[Any]) -> list[Callable[[], object]]:
    """Every plain read."""
    return [
        lambda: pods.get("default/a"),
        pods.list,
        lambda: pods.list(namespace="default"),
        lambda: pods.by_index("spec.nodeName", "n1"),
        lambda: pods.index_values("spec.nodeName"),
        pods.keys,
        lambda: pods.keys(namespace="default"),
        lambda: len(pods),
        lambda: "default/a" in pods,
    ]


async def informer(world: World, **options: Any) -> Informer[Any]:
    pods = await world.client.informer("v1/pods", index=["spec.nodeName"], **options).start()
    await pods.synced(30)
    return pods


# --- serve_stale_for ---


async def test_in_an_outage_a_cache_is_read_so_long_and_then_no_more(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with await informer(world, serve_stale_for=300) as pods:
        await world.server.kill()
        last = pods.contact_age
        await asyncio.sleep(299 - last)
        for read in reads(pods):
            assert read()
        assert not pods.health.stale
        await asyncio.sleep(2)
        for read in reads(pods):
            with pytest.raises(
                StaleError, match=r"301\.\d s .*refuses connections.*read for 300 s"
            ) as raised:
                read()
            assert raised.value.age == pytest.approx(301, abs=0.1)
        assert pods.health.stale and pods.has_synced and pods.resource_version
        await world.server.start()
        await world.until(lambda: not pods.health.stale, 60)
        for read in reads(pods):
            assert read()


async def test_without_it_a_cache_is_read_for_ever(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with await informer(world) as pods:
        await world.server.kill()
        await asyncio.sleep(86_400)
        for read in reads(pods):
            assert read()
        assert pods.contact_age > 86_000 and not pods.health.stale


async def test_a_quiet_watch_that_is_well_is_read_all_the_time(world: World) -> None:
    async with await informer(world, serve_stale_for=120) as pods:
        for _ in range(720):
            await asyncio.sleep(5)
            assert pods.list() == []


async def test_a_server_that_answers_with_failures_serves_no_cache(world: World) -> None:
    async with await informer(world, serve_stale_for=60) as pods:
        world.server.faults.on("*", "v1/pods").status(503)
        await world.server.restart()
        await asyncio.sleep(90)
        with pytest.raises(StaleError, match="503"):
            pods.list()


async def test_it_is_the_clients_unless_the_handle_has_its_own(make_world: Callable[..., World]) -> None:
    world = make_world()
    async with world.server, world.connect(serve_stale_for=60) as client:
        usual, longer, always = [
            await client.informer("v1/pods", serve_stale_for=seconds).start()
            for seconds in (None, 600, math.inf)
        ]
        for pods in (usual, longer, always):
            await pods.synced(30)
        assert world.server.watch_count("v1/pods") == 1, "they share a cache"
        await world.server.kill()
        await asyncio.sleep(100)
        with pytest.raises(StaleError):
            usual.list()
        assert longer.list() == always.list() == []
        await asyncio.sleep(900)
        with pytest.raises(StaleError):
            longer.list()
        assert always.list() == []


async def test_of_several_namespaces_each_has_its_own_contact(world: World) -> None:
    async with await informer(world, namespaces=["one", "two"], serve_stale_for=300) as pods:
        world.server.faults.on("*", "v1/pods", namespace="two").status(503)
        await world.server.restart()
        await asyncio.sleep(400)
        assert pods.get("one/a") is None and pods.list(namespace="one") == pods.keys(namespace="one") == []
        for read in (
            lambda: pods.get("two/a"),
            lambda: pods.list(namespace="two"),
            lambda: pods.keys(namespace="two"),
            pods.list,
            lambda: len(pods),
        ):
            with pytest.raises(StaleError):
                read()
        with pytest.raises(ConfigError, match="not three"):
            pods.get("three/a")


async def test_a_bound_of_its_own_replaces_it(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    async with await informer(world, serve_stale_for=60) as pods:
        fault = world.server.faults.on("watch", "v1/pods").hang()
        await world.server.restart()
        await asyncio.sleep(100)
        with pytest.raises(StaleError):
            pods.get("default/a")
        assert await pods.get("default/a", max_staleness=5) is not None, "a request has shown it"
        assert pods.get("default/a") is not None, "and was a contact"
        fault.lift()


async def test_what_answers_in_the_servers_place_is_bound_as_well(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.server.create("v1/pods", pod("a"))
    async with (
        world.server,
        world.connect(serve_stale_for=60) as client,
        client.informer("v1/pods") as pods,
    ):
        await pods.synced(30)
        world.server.faults.on("watch", "v1/pods").hang()
        await world.server.restart()
        await asyncio.sleep(100)
        with pytest.raises(StaleError, match="serve_stale_for"):
            await client.get("v1/pods", "default/a", cache="only")
        world.server.requests.clear()
        await client.get("v1/pods", "default/a", cache="prefer")
        assert [one.verb for one in world.server.requests] == ["get"]


@pytest.mark.parametrize("seconds", [-1, math.nan])
async def test_a_time_that_makes_no_sense_is_refused_at_once(world: World, seconds: float) -> None:
    with pytest.raises(ConfigError, match="serve_stale_for= must be seconds"):
        world.connect(serve_stale_for=seconds)
    with pytest.raises(ConfigError, match="serve_stale_for= must be seconds"):
        world.client.informer("v1/pods", serve_stale_for=seconds)


# --- health ---


async def test_health_tells_the_state_the_ages_and_the_last_error_also_once_it_is_over(world: World) -> None:
    async with await informer(world) as pods:
        await world.server.watchers("v1/pods", 1)
        before = pods.health
        assert (before.state, before.last_error, before.last_error_age) == ("watching", "", math.inf)
        await asyncio.sleep(10)
        assert pods.health.state_age == pytest.approx(before.state_age + 10)
        assert before.state_age < 1, "it is of its moment"
        world.server.faults.next("watch", "v1/pods").status(410)
        await world.server.restart()
        await world.until(lambda: pods.health.relists and pods.health.state == "watching", 120)
        await asyncio.sleep(100)
        health = pods.health
        assert health.relists == {"410: the version expired": 1} and health.reason == ""
        assert "410" in health.last_error and 99 < health.last_error_age < 250
        assert health.resource_version == pods.resource_version and health.rewinds == 0
    assert pods.health.state == "stopped"


async def test_of_several_namespaces_health_shows_the_one_that_was_heard_longest_ago(world: World) -> None:
    async with await informer(world, namespaces=["one", "two"]) as pods:
        world.server.faults.on("*", "v1/pods", namespace="two").status(503)
        await world.server.restart()
        await asyncio.sleep(200)
        health = pods.health
        assert (health.state, health.resource_version) == ("waiting", "") and "503" in health.last_error
        assert health.contact_age > 199


# --- readiness ---


async def test_a_client_is_ready_once_its_informers_have_synced_and_says_why_not(world: World) -> None:
    assert world.client.ready() and str(world.client.ready()) == "ready"
    fault = world.server.faults.on("watch", "v1/pods").status(503)
    async with world.client.informer("v1/pods") as pods, world.client.informer("v1/nodes") as nodes:
        await nodes.synced(30)
        assert world.client.ready().reasons == ("v1/pods has not synced",)
        await world.until(lambda: pods.health.reason, 10)
        ready = world.client.ready()
        assert not ready and not ready.ok
        assert len(ready.reasons) == 1 and ready.reasons[0].startswith("v1/pods has not synced: ")
        assert "503" in str(ready)
        fault.lift()
        await pods.synced(60)
        assert world.client.ready() == Readiness()


async def test_a_server_that_is_away_makes_nobody_unready_who_has_not_asked_for_it(world: World) -> None:
    async with await informer(world), await informer(world, label_selector="x"):
        await world.server.kill()
        await asyncio.sleep(400)
        assert world.client.ready() and world.client.ready(max_contact_age=500)
        ready = world.client.ready(max_contact_age=300)
        assert [reason[:40] for reason in sorted(ready.reasons)] == [
            "v1/pods has not heard the server for 400",
            "v1/pods x has not heard the server for 4",
        ]
        assert "refuses connections" in ready.reasons[0]


async def test_handles_that_share_a_cache_are_one_reason(world: World) -> None:
    world.server.faults.on("watch", "v1/pods").status(503)
    async with world.client.informer("v1/pods"), world.client.informer("v1/pods"):
        await asyncio.sleep(5)
        assert len(world.client.ready().reasons) == 1
    assert world.client.ready(), "and closed ones are none"


async def test_what_is_refused_or_read_no_more_is_not_ready(world: World) -> None:
    async with await informer(world, serve_stale_for=100) as pods:
        fault = world.server.faults.on("watch", "v1/pods").status(403)
        await world.server.restart()
        await asyncio.sleep(50)
        (reason,) = world.client.ready().reasons
        assert reason.startswith("v1/pods is refused: ") and "403" in reason
        fault.lift()
        await world.until(world.client.ready, 120)
        await world.server.kill()
        await asyncio.sleep(101)
        with pytest.raises(StaleError):
            pods.list()
        assert not world.client.ready()


async def test_a_client_that_is_not_open_is_not_ready(make_world: Callable[..., World]) -> None:
    world = make_world()
    assert world.client.ready().reasons == ("the client is not open",)
    async with world.server:
        async with world.client:
            pods = await informer(world)
        assert world.client.ready().reasons == ("the client is closed",)
        with pytest.raises(LifecycleError):
            pods.list()
