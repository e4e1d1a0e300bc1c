"""A replica that lags: what it answers, and how it catches up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from kresilient.testing.server import FakeApiServer, MemoryApiServer, MemoryTransport
from kresilient.transport.base import Request

PODS = "/api/v1/namespaces/default/pods"
STREAMING = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


def a_config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


CONFIGS = "/api/v1/namespaces/default/configmaps"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    async with MemoryApiServer(bookmark_interval=5.0) as server:
        for name in ("a", "b"):
            server.create("v1/configmaps", a_config(name))
        yield server


@pytest_asyncio.fixture
async def transport(server: MemoryApiServer) -> AsyncIterator[MemoryTransport]:
    transport = server.transport()
    yield transport
    await transport.close()


async def read(transport: MemoryTransport, path: str = CONFIGS, **query: str) -> tuple[int, Any]:
    async with await transport.send(Request("GET", path, query=tuple(query.items()))) as response:
        return response.status, json.loads(await response.read())


async def names(transport: MemoryTransport, **query: str) -> list[str]:
    status, found = await read(transport, **query)
    assert status == 200, found
    return [one["metadata"]["name"] for one in found["items"]]


class Watching:
    """The events of a watch, as they come."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.ended = False

    async def run(self, transport: MemoryTransport, **query: str) -> None:
        asked = (("watch", "1"), *query.items())
        async with await transport.send(Request("GET", CONFIGS, query=asked, streaming=True)) as response:
            async for piece in response.chunks():
                for line in piece.splitlines():
                    event = json.loads(line)
                    self.events.append(
                        f"{event['type']} {event['object']['metadata'].get('name', '')}".strip()
                    )
        self.ended = True


