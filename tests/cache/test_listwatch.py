"""The two requests of a reflector: their queries, their pages, and what their failures mean."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from kresilient.api.errors import (
    ConnectFailed,
    ConnectionLost,
    KresilientError,
    NotAKubernetesAnswer,
    Status,
    WireError,
    api_error,
)
from kresilient.api.objects import KubeObject
from kresilient.api.resources import Resource
from kresilient.cache.listwatch import ListResult, ListWatch, SnapshotLost, signal_of
from kresilient.cache.states import (
    Denied,
    Expired,
    Listing,
    NotAList,
    PageExpired,
    Signal,
    Strategy,
    StreamingFailed,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from kresilient.flow.door import Door
from kresilient.flow.limiter import Limiter
from kresilient.observe.events import Admitted, Observers

from .world import World, pod

pytestmark = pytest.mark.looptime

LATEST = Listing(Strategy.LATEST)


def listwatch(world: World, *, qps: float | None = None, burst: int = 1, **options: Any) -> ListWatch:
    door = Door(world.server.transport(), limiter=Limiter(qps, burst), observers=Observers(world.seen.append))
    return ListWatch(door, Resource.parse("v1/pods"), **{"page_size": 2, **options})


async def read(listwatch: ListWatch, listing: Listing = LATEST) -> tuple[list[str], ListResult]:
    result = ListResult()
    items = [item async for piece in listwatch.pages(listing, result) for item in piece]
    assert all(isinstance(item, KubeObject) for item in items)
    return [item.key for item in items], result


def queries(world: World) -> list[dict[str, str]]:
    return [dict(request.query) for request in world.server.requests]


def page(version: str, token: str = "", *names: str) -> bytes:
    items = [{"metadata": {"name": name, "namespace": "default"}} for name in names]
    meta = {"resourceVersion": version, "continue": token}
    return msgspec.json.encode({"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": items})


# --- pages ---


async def test_the_pages_of_a_list_are_one_list(world: World) -> None:
    for number in range(9):
        world.server.create("v1/pods", pod(f"p{number}"))
    found, result = await read(listwatch(world, label_selector="!x", field_selector="spec.nodeName=n1"))
    assert found == [f"default/p{number}" for number in range(9)]
    assert result.version == str(world.server.state.version)
    assert result.bytes == result.wire_bytes > 9 * 100
    first, *others = queries(world)
    selectors = {"labelSelector": "!x", "fieldSelector": "spec.nodeName=n1", "limit": "2"}
    assert first == selectors
    assert len(others) == 4
    assert all(one == {**selectors, "continue": one["continue"]} for one in others)


async def test_the_pages_behind_the_first_wait_for_no_admission(world: World) -> None:
    for number in range(9):
        world.server.create("v1/pods", pod(f"p{number}"))
    slow = listwatch(world, qps=0.01)
    now = asyncio.get_running_loop().time
    start = now()
    assert len((await read(slow))[0]) == 9
    assert world.server.requests.count(verb="list") == 5
    assert [event.verb for event in world.reported(Admitted)] == ["list"]
    assert now() - start < 1
    await read(slow)
    assert now() - start == pytest.approx(100, abs=2), "each list takes one token"


async def test_an_informer_of_many_pages_takes_one_token_for_them(world: World) -> None:
    for number in range(2001):
        world.server.create("v1/pods", pod(f"p{number:04}"))
    world.server.faults.next("list", "v1/pods").status(410)  # leads to the paged list
    async with (
        world.connect(qps=0.1, burst=1) as client,
        client.informer("v1/pods", streaming=False) as pods,
    ):
        start = asyncio.get_running_loop().time()
        await pods.synced(300)
        assert asyncio.get_running_loop().time() - start < 25
        assert len(pods) == 2001
    assert world.server.requests.count(verb="list") == 6
    assert len([event for event in world.reported(Admitted) if event.verb == "list"]) == 2


async def test_a_page_of_another_snapshot_is_not_mixed_in(world: World) -> None:
    world.server.faults.next("list", "v1/pods").answer(page("70", "more", "a"))
    world.server.faults.next("list", "v1/pods").answer(page("71", "", "b"))
    with pytest.raises(SnapshotLost, match="version 71 follows 70"):
        await read(listwatch(world))


async def test_a_page_of_another_snapshot_restarts_the_list(world: World) -> None:
    for number in range(600):
        world.server.create("v1/pods", pod(f"p{number:03}"))
    world.server.faults.next("list", "v1/pods").status(410)
    other = page(str(world.server.state.version + 1), "", "ghost")
    world.server.faults.next("list", "v1/pods").after(1).answer(other)
    async with world.client.informer("v1/pods", streaming=False) as pods:
        await pods.synced(300)
        assert {obj.key: obj.resource_version for obj in pods.list()} == world.truth()
    assert world.rows[:3] == [
        "410: the version expired",
        "410 on a later page, or a page of another snapshot",
        "list done",
    ]


async def test_the_same_page_token_twice_is_an_error_and_no_endless_list(world: World) -> None:
    endless = world.server.faults.next("list", "v1/pods").times(20).answer(page("70", "more", "a"))
    with pytest.raises(WireError, match="the same page token twice"):
        await read(listwatch(world))
    assert endless.hits == 2


async def test_an_expired_token_is_a_lost_snapshot_and_an_expired_first_page_is_not(world: World) -> None:
    world.server.faults.next("list", "v1/pods").answer(page("70", "more", "a"))
    world.server.faults.next("list", "v1/pods").times(2).status(410)
    with pytest.raises(SnapshotLost, match="the page token expired"):
        await read(listwatch(world))
    with pytest.raises(KresilientError) as raised:
        await read(listwatch(world))
    assert not isinstance(raised.value, SnapshotLost)


async def test_a_list_that_is_given_up_leaves_no_answer_open(world: World) -> None:
    world.server.create("v1/pods", pod("a"))
    world.server.faults.next("list", "v1/pods").answer(page("70", "", "a")[:-2], then="stall")
    reading = asyncio.create_task(read(listwatch(world)))
    await world.server.requests.wait_for(1, code=200)
    assert world.server.inflight == 1
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert world.server.inflight == 0


async def test_a_list_that_falls_silent_is_given_up_after_its_stall(world: World) -> None:
    world.server.faults.next("list", "v1/pods").answer(page("70", "", "a")[:-2], then="stall")
    start = asyncio.get_running_loop().time()
    with pytest.raises(ConnectionLost):
        await read(listwatch(world, stall=30.0))
    assert asyncio.get_running_loop().time() - start == pytest.approx(30, abs=0.1)


# --- what is asked ---


@pytest.mark.parametrize(
    ("listing", "query"),
    [
        (Listing(Strategy.CACHE), {"resourceVersion": "0"}),
        (
            Listing(Strategy.NOT_OLDER, "60740"),
            {"resourceVersion": "60740", "resourceVersionMatch": "NotOlderThan"},
        ),
        (LATEST, {"limit": "2"}),
    ],
    ids=lambda value: value.strategy if isinstance(value, Listing) else "",
)
async def test_each_strategy_has_its_query(world: World, listing: Listing, query: dict[str, str]) -> None:
    await read(listwatch(world), listing)
    assert queries(world) == [query]


async def test_the_newest_version_costs_a_list_of_one(world: World) -> None:
    for number in range(5):
        world.server.create("v1/pods", pod(f"p{number}"))
    newest = await listwatch(world, label_selector="!x").newest()
    assert newest.version == str(world.server.state.version)
    assert queries(world) == [{"labelSelector": "!x", "limit": "1"}]


async def test_a_watch_says_how_long_it_wants_to_live_and_from_where(world: World) -> None:
    version = str(world.server.state.version)
    asked = listwatch(world, label_selector="!x", namespace="default")
    async with await asked.watch(version, lifetime=300.9, answer_within=10):
        pass
    async with await asked.watch("", lifetime=0.2, answer_within=10, initial_events=ListResult()):
        pass
    common = {"watch": "true", "allowWatchBookmarks": "true", "labelSelector": "!x"}
    assert queries(world) == [
        {**common, "timeoutSeconds": "300", "resourceVersion": version},
        {
            **common,
            "timeoutSeconds": "1",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
        },
    ]
    assert {request.namespace for request in world.server.requests} == {"default"}


# --- what failures mean ---


def refused(code: int, message: str = "no", *, cause: str = "") -> KresilientError:
    details = {"causes": [{"reason": cause}]} if cause else {}
    status = msgspec.convert(
        {"status": "Failure", "code": code, "message": message, "details": details}, Status, strict=False
    )
    return api_error(code, status, what="list v1/pods")


STREAM = Listing(Strategy.STREAM)


@pytest.mark.parametrize(
    ("error", "listing", "signal"),
    [
        (SnapshotLost("x"), LATEST, PageExpired),
        (WireError("x"), LATEST, NotAList),
        (NotAKubernetesAnswer("x"), None, NotAList),
        (ConnectFailed("x"), None, Unreachable),
        (ConnectionLost("x"), LATEST, Unavailable),
        (KresilientError("x"), None, Unavailable),
        (refused(410), LATEST, Expired),
        (refused(504, cause="ResourceVersionTooLarge"), LATEST, TooLarge),
        (refused(504, "Timeout: Too large resource version: 9"), None, TooLarge),
        (refused(401), None, Unauthorized),
        (refused(429), LATEST, Unavailable),
        (refused(500), None, Unavailable),
        (refused(503), STREAM, Unavailable),
        (refused(403), None, Denied),
        (refused(404), LATEST, Denied),
        (refused(403), STREAM, Denied),
        (refused(400), STREAM, StreamingFailed),
        (refused(405), STREAM, StreamingFailed),
        (refused(422), STREAM, StreamingFailed),
        (refused(422), LATEST, Denied),
        (refused(400), None, Denied),
    ],
    ids=lambda value: str(getattr(value, "code", getattr(value, "__name__", type(value).__name__))),
)
def test_what_a_failure_means(error: KresilientError, listing: Listing | None, signal: type[Signal]) -> None:
    found = signal_of(error, listing)
    assert type(found) is signal
    assert found.reason == str(error)


@pytest.mark.parametrize(("version", "kind"), [("7", TooLarge), ("", Unavailable)])
def test_a_504_whose_status_was_lost_is_of_a_version_that_the_server_has_not_reached(
    version: str, kind: type[Signal]
) -> None:
    error = api_error(504, b"", what="list v1/pods", content_type="application/json")
    assert isinstance(signal_of(error, Listing(Strategy.NOT_OLDER, version)), kind)
