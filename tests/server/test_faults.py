"""Every fault, as a client sees it over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from kresilient.testing.server import FakeApiServer, MemoryApiServer
from kresilient.transport.base import Request

PODS = "/api/v1/namespaces/default/pods"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        for name in ("a", "b", "c"):
            server.create("v1/pods", {"metadata": {"name": name}})
        yield server


@pytest_asyncio.fixture
async def http(server: FakeApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(server.url, timeout=timeout) as session:
        yield session


async def test_a_status_is_answered_in_the_servers_words(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("watch", "v1/pods").status(410)
    server.faults.next("list").status(503, body=b"<html>", retry_after=7)
    async with http.get(f"{PODS}?watch=1") as response:
        assert (response.status, (await response.json())["reason"]) == (410, "Expired")
    async with http.get(PODS) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "7")
        assert await response.read() == b"<html>"
    async with http.get(PODS) as response:
        assert response.status == 200, "once means once"


@pytest.mark.parametrize("code", [204, 304])
async def test_a_status_without_a_body_has_none(code: int) -> None:
    async with (
        FakeApiServer() as server,
        aiohttp.ClientSession(server.url) as http,
        MemoryApiServer() as memory,
    ):
        server.faults.next("list").status(code)
        memory.faults.next("list").status(code)
        async with http.get(PODS) as response:
            assert (response.status, await response.read()) == (code, b"")
        async with await memory.transport().send(Request("GET", PODS)) as told:
            assert (told.status, await told.read()) == (code, b"")


@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
async def test_a_header_takes_the_place_of_the_servers_own(
    server: FakeApiServer, http: aiohttp.ClientSession, name: str
) -> None:
    server.faults.next("list").status(502, body="<html>", headers={name: "text/html"})
    server.faults.next("list").answer("<html>", headers={name: "text/html"})
    for code in (502, 200):
        async with http.get(PODS) as response:
            assert (response.status, response.headers.getall("Content-Type")) == (code, ["text/html"])


async def test_which_requests_meet_a_fault(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    fault = server.faults.next("list", "v1/pods").times(2).after(1).status(500)
    server.faults.on("list", "v1/nodes").status(503)
    codes = []
    for path in (PODS, PODS, "/api/v1/nodes", PODS, PODS, "/api/v1/nodes", f"{PODS}/a"):
        async with http.get(path) as response:
            codes.append(response.status)
    assert codes == [200, 500, 503, 500, 200, 503, 200]
    assert fault.hits == 2
    server.faults.clear()
    async with http.get("/api/v1/nodes") as response:
        assert response.status == 200


async def test_scripted_bytes_then_a_clean_end(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.faults.next("list").answer(b"<ht", b"ml>", headers={"Content-Type": "text/html"})
    async with http.get(PODS) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert await response.read() == b"<html>"


async def test_scripted_bytes_then_a_reset(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.faults.next("watch").answer(b'{"type":"ADD', then="reset")
    async with http.get(f"{PODS}?watch=1") as response:
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def test_scripted_bytes_then_a_stall(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.faults.next("*").times(2).answer(b"{", then="stall")
    for path in (PODS, f"{PODS}?watch=1"):
        async with http.get(path) as response:
            assert await response.content.readany() == b"{"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(response.content.readany(), 0.05)


async def test_an_answer_is_cut_after_so_many_bytes(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("watch").reset(after_bytes=100)
    received = b""
    async with http.get(f"{PODS}?watch=1") as response:
        with pytest.raises(aiohttp.ClientError):
            while piece := await response.content.readany():
                received += piece
    assert len(received) == 100
    server.faults.next("list").reset(after_bytes=10)
    async with http.get(PODS) as response:
        assert await response.content.readexactly(10) == b'{"kind":"P'
        with pytest.raises(aiohttp.ClientError):
            await response.content.read()


async def test_a_watch_falls_silent_after_so_many_frames(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("watch").silence(after_events=2)
    async with http.get(f"{PODS}?watch=1") as response:
        names = [
            json.loads(await response.content.readline())["object"]["metadata"]["name"] for _ in range(2)
        ]
        assert names == ["a", "b"]
        server.create("v1/pods", {"metadata": {"name": "d"}})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.content.readany(), 0.05)


async def test_a_watch_may_be_silent_from_the_start(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("watch").silence()
    async with http.get(f"{PODS}?watch=1") as response:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.content.readany(), 0.05)


async def test_a_streaming_list_without_its_end(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    server.faults.next("watch").no_end_bookmark()
    async with http.get(f"{PODS}?{query}&timeoutSeconds=1") as response:
        assert "initial-events-end" not in await response.text()
    async with http.get(f"{PODS}?{query}") as response:
        frames = [json.loads(await response.content.readline()) for _ in range(4)]
    assert [one["type"] for one in frames] == ["ADDED", "ADDED", "ADDED", "BOOKMARK"]
    assert frames[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_junk_is_put_before_the_real_frames(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.faults.next("watch").insert(b"\n\n")
    async with http.get(f"{PODS}?watch=1") as response:
        lines = [await response.content.readline() for _ in range(3)]
    assert lines[:2] == [b"\n", b"\n"]
    assert json.loads(lines[2])["type"] == "ADDED"


async def test_a_connection_is_reset_without_an_answer(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("create").reset()
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await http.post(PODS, json={"metadata": {"name": "x"}})
    assert server.get("v1/pods", "default/x") is None


async def test_a_request_that_hangs_is_let_go_when_the_server_stops(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("get").hang()
    asked = asyncio.create_task(http.get(f"{PODS}/a"))
    await server.requests.wait_for(1, verb="get")
    await server.stop()
    with pytest.raises(aiohttp.ClientError):
        await asked


async def test_a_delay_goes_with_any_other_effect(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.faults.next("get").delayed(0.05).status(500)
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with http.get(f"{PODS}/a") as response:
        assert response.status == 500
    assert loop.time() - start >= 0.05


def test_a_fault_that_no_request_could_meet_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no request has the verb 'lists'"):
        FakeApiServer().faults.next("lists").status(500)
    with pytest.raises(ValueError, match="names no resource"):
        FakeApiServer().faults.next("list", "pods").status(500)
