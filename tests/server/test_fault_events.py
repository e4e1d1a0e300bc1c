"""What faults do to the events of a watch and to bodies, as a client sees it over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from kresilient.testing.server import FakeApiServer, Fault, Match

PODS = "/api/v1/namespaces/default/pods"
STREAMING = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


def a_pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        for name in ("a", "b", "c"):
            server.create("v1/pods", a_pod(name))
        yield server


@pytest_asyncio.fixture
async def http(server: FakeApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url, timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def events(http: aiohttp.ClientSession, query: str = "watch=1", *, seconds: int = 1) -> list[str]:
    """The events of a watch that is over after a time: type, and name of the object."""
    async with http.get(f"{PODS}?{query}&timeoutSeconds={seconds}") as response:
        frames = [json.loads(line) for line in (await response.read()).splitlines()]
    return [f"{one['type']} {one['object'].get('metadata', {}).get('name', '')}".strip() for one in frames]


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        (lambda w: w.drop_events(), []),
        (lambda w: w.drop_events(nth=2), ["ADDED a", "ADDED c"]),
        (lambda w: w.drop_events(every=2), ["ADDED a", "ADDED c"]),
        (lambda w: w.drop_events(types="MODIFIED"), ["ADDED a", "ADDED b", "ADDED c"]),
        (lambda w: w.duplicate_events(nth=1), ["ADDED a", "ADDED a", "ADDED b", "ADDED c"]),
        (lambda w: w.reorder_events(nth=1), ["ADDED b", "ADDED a", "ADDED c"]),
        (lambda w: w.reorder_events(nth=3), ["ADDED a", "ADDED b", "ADDED c"]),
        (lambda w: w.error_event(410, after_events=1), ["ADDED a", "ERROR"]),
        (lambda w: w.close(after_events=2), ["ADDED a", "ADDED b"]),
        (lambda w: w.close(after_bytes=0), []),
    ],
    ids=[
        "all lost",
        "one lost",
        "every other lost",
        "none lost",
        "twice",
        "swapped",
        "the last",
        "error",
        "early",
        "empty",
    ],
)
async def test_the_events_of_a_watch(
    server: FakeApiServer, http: aiohttp.ClientSession, arm: Callable[[Match], Fault], expected: list[str]
) -> None:
    fault = arm(server.faults.on("watch", "v1/pods"))
    assert await events(http) == expected
    fault.lift()
    assert await events(http) == ["ADDED a", "ADDED b", "ADDED c"]
    assert fault.hits == 1


async def test_events_are_lost_by_chance_and_the_seed_says_which(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    for number in range(50):
        server.create("v1/pods", a_pod(f"x{number:02}"))

    async def lossy(seed: int) -> list[str]:
        fault = server.faults.next("watch").drop_events(chance=0.3, seed=seed)
        seen = await events(http)
        assert fault.hits == 1
        return seen

    once, again, other = await lossy(7), await lossy(7), await lossy(8)
    assert once == again != other
    assert 20 < len(once) < 50


async def test_an_event_that_comes_late_never_comes_after_a_bookmark(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("watch").reorder_events(nth=3)
    assert (await events(http, STREAMING))[:4] == ["ADDED a", "ADDED b", "ADDED c", "BOOKMARK"]


async def test_bookmarks_are_lost_when_they_are_meant(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("watch").drop_events(types="BOOKMARK")
    assert await events(http, STREAMING) == ["ADDED a", "ADDED b", "ADDED c"]


async def test_a_frame_is_cut_at_a_byte_and_the_body_ends_well(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("watch").close(after_events=1, after_bytes=17)
    async with http.get(f"{PODS}?watch=1") as response:
        whole, half = (await response.read()).split(b"\n")
    assert json.loads(whole)["object"]["metadata"]["name"] == "a"
    assert half == b'{"type":"ADDED","'


async def test_a_connection_is_reset_after_events_and_bytes(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("watch").reset(after_events=2, after_bytes=3)
    received = b""
    async with http.get(f"{PODS}?watch=1") as response:
        with pytest.raises(aiohttp.ClientError):
            while piece := await response.content.readany():
                received += piece
    assert received.count(b"\n") == 2
    assert received.endswith(b'\n{"t')


async def test_junk_comes_between_two_events(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.faults.next("watch").insert("<html>\n", after_events=1)
    async with http.get(f"{PODS}?watch=1") as response:
        lines = [await response.content.readline() for _ in range(3)]
    assert lines[1] == b"<html>\n"
    assert [json.loads(lines[at])["object"]["metadata"]["name"] for at in (0, 2)] == ["a", "b"]


@pytest.mark.parametrize("path", [f"{PODS}/a", PODS, f"{PODS}?watch=1&timeoutSeconds=1"])
async def test_an_object_is_larger_than_any_limit(
    server: FakeApiServer, http: aiohttp.ClientSession, path: str
) -> None:
    server.faults.next("*", "v1/pods").oversized(5 << 20, nth=1 if "watch" in path else None)
    async with http.get(path) as response:
        body = await response.read()
    assert 5 << 20 < len(body) < (5 << 20) + 10_000, "one object, not each"
    decoded = json.loads(body.splitlines()[0])
    first = decoded.get("object") or (decoded["items"][0] if "items" in decoded else decoded)
    assert first["metadata"]["name"] == "a"
    assert len(first["metadata"]["annotations"]["kresilient.dev/padding"]) == 5 << 20


async def test_a_body_drips(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.faults.next("get").drip(10_000)
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with http.get(f"{PODS}/a") as response:
        body = await response.read()
    assert json.loads(body)["metadata"]["name"] == "a"
    assert loop.time() - start >= len(body) / 10_000 - 0.05


async def test_a_request_that_is_held_goes_on_when_the_fault_is_lifted(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    held = server.faults.next("create", "v1/pods").hold()
    asked = asyncio.create_task(http.post(PODS, json=a_pod("x")))
    await held.hit()
    assert server.get("v1/pods", "default/x") is None
    held.lift()
    async with await asked as response:
        assert response.status == 201
    assert server.get("v1/pods", "default/x") is not None
