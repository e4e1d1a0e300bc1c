"""Own writes in the caches, over the in-memory server, whose watches stand still until they are let go."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

import kresilient as kr
from kresilient.api.resources import Resource
from kresilient.cache.events import Event, EventType, Source
from kresilient.cache.informer import Informer
from kresilient.observe.events import WriteNotSeen
from kresilient.testing.server.faults.fault import Fault
from kresilient.transport.auth import Anonymous, ClientCertificate
from kresilient.transport.base import Request, Response, route_of
from kresilient.transport.config import ClusterConfig
from kresilient.transport.http import HttpTransport

from .world import World, pod

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

PEM = b"-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----"
PODS = "v1/pods"
A = "default/a"


class Behind:
    """An informer whose watch brings nothing until `catch_up`, and what its handler was told."""

    def __init__(self, world: World, informer: Informer[Any], replica: Fault) -> None:
        self.world = world
        self.informer = informer
        self.replica = replica
        self.told: list[Event[Any]] = []

    @property
    def shown(self) -> dict[str, str]:
        return {one.key: one.resource_version for one in self.informer.list()}

    @property
    def folded(self) -> dict[str, str]:
        """What the handler knows from what it was told; each event continues the one before."""
        known: dict[str, Any] = {}
        for event in self.told:
            assert event.old == known.get(event.key)
            if event.type is EventType.DELETED:
                del known[event.key]
            else:
                known[event.key] = event.object
        return {key: one.resource_version for key, one in known.items()}

    def changes(self) -> builtins.list[tuple[str, str, str]]:
        return [(one.type, one.key, one.source) for one in self.told if not one.initial]

    async def catch_up(self) -> None:
        """Let the watch bring everything; afterwards cache, handler and server agree."""
        self.replica.lift()
        newest = str(self.world.server.state.version)
        await self.informer.wait_for(newest, timeout=300.0)
        await asyncio.sleep(0.1)
        options = self.informer._shared.options if self.informer._shared else None
        assert options is not None
        assert self.folded == self.shown
        assert all(one.pending == 0 for one in self.informer._subscriptions)


@asynccontextmanager
async def behind(world: World, resource: Any = PODS, **options: Any) -> AsyncIterator[Behind]:
    replica = world.server.faults.on("watch", "v1/pods").lag()
    async with world.client.informer(resource, streaming=False, **options) as informer:
        await informer.synced()
        made = Behind(world, informer, replica)
        subscription = informer.add_handler(on_event=made.told.append)
        await subscription.synced()
        yield made


@contextmanager
def late_answers(
    client: kr.Client, verb: str = "patch", *, when: Callable[[], bool] = lambda: True
) -> Iterator[asyncio.Event]:
    """The answers to requests of *verb*, sent *when* that is so, are on their way until the event is set."""
    transport, arrive = client.door.transport, asyncio.Event()
    send = transport.send

    async def late(request: Request) -> Response:
        held = request.verb == verb and when()
        response = await send(request)
        if held:
            await arrive.wait()
        return response

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(transport, "send", late)
        yield arrive


def server_has(world: World) -> dict[str, str]:
    return world.truth()


async def told(one: Behind) -> None:
    """Let the handler run."""
    for _ in range(5):
        await asyncio.sleep(0)


# --- each kind of write ------------------------------------------------------------------------------


async def test_every_kind_of_write_is_shown_before_it_returns_and_without_a_request(world: World) -> None:
    async with behind(world, index=["spec.nodeName"]) as one:
        pods, client = one.informer, world.client
        before = world.server.requests.count()
        made = await client.create(PODS, pod("a"))
        assert pods.get(A) == made
        assert (pods.keys(), len(pods), A in pods) == ([A], 1, True)
        assert [found.key for found in pods.by_index("spec.nodeName", "n1")] == [A]
        patched = await client.patch(PODS, A, {"metadata": {"labels": {"app": "web"}}})
        assert [found.key for found in pods.list(label_selector="app=web")] == [A]
        updated = await client.update(
            PODS, {**patched.to_dict(), "metadata": {**patched["metadata"], "labels": {}}}
        )
        assert pods.list(label_selector="app=web") == []
        applied = await client.patch(
            PODS,
            A,
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "annotations": {"by": "me"}}},
            type="apply",
            field_manager="me",
        )
        assert pods.get(A).annotations == {"by": "me"}
        status = await client.patch(f"{PODS}/status", A, {"status": {"phase": "Running"}})
        assert pods.get(A)["status"]["phase"] == "Running"
        await client.delete(PODS, A, grace_period=0)
        assert (pods.get(A), pods.keys(), len(pods)) == (None, [], 0)
        assert pods.by_index("spec.nodeName", "n1") == []
        assert world.server.requests.count() == before + 6
        await told(one)
        assert one.changes() == [
            ("added", A, "write"),
            *[("updated", A, "write")] * 4,
            ("deleted", A, "write"),
        ]
        versions = [event.object.resource_version for event in one.told[:-1]]
        assert versions == [w.resource_version for w in (made, patched, updated, applied, status)]
        await one.catch_up()
        assert len(one.told) == 6, "the echoes tell nothing twice"


async def test_events_and_wait_for_agree_with_what_is_shown(world: World) -> None:
    async with behind(world) as one:
        events = one.informer.events()
        made = await world.client.create(PODS, pod("a"))
        event = await anext(events)
        assert (event.object, event.source) == (made, Source.WRITE)
        with pytest.raises(kr.SyncError, match=f"did not reach version {made.resource_version} within 5.0 s"):
            await one.informer.wait_for(made.resource_version, timeout=5.0)
        one.replica.lift()
        await one.informer.wait_for(made.resource_version, key=A, timeout=5.0)


async def test_a_dry_run_shows_nothing(world: World) -> None:
    async with behind(world) as one:
        await world.client.create(PODS, pod("a"), dry_run=True)
        made = await world.client.create(PODS, pod("b"))
        await world.client.patch(PODS, "default/b", {"metadata": {"labels": {"x": "y"}}}, dry_run=True)
        await world.client.delete(PODS, "default/b", dry_run=True)
        assert one.shown == {"default/b": made.resource_version}
        await one.catch_up()


async def test_a_lost_answer_leaves_the_cache_unchanged(world: World) -> None:
    world.server.create(PODS, pod("a"))
    async with behind(world) as one:
        before = one.shown
        world.server.faults.next("create", PODS).reset(after_bytes=0)
        with pytest.raises(kr.OutcomeUnknown):
            await world.client.create(PODS, pod("b"))
        assert "default/b" in server_has(world), "it was carried out"
        assert one.shown == before
        await one.catch_up()
        assert one.shown == server_has(world)


# --- our write and somebody else's -------------------------------------------------------------------


async def test_our_update_and_then_a_foreign_delete(world: World) -> None:
    world.server.create(PODS, pod("a"))
    async with behind(world) as one:
        ours = await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}})
        world.server.delete(PODS, A)
        assert one.shown == {A: ours.resource_version}
        await one.catch_up()
        assert one.shown == {}


async def test_our_delete_and_then_a_foreign_recreate_under_the_same_name(world: World) -> None:
    world.server.create(PODS, pod("a"))
    async with behind(world) as one:
        await world.client.delete(PODS, A, grace_period=0)
        theirs = world.server.create(PODS, pod("a"))
        assert one.shown == {}
        await one.catch_up()
        assert one.shown == {A: theirs["metadata"]["resourceVersion"]}
        assert [kind for kind, _, _ in one.changes()] == ["deleted", "added"]


async def test_a_foreign_write_between_ours_and_its_echo_is_not_hidden(world: World) -> None:
    world.server.create(PODS, pod("a"))
    async with behind(world) as one:
        await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "ours"}}})
        theirs = world.server.patch(PODS, A, {"metadata": {"labels": {"x": "theirs"}}})
        assert one.informer.get(A).labels["x"] == "ours"
        await one.catch_up()
        assert one.informer.get(A).labels["x"] == "theirs"
        assert one.shown == {A: theirs["metadata"]["resourceVersion"]}


async def test_the_late_answer_of_an_update_does_not_bring_back_what_was_deleted(world: World) -> None:
    world.server.create(PODS, pod("a"))
    async with behind(world) as one:
        with late_answers(world.client) as late:
            updating = asyncio.create_task(world.client.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}}))
            await world.server.requests.wait_for(verb="patch")
            await asyncio.sleep(0.1)
            await world.client.delete(PODS, A, grace_period=0)
            assert not updating.done()
            late.set()
            updated = await updating
        assert updated.labels["x"] == "y"
        assert one.shown == {}
        await one.catch_up()
        assert one.shown == {}


# --- selectors, namespaces, several informers --------------------------------------------------------


async def test_a_write_moves_an_object_from_one_selector_to_another_without_a_request(world: World) -> None:
    world.server.create(PODS, pod("a", labels={"app": "web"}))
    async with (
        behind(world, label_selector="app=web") as web,
        behind(world, label_selector="app=api") as api,
        behind(world, field_selector="spec.nodeName=n2") as elsewhere,
    ):
        asked = world.server.requests.count()
        ours = await world.client.patch(PODS, A, {"metadata": {"labels": {"app": "api"}}})
        assert world.server.requests.count() == asked + 1
        assert (web.shown, api.shown, elsewhere.shown) == ({}, {A: ours.resource_version}, {})
        await told(web)
        assert (web.changes(), api.changes()) == ([("deleted", A, "write")], [("added", A, "write")])
        for one in (web, api, elsewhere):
            await one.catch_up()
        assert (len(web.told), len(api.told), len(elsewhere.told)) == (2, 1, 0)


async def test_what_a_selective_informer_does_not_hold_is_not_shown_by_it(world: World) -> None:
    async with (
        behind(world, label_selector="app=web") as web,
        behind(world, namespaces=["other", "third"]) as places,
    ):
        await world.client.create(PODS, pod("a"))
        assert (web.shown, places.shown) == ({}, {})
        ours = await world.client.create(PODS, pod("b", namespace="third"))
        assert places.shown == {"third/b": ours.resource_version}
        for one in (web, places):
            await one.catch_up()
        assert web.told == []


async def test_a_write_that_left_the_selector_stays_hidden_though_older_news_of_it_come(world: World) -> None:
    async with behind(world, label_selector="app=web") as web:
        world.server.create(PODS, pod("a", labels={"app": "web"}))
        await world.client.patch(PODS, A, {"metadata": {"labels": {"app": "api"}}})
        assert web.shown == {}
        await web.catch_up()
        assert web.told == [], "it was never shown"


async def test_a_selector_that_only_the_server_can_evaluate_waits_for_the_watch(world: World) -> None:
    definition = {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "selectableFields": [{"jsonPath": ".spec.color"}],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {"type": "object", "properties": {"color": {"type": "string"}}}
                            },
                        }
                    },
                }
            ],
        },
    }
    widgets = "example.com/v1/widgets"
    world.server.create("apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    meta = {"name": "a", "namespace": "default"}
    red = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta, "spec": {"color": "red"}}
    async with world.client.informer(widgets, field_selector="spec.color=red", streaming=False) as informer:
        await informer.synced()
        replica = world.server.faults.on("watch", widgets).lag()
        world.server.state.end_watches()
        await asyncio.sleep(3.0)
        writing = asyncio.create_task(world.client.create(widgets, red))
        await asyncio.sleep(1.0)
        assert not writing.done()
        assert informer.list() == []
        replica.lift()
        await writing
        assert [one.key for one in informer.list()] == [A]


# --- deletion in two steps ---------------------------------------------------------------------------


async def test_a_delete_with_finalizers_shows_the_object_until_the_last_one_goes(
    world: World,
) -> None:
    made = pod("a")
    made["metadata"]["finalizers"] = ["example.com/one", "example.com/two"]
    world.server.create(PODS, made)
    async with behind(world) as one:
        marked = await world.client.delete(PODS, A, grace_period=0)
        assert marked is not None
        assert one.informer.get(A) == marked
        assert one.informer.get(A).deleting
        await world.client.patch(PODS, A, {"metadata": {"finalizers": ["example.com/two"]}})
        assert one.informer.get(A)["metadata"]["finalizers"] == ["example.com/two"]
        await world.client.patch(PODS, A, {"metadata": {"finalizers": None}})
        assert one.shown == {}, "the patch was answered with an object that is no more"
        await one.catch_up()
        assert [kind for kind, _, _ in one.changes()] == ["updated", "updated", "deleted"]


async def test_a_delete_with_a_grace_period_shows_the_object_until_its_end(world: World) -> None:
    world.server.create(PODS, pod("a"))
    async with behind(world) as one:
        marked = await world.client.delete(PODS, A, grace_period=30)
        assert marked is not None
        assert one.shown == {A: marked.resource_version}
        await one.catch_up()


# --- lists and rewinds -------------------------------------------------------------------------------


async def test_a_write_during_a_relist_that_was_begun_before_it(world: World) -> None:
    world.server.create(PODS, pod("a"))
    world.server.create(PODS, pod("b"))
    async with behind(world) as one:
        listing = world.server.faults.next("list", PODS).silence(after_bytes=0)
        world.server.faults.next("watch", PODS).status(410)
        one.replica.lift()
        await world.server.requests.wait_for(2, verb="list", timeout=1200.0)  # the watch ends in its time
        await asyncio.sleep(0.1)
        ours = await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}})
        await world.client.delete(PODS, "default/b", grace_period=0)
        assert one.shown == {A: ours.resource_version}
        listing.lift()
        await world.until(lambda: one.informer.health.reflectors[0].state == "watching")
        assert one.shown == {A: ours.resource_version}
        await one.catch_up()
        assert [kind for kind, _, _ in one.changes()] == ["updated", "deleted"]


async def test_a_write_during_the_first_streaming_list(world: World) -> None:
    for number in range(3):
        world.server.create(PODS, pod(f"p{number}"))
    held = world.server.faults.next("watch", PODS).silence(after_events=1)
    async with world.client.informer(PODS) as informer:
        seen: list[Event[Any]] = []
        informer.add_handler(on_event=seen.append)
        await world.server.requests.wait_for(verb="watch")
        await asyncio.sleep(0.1)
        ours = await world.client.patch(PODS, "default/p2", {"metadata": {"labels": {"x": "y"}}})
        await world.client.delete(PODS, "default/p0", grace_period=0)
        with pytest.raises(kr.NotSyncedError):
            informer.list()
        held.lift()
        await informer.synced()
        assert {one.key: one.resource_version for one in informer.list()} == {
            "default/p1": world.truth()["default/p1"],
            "default/p2": ours.resource_version,
        }
        await asyncio.sleep(60.0)
        assert {event.key for event in seen if event.type is EventType.DELETED} <= {"default/p0"}


async def test_a_delete_holds_through_an_outage_of_hours_and_a_stale_list_after_it(
    world: World,
) -> None:
    world.server.create(PODS, pod("a"))
    async with behind(world) as one:
        await world.client.delete(PODS, A, grace_period=0)
        await asyncio.sleep(6 * 3600.0)
        assert one.shown == {}
        stale = world.server.faults.on("list", PODS).lag(2)  # a delete is two: marked, and gone
        world.server.faults.next("watch", PODS).status(410)
        await world.until(lambda: one.informer.health.reflectors[0].relists, 1200.0)
        assert world.server.requests.where(verb="list")[-1].objects == 1, "the list still had it"
        assert one.shown == {}
        stale.lift()
        one.replica.lift()
        await asyncio.sleep(1200.0)
        assert one.shown == {}
        assert [kind for kind, _, _ in one.changes()] == ["deleted"]


async def test_a_restored_etcd_undoes_own_writes_and_says_so(world: World) -> None:
    world.server.create(PODS, pod("a"))
    world.server.create(PODS, pod("b"))
    async with world.client.informer(PODS, streaming=False) as informer:
        await informer.synced()
        backup = world.server.state.version
        await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}})
        await world.client.delete(PODS, "default/b", grace_period=0)
        for number in range(10):
            world.server.create(PODS, pod(f"p{number}"))
        await informer.wait_for(str(world.server.state.version))
        world.server.rewind(backup)
        await world.client.create(PODS, pod("c"))
        ours = await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "after"}}})
        await world.until(lambda: informer.health.reflectors[0].rewinds == 1)
        await world.until(lambda: {one.key: one.resource_version for one in informer.list()} == world.truth())
        assert informer.get(A).resource_version == ours.resource_version
        assert "default/b" in informer


@pytest.mark.parametrize("verb", ["create", "patch"])
async def test_a_write_to_a_restored_etcd_returns_once_its_caches_have_followed_it_back(
    world: World, verb: str
) -> None:
    world.server.create(PODS, pod("a"))
    async with world.client.informer(PODS, streaming=False) as informer:
        await informer.synced()
        backup = world.server.state.version
        for number in range(10):
            world.server.patch(PODS, A, {"metadata": {"labels": {"x": str(number)}}})
        await informer.wait_for(str(world.server.state.version))
        world.server.rewind(backup)
        if verb == "create":
            ours = await world.client.create(PODS, pod("b"))
        else:
            ours = await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "after"}}})
        assert informer.health.reflectors[0].rewinds == 1
        assert informer.get(ours.key).resource_version == ours.resource_version


async def test_a_delete_that_is_answered_with_an_object_shows_a_restored_etcd_and_waits_for_nothing(
    world: World,
) -> None:
    world.server.create(PODS, pod("a"))
    async with world.client.informer(PODS, streaming=False) as informer:
        await informer.synced()
        backup = world.server.state.version
        for number in range(10):
            world.server.patch(PODS, A, {"metadata": {"labels": {"x": str(number)}}})
        await informer.wait_for(str(world.server.state.version))
        world.server.rewind(backup)
        began = asyncio.get_running_loop().time()
        await world.client.delete(PODS, A)
        assert asyncio.get_running_loop().time() == began
        await world.until(lambda: informer.health.reflectors[0].rewinds == 1, 10)
        assert {one.key: one.resource_version for one in informer.list()} == server_has(world)


async def test_a_write_whose_caller_leaves_is_not_said_to_be_unseen(world: World) -> None:
    world.server.create(PODS, pod("a"))
    async with world.client.informer(PODS) as informer:
        await informer.synced()
        backup = world.server.state.version
        for name in ("lost", "too"):
            world.server.create(PODS, pod(name))
        await informer.wait_for(str(world.server.state.version))
        world.server.rewind(backup)
        proofs = world.server.faults.on("list", PODS).hang()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}})
        assert proofs.hits
        assert world.reported(WriteNotSeen) == []


async def test_a_write_does_not_wait_for_a_cache_that_ended_while_it_was_sent(world: World) -> None:
    world.server.create(PODS, pod("a"))
    async with world.client.informer(PODS) as informer:
        await informer.synced()
        (reflector,) = informer._shared.reflectors.values()
        reflector.suspect_rewind("a write was answered with an old version")
        waiting = reflector.settled()
        reflector.end()
        assert waiting is not None and waiting.done()
        reflector.suspect_rewind("and another one")
        assert reflector.settled() is None


async def test_what_is_written_while_a_restored_etcd_is_listed_is_kept(world: World) -> None:
    world.server.create(PODS, pod("a"))
    async with behind(world) as one:
        backup = world.server.state.version
        for number in range(10):
            world.server.patch(PODS, A, {"metadata": {"labels": {"x": str(number)}}})
        await world.client.create(PODS, pod("b"))
        world.server.rewind(backup)
        (reflector,) = one.informer.health.reflectors
        with late_answers(world.client, "list", when=lambda: reflector.state == "listing") as arrive:
            gives_it_away = asyncio.create_task(world.client.create(PODS, pod("c")))
            await world.until(lambda: reflector.state == "listing")
            await world.server.requests.wait_for(3, verb="list", code=200)
            ours = await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "ours"}}})
            assert reflector.rewinds == 0
            arrive.set()
            await world.until(lambda: reflector.rewinds == 1)
        assert int(reflector.resource_version) < int(ours.resource_version), "the list was answered before"
        assert one.shown[A] == ours.resource_version
        await gives_it_away


async def test_a_write_that_is_not_above_its_cache_for_nothing_waits_for_no_proof(world: World) -> None:
    """One that changes nothing is answered with a version of before, which a later own write is above."""
    world.server.create(PODS, pod("a"))
    async with behind(world) as one:
        world.server.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}})
        await world.client.create(PODS, pod("b"))
        began = asyncio.get_running_loop().time()
        unchanged = await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}})
        assert asyncio.get_running_loop().time() == began
        assert one.shown[A] == unchanged.resource_version


async def test_our_delete_of_what_had_left_the_selector_and_come_back_is_shown(world: World) -> None:
    world.server.create(PODS, pod("a", labels={"app": "web"}))
    async with world.client.informer(PODS, label_selector="app=web") as informer:
        await informer.synced()
        for label in ("db", "web"):
            world.server.patch(PODS, A, {"metadata": {"labels": {"app": label}}})
            await informer.wait_for(str(world.server.state.version))
        assert A in informer
        world.server.faults.on("watch").hold()
        world.server.state.end_watches()
        await world.client.delete(PODS, A, grace_period=0)
        assert A not in informer


async def ahead_of_a_backup(one: Behind) -> None:
    """The server goes back to where the cache stands, which shows own writes from after that."""
    server = one.world.server
    backup = server.state.version
    for number in range(5):
        await one.world.client.create(PODS, pod(f"p{number}"))
    assert len(one.shown) == 5
    server.rewind(backup)
    one.replica.lift()


async def test_an_etcd_restored_to_where_the_cache_stands_is_shown_by_the_next_own_write(
    world: World,
) -> None:
    async with behind(world) as one:
        await ahead_of_a_backup(one)
        await world.client.create(PODS, pod("c"))
        await world.until(lambda: one.informer.health.reflectors[0].rewinds == 1, 30.0)
        assert one.shown == server_has(world)
        await told(one)
        assert one.folded == one.shown


async def test_an_etcd_restored_to_where_the_cache_stands_is_shown_by_a_watch_that_gets_to_no_own_write(
    world: World,
) -> None:
    async with behind(world) as one:
        await ahead_of_a_backup(one)
        await world.until(lambda: one.informer.health.reflectors[0].rewinds == 1, 1800.0)
        assert one.shown == server_has(world) == {}
        await told(one)
        assert one.folded == {}


async def test_the_late_answer_of_a_history_that_was_lost_hides_nothing_of_the_one_that_follows(
    world: World,
) -> None:
    world.server.create(PODS, pod("a"))
    async with world.client.informer(PODS, streaming=False) as informer:
        await informer.synced()
        backup = world.server.state.version
        for number in range(10):
            world.server.create(PODS, pod(f"p{number}"))
        await informer.wait_for(str(world.server.state.version))
        with late_answers(world.client) as late:
            updating = asyncio.create_task(world.client.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}}))
            await world.server.requests.wait_for(verb="patch")
            await asyncio.sleep(0.1)
            world.server.rewind(backup)
            await world.client.create(PODS, pod("c"))
            await world.until(lambda: informer.health.reflectors[0].rewinds == 1)
            late.set()
            await updating
        world.server.patch(PODS, A, {"metadata": {"labels": {"x": "theirs"}}})
        await informer.wait_for(str(world.server.state.version), timeout=300.0)
        assert {one.key: one.resource_version for one in informer.list()} == world.truth()


async def test_a_delete_that_names_no_version_hides_what_had_the_name_before(world: World) -> None:
    maps = "v1/configmaps"
    made = {"metadata": {"name": "a", "namespace": "default"}}
    world.server.create(maps, made)
    async with world.client.informer(maps, streaming=False) as informer:
        await informer.synced()
        replica = world.server.faults.on("watch", maps).lag()
        world.server.state.end_watches()
        await asyncio.sleep(3.0)
        world.server.delete(maps, A)
        world.server.create(maps, made)
        assert len(informer) == 1, "it has not heard of the one that has the name now"
        assert await world.client.delete(maps, A) is None, "the answer names no version"
        assert informer.list() == []
        theirs = world.server.create(maps, made)
        replica.lift()
        await informer.wait_for(str(world.server.state.version), timeout=300.0)
        assert [one.uid for one in informer.list()] == [theirs["metadata"]["uid"]]


# --- what is kept of an object -----------------------------------------------------------------------


class Node(kr.View, resource=PODS):
    class Spec(msgspec.Struct, rename="camel"):
        node_name: str = ""

    spec: Spec


def shout(obj: kr.KubeObject) -> dict[str, Any]:
    data = obj.to_dict()
    data["spec"] = {"nodeName": data["spec"]["nodeName"].upper()}
    return data


async def test_views_strips_transforms_and_headers_show_of_a_write_what_they_keep(
    world: World,
) -> None:
    async with (
        behind(world, Node) as viewed,
        behind(world, strip=["metadata.managedFields", "spec.containers"]) as stripped,
        behind(world, transform=shout) as transformed,
        behind(world, metadata_only=True) as headers,
    ):
        all_of_them = (viewed, stripped, transformed, headers)
        await world.client.create(PODS, pod("a"))
        shown = [one.informer.get(A) for one in all_of_them]
        assert shown[0].spec.node_name == "n1"
        assert "containers" not in shown[1]["spec"]
        assert shown[2]["spec"] == {"nodeName": "N1"}
        assert (shown[3].kind, shown[3].get("spec")) == ("PartialObjectMetadata", None)
        for one in all_of_them:
            await one.catch_up()
            assert len(one.told) == 1
        await world.client.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}})
        await world.client.delete(PODS, A, grace_period=0)
        for one in all_of_them:
            assert one.shown == {}


async def test_an_object_that_a_transform_refuses_waits_for_the_watch_to_set_it_aside(world: World) -> None:
    def picky(obj: kr.KubeObject) -> kr.KubeObject:
        if obj.name == "bad":
            raise ValueError("no")
        return obj

    async with behind(world, transform=picky) as one:
        await world.client.create(PODS, pod("bad"))
        assert one.shown == {}
        one.replica.lift()
        await world.until(lambda: one.informer.health.quarantined)


# --- what is not the object --------------------------------------------------------------------------


async def test_a_scale_is_not_written_over_its_parent(world: World) -> None:
    deployments = "apps/v1/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    world.server.create(deployments, {"metadata": {"name": "a", "namespace": "default"}, "spec": spec})
    replica = world.server.faults.on("watch", deployments).lag()
    async with world.client.informer(deployments, streaming=False) as informer:
        await informer.synced()
        before = informer.get(A)
        scale = await world.client.patch(f"{deployments}/scale", A, {"spec": {"replicas": 3}})
        assert scale.kind == "Scale"
        assert informer.get(A) == before
        replica.lift()
        await informer.wait_for(scale.resource_version, timeout=120.0)
        assert informer.get(A)["spec"]["replicas"] == 3


async def test_another_version_of_the_same_object_is_not_written_over_it(world: World) -> None:
    hpa = {"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "maxReplicas": 3}
    made = {"metadata": {"name": "a", "namespace": "default"}, "spec": hpa}
    world.server.create("autoscaling/v2/horizontalpodautoscalers", made)
    replica = world.server.faults.on("watch", "autoscaling/v2/horizontalpodautoscalers").lag()
    async with world.client.informer("autoscaling/v2/horizontalpodautoscalers", streaming=False) as informer:
        await informer.synced()
        before = informer.get(A)
        other = await world.client.patch(
            "autoscaling/v1/horizontalpodautoscalers", A, {"metadata": {"labels": {"x": "y"}}}
        )
        assert informer.get(A) == before
        replica.lift()
        await informer.wait_for(other.resource_version, timeout=120.0)
        assert informer.get(A).labels == {"x": "y"}


# --- waiting instead ---------------------------------------------------------------------------------


async def test_a_client_that_waits_returns_when_the_watch_has_brought_the_write() -> None:
    world = World()
    world.client = world.connect(read_after_write="wait")
    async with world.server, world.client, behind(world) as one:
        writing = asyncio.create_task(world.client.create(PODS, pod("a")))
        await asyncio.sleep(3.0)
        assert not writing.done()
        assert one.shown == {}
        one.replica.lift()
        made = await writing
        assert one.shown == {A: made.resource_version}
        assert one.changes() == [("added", A, "watch")]


async def test_a_client_that_waited_long_enough_shows_the_answer() -> None:
    world = World()
    world.client = world.connect(read_after_write="wait")
    async with world.server, world.client, behind(world) as one:
        began = asyncio.get_running_loop().time()
        made = await world.client.create(PODS, pod("a"))
        assert asyncio.get_running_loop().time() - began == pytest.approx(10.0, abs=0.5)
        assert one.shown == {A: made.resource_version}
        assert world.reported(WriteNotSeen) == []


async def test_a_client_that_waits_does_not_wait_for_caches_that_the_write_does_not_concern() -> None:
    world = World()
    world.client = world.connect(read_after_write="wait")
    async with world.server, world.client, behind(world, label_selector="app=web") as one:
        began = asyncio.get_running_loop().time()
        await world.client.create(PODS, pod("a"))
        assert asyncio.get_running_loop().time() - began < 1.0
        assert one.shown == {}


async def test_a_mode_that_there_is_not_is_refused() -> None:
    with pytest.raises(kr.ConfigError, match="read_after_write is one of"):
        kr.connect(World().server.transport(), read_after_write="perhaps")  # type: ignore[arg-type]


async def test_whoever_waits_for_an_informer_that_ends_is_told(world: World) -> None:
    async with behind(world) as one:
        waiting = asyncio.create_task(one.informer.wait_for("999999999"))
        await asyncio.sleep(0.1)
        await one.informer.close()
        with pytest.raises(kr.LifecycleError, match="ended"):
            await waiting


# --- several clients -----------------------------------------------------------------------------------


async def test_whoever_waits_for_an_informer_that_is_closed_before_it_began_is_told(world: World) -> None:
    informer = world.client.informer(PODS)

    async def waits() -> None:
        await informer.start()
        await informer.wait_for("999999")

    waiting = asyncio.create_task(waits())
    closing = asyncio.create_task(informer.close())
    async with asyncio.timeout(60.0):
        await closing
        with pytest.raises(kr.LifecycleError, match="ended"):
            await waiting


async def test_a_deleted_object_that_leaves_the_selector_and_returns_is_not_shown_again(
    world: World,
) -> None:
    maps = "v1/configmaps"
    meta = {"name": "a", "namespace": "default", "labels": {"app": "web"}}
    world.server.create(maps, {"metadata": meta})
    async with world.client.informer(maps, label_selector="app=web", streaming=False) as informer:
        await informer.synced()
        told: list[Event[Any]] = []
        informer.add_handler(on_event=told.append)
        replica = world.server.faults.on("watch", maps).lag()
        world.server.state.end_watches()
        await asyncio.sleep(3.0)
        for label in ("other", "web"):
            world.server.patch(maps, A, {"metadata": {"labels": {"app": label}}})
        assert await world.client.delete(maps, A) is None, "the answer names no version"
        assert informer.list() == []
        replica.lift()
        await informer.wait_for(str(world.server.state.version), timeout=300.0)
        await asyncio.sleep(0.1)
        assert [event.type for event in told] == [EventType.ADDED, EventType.DELETED]


async def test_a_write_is_shown_by_the_informers_of_other_clients_that_connect_made(world: World) -> None:
    transport = world.server.transport
    async with kr.connect(transport()) as writer, kr.connect(transport()) as reader:
        replica = world.server.faults.on("watch", PODS).lag()
        async with reader.informer(PODS, streaming=False) as pods:
            await pods.synced()
            made = await writer.create(PODS, pod("a"))
            assert pods.get(A) == made
            await writer.delete(PODS, A, grace_period=0)
            assert pods.get(A) is None
            replica.lift()
        await writer.create(PODS, pod("b"))


async def test_a_write_that_ends_while_its_client_closes_is_shown_by_the_others_and_fails_nobody(
    world: World,
) -> None:
    transport = world.server.transport
    async with kr.connect(transport()) as writer, kr.connect(transport()) as reader:
        world.server.faults.on("watch", PODS).lag()
        answers: list[Any] = []

        async def writes(event: Event[Any]) -> None:
            answers.append(await writer.patch(PODS, A, {"metadata": {"labels": {"x": "y"}}}))

        world.server.create(PODS, pod("a"))
        world.server.faults.next("patch", PODS).delay(2.0)
        async with reader.informer(PODS, streaming=False) as theirs:
            await theirs.synced()
            ours = await writer.informer(PODS, streaming=False).start()
            subscription = ours.add_handler(on_event=writes)
            await world.server.requests.wait_for(verb="patch")
            await writer.close(drain=True)
            assert (len(answers), subscription.failures) == (1, 0)
            assert theirs.get(A) == answers[0]


async def test_what_leads_elsewhere_by_the_same_url_is_another_server(world: World) -> None:
    class Routed:
        def __init__(self, route: str) -> None:
            inner = world.server.transport()
            self.server, self.send, self.close, self.route = inner.server, inner.send, inner.close, route

    async with kr.connect(Routed("a")) as writer, kr.connect(Routed("b")) as reader:
        world.server.faults.on("watch", PODS).lag()
        async with reader.informer(PODS, streaming=False) as pods:
            await pods.synced()
            await writer.create(PODS, pod("a"))
            assert pods.get(A) is None


@pytest.mark.parametrize(
    "other",
    [
        {"proxy": "http://proxy:3128"},
        {"tls_server_name": "kube-b.example.com"},
        {"headers": {"X-Cluster": "b"}},
        {"credentials": Anonymous(ClientCertificate(cert_data=PEM, key_data=PEM))},
    ],
    ids=["proxy", "tls name", "header", "certificate"],
)
async def test_a_proxy_has_many_clusters_at_one_url(other: dict[str, Any]) -> None:
    one = ClusterConfig(server="https://proxy.example.com")
    assert route_of(HttpTransport(one)) == route_of(HttpTransport(replace(one, user_agent="another")))
    assert route_of(HttpTransport(one)) != route_of(HttpTransport(replace(one, **other)))


async def test_clients_on_transports_of_their_own_do_not_know_of_each_other(world: World) -> None:
    async with behind(world) as one, world.connect() as other:
        await other.create(PODS, pod("a"))
        assert one.shown == {}


async def test_an_informer_that_was_refused_shows_what_was_written_meanwhile(world: World) -> None:
    world.server.create(PODS, pod("b"))
    refused = world.server.faults.on(["list", "watch"], PODS).status(403)
    async with world.client.informer(PODS, streaming=False) as informer:
        await world.until(lambda: informer.health.reflectors[0].denied)
        await world.client.create(PODS, pod("a"))
        for number in range(3):
            world.server.create("v1/nodes", {"metadata": {"name": f"n{number}"}})
        refused.lift()
        world.server.faults.next("list", PODS).lag(4)
        await informer.synced(fail_fast=False)
        assert A in informer, "the server's cache did not have it"


async def test_an_informer_that_is_refused_keeps_nothing_of_what_is_written(world: World) -> None:
    world.server.faults.on(["list", "watch"], PODS).status(403)
    async with world.client.informer(PODS) as informer:
        await world.until(lambda: informer.health.reflectors[0].denied)
        await world.client.create(PODS, pod("a"))
        shared = informer._shared
        assert shared is not None
        assert shared.reflectors[None]._overlay.pending == 0


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_informer_that_starts_after_a_write_shows_it_though_the_server_lags(
    world: World, streaming: bool
) -> None:
    world.server.create(PODS, pod("b"))
    with_lag = world.server.faults.on(["list", "watch"], PODS).times(2).lag()
    await world.client.create(PODS, pod("a"))
    async with world.client.informer(PODS, streaming=streaming) as informer:
        await informer.synced()
        assert A in informer
    assert with_lag.hits, "it was the lagging server that was asked first"


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_informer_that_was_refused_shows_what_was_written_meanwhile_though_the_server_lags(
    world: World, streaming: bool
) -> None:
    await world.client.create(PODS, pod("a"))
    refused = world.server.faults.on(["list", "watch"], PODS).status(403)
    async with world.client.informer(PODS, streaming=streaming) as informer:
        await world.until(lambda: informer.health.reflectors[0].denied)
        world.server.faults.on(["list", "watch"], PODS).times(2).lag()
        await world.client.create(PODS, pod("b"))
        refused.lift()
        await world.until(lambda: informer.has_synced)
        assert "default/b" in informer


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_informer_that_starts_after_a_delete_does_not_show_what_was_deleted(
    world: World, streaming: bool
) -> None:
    maps = "v1/configmaps"
    world.server.create(maps, {"metadata": {"name": "a", "namespace": "default"}})
    world.server.faults.on(["list", "watch"], maps).times(1).lag()
    await world.client.delete(maps, A)
    async with world.client.informer(maps, streaming=streaming) as informer:
        await informer.synced()
        assert A not in informer


async def test_a_delete_of_which_the_server_says_nothing_is_shown_by_an_informer_that_starts_after_it(
    world: World,
) -> None:
    maps = "v1/configmaps"
    world.server.create(maps, {"metadata": {"name": "a", "namespace": "default"}})
    world.server.faults.on(["list", "watch"], maps).times(1).lag()
    world.server.delete(maps, A)
    answer = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}'
    await world.client.acknowledged(Resource.parse(maps), "delete", A, answer, before=())
    async with world.client.informer(maps, streaming=False) as informer:
        await informer.synced()
        assert A not in informer


async def test_what_an_informer_that_starts_has_to_show_is_asked_of_the_servers_cache(world: World) -> None:
    written = await world.client.create(PODS, pod("a"))
    async with world.client.informer(PODS, streaming=False) as informer:
        await informer.synced()
    (listed,) = [call for call in world.server.requests if call.verb == "list"]
    assert listed.query["resourceVersion"] == written.resource_version
    assert listed.query["resourceVersionMatch"] == "NotOlderThan"
