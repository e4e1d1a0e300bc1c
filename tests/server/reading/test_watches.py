"""Watches: what they begin with, what they see, and how they end."""

from __future__ import annotations

import asyncio
import json

import pytest

from kresilient.testing.server import MemoryApiServer
from kresilient.transport.base import Request

from .asking import CONFIGMAPS, PODS, ask, raw, refusal, shown, watching

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

STREAMING = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}
INVALID = 'ListOptions.meta.k8s.io "" is invalid: '
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


def make(server: MemoryApiServer, *names: str) -> None:
    for name in names:
        server.create("v1/configmaps", {"metadata": {"name": name}})


# --- selectors ---------------------------------------------------------------------------------------


async def test_an_object_comes_and_goes_with_its_selector(server: MemoryApiServer) -> None:
    async with watching(
        server, CONFIGMAPS, labelSelector="app=a", resourceVersion=server.state.version
    ) as watch:
        server.create(
            "v1/configmaps", {"metadata": {"name": "x", "labels": {"app": "a"}}, "data": {"k": "1"}}
        )
        server.patch("v1/configmaps", "default/x", {"metadata": {"labels": {"app": "b"}}, "data": {"k": "2"}})
        left = server.state.version
        server.patch("v1/configmaps", "default/x", {"data": {"k": "3"}})
        server.patch("v1/configmaps", "default/x", {"metadata": {"labels": {"app": "a"}}})
        server.patch("v1/configmaps", "default/x", {"data": {"k": "4"}})
        server.delete("v1/configmaps", "default/x")
        gone = server.state.version
        events = await watch.events(5)
    assert [event["type"] for event in events] == ["ADDED", "DELETED", "ADDED", "MODIFIED", "DELETED"]
    assert [event["object"]["data"]["k"] for event in events] == ["1", "1", "3", "4", "4"]
    assert events[1]["object"]["metadata"]["labels"] == {"app": "a"}, "the last state that matched"
    assert events[1]["object"]["metadata"]["resourceVersion"] == str(left), "at the version that took it away"
    assert events[4]["object"]["metadata"]["resourceVersion"] == str(gone)


async def test_a_pod_that_moves_is_deleted_here_and_added_there(server: MemoryApiServer) -> None:
    version = server.state.version
    here = watching(server, PODS, fieldSelector="spec.nodeName=n1", resourceVersion=version)
    there = watching(server, PODS, fieldSelector="spec.nodeName=n2", resourceVersion=version)
    unbound = watching(server, PODS, fieldSelector="spec.nodeName=", resourceVersion=version)
    async with here, there, unbound:
        server.create("v1/pods", {"metadata": {"name": "p"}})
        server.patch("v1/pods", "default/p", {"spec": {"nodeName": "n1"}})
        server.patch("v1/pods", "default/p", {"spec": {"nodeName": "n2"}})
        assert [shown(event) for event in await unbound.events(2)] == ["ADDED p", "DELETED p"]
        assert [shown(event) for event in await here.events(2)] == ["ADDED p", "DELETED p"]
        assert shown(await there.event()) == "ADDED p"


async def test_what_happened_on_a_node_is_found_by_its_index(server: MemoryApiServer) -> None:
    version = server.state.version
    for name, node in (("a", "n1"), ("b", "n2"), ("c", "n1")):
        server.create("v1/pods", {"metadata": {"name": name}, "spec": {"nodeName": node}})
    server.patch("v1/pods", "default/a", {"spec": {"nodeName": "n2"}})
    query = {"fieldSelector": "spec.nodeName=n1", "resourceVersion": version}
    async with watching(server, PODS, **query) as watch:
        seen = [shown(event) for event in await watch.events(3)]
    assert seen == ["ADDED a", "ADDED c", "DELETED a"]


async def test_forgotten_history_is_forgotten_on_every_node() -> None:
    async with MemoryApiServer(history=3) as server:
        version = server.state.version
        for index in range(5):
            server.create(
                "v1/pods", {"metadata": {"name": f"p{index}"}, "spec": {"nodeName": f"n{index % 2}"}}
            )
        query = {"fieldSelector": "spec.nodeName=n0"}
        async with watching(server, PODS, resourceVersion=version + 1, **query) as watch:
            assert shown(await watch.event()) == "ERROR 410"
        async with watching(server, PODS, resourceVersion=version + 2, **query) as watch:
            assert [shown(event) for event in await watch.events(2)] == ["ADDED p2", "ADDED p4"]


