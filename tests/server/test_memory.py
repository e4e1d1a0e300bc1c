"""The server without a socket: the same answers and faults, as a `Transport`, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from kresilient.api.errors import ConnectFailed, ConnectionLost, LifecycleError
from kresilient.testing.server import MemoryApiServer, MemoryTransport
from kresilient.transport.base import Request, Response, Transport

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

PODS = "/api/v1/namespaces/default/pods"


def request(method: str = "GET", path: str = PODS, *, body: Any = None, **options: Any) -> Request:
    query = tuple(options.pop("query", {}).items())
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    return Request(method, path, query, headers, data, verb=method.lower(), resource="v1/pods", **options)


def watching(**query: str) -> Request:
    return request(query={"watch": "1", **query}, streaming=True, timeout=None)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    async with MemoryApiServer() as server:
        yield server


@pytest.fixture
def transport(server: MemoryApiServer) -> MemoryTransport:
    return server.transport(user_agent="test/1")


async def frames(response: Response, n: int) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = []
    async for piece in response.chunks():
        got += [json.loads(line) for line in piece.splitlines()]
        if len(got) >= n:
            break
    return got


async def test_it_is_a_transport(transport: MemoryTransport) -> None:
    assert isinstance(transport, Transport)
    async with await transport.send(request()) as response:
        assert isinstance(response, Response)
        assert response.headers["CONTENT-TYPE"] == "application/json"
        assert json.loads(await response.read())["kind"] == "PodList"
        assert response.wire_bytes > 0


async def test_writes_and_reads(server: MemoryApiServer, transport: MemoryTransport) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    created = await transport.send(request("POST", body={"metadata": {"name": "a"}, "spec": spec}))
    assert created.status == 201
    await created.read()
    missing = await transport.send(request(path=f"{PODS}/none"))
    assert (missing.status, json.loads(await missing.read())["reason"]) == (404, "NotFound")
    assert [record.user_agent for record in server.requests] == ["test/1", "test/1"]


async def test_a_watch_lives_for_an_hour_in_no_time(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    query = {
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "3600",
        "resourceVersion": str(server.state.version),
    }
    response = await transport.send(watching(**query))
    server.create("v1/pods", {"metadata": {"name": "a"}})
    body = await response.read()
    assert loop.time() - start == pytest.approx(3600, abs=1)
    kinds = [json.loads(line)["type"] for line in body.splitlines()]
    assert kinds[0] == "ADDED"
    assert kinds.count("BOOKMARK") == 59, "one a minute, though nothing happens"


async def test_a_stalled_stream_is_noticed_after_the_stall_limit(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    server.faults.next("watch").silence(after_events=1)
    server.create("v1/pods", {"metadata": {"name": "a"}})
    stalled = Request("GET", PODS, (("watch", "1"),), streaming=True, timeout=None, stall=90.0)
    response = await transport.send(stalled)
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(ConnectionLost, match="fell silent"):
        await response.read()
    assert loop.time() - start == pytest.approx(90, abs=0.1)
    assert server.watch_count("v1/pods") == 0


async def test_an_answer_that_does_not_come_is_lost_after_its_timeout(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    server.faults.next("list").hang()
    with pytest.raises(ConnectionLost, match="no answer within 30"):
        await transport.send(request())
    assert server.inflight == 0


@pytest.mark.parametrize(
    "break_it",
    [
        lambda server: server.faults.next("list").reset(),
        lambda server: server.faults.next("list").reset(after_bytes=5),
        lambda server: server.faults.next("list").answer(b"x", then="reset"),
    ],
)
async def test_a_reset_is_a_lost_connection(
    server: MemoryApiServer, transport: MemoryTransport, break_it: Callable[[MemoryApiServer], object]
) -> None:
    break_it(server)
    with pytest.raises(ConnectionLost):
        await (await transport.send(request())).read()


async def test_a_killed_server_breaks_streams_and_refuses(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    response = await transport.send(watching())
    reading = asyncio.create_task(response.read())
    await asyncio.sleep(1)
    await server.kill()
    with pytest.raises(ConnectionLost):
        await reading
    with pytest.raises(ConnectFailed):
        await transport.send(request())
    await server.start()
    assert (await transport.send(request())).status == 200


async def test_a_stopped_server_ends_streams_cleanly(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    response = await transport.send(watching())
    reading = asyncio.create_task(response.read())
    await asyncio.sleep(1)
    await server.stop()
    assert await reading == b""


async def test_closing_the_transport_ends_its_watches(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    await transport.send(watching())
    other = await server.transport().send(watching())
    await transport.close()
    assert server.watch_count("v1/pods") == 1
    await other.close()
    assert server.watch_count("v1/pods") == 0


async def test_a_cancelled_reader_leaves_nothing_behind(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    response = await transport.send(watching())
    reading = asyncio.create_task(response.read())
    await asyncio.sleep(1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert server.watch_count("v1/pods") == 0


async def test_a_reader_that_was_cancelled_reads_on_where_it_was(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    async with await transport.send(watching()) as response:
        chunks = response.chunks()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(chunks), 5)
        assert server.watch_count("v1/pods") == 1
        server.create("v1/pods", {"metadata": {"name": "a"}})
        piece = await asyncio.wait_for(anext(chunks), 5)
        assert json.loads(piece)["object"]["metadata"]["name"] == "a"
    assert server.watch_count("v1/pods") == 0


async def test_what_comes_while_nobody_reads_is_not_lost(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    async with await transport.send(watching()) as response:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(response.chunks()), 5)
        for name in ("a", "b"):
            server.create("v1/pods", {"metadata": {"name": name}})
            await asyncio.sleep(1)
        assert [event["object"]["metadata"]["name"] for event in await frames(response, 2)] == ["a", "b"]


async def test_a_body_ends_once_and_stays_at_its_end(transport: MemoryTransport) -> None:
    response = await transport.send(request())
    assert [piece async for piece in response.chunks()]
    assert [piece async for piece in response.chunks()] == []
    assert await response.read() == b""


async def test_a_reader_hears_that_its_response_was_closed(transport: MemoryTransport) -> None:
    response = await transport.send(watching())
    reading = asyncio.create_task(anext(response.chunks()))
    await asyncio.sleep(1)
    await response.close()
    with pytest.raises(ConnectionLost, match="closed here"):
        await reading
    with pytest.raises(ConnectionLost, match="closed"):
        await anext(response.chunks())


async def test_a_closed_transport_sends_nothing(server: MemoryApiServer, transport: MemoryTransport) -> None:
    server.faults.next("list").delay(5)
    sending = asyncio.create_task(transport.send(request()))
    await server.requests.wait_for(1)
    await transport.close()
    with pytest.raises(LifecycleError, match="is closed: make a new one"):
        await transport.send(request())
    assert server.requests.total == 1
    with pytest.raises(LifecycleError):
        await sending
    assert server.inflight == 0
    assert (await server.transport().send(request())).status == 200


async def test_each_client_has_credentials_of_its_own() -> None:
    async with MemoryApiServer(token="good") as server:
        assert (await server.transport().send(request())).status == 200
        assert (await server.transport(token="bad").send(request())).status == 401


async def test_waiting_for_watches_says_how_many_there_were(
    server: MemoryApiServer, transport: MemoryTransport
) -> None:
    response = await transport.send(watching())
    await server.watchers("v1/pods", 1)
    with pytest.raises(TimeoutError, match="1 of 2 watches"):
        await server.watchers("v1/pods", 2)
    await response.close()
    await server.watchers("v1/pods", 0)


async def test_a_watcher_that_does_not_read_is_cut_off() -> None:
    async with MemoryApiServer(watch_queue=3) as server:
        response = await server.transport().send(watching())
        for name in ("a", "b", "c", "d"):
            server.create("v1/pods", {"metadata": {"name": name}})
        assert await response.read() == b""


async def test_a_thousand_watches_see_what_concerns_them(server: MemoryApiServer) -> None:
    responses = [
        await server.transport().send(watching(fieldSelector=f"spec.nodeName=n{number}"))
        for number in range(1000)
    ]
    for number in (7, 8):
        server.create("v1/pods", {"metadata": {"name": f"p{number}"}, "spec": {"nodeName": f"n{number}"}})
    (event,) = await frames(responses[7], 1)
    assert event["object"]["metadata"]["name"] == "p7"
    for response in responses:
        await response.close()
