"""What befalls a whole server, over HTTP and in memory."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

import kresilient as kr
from kresilient.testing.server import FakeApiServer, MemoryApiServer, MemoryTransport
from kresilient.transport.base import Request

from .asked import asked

CONFIGS = "/api/v1/namespaces/default/configmaps"


def a_config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        server.create("v1/configmaps", a_config("a"))
        yield server


@pytest_asyncio.fixture
async def http(server: FakeApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url, timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def read(transport: MemoryTransport, **query: str) -> tuple[int, Any]:
    async with await transport.send(Request("GET", CONFIGS, query=tuple(query.items()))) as response:
        return response.status, json.loads(await response.read())


async def answered(http: aiohttp.ClientSession) -> None:
    """Ask until connections are no longer refused."""
    async with asyncio.timeout(20.0):
        while True:
            try:
                async with http.get(CONFIGS) as response:
                    assert response.status == 200
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.01)


# --- connections ---------------------------------------------------------------------------------------


async def test_connections_are_refused_until_they_are_accepted(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{CONFIGS}?watch=1") as running:
        await running.content.readline()
        async with http.get(CONFIGS) as response:
            await response.read()  # whose connection is idle now
        server.faults.refuse_connections()
        server.faults.refuse_connections()
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await http.get(CONFIGS)
        assert isinstance(refused.value.os_error, ConnectionRefusedError)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))
        server.create("v1/configmaps", a_config("b"))
        assert json.loads(await running.content.readline())["object"]["metadata"]["name"] == "b"
        await server.faults.accept_connections()
        await server.faults.accept_connections()
        async with http.get(CONFIGS) as response:
            assert response.status == 200


async def test_connections_are_refused_for_a_time(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.faults.refuse_connections(seconds=0.2)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await answered(http)
    assert loop.time() - start >= 0.2


async def test_a_server_that_refuses_can_be_stopped_killed_and_started(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    for end in (server.stop, server.kill):
        server.faults.refuse_connections(seconds=1000.0)
        await end()
        await server.faults.accept_connections()
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(CONFIGS)
        await server.start()
        async with http.get(CONFIGS) as response:
            assert response.status == 200


@pytest.mark.looptime
async def test_in_memory_they_are_refused_too() -> None:
    async with MemoryApiServer() as server:
        server.faults.refuse_connections(seconds=60.0)
        with pytest.raises(kr.ConnectFailed):
            await read(server.transport())
        await asyncio.sleep(61.0)
        assert (await read(server.transport()))[0] == 200


@pytest.mark.looptime
async def test_an_outage_ends_with_the_life_of_the_server_that_it_befell() -> None:
    async with MemoryApiServer() as server:
        server.faults.refuse_connections(seconds=60.0)
        await server.restart()
        assert (await read(server.transport()))[0] == 200
        server.faults.refuse_connections()
        await asyncio.sleep(61.0)
        with pytest.raises(kr.ConnectFailed):
            await read(server.transport())


# --- death ---------------------------------------------------------------------------------------------


async def test_a_request_can_kill_the_server_which_comes_back(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    fatal = server.faults.on("list", "v1/configmaps").nth(2).restart(down=0.1)
    async with http.get(f"{CONFIGS}?watch=1") as running, http.get(CONFIGS) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientError):
            await http.get(CONFIGS)
        with pytest.raises(aiohttp.ClientError):
            await running.read()
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(CONFIGS)
    await answered(http)
    assert fatal.hits == 1


@pytest.mark.looptime
@pytest.mark.parametrize("history", [True, False])
async def test_a_restart_keeps_the_objects_and_perhaps_the_history(history: bool) -> None:
    async with MemoryApiServer() as server:
        version = str(server.state.version)
        server.create("v1/configmaps", a_config("a"))
        await server.faults.restart(history=history, down=30.0)
        assert server.get("v1/configmaps", "default/a") is not None
        transport = server.transport()
        _, found = await read(transport, resourceVersion=version, resourceVersionMatch="Exact")
        assert (found["kind"], found.get("code")) == (("ConfigMapList", None) if history else ("Status", 410))


@pytest.mark.looptime
async def test_a_death_by_request_needs_no_return() -> None:
    async with MemoryApiServer() as server:
        server.faults.next("list").kill()
        with pytest.raises(kr.ConnectionLost):
            await read(server.transport())
        with pytest.raises(kr.ConnectFailed):
            await read(server.transport())
        await server.start()
        assert (await read(server.transport()))[0] == 200


async def test_a_server_that_is_closed_does_not_come_back(
    http: aiohttp.ClientSession, server: FakeApiServer
) -> None:
    server.faults.next("list").restart(down=1000.0)
    with pytest.raises(aiohttp.ClientError):
        await http.get(CONFIGS)
    await server.close()
    assert server.epoch is None
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", server.port))


@pytest.mark.looptime
async def test_what_fails_beside_is_raised_when_the_server_is_closed() -> None:
    server = MemoryApiServer()

    async def fails() -> None:
        raise OSError("no room")

    task = server.faults.spawn(fails())
    await asyncio.wait([task])
    with pytest.raises(OSError, match="no room"):
        await server.close()
    assert server.epoch is None
    await server.close()


# --- history -------------------------------------------------------------------------------------------


async def test_a_compaction_comes_between_a_list_and_its_watch(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    async with http.get(CONFIGS) as response:
        version = (await response.json())["metadata"]["resourceVersion"]
    server.create("v1/configmaps", a_config("b"))
    server.faults.next("watch").compact()
    async with http.get(f"{CONFIGS}?watch=1&resourceVersion={version}") as response:
        event = json.loads(await response.content.readline())
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


async def test_a_restored_backup_takes_everything_back(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    before = server.get("v1/configmaps", "default/a")
    backup = server.state.version
    server.patch("v1/configmaps", "default/a", {"data": {"x": "1"}})
    server.create("v1/configmaps", a_config("b"))
    server.delete("v1/configmaps", "default/a")
    server.create("v1/configmaps", a_config("a"))
    future = server.state.version
    async with http.get(f"{CONFIGS}?watch=1&resourceVersion={future}") as running:
        server.faults.rewind(backup)
        assert await running.read() == b"", "the server that ran it is gone"
    async with http.get(CONFIGS) as response:
        listed = await response.json()
    assert listed["metadata"]["resourceVersion"] == str(backup)
    (only,) = listed["items"]
    assert before is not None
    assert only["metadata"] == before["metadata"], "uid and version as they were"
    async with http.get(f"{CONFIGS}?watch=1&resourceVersion={future}&allowWatchBookmarks=1") as silent:
        reused = server.create("v1/configmaps", a_config("c"))
        assert int(reused["metadata"]["resourceVersion"]) == backup + 1 <= future
        for number in range(future - backup - 1):
            server.create("v1/configmaps", a_config(f"d{number}"))
        assert server.state.version == future
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(silent.content.readany(), 0.05)
        server.create("v1/configmaps", a_config("e"))
        assert json.loads(await silent.content.readline())["object"]["metadata"]["name"] == "e"
    async with http.get(f"{CONFIGS}?watch=1&resourceVersion={backup - 1}") as response:
        assert json.loads(await response.content.readline())["object"]["code"] == 410


async def test_a_snapshot_is_a_backup_too(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    backup = server.snapshot()
    server.delete("v1/configmaps", "default/a")
    server.faults.restore(backup)
    async with http.get(CONFIGS) as response:
        assert [one["metadata"]["name"] for one in (await response.json())["items"]] == ["a"]


# --- what it believes ----------------------------------------------------------------------------------


async def test_a_skewed_clock_shows_in_timestamps_and_dates(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.skew_clock(3600.0)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "finalizers": ["a/b"]}}
    async with http.post(CONFIGS, json=body) as response:
        created = (await response.json())["metadata"]["creationTimestamp"]
        date = parsedate_to_datetime(response.headers["Date"])
    async with http.delete(f"{CONFIGS}/x") as response:
        await response.read()
    marked = server.get("v1/configmaps", "default/x")
    assert marked is not None
    now = datetime.now(UTC)
    for told in (
        datetime.fromisoformat(created),
        date,
        datetime.fromisoformat(marked["metadata"]["deletionTimestamp"]),
    ):
        assert 3500 < (told - now).total_seconds() < 3700
    server.faults.skew_clock(0.0)
    async with http.get(CONFIGS) as response:
        assert abs((parsedate_to_datetime(response.headers["Date"]) - now).total_seconds()) < 100


@pytest.mark.looptime
async def test_a_skewed_clock_expires_no_page() -> None:
    async with MemoryApiServer() as server:
        for name in ("a", "b"):
            server.create("v1/configmaps", a_config(name))
        transport = server.transport()
        _, page = await read(transport, limit="1")
        server.faults.skew_clock(3600.0)
        server.create("v1/configmaps", a_config("c"))
        _, rest = await read(transport, **{"limit": "1", "continue": page["metadata"]["continue"]})
        assert [one["metadata"]["name"] for one in rest["items"]] == ["b"]


async def test_a_token_is_revoked_in_the_middle_of_a_run() -> None:
    async with FakeApiServer(token="first") as server:
        headers = {"Authorization": "Bearer first"}
        async with aiohttp.ClientSession(server.url, headers=headers) as http:
            revoked = server.faults.on("list").nth(2).revoke_token()
            async with http.get(f"{CONFIGS}?watch=1") as running:
                statuses = []
                for _ in range(3):
                    async with http.get(CONFIGS) as response:
                        statuses.append(response.status)
                assert statuses == [200, 401, 401]
                server.create("v1/configmaps", a_config("b"))
                assert json.loads(await running.content.readline())["type"] == "ADDED", "what runs goes on"
            assert revoked.hits == 1
            server.access.accept("first", user="admin")
            server.faults.revoke_token("first")
            async with http.get(CONFIGS) as response:
                assert response.status == 401


@pytest.mark.looptime
async def test_in_memory_a_client_goes_on_with_the_token_that_was_revoked() -> None:
    async with MemoryApiServer(token="first") as server:
        early, late = server.transport(), server.transport()
        assert (await read(early))[0] == 200
        server.faults.revoke_token()
        assert [(await read(one))[0] for one in (early, late)] == [401, 401], "403 is for who has none"
        server.access.accept("second", user="admin")
        assert [(await read(one))[0] for one in (early, late)] == [200, 200]


async def test_only_a_token_that_is_good_can_be_revoked() -> None:
    async with MemoryApiServer(token="good") as server:
        revoked = server.faults.on("list").revoke_token()
        assert (await asked(server, CONFIGS)).status == 403
        assert (await asked(server, CONFIGS, authorization="Bearer bad")).status == 401
        assert revoked.hits == 0, "neither had one to lose"
        assert (await asked(server, CONFIGS, authorization="Bearer good")).status == 401
        assert revoked.hits == 1
        server.faults.revoke_token("good")  # once more
        with pytest.raises(ValueError, match="this token never was good"):
            server.faults.revoke_token("unknown")


async def test_a_revoked_token_is_no_way_in_where_everybody_is_let_in() -> None:
    async with MemoryApiServer() as server:
        token = server.access.token_of("jane")
        server.faults.revoke_token(token)
        assert (await asked(server, CONFIGS, authorization=f"Bearer {token}")).status == 401
        assert (await asked(server, CONFIGS)).status == 200
        server.access.accept(token, user="jane")
        assert (await asked(server, CONFIGS, authorization=f"Bearer {token}")).status == 200


async def test_the_token_of_a_service_account_is_revoked_too() -> None:
    async with MemoryApiServer(token="admin") as server:
        server.create("v1/serviceaccounts", {"metadata": {"name": "till"}})
        path = "/api/v1/namespaces/default/serviceaccounts/till/token"
        made = await asked(server, path, method="POST", body={}, authorization="Bearer admin")
        token = made.json["status"]["token"]
        assert (await asked(server, CONFIGS, authorization=f"Bearer {token}")).status == 200
        server.faults.next("list").revoke_token()
        for _ in range(2):
            assert (await asked(server, CONFIGS, authorization=f"Bearer {token}")).status == 401


async def test_anything_can_happen_when_a_request_comes(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.faults.next("list").call(lambda request: server.delete(request.resource, "default/a"))
    async with http.get(CONFIGS) as response:
        assert (await response.json())["items"] == []
