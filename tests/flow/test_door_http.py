"""The door over real HTTP on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from kresilient.api.errors import (
    ConnectFailed,
    ConnectionLost,
    NotAKubernetesAnswer,
    NotFound,
    OutcomeUnknown,
    TooManyRequests,
)
from kresilient.flow import Door, Limiter, RetryPolicy
from kresilient.observe.events import Event, Observers, RequestFinished, RequestRetried
from kresilient.transport.base import Request
from kresilient.transport.config import ClusterConfig
from kresilient.transport.http import HttpTransport

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

GET = Request("GET", "/api/v1/namespaces/n/pods/p", verb="get", resource="v1/pods", timeout=5.0)
CREATE = Request(
    "POST", "/api/v1/namespaces/n/pods", verb="create", resource="v1/pods", body=b"{}", timeout=5.0
)
WATCH = Request(
    "GET", "/api/v1/pods", verb="watch", resource="v1/pods", streaming=True, timeout=None, stall=5.0
)
QUICK = RetryPolicy(base=0.001, cap=0.001)


class World:
    """A server on loopback with a door to it."""

    def __init__(self) -> None:
        self.answers: list[Handler] = []
        self.served = 0
        self.events: list[Event] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.served += 1
        return await self.answers.pop(0)(request)

    @asynccontextmanager
    async def door(self) -> AsyncIterator[Door]:
        door = Door(
            HttpTransport(ClusterConfig(server=self.url)),
            limiter=Limiter(qps=None),
            observers=Observers(self.events.append),
            retry=QUICK,
        )
        try:
            yield door
        finally:
            await door.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", world.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    world.url = f"http://{host}:{port}"
    try:
        yield world
    finally:
        await runner.cleanup()


async def pod(request: web.Request) -> web.StreamResponse:
    return web.json_response({"kind": "Pod", "metadata": {"name": "p"}})


async def overloaded(request: web.Request) -> web.StreamResponse:
    return web.Response(
        status=429, text="Too many requests, please try again later.", headers={"Retry-After": "0"}
    )


async def not_found(request: web.Request) -> web.StreamResponse:
    status = {
        "kind": "Status",
        "status": "Failure",
        "reason": "NotFound",
        "message": 'pods "p" not found',
        "code": 404,
    }
    return web.json_response(status, status=404)


async def html(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Sign in</html>", content_type="text/html")


async def empty(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"", content_type="application/json")


async def dropped(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"kind":')
    assert request.transport is not None
    request.transport.abort()
    return response


async def test_an_object_comes_back_as_the_bytes_sent(world: World) -> None:
    world.answers = [pod]
    async with world.door() as door:
        assert (await door.call(GET)).body == b'{"kind": "Pod", "metadata": {"name": "p"}}'


@pytest.mark.parametrize("failure", [overloaded, html, empty, dropped, cut])
async def test_a_read_survives_a_passing_fault(world: World, failure: Handler) -> None:
    world.answers = [failure, pod]
    async with world.door() as door:
        assert (await door.call(GET)).status == 200
    assert world.served == 2
    assert [type(one) for one in world.events].count(RequestRetried) == 1


@pytest.mark.parametrize("failure", [dropped, cut, html, empty])
async def test_a_create_whose_answer_is_lost_is_sent_once_and_unknown(world: World, failure: Handler) -> None:
    world.answers = [failure, pod]
    async with world.door() as door:
        with pytest.raises(OutcomeUnknown):
            await door.call(CREATE)
    assert world.served == 1


async def test_a_create_that_met_overload_is_sent_again(world: World) -> None:
    world.answers = [overloaded, pod]
    async with world.door() as door:
        assert (await door.call(CREATE)).status == 200


async def test_an_overload_that_does_not_pass_is_raised_with_its_count(world: World) -> None:
    world.answers = [overloaded] * 5
    async with world.door() as door:
        with pytest.raises(TooManyRequests, match="please try again") as caught:
            await door.call(GET)
    assert caught.value.attempts == 5 and not caught.value.status_sent


async def test_the_servers_words_are_in_the_error(world: World) -> None:
    world.answers = [not_found]
    async with world.door() as door:
        with pytest.raises(NotFound, match=r'get v1/pods .* pods "p" not found'):
            await door.call(GET)


async def test_a_refused_connection_is_tried_and_named(unused_tcp_port: int) -> None:
    world = World()
    world.url = f"http://127.0.0.1:{unused_tcp_port}"
    async with world.door() as door:
        with pytest.raises(ConnectFailed) as caught:
            await door.call(CREATE)
    assert caught.value.attempts == 5
    (note,) = caught.value.__notes__
    assert note.startswith("tried 5 times in ")


async def test_a_watch_is_read_as_it_arrives_and_closed_by_its_reader(world: World) -> None:
    more = asyncio.Event()

    async def watch(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"type":"ADDED"}\n')
        await more.wait()
        return response

    world.answers = [watch]
    async with world.door() as door:
        async with await door.open(WATCH) as response:
            assert await anext(aiter(response.chunks())) == b'{"type":"ADDED"}\n'
        more.set()
    (finished,) = [one for one in world.events if isinstance(one, RequestFinished)]
    assert finished.status == 200 and finished.error == ""


async def test_a_watch_that_meets_a_proxys_page_is_an_error(world: World) -> None:
    world.answers = [html]
    async with world.door() as door:
        with pytest.raises(NotAKubernetesAnswer, match="Sign in"):
            await door.open(WATCH)


async def test_a_watch_that_is_dropped_is_lost(world: World) -> None:
    world.answers = [dropped]
    async with world.door() as door:
        with pytest.raises(ConnectionLost):
            await door.open(WATCH)


async def test_new_connections_that_are_dropped_in_a_row_begin_an_outage_and_the_first_answer_ends_it(
    world: World,
) -> None:
    world.answers = [dropped, dropped, dropped, not_found]
    async with world.door() as door:
        for request in (GET, WATCH, GET):
            with pytest.raises(ConnectionLost) as lost:
                await door.open(request)
            assert lost.value.dropped
        assert door.outage.lasts
        with pytest.raises(NotFound):
            await door.call(GET)
        assert not door.outage.lasts


async def test_connections_that_were_idle_and_are_dropped_are_no_outage(world: World) -> None:
    world.answers = [pod] * 4 + [dropped] * 4
    paths = ("/api/v1/namespaces/n/pods/a", "/api/v1/namespaces/n/pods/b")
    requests = [Request("GET", path, resource="v1/pods", timeout=5.0) for path in paths * 2]
    async with world.door() as door:
        await asyncio.gather(*(door.call(request, retry=False) for request in requests))
        lost = await asyncio.gather(
            *(door.call(request, retry=False) for request in requests), return_exceptions=True
        )
        assert [isinstance(one, ConnectionLost) and one.dropped for one in lost] == [False] * 4
        assert world.served == 8 and not door.outage.lasts


async def test_a_server_that_takes_its_time_is_no_outage(world: World) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5.0)
        return await pod(request)

    world.answers = [slow] * 4
    async with world.door() as door:
        for name in "abcd":
            late = Request("GET", f"/{name}", timeout=0.05)
            with pytest.raises(ConnectionLost, match="no answer within") as lost:
                await door.call(late, retry=False)
            assert not lost.value.dropped
        assert not door.outage.lasts