@pytest.mark.looptime
class TestLag:
    async def test_reads_of_what_there_may_be_are_behind(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        fault = server.faults.on(user_agent="memory").lag(2)
        assert await names(transport, resourceVersion="0") == []
        server.create("v1/configmaps", a_config("c"))
        assert await names(transport, resourceVersion="0") == ["a"]
        assert (await read(transport, f"{CONFIGS}/b", resourceVersion="0"))[0] == 404
        assert fault.hits == 3
        fault.lift()
        assert await names(transport, resourceVersion="0") == ["a", "b", "c"]

    async def test_reads_of_what_is_most_recent_are_true_unless_they_are_to_lag_too(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        true = server.faults.on("*").lag(1)
        assert await names(transport) == ["a", "b"]
        assert (await read(transport, f"{CONFIGS}/b"))[0] == 200
        true.lift()
        server.faults.on("*").lag(1, consistent=False)
        assert await names(transport) == ["a"]
        assert (await read(transport, f"{CONFIGS}/b"))[0] == 404

    async def test_a_version_that_it_has_not_seen_is_too_large(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        server.faults.on("list").lag(1)
        version = server.state.version
        loop = asyncio.get_running_loop()
        start = loop.time()
        status, found = await read(transport, resourceVersion=str(version))
        assert status == 504
        assert found["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
        assert f"{version}, current: {version - 1}" in found["message"]
        assert loop.time() - start == pytest.approx(3.0, abs=0.01), "it waits, as a server does"

    async def test_a_version_that_comes_while_it_waits_is_answered(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        fault = server.faults.on("list").lag(1)
        asked = asyncio.create_task(names(transport, resourceVersion=str(server.state.version)))
        loop = asyncio.get_running_loop()
        start = loop.time()
        await fault.hit()
        await asyncio.sleep(1.0)
        fault.lift()
        assert await asked == ["a", "b"]
        assert loop.time() - start == pytest.approx(1.0, abs=0.01)

    async def test_a_watch_is_behind_and_gets_what_was_withheld(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        fault = server.faults.on("watch").lag(1)
        watching = Watching()
        task = asyncio.create_task(watching.run(transport, resourceVersion="0"))
        await server.watchers("v1/configmaps", 1)
        await server.settled()
        assert watching.events == ["ADDED a"]
        server.create("v1/configmaps", a_config("c"))
        await server.settled()
        assert watching.events == ["ADDED a", "ADDED b"]
        fault.lift()
        await server.settled()
        assert watching.events == ["ADDED a", "ADDED b", "ADDED c"]
        server.delete("v1/configmaps", "default/a")
        await server.settled()
        assert watching.events[3:] == ["DELETED a"], "and is then as any other"
        task.cancel()
        await asyncio.wait([task])
        await server.watchers("v1/configmaps", 0)
        server.create("v1/configmaps", a_config("d"))
        assert server.faults.replicas == [], "nothing follows that nobody watches"

    async def test_a_streaming_list_of_what_is_most_recent_ends_when_that_is_seen(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        fault = server.faults.on("watch").lag()
        server.create("v1/configmaps", a_config("c"))
        watching = Watching()
        task = asyncio.create_task(watching.run(transport, **STREAMING))
        await fault.hit()
        await asyncio.sleep(1.0)
        assert watching.events == ["ADDED a", "ADDED b"]
        fault.lift()
        await server.settled()
        assert watching.events == ["ADDED a", "ADDED b", "ADDED c", "BOOKMARK"]
        task.cancel()
        await asyncio.wait([task])

    async def test_its_bookmarks_promise_nothing_that_it_has_not_seen(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        server.faults.on("watch").lag()
        version = server.state.version
        query = (("watch", "1"), ("resourceVersion", str(version)), ("allowWatchBookmarks", "true"))
        async with await transport.send(Request("GET", CONFIGS, query=query, streaming=True)) as response:
            server.create("v1/configmaps", a_config("c"))
            event = json.loads(await anext(aiter(response.chunks())))
        assert event["type"] == "BOOKMARK"
        assert event["object"]["metadata"]["resourceVersion"] == str(version)

    async def test_writes_go_where_they_always_do(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        fault = server.faults.on("*").lag(1)
        body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}).encode()
        headers = {"Content-Type": "application/json"}
        async with await transport.send(Request("POST", CONFIGS, headers=headers, body=body)) as response:
            assert response.status == 201
        assert fault.hits == 0

    async def test_a_compaction_withholds_nothing(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        fault = server.faults.on("watch").lag()
        watching = Watching()
        task = asyncio.create_task(watching.run(transport, resourceVersion="0"))
        await server.watchers("v1/configmaps", 1)
        server.create("v1/configmaps", a_config("c"))
        server.compact()
        fault.lift()
        await server.settled()
        assert watching.events == ["ADDED a", "ADDED b", "ADDED c"]
        task.cancel()
        await asyncio.wait([task])

    async def test_one_that_falls_behind_the_history_starts_anew(self) -> None:
        async with MemoryApiServer(history=5) as server:
            transport = server.transport()
            fault = server.faults.on("watch", "v1/configmaps").lag()
            watching = Watching()
            task = asyncio.create_task(watching.run(transport, resourceVersion="0"))
            await server.watchers("v1/configmaps", 1)
            for number in range(20):
                server.create("v1/configmaps", a_config(f"n{number}"))
            assert not watching.ended
            fault.lift()
            await task
            assert watching.ended
            assert watching.events == []
            assert server.faults.replicas == []

    async def test_one_that_no_request_can_meet_any_more_is_let_go(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        server.faults.next("list").lag()
        server.create("v1/configmaps", a_config("c"))
        assert await names(transport, resourceVersion="0") == ["a", "b"]
        server.create("v1/configmaps", a_config("d"))
        assert server.faults.replicas == []

    async def test_one_is_kept_for_those_who_have_met_it(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        server.faults.on("watch").delay(5.0)
        fault = server.faults.next("watch").lag(1)
        watching = Watching()
        task = asyncio.create_task(watching.run(transport, resourceVersion="0"))
        await fault.hit()
        server.create("v1/configmaps", a_config("c"))
        assert len(server.faults.replicas) == 1, "its request is still on its way there"
        await server.watchers("v1/configmaps", 1)
        server.create("v1/configmaps", a_config("d"))
        await server.settled()
        assert watching.events == ["ADDED a", "ADDED b", "ADDED c"]
        task.cancel()
        await asyncio.wait([task])
        server.create("v1/configmaps", a_config("e"))
        assert server.faults.replicas == []

    async def test_a_rewind_ends_its_watches(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        backup = server.state.version
        server.faults.on("*").lag(1, consistent=False)
        server.create("v1/configmaps", a_config("c"))
        watching = Watching()
        task = asyncio.create_task(watching.run(transport, resourceVersion="0"))
        await server.watchers("v1/configmaps", 1)
        server.rewind(backup)
        await task
        assert await names(transport) == ["a", "b"]

    async def test_it_forgets_the_history_of_a_node_as_well(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
        server.create("v1/pods", {"metadata": {"name": "p"}, "spec": spec})
        before = server.state.version
        server.patch("v1/pods", "default/p", {"metadata": {"labels": {"x": "y"}}})
        server.faults.on("watch").lag()
        of_node = (("watch", "1"), ("fieldSelector", "spec.nodeName=n1"), ("resourceVersion", str(before)))
        request = Request("GET", PODS, query=of_node, streaming=True)
        async with await transport.send(request) as response:
            assert json.loads(await anext(response.chunks()))["type"] == "MODIFIED"
        server.compact()
        async with await transport.send(request) as response:
            assert json.loads(await anext(response.chunks()))["object"]["code"] == 410

    async def test_a_lag_goes_with_another_fault(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        server.faults.on("*").lag(1)
        server.faults.next("watch").close(after_events=1)
        watching = Watching()
        await watching.run(transport, resourceVersion="0")
        assert watching.events == ["ADDED a"]
        server.faults.next("list").status(503)
        assert (await read(transport, resourceVersion="0"))[0] == 503
        assert await names(transport, resourceVersion="0") == ["a"]


async def test_over_http_one_client_reads_behind_another() -> None:
    async with FakeApiServer() as server, aiohttp.ClientSession(server.url) as http:
        server.create("v1/configmaps", a_config("a"))
        server.faults.on(user_agent="old").lag(1)

        async def listed(agent: str) -> int:
            headers = {"User-Agent": agent}
            async with http.get(f"{CONFIGS}?resourceVersion=0", headers=headers) as response:
                return len((await response.json())["items"])

        assert (await listed("old"), await listed("new")) == (0, 1)