async def test_all_who_see_one_event_get_the_same_bytes(server: MemoryApiServer) -> None:
    version = server.state.version
    ways = [{}, {"labelSelector": "app=a"}, {"fieldSelector": "metadata.name=x"}]
    watches = [watching(server, CONFIGMAPS, resourceVersion=version, **way) for way in ways]
    for watch in watches:
        await watch.__aenter__()
    await server.watchers("v1/configmaps", 3)
    server.create("v1/configmaps", {"metadata": {"name": "x", "labels": {"app": "a"}}})
    running = [one._queue[0] for one in server.state.watchers(server.state.resource("v1/configmaps"))]
    assert len({id(frame) for frame in running}) == 1, "encoded once"
    for watch in watches:
        assert shown(await watch.event()) == "ADDED x"
        await watch.__aexit__()


# --- where they begin --------------------------------------------------------------------------------


async def test_a_watch_without_a_version_begins_with_all_there_is(server: MemoryApiServer) -> None:
    make(server, "b", "a")
    for query in (
        {},
        {"resourceVersion": 0},
        {"limit": 1},
        {"sendInitialEvents": "1", "resourceVersionMatch": "NotOlderThan"},
    ):
        async with watching(server, CONFIGMAPS, **query) as watch:
            assert [shown(event) for event in await watch.events(2)] == ["ADDED a", "ADDED b"]
            assert await watch.silent(5.0)


async def test_a_watch_that_wants_no_initial_events_begins_now(server: MemoryApiServer) -> None:
    make(server, "a")
    query = {"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan"}
    for version in ("", "0"):
        async with watching(server, CONFIGMAPS, resourceVersion=version, **query) as watch:
            assert await watch.silent(5.0)
            make(server, f"b{version}")
            assert shown(await watch.event()) == f"ADDED b{version}"


async def test_a_streaming_list_ends_with_an_annotated_bookmark_and_goes_on(server: MemoryApiServer) -> None:
    make(server, "a", "b")
    for version in ("", "0", str(server.state.version)):
        async with watching(server, CONFIGMAPS, resourceVersion=version, **STREAMING) as watch:
            events = await watch.events(3)
            assert [event["type"] for event in events] == ["ADDED", "ADDED", "BOOKMARK"]
            assert events[2]["object"] == {
                "kind": "ConfigMap",
                "apiVersion": "v1",
                "metadata": {
                    "resourceVersion": str(server.state.version),
                    "annotations": {"k8s.io/initial-events-end": "true"},
                },
            }
            server.patch("v1/configmaps", "default/a", {"data": {"v": version or "none"}})
            assert shown(await watch.event()) == "MODIFIED a"


async def test_a_watch_from_nothing_that_wants_bookmarks_is_a_streaming_list(server: MemoryApiServer) -> None:
    make(server, "a")
    for version in ("", "0"):
        async with watching(server, CONFIGMAPS, allowWatchBookmarks=1, resourceVersion=version) as watch:
            bookmark = (await watch.events(2))[1]
            assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    async with MemoryApiServer(streaming_list=False) as old:
        make(old, "a")
        async with watching(old, CONFIGMAPS, allowWatchBookmarks=1) as watch:
            assert shown(await watch.event()) == "ADDED a"
            assert await watch.silent(5.0)


async def test_a_streaming_list_waits_for_a_version_from_the_future(server: MemoryApiServer) -> None:
    loop = asyncio.get_running_loop()
    start, ahead = loop.time(), server.state.version + 1
    async with watching(server, CONFIGMAPS, resourceVersion=ahead, **STREAMING) as watch:
        assert loop.time() - start == pytest.approx(3.0, abs=0.1)
        event = await watch.event()
        assert shown(event) == "ERROR 504"
        assert event is not None
        assert event["object"]["details"]["retryAfterSeconds"] == 1
        assert await watch.event() is None
    loop.call_later(1.0, make, server, "a")
    async with watching(server, CONFIGMAPS, resourceVersion=ahead, **STREAMING) as watch:
        assert [event["type"] for event in await watch.events(2)] == ["ADDED", "BOOKMARK"]


