"""The server at the edge of HTTP, byte by byte: what is no proper request, and clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kresilient.testing.server import FakeApiServer
from kresilient.testing.server.seed import seed_pods

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
BODY = b'{"metadata":{"name":"a"}}'


@asynccontextmanager
async def connected(
    server: FakeApiServer,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()


def head(line: str, **headers: object) -> bytes:
    named = {"Host": "x", "Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{line}\r\n{lines}\r\n".encode()


async def said(server: FakeApiServer, request: bytes) -> tuple[int, bytes]:
    """The code and the body of the answer to *request*, after which the connection is closed."""
    async with connected(server) as (reader, writer):
        writer.write(request)
        status, _, body = (await reader.read()).partition(b"\r\n\r\n")
    await server.settled(timeout=5)
    return int(status.split()[1]), body


async def test_a_client_that_expects_100_continue_is_told_to_go_on(server: FakeApiServer) -> None:
    async with connected(server) as (reader, writer):
        writer.write(head(f"POST {CONFIGMAPS} HTTP/1.1", Content_Length=len(BODY), Expect="100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert (await reader.readline()).split()[1] == b"201"


async def test_a_client_of_http_1_0_is_not_told_to_go_on(server: FakeApiServer) -> None:
    request = head(f"POST {CONFIGMAPS} HTTP/1.0", Content_Length=len(BODY), Expect="100-continue")
    assert (await said(server, request + BODY))[0] == 201


async def test_what_else_a_client_expects_is_refused(server: FakeApiServer) -> None:
    request = head(f"POST {CONFIGMAPS} HTTP/1.1", Content_Length=len(BODY), Expect="a-miracle")
    assert await said(server, request + BODY) == (417, b"")
    assert server.objects("v1/configmaps") == {}


async def test_a_list_in_pieces_ends_with_the_connection_for_http_1_0(server: FakeApiServer) -> None:
    seed_pods(server.state, 300)
    code, body = await said(server, head("GET /api/v1/pods HTTP/1.0"))
    assert (code, len(json.loads(body)["items"])) == (200, 300)


async def test_a_watch_by_http_1_0_has_its_events(server: FakeApiServer) -> None:
    server.create("v1/configmaps", {"metadata": {"name": "a"}})
    code, body = await said(server, head(f"GET {CONFIGMAPS}?watch=1&timeoutSeconds=1 HTTP/1.0"))
    assert (code, json.loads(body)["type"]) == (200, "ADDED")


@pytest.mark.parametrize("body", [b"junk", BODY])
async def test_a_body_is_taken_as_it_is_whatever_encoding_it_claims(
    server: FakeApiServer, body: bytes
) -> None:
    headers = {"Content_Encoding": "gzip", "Content_Length": len(body), "Connection": "close"}
    code, text = await said(server, head(f"POST {CONFIGMAPS} HTTP/1.1", **headers) + body)
    status = json.loads(text)
    assert code == (201 if body == BODY else 400), status
    assert status["kind"] == ("ConfigMap" if body == BODY else "Status")


async def test_a_body_whose_chunks_are_none_is_a_bad_request(server: FakeApiServer) -> None:
    request = head(f"POST {CONFIGMAPS} HTTP/1.1", Transfer_Encoding="chunked")
    async with connected(server) as (reader, writer):
        writer.write(request + b"2\r\n{}\r\n")
        await asyncio.sleep(0)
        writer.write(b"xyz\r\n")
        answer = await reader.read()
    assert answer.split()[1] == b"400", answer
    await server.settled(timeout=5)


async def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing_busy(
    server: FakeApiServer,
) -> None:
    async with connected(server) as (_, writer):
        writer.write(head(f"POST {CONFIGMAPS} HTTP/1.1", Content_Length=1000) + BODY)
        await writer.drain()
    await server.close()
    assert not server.requests.running.count
    assert server.objects("v1/configmaps") == {}
