"""The server at the edge of HTTP, byte by byte: what is no proper request, and clients that leave."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

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


@pytest.mark.parametrize("path", ["//api/v1/pods", "//api//v1//pods", "//version", "/apis//apps", "//"])
async def test_a_path_with_an_empty_part_is_none(server: FakeApiServer, path: str) -> None:
    found = await said(server, head(f"GET {path} HTTP/1.1", Connection="close"))
    assert found == (404, b"404 page not found\n")


async def test_what_was_sent_before_a_reset_arrives_however_slowly_it_is_read(server: FakeApiServer) -> None:
    for number in range(60):
        server.create("v1/configmaps", {"metadata": {"name": f"c{number}"}, "data": {"k": "x" * 3_000}})
    server.faults.next("list").reset(after_bytes=150_000)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop, received = asyncio.get_running_loop(), 0
        await loop.sock_connect(client, ("127.0.0.1", server.port))
        await loop.sock_sendall(client, head("GET /version HTTP/1.1"))
        assert await loop.sock_recv(client, 65536)
        assert server._web is not None
        (transport,) = server._web._open.values()  # nothing of what follows fits into the kernel
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await loop.sock_sendall(client, head(f"GET {CONFIGMAPS} HTTP/1.1"))
        with pytest.raises(ConnectionResetError):
            while piece := await loop.sock_recv(client, 65536):
                received += len(piece)
    assert received > 150_000


METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "CONNECT",
    "TRACE",
    "get",
    "FETCH",
    "G E",
    "",
)
PATHS = (
    *("/", "*", "//", "/version", CONFIGMAPS, f"{CONFIGMAPS}/a", f"{CONFIGMAPS}?watch=1&timeoutSeconds=1"),
    *("/%", "/%zz", "/api/v1/%ff", "/\xff", "/a b", "http://x/version", "http://[", "?", "/?%ff=%00", "/#x"),
    *(f"{CONFIGMAPS}?labelSelector=%ff%00", f"/{'x' * 70_000}", f"{CONFIGMAPS}?timeout=%ff"),
)
VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", "HTTP", "")
HEADERS = (
    *("Content-Length: 2", "Content-Length: 9", "Content-Length: -1", "Content-Length: x"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: x"),
    *(
        "Content-Encoding: gzip",
        "Expect: 100-continue",
        "Expect: x",
        "Connection: close",
        "Connection: upgrade",
    ),
    *("Upgrade: websocket", "Accept: \xff", "Accept-Encoding: gzip", "Authorization: Bearer \xff", "Host: ["),
    *("Impersonate-User: ", ": x", "no colon", " folded: x", f"X: {'x' * 70_000}", "Audit-Id: \xff\x01"),
)
BODIES = (b"", b"{}", b"\x00\xff", b"2\r\n{}\r\n0\r\n\r\n", b"zz\r\n", b"5\r\n{}", BODY)
SEED = 20
BARE = re.compile(rb"HTTP/1\.[01] 5(?!01)")


@pytest.mark.parametrize("run", range(4))
async def test_no_bytes_end_in_a_bare_500_or_leave_a_request_busy(server: FakeApiServer, run: int) -> None:
    random = Random(f"{SEED}/{run}")

    def mostly(usual: str, others: tuple[str, ...]) -> str:
        return usual if random.random() < 0.6 else random.choice(others)

    def a_request() -> bytes:
        """One that has a chance to be understood, so that what is odd in it is looked at."""
        method, path = mostly("POST", METHODS), mostly(CONFIGMAPS, PATHS)
        body = random.choice(BODIES)
        lines = [
            f"{method} {path} {mostly('HTTP/1.1', VERSIONS)}",
            "Host: x",
            "Content-Type: application/json",
        ]
        lines += [
            mostly(f"Content-Length: {len(body)}", HEADERS),
            *random.sample(HEADERS, random.randrange(3)),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    async def answers(sent: bytes) -> bytes:
        async with connected(server) as (reader, writer):
            writer.write(sent)
            answer = bytearray()
            with suppress(TimeoutError, ConnectionResetError):  # many wait for more, and are left then
                async with asyncio.timeout(1.5):
                    while piece := await reader.read(1 << 16):
                        answer += piece
            return bytes(answer)

    sent = [b"".join(a_request() for _ in range(random.choice((1, 1, 1, 2, 5)))) for _ in range(60)]
    sent = [one if random.random() < 0.8 else one[: random.randrange(len(one))] for one in sent]
    said = await asyncio.gather(*map(answers, sent))
    assert sum(one.startswith(b"HTTP/1.") for one in said) > 30, "they are answered, and not only left"
    for request, answer in zip(sent, said, strict=True):
        assert not BARE.search(answer), (request[:300], answer[:300])
    await server.settled(timeout=5)
    assert not server.requests.running.count
    async with connected(server) as (reader, writer):
        writer.write(head("GET /readyz HTTP/1.1", Connection="close"))
        assert (await reader.read()).endswith(b"ok")