async def test_a_watch_from_the_future_is_silent_until_it_has_come(server: MemoryApiServer) -> None:
    ahead = server.state.version + 2
    async with watching(server, CONFIGMAPS, resourceVersion=ahead, allowWatchBookmarks=1) as watch:
        make(server, "a", "b")
        assert await watch.silent(30.0)
        make(server, "c")
        assert shown(await watch.event()) == "ADDED c"


@pytest.mark.parametrize(
    ("query", "causes"),
    [
        (
            {"sendInitialEvents": "true"},
            ["Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"],
        ),
        (
            {"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
            [
                "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                'Unsupported value: "Exact": supported values: "NotOlderThan"',
            ],
        ),
        (
            {"resourceVersionMatch": "NotOlderThan"},
            ["Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"],
        ),
        (
            {"sendInitialEvents": "0", "resourceVersionMatch": "NotOlderThan", "continue": "x"},
            ["Forbidden: resourceVersionMatch is forbidden when continue is provided"],
        ),
    ],
)
async def test_options_that_do_not_go_together_are_refused(
    server: MemoryApiServer, query: dict[str, str], causes: list[str]
) -> None:
    status, body = await ask(server, CONFIGMAPS, watch=1, **query)
    assert (status, body["reason"]) == (422, "Invalid")
    assert [one["message"] for one in body["details"]["causes"]] == causes


async def test_a_server_without_streaming_lists_says_so() -> None:
    async with MemoryApiServer(streaming_list=False) as server:
        found = await refusal(server, CONFIGMAPS, watch=1, **STREAMING)
    said = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
    assert found == (422, "Invalid", f"{INVALID}sendInitialEvents: Forbidden: {said}")


async def test_a_version_that_is_none_is_an_error_of_the_server(server: MemoryApiServer) -> None:
    said = 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax'
    assert await refusal(server, CONFIGMAPS, watch=1, resourceVersion="abc") == (500, "", said)


# --- how they go on ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "bookmarks"), [(1, 0), (2, 0), (3, 1), (150, 3)])
async def test_bookmarks_come_once_a_minute_and_two_seconds_before_the_end(
    server: MemoryApiServer, seconds: int, bookmarks: int
) -> None:
    loop = asyncio.get_running_loop()
    start, before = loop.time(), server.state.version
    server.create("v1/secrets", {"metadata": {"name": "elsewhere"}})
    query = {"watch": 1, "allowWatchBookmarks": "true", "timeoutSeconds": seconds, "resourceVersion": before}
    loop.call_later(seconds - 2.5, lambda: server.create("v1/secrets", {"metadata": {"name": "late"}}))
    _, body = await raw(server, CONFIGMAPS, **query)
    assert loop.time() - start == pytest.approx(seconds, abs=0.01)
    events = [json.loads(line) for line in body.splitlines()]
    assert [event["type"] for event in events] == ["BOOKMARK"] * bookmarks
    if bookmarks:
        version = str(server.state.version)
        assert events[-1]["object"] == {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": version},
        }


async def test_a_watch_without_a_timeout_ends_within_an_hour(server: MemoryApiServer) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with watching(server, CONFIGMAPS) as watch:
        assert await watch.event() is None
    assert 1800 <= loop.time() - start <= 3600


async def test_a_watch_whose_time_is_over_before_it_begins_is_empty(server: MemoryApiServer) -> None:
    async with watching(server, CONFIGMAPS, timeoutSeconds=-1) as watch:
        assert await watch.event() is None


async def test_the_old_paths_watch_too(server: MemoryApiServer) -> None:
    make(server, "a", "b")
    for path in (CONFIGMAPS, "/api/v1/configmaps"):
        old = path.replace("/api/v1/", "/api/v1/watch/")
        _, body = await raw(server, old, timeoutSeconds=1)
        assert [json.loads(line)["object"]["metadata"]["name"] for line in body.splitlines()] == ["a", "b"]
    _, body = await raw(server, f"/api/v1/watch{CONFIGMAPS[7:]}/b", timeoutSeconds=1)
    assert json.loads(body)["object"]["metadata"]["name"] == "b"
    found = await refusal(server, f"/api/v1/watch{CONFIGMAPS[7:]}/b", fieldSelector="metadata.name=a")
    assert found == (400, "BadRequest", "fieldSelector metadata.name doesn't match requested name")
    found = await refusal(server, f"/api/v1/watch{CONFIGMAPS[7:]}", sendInitialEvents="true")
    assert found[2] == f"{INVALID}sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"


async def test_one_object_by_its_path_is_got_even_where_a_watch_is_asked_for(server: MemoryApiServer) -> None:
    make(server, "a")
    _, body = await ask(server, f"{CONFIGMAPS}/a", watch="true")
    assert body["kind"] == "ConfigMap"


@pytest.mark.parametrize("flag", ["1", "true", "yes", ""])
async def test_whatever_does_not_say_no_asks_for_a_watch(server: MemoryApiServer, flag: str) -> None:
    status, body = await raw(server, CONFIGMAPS, watch=flag, timeoutSeconds=1)
    assert (status, body) == (200, b"")


@pytest.mark.parametrize("flag", ["0", "false", "False"])
async def test_a_list_is_what_is_asked_for_where_it_says_no(server: MemoryApiServer, flag: str) -> None:
    assert (await ask(server, CONFIGMAPS, watch=flag))[1]["kind"] == "ConfigMapList"


async def test_metadata_alone_can_be_watched(server: MemoryApiServer) -> None:
    server.create("v1/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    async with watching(server, CONFIGMAPS, accept=PARTIAL, **STREAMING) as watch:
        added, bookmark = await watch.events(2)
        assert list(added["object"]) == ["kind", "apiVersion", "metadata"]
        assert (added["object"]["kind"], bookmark["object"]["kind"]) == ("PartialObjectMetadata",) * 2


async def test_only_the_first_table_of_a_watch_declares_its_columns(server: MemoryApiServer) -> None:
    version = server.state.version
    first = watching(server, CONFIGMAPS, accept=TABLE, resourceVersion=version)
    second = watching(server, CONFIGMAPS, accept=TABLE, resourceVersion=version)
    async with first:
        make(server, "a")
        async with second:
            make(server, "b")
            for watch in (first, second):
                columns = [event["object"]["columnDefinitions"] for event in await watch.events(2)]
                assert columns[0] is not None
                assert columns[1] is None


async def test_a_watch_ends_when_its_resource_does(server: MemoryApiServer) -> None:
    server.create(
        "apiextensions.k8s.io/v1/customresourcedefinitions",
        {
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        },
    )
    server.create("example.com/v1/things", {"metadata": {"name": "t"}})
    async with watching(server, "/apis/example.com/v1/things") as watch:
        server.delete("apiextensions.k8s.io/v1/customresourcedefinitions", "things.example.com")
        assert [shown(event) for event in await watch.events(2)] == ["ADDED t", "DELETED t"]
        assert await watch.event() is None


async def test_a_resource_that_cannot_be_watched_says_so(server: MemoryApiServer) -> None:
    said = 'watch is not supported on resources of kind "componentstatuses"'
    assert await refusal(server, "/api/v1/componentstatuses", watch=1) == (405, "MethodNotAllowed", said)


async def test_a_watch_over_a_websocket_is_said_to_be_left_out(server: MemoryApiServer) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    request = Request("GET", CONFIGMAPS, (("watch", "1"),), headers=headers, timeout=5.0)
    async with await server.transport().send(request) as response:
        assert (response.status, json.loads(await response.read())["reason"]) == (501, "NotImplemented")


async def test_watches_are_counted_until_they_end(server: MemoryApiServer) -> None:
    async with watching(server, CONFIGMAPS), watching(server, CONFIGMAPS):
        assert server.watch_count("v1/configmaps") == 2
        server.state.end_watches()
        assert server.watch_count("v1/configmaps") == 0
        assert len(server.state.watchers(server.state.resource("v1/configmaps"))) == 2
    assert len(server.state.watchers(server.state.resource("v1/configmaps"))) == 0
    assert server.watch_count("v1/configmaps") == 0
