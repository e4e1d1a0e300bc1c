"""A server's life over HTTP: restarts that meet, and ends that are cancelled half-way."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Literal

import aiohttp
import pytest

from kresilient.testing.server import FakeApiServer, MemoryApiServer
from kresilient.transport.base import Request

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
STEPS = 40
"""More turns of the loop than any of these ends takes on an idle machine but for its last waits."""


async def turns(n: int) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def test_two_restarts_at_once_are_one(server: FakeApiServer) -> None:
    await asyncio.gather(server.restart(), server.restart(), server.restart(down=0.05))
    async with aiohttp.ClientSession(server.url) as http, http.get(CONFIGMAPS) as response:
        assert response.status == 200


@pytest.mark.parametrize("after", range(6))
async def test_a_kill_that_meets_a_start_leaves_it_dead_or_alive(server: FakeApiServer, after: int) -> None:
    await server.kill()
    starting = asyncio.create_task(server.start())
    await turns(after)
    await server.kill()
    await starting
    listens = server._port.listens
    assert server.runs == listens, "what says that it runs can be asked"
    if not server.runs:
        await server.start()
    async with aiohttp.ClientSession(server.url) as http, http.get(CONFIGMAPS) as response:
        assert response.status == 200


async def test_a_killed_server_keeps_its_port_from_the_first_moment(server: FakeApiServer) -> None:
    async with aiohttp.ClientSession(server.url) as http, http.get(f"{CONFIGMAPS}?watch=1"):
        killing = asyncio.create_task(server.kill())
        await turns(1)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))
        await killing


@pytest.mark.parametrize("end", ["stop", "kill", "close"])
async def test_an_end_that_is_cancelled_leaves_nothing_open(
    end: Literal["stop", "kill", "close"], tmp_path: Path
) -> None:
    for steps in range(STEPS):
        server = FakeApiServer(journal=tmp_path / f"{steps}.journal", audit=tmp_path / f"{steps}.audit")
        await server.start()
        connections = server._web
        assert connections is not None
        async with aiohttp.ClientSession(server.url) as http, http.get(f"{CONFIGMAPS}?watch=1"):
            ending = asyncio.create_task(getattr(server, end)())
            await turns(steps)
            ending.cancel()
            await asyncio.wait([ending])
            if steps == 0:  # it had not begun
                await getattr(server, end)()
            await asyncio.wait_for(connections.closed(0), 5)
        assert not connections._open
        assert not server.runs
        assert server._port.held == (end == "kill")
        if end == "close":
            with pytest.raises(OSError, match="is closed"):
                server.create("v1/configmaps", {"metadata": {"name": "a"}})
            assert server.requests._audit is None
        await server.close()


@pytest.mark.looptime
@pytest.mark.parametrize("steps", range(5))
async def test_a_response_whose_close_is_cancelled_ends_its_request(steps: int) -> None:
    async with MemoryApiServer() as server:
        transport = server.transport()
        response = await transport.send(Request("GET", CONFIGMAPS, query=(("watch", "1"),), streaming=True))
        body = response._reply.chunks
        reading = asyncio.create_task(anext(response.chunks()))
        await asyncio.sleep(1)
        closing = asyncio.create_task(response.close())
        await turns(steps)
        closing.cancel()
        await asyncio.wait([closing])
        await response.close()
        await asyncio.wait([reading])
        await asyncio.sleep(1)
        assert body.ag_frame is None, "the generator of the body is over"
        assert not server.requests.running.count


async def test_several_failures_in_the_background_are_all_raised() -> None:
    async def fails(error: Exception) -> None:
        raise error

    server = MemoryApiServer()
    for error in (OSError("one"), ValueError("two")):
        server.faults.spawn(fails(error))
    await turns(3)
    with pytest.raises(ExceptionGroup) as raised:
        await server.close()
    assert [str(one) for one in raised.value.exceptions] == ["one", "two"]
    await server.close()


async def test_a_kubeconfig_is_for_its_owner_alone_even_where_the_file_was_open_to_all(
    server: FakeApiServer, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text("x" * 10_000)
    path.chmod(0o644)
    server.kubeconfig_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("apiVersion: v1\n")
    assert "xxx" not in path.read_text()
