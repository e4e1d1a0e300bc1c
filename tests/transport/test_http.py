"""The aiohttp transport against servers that answer byte for byte what a test says."""

from __future__ import annotations

import asyncio
import gzip
import os
import platform
import random
import socket
import struct
import subprocess
import sys
import traceback
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from kresilient.api.errors import ConfigError, ConnectFailed, ConnectionLost, LifecycleError, WireError
from kresilient.transport.auth import Anonymous, BearerToken
from kresilient.transport.base import Request, Response, Transport
from kresilient.transport.config import ClusterConfig, Impersonation
from kresilient.transport.http import HttpTransport
from kresilient.transport.response import HttpResponse

from .servers import CHUNKED, Answer, Received, Server, always, chunk, response, serve, unused_port

PODS = Request("GET", "/api/v1/pods", verb="list", resource="v1/pods", timeout=5.0)
WATCH = Request(
    "GET", "/api/v1/pods", (("watch", "true"),), verb="watch", resource="v1/pods", streaming=True, stall=5.0
)


@asynccontextmanager
async def transport_to(answer: Answer, **options: object) -> AsyncIterator[tuple[HttpTransport, Server]]:
    async with serve(answer) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, **options))
        try:
            yield transport, server
        finally:
            await transport.close()


async def pieces(response: Response) -> list[bytes]:
    return [piece async for piece in response.chunks()]


def test_it_is_a_transport() -> None:
    assert isinstance(HttpTransport(ClusterConfig(server="http://127.0.0.1:1")), Transport)


# --- what is sent --------------------------------------------------------------------------------------


async def test_status_headers_and_body_come_back() -> None:
    answer = always(response(b'{"kind":"PodList"}', status="201 Created", headers="Retry-After: 3\r\n"))
    async with transport_to(answer) as (transport, _), await transport.send(PODS) as got:
        assert got.status == 201
        assert got.headers["retry-after"] == "3"
        assert await got.read() == b'{"kind":"PodList"}'
        assert got.wire_bytes == 18


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/default/pods/a%2Fb",
        "/api/v1/namespaces/default/pods/%2e%2e",
        "/apis/g/v1/x/%C3%A9%20~%3A",
        "/api/v1/nodes/a:b@c",
    ],
)
async def test_a_percent_encoded_path_reaches_the_server_untouched(path: str) -> None:
    async with transport_to(always(response())) as (transport, server):
        await (await transport.send(Request("GET", path))).read()
        assert server.requests[0].target == path


async def test_query_parameters_are_encoded_in_order() -> None:
    query = (("labelSelector", "app in (a, b),x=1+1"), ("continue", "é&="))
    async with transport_to(always(response())) as (transport, server):
        await (await transport.send(Request("GET", "/api/v1/pods", query))).read()
        assert server.requests[0].target == (
            "/api/v1/pods?labelSelector=app%20in%20%28a%2C%20b%29%2Cx%3D1%2B1&continue=%C3%A9%26%3D"
        )


async def test_a_path_in_the_server_url_is_kept() -> None:
    async with serve(always(response())) as server:
        transport = HttpTransport(ClusterConfig(server=f"{server.url}/k8s/clusters/c-1/"))
        await (await transport.send(PODS)).read()
        await transport.close()
        assert server.requests[0].target == "/k8s/clusters/c-1/api/v1/pods"


async def test_the_headers_of_config_credentials_impersonation_and_request_are_all_sent() -> None:
    async with transport_to(
        always(response()),
        credentials=BearerToken("s3cret"),
        user_agent="me/1",
        headers={"X-Team": "a"},
        impersonate=Impersonation(
            "jane", groups=("dev", "ops"), uid="7", extra={"example.com/scope%": ("view", "edit")}
        ),
    ) as (transport, server):
        await (await transport.send(Request("GET", "/api", headers={"Accept": "text/plain"}))).read()
        sent = server.requests[0]
    assert sent.header("Authorization") == "Bearer s3cret"
    assert sent.header("User-Agent") == "me/1"
    assert sent.header("X-Team") == "a"
    assert sent.header_values("Accept") == ["text/plain"]
    assert sent.header("Impersonate-User") == "jane"
    assert sent.header("Impersonate-Uid") == "7"
    assert sent.header_values("Impersonate-Group") == ["dev", "ops"]
    assert sent.header_values("Impersonate-Extra-example.com%2Fscope%25") == ["view", "edit"]
    assert sent.header("Cookie") is None


async def test_credentials_that_a_request_brings_along_are_its_own() -> None:
    async with transport_to(always(response()), credentials=BearerToken("t")) as (transport, server):
        await (await transport.send(Request("GET", "/", headers={"authorization": "Bearer mine"}))).read()
        assert server.requests[0].header_values("Authorization") == ["Bearer mine"]


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
async def test_a_body_arrives_whole_with_its_content_type(size: int) -> None:
    body = random.Random(1).randbytes(size)
    async with transport_to(always(response())) as (transport, server):
        patch = Request("PATCH", "/x", body=body, headers={"Content-Type": "application/merge-patch+json"})
        await (await transport.send(patch)).read()
        await (await transport.send(Request("POST", "/x", body=body))).read()
        merge, post = server.requests
    assert merge.body == post.body == body
    assert merge.header_values("Content-Type") == ["application/merge-patch+json"]
    assert post.header_values("Content-Type") == ["application/json"]


async def test_no_cookie_is_kept() -> None:
    async with serve(always(response(headers="Set-Cookie: a=b\r\n"))) as server:
        transport = HttpTransport(ClusterConfig(server=f"http://localhost:{server.port}"))
        await (await transport.send(PODS)).read()
        await (await transport.send(PODS)).read()
        await transport.close()
        assert server.requests[1].header("Cookie") is None


async def test_a_redirect_is_handed_on_and_not_followed() -> None:
    answer = always(response(status="302 Found", headers="Location: http://127.0.0.1:1/elsewhere\r\n"))
    async with transport_to(answer) as (transport, server), await transport.send(PODS) as got:
        assert got.status == 302
        assert len(server.requests) == 1


# --- compression ---------------------------------------------------------------------------------------


async def test_gzip_is_asked_for_and_wire_bytes_are_the_compressed_ones() -> None:
    body = b'{"items":[' + b'{"metadata":{}},' * 100_000 + b"]}"
    packed = gzip.compress(body)
    answer = always(response(packed, headers="Content-Encoding: gzip\r\n"))
    async with transport_to(answer) as (transport, server), await transport.send(PODS) as got:
        assert await got.read() == body
        assert got.wire_bytes == len(packed)
        assert server.requests[0].header_values("Accept-Encoding") == ["gzip"]


async def test_a_small_gzip_body_that_inflates_hugely_comes_in_bounded_pieces() -> None:
    packed = gzip.compress(bytes(20_000_000))
    answer = always(response(packed, headers="Content-Encoding: gzip\r\n"))
    async with transport_to(answer) as (transport, _), await transport.send(PODS) as got:
        sizes = [len(piece) async for piece in got.chunks()]
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= 1 << 18


async def test_gzip_members_one_after_another_are_one_body() -> None:
    answer = always(
        response(gzip.compress(b"abc") + gzip.compress(b"def"), headers="Content-Encoding: gzip\r\n")
    )
    async with transport_to(answer) as (transport, _), await transport.send(PODS) as got:
        assert await got.read() == b"abcdef"


async def test_gzip_without_its_end_is_a_cut_even_where_http_says_it_is_whole() -> None:
    packed = gzip.compress(random.Random(1).randbytes(1000))[:-20]
    answer = always(response(packed, headers="Content-Encoding: gzip\r\n"))
    async with transport_to(answer) as (transport, _), await transport.send(PODS) as got:
        with pytest.raises(ConnectionLost, match="cut off"):
            await got.read()


async def test_broken_gzip_is_an_error() -> None:
    answer = always(response(b"no gzip at all", headers="Content-Encoding: gzip\r\n"))
    async with transport_to(answer) as (transport, _), await transport.send(PODS) as got:
        with pytest.raises(ConnectionLost, match="gzip is broken"):
            await got.read()


async def test_an_empty_body_said_to_be_gzip_is_empty() -> None:
    answer = always(response(b"", headers="Content-Encoding: gzip\r\n"))
    async with transport_to(answer) as (transport, _), await transport.send(PODS) as got:
        assert await got.read() == b""


async def test_an_encoding_that_was_not_asked_for_is_an_error() -> None:
    answer = always(response(zlib.compress(b"{}"), headers="Content-Encoding: deflate\r\n"))
    async with transport_to(answer) as (transport, _):
        with pytest.raises(WireError, match="deflate"):
            await transport.send(PODS)


async def test_a_watch_asks_for_no_compression_and_neither_does_a_config_without_it() -> None:
    async with transport_to(always(response())) as (transport, server):
        await (await transport.send(WATCH)).read()
        assert server.requests[0].header("Accept-Encoding") == "identity"
    async with transport_to(always(response()), compression=False) as (transport, server):
        await (await transport.send(PODS)).read()
        assert server.requests[0].header("Accept-Encoding") == "identity"


# --- bodies: ends, cuts, silence ------------------------------------------------------------------------


async def test_a_stream_arrives_as_it_is_sent_split_anywhere() -> None:
    text = '{"a":"é€😀"}\n'.encode() * 50
    rng = random.Random(7)

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        at = 0
        while at < len(text):
            size = rng.randint(1, 7)
            wire = chunk(text[at : at + size])
            at += size
            middle = rng.randint(0, len(wire))
            for part in (wire[:middle], wire[middle:]):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
        writer.write(chunk(b""))

    async with transport_to(answer) as (transport, _), await transport.send(WATCH) as got:
        parts = await asyncio.wait_for(pieces(got), 10)
    assert b"".join(parts) == text
    assert all(parts)
    assert got.wire_bytes == len(text)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_the_pages_of_a_large_body_are_faulted_in_once() -> None:
    script = """
import asyncio, resource, sys
from kresilient.transport.config import ClusterConfig
from kresilient.transport.http import HttpTransport
from kresilient.transport.base import Request

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
    chunk = b"8000\\r\\n%s\\r\\n" % (b"x" * 0x8000)
    for _ in range(2048):
        writer.write(chunk)
        await writer.drain()
    writer.write(b"0\\r\\n\\r\\n")
    await writer.drain()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = HttpTransport(ClusterConfig(server=f"http://127.0.0.1:{port}"))
    async with await transport.send(Request("GET", "/api/v1/pods", timeout=None)) as response:
        before, size = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, 0
        async for piece in response.chunks():
            size += len(piece)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    await transport.close()
    server.close()
    print(size, faults * resource.getpagesize())

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    size, faulted = map(int, done.stdout.split())
    assert size == 64 << 20
    assert faulted < size // 8


async def test_a_frame_is_delivered_before_the_next_one_is_sent() -> None:
    seen = asyncio.Event()

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"one\n"))
        await asyncio.wait_for(seen.wait(), 5)
        writer.write(chunk(b"two\n") + chunk(b""))

    async with transport_to(answer) as (transport, _), await transport.send(WATCH) as got:
        stream = got.chunks()
        assert await anext(stream) == b"one\n"
        seen.set()
        assert await anext(stream) == b"two\n"
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


CUTS = {
    "chunked": CHUNKED + chunk(b"abc"),
    "inside a chunk": CHUNKED + b"10\r\nabc",
    "content-length": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
}


@pytest.mark.parametrize("wire", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("request_", [PODS, WATCH], ids=["unary", "stream"])
async def test_a_body_cut_off_by_a_clean_close_is_no_clean_end(wire: bytes, request_: Request) -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(wire)
        await writer.drain()
        writer.close()

    async with transport_to(answer) as (transport, _), await transport.send(request_) as got:
        with pytest.raises(ConnectionLost) as caught:
            await got.read()
        assert caught.value.sent


@pytest.mark.parametrize(
    "wire", [*CUTS.values(), b"HTTP/1.1 200 OK\r\n\r\nabc"], ids=[*CUTS, "ended by the close alone"]
)
async def test_a_body_cut_off_by_a_reset_is_no_clean_end(wire: bytes) -> None:
    headers_seen = asyncio.Event()

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(wire)
        await writer.drain()
        await asyncio.wait_for(headers_seen.wait(), 5)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a close is a reset
        writer.transport.abort()

    async with transport_to(answer) as (transport, _), await transport.send(WATCH) as got:
        headers_seen.set()
        with pytest.raises(ConnectionLost):
            await pieces(got)


async def test_a_body_ended_by_the_close_alone_is_read_to_its_end() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await writer.drain()
        writer.close()

    async with transport_to(answer) as (transport, _), await transport.send(PODS) as got:
        assert await got.read() == b"abc"


async def test_a_stalled_stream_is_an_error_after_what_came_was_delivered() -> None:
    hang = asyncio.Event()

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"one\n"))
        await writer.drain()
        await hang.wait()

    request = Request("GET", "/w", verb="watch", resource="v1/pods", streaming=True, stall=0.2)
    async with transport_to(answer) as (transport, _), await transport.send(request) as got:
        stream = got.chunks()
        assert await anext(stream) == b"one\n"
        with pytest.raises(ConnectionLost, match=r"silent for 0\.2 s"):
            await anext(stream)


async def test_a_stream_whose_headers_never_come_stalls_too() -> None:
    async def answer(_: Received, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    request = Request("GET", "/w", verb="watch", streaming=True, stall=0.2)
    async with transport_to(answer) as (transport, _):
        with pytest.raises(ConnectionLost, match=r"did not begin to answer within 0\.2 s") as caught:
            await transport.send(request)
        assert caught.value.sent and caught.value.overdue


async def test_the_wait_for_an_answer_and_the_silence_within_it_are_two_limits() -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)  # longer than the silence allowed in the body
        writer.write(CHUNKED + chunk(b"x"))
        await writer.drain()
        await asyncio.Event().wait()

    slow = Request("GET", "/l", verb="list", timeout=None, stall=0.1, answer_within=20.0)
    async with transport_to(answer) as (transport, _), await transport.send(slow) as got:
        with pytest.raises(ConnectionLost, match=r"silent for 0\.1 s") as caught:
            await got.read()
        assert not caught.value.overdue
    quick = Request("GET", "/l", verb="list", timeout=None, stall=20.0, answer_within=0.1)
    async with transport_to(answer) as (transport, _):
        with pytest.raises(ConnectionLost, match=r"begin to answer within 0\.1 s") as caught:
            await transport.send(quick)
        assert caught.value.overdue and caught.value.sent


async def test_a_unary_call_is_bounded_as_a_whole() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        while True:  # never silent, never done
            writer.write(chunk(b"x"))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with transport_to(answer) as (transport, _):
        with pytest.raises(ConnectionLost, match=r"no complete answer within 0\.3 s"):
            async with await transport.send(Request("GET", "/slow", timeout=0.3)) as got:
                await got.read()


async def test_a_unary_call_without_an_answer_times_out_as_sent() -> None:
    async def answer(_: Received, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with transport_to(answer) as (transport, _):
        with pytest.raises(ConnectionLost, match=r"no answer within 0\.2 s") as caught:
            await transport.send(Request("POST", "/slow", body=b"{}", timeout=0.2))
        assert caught.value.sent


async def test_a_read_may_be_limited() -> None:
    async with transport_to(always(response(b"0123456789" * 100_000))) as (transport, _):
        async with await transport.send(PODS) as got:
            assert await got.read(limit=25) == b"0123456789012345678901234"
        async with await transport.send(PODS) as got:
            assert len(await got.read(limit=2_000_000)) == 1_000_000


async def test_a_cancelled_read_of_a_stream_loses_nothing() -> None:
    go = asyncio.Event()

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        await writer.drain()
        await asyncio.wait_for(go.wait(), 5)
        writer.write(chunk(b"late\n") + chunk(b""))

    async with transport_to(answer) as (transport, _), await transport.send(WATCH) as got:
        stream = got.chunks()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.05)
        go.set()
        assert await anext(stream) == b"late\n"


async def test_a_cancelled_unary_read_closes_the_response() -> None:
    gone = asyncio.Event()

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"x"))
        await writer.drain()
        with pytest.raises(ConnectionError):
            while True:
                writer.write(chunk(b"x"))
                await writer.drain()
                await asyncio.sleep(0.01)
        gone.set()

    async with transport_to(answer) as (transport, _):
        got = await transport.send(PODS)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(got.read(), 0.1)
        await asyncio.wait_for(gone.wait(), 5)
        with pytest.raises(ConnectionLost, match="closed here"):
            await got.read()


# --- connections ---------------------------------------------------------------------------------------


async def test_a_connection_is_used_again_after_a_body_was_read() -> None:
    async with transport_to(always(response())) as (transport, server):
        for _ in range(3):
            async with await transport.send(PODS) as got:
                await got.read()
        assert server.connections == 1


async def test_a_response_closed_early_takes_its_connection_along() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"x"))

    async with transport_to(answer) as (transport, server):
        for _ in range(2):
            got = await transport.send(PODS)
            await got.close()
            await got.close()
        assert server.connections == 2


async def test_streams_do_not_take_the_connections_of_unary_calls() -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED if "watch" in received.target else response())

    async with serve(answer) as server:
        transport = HttpTransport(ClusterConfig(server=server.url), max_connections=1)
        watches = [await transport.send(WATCH) for _ in range(5)]
        assert await (await transport.send(PODS)).read() == b"{}"
        for watch in watches:
            await watch.close()
        await transport.close()


async def test_hanging_lists_hold_up_neither_calls_nor_watches() -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED if received.target == "/list" else response())

    unbounded = Request("GET", "/list", verb="list", timeout=None)
    async with serve(answer) as server:
        transport = HttpTransport(ClusterConfig(server=server.url), max_connections=1, max_lists=2)
        lists = [await transport.send(unbounded) for _ in range(2)]
        third = asyncio.create_task(
            transport.send(Request("GET", "/list", verb="list", timeout=None, answer_within=0.1))
        )
        assert await (await transport.send(PODS)).read() == b"{}"
        assert await (await transport.send(WATCH)).read() == b"{}"
        await asyncio.wait([third], timeout=0.3)
        assert not third.done()  # the wait for a connection is no wait for an answer
        await lists[0].close()
        await (await asyncio.wait_for(third, 5)).close()
        await lists[1].close()
        await transport.close()


async def test_a_call_that_finds_no_free_connection_in_time_was_not_sent() -> None:
    async with serve(always(CHUNKED)) as server:
        transport = HttpTransport(ClusterConfig(server=server.url), max_connections=1)
        holder = await transport.send(PODS)
        with pytest.raises(ConnectFailed, match="none of 1 connections was free") as caught:
            await transport.send(Request("GET", "/x", timeout=0.2))
        assert not caught.value.sent
        assert caught.value.local
        await holder.close()
        await transport.close()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_nothing_is_replayed_when_an_idle_connection_turns_out_to_be_dead(method: str) -> None:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.target == "/first":
            writer.write(response())
        else:
            writer.close()  # the request was read, and no answer is given

    async with transport_to(answer) as (transport, server):
        await (await transport.send(Request("GET", "/first"))).read()
        with pytest.raises(ConnectionLost, match="without an answer") as caught:
            await transport.send(Request(method, "/second", body=b"{}" if method != "GET" else None))
        assert caught.value.sent
        assert [request.target for request in server.requests] == ["/first", "/second"]


async def test_a_refused_connection_names_the_server_and_was_not_sent() -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    transport = HttpTransport(ClusterConfig(server=url))
    with pytest.raises(
        ConnectFailed, match=f"list v1/pods .*cannot connect to {url}: connection refused"
    ) as caught:
        await transport.send(PODS)
    assert not caught.value.sent
    await transport.close()


async def test_a_host_that_does_not_resolve_says_so() -> None:
    transport = HttpTransport(ClusterConfig(server="http://no-such-host.invalid:6443"))
    with pytest.raises(ConnectFailed, match="cannot be resolved"):
        await transport.send(PODS)
    await transport.close()


async def test_making_a_connection_is_bounded() -> None:
    gone = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # accepts, and never answers the TLS handshake
        writer.close()
        gone.set()

    listener = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    transport = HttpTransport(
        ClusterConfig(server=f"https://127.0.0.1:{port}", insecure_skip_tls_verify=True), connect_timeout=0.2
    )
    with pytest.raises(ConnectFailed, match=r"no connection within 0\.2 s") as unreachable:
        await transport.send(WATCH)
    assert not unreachable.value.local
    for sooner in (replace(WATCH, connect_within=0.1), replace(PODS, timeout=0.1)):
        with pytest.raises(ConnectFailed, match=r"no connection within 0\.1 s") as impatient:
            await transport.send(sooner)
        assert impatient.value.local, "it says nothing of the server"
    await transport.close()
    await asyncio.wait_for(gone.wait(), 5)
    listener.close()


async def test_an_answer_that_is_no_http_is_an_error_that_may_have_arrived() -> None:
    banner = always(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    async with transport_to(banner, credentials=BearerToken("s3cret")) as (transport, _):
        with pytest.raises(ConnectionLost, match="no HTTP") as caught:
            await transport.send(PODS)
        assert caught.value.sent
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))
        assert "s3cret" not in repr(caught.value.__cause__)


# --- life cycle ----------------------------------------------------------------------------------------


async def test_close_ends_open_responses_and_is_idempotent() -> None:
    async with transport_to(always(CHUNKED + chunk(b"x"))) as (transport, _):
        got = await transport.send(WATCH)
        stream = got.chunks()
        assert await anext(stream) == b"x"
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        await transport.close()
        await transport.close()
        with pytest.raises(ConnectionLost, match="closed here"):
            await asyncio.wait_for(waiting, 5)


async def test_close_fails_a_request_that_is_under_way() -> None:
    arrived = asyncio.Event()

    async def answer(_: Received, __: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with transport_to(answer) as (transport, _):
        sending = asyncio.create_task(transport.send(PODS))
        await asyncio.wait_for(arrived.wait(), 5)
        await transport.close()
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(sending, 5)


async def test_close_tells_those_who_wait_for_a_connection_and_cancels_nobody() -> None:
    async with serve(always(CHUNKED)) as server:
        transport = HttpTransport(ClusterConfig(server=server.url), max_connections=1)
        holder = await transport.send(PODS)
        waiting = asyncio.create_task(transport.send(PODS))
        session = transport._sessions["calls"]
        async with asyncio.timeout(5):
            while not session.connector._waiters:  # type: ignore[union-attr]  # noqa: ASYNC110
                await asyncio.sleep(0)
        transport._open.discard(holder)  # type: ignore[arg-type]  # so that it frees no place before the end
        await transport.close()
        with pytest.raises(ConnectFailed, match="closed") as caught:
            await asyncio.wait_for(waiting, 5)
        assert not caught.value.sent
        await holder.close()


async def test_a_request_whose_credentials_come_after_the_close_is_not_sent() -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    class Slow(Anonymous):
        async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
            asked.set()
            await gate.wait()
            return {}

    async with transport_to(always(response()), credentials=Slow()) as (transport, server):
        sending = asyncio.create_task(transport.send(PODS))
        await asyncio.wait_for(asked.wait(), 5)
        await transport.close()
        gate.set()
        with pytest.raises(LifecycleError, match="closed"):
            await asyncio.wait_for(sending, 5)
        assert server.requests == []


async def test_an_answer_that_meets_the_close_is_not_handed_out_open() -> None:
    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        transport._closed = True  # as `close` has it before it comes to the pools
        writer.write(CHUNKED)

    async with transport_to(answer) as (transport, _):
        with pytest.raises(ConnectionLost, match="closed meanwhile"):
            await transport.send(PODS)


async def test_a_connection_notices_a_vanished_peer_by_itself() -> None:
    async with transport_to(always(CHUNKED)) as (transport, _), await transport.send(WATCH) as got:
        assert isinstance(got, HttpResponse) and got._raw.connection is not None
        assert got._raw.connection.transport is not None
        sock = got._raw.connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


async def test_use_after_close_is_an_error() -> None:
    async with transport_to(always(response())) as (transport, _):
        await transport.close()
        with pytest.raises(LifecycleError, match="closed"):
            await transport.send(PODS)


async def test_use_from_another_loop_is_an_error() -> None:
    async with transport_to(always(response())) as (transport, _):
        await (await transport.send(PODS)).read()

        def elsewhere() -> None:
            with pytest.raises(LifecycleError, match="another event loop"):
                asyncio.run(transport.send(PODS))  # type: ignore[arg-type]

        await asyncio.to_thread(elsewhere)


async def test_use_after_a_fork_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async with transport_to(always(response())) as (transport, _):
        await (await transport.send(PODS)).read()
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            with pytest.raises(LifecycleError, match="fork"):
                await transport.send(PODS)


async def test_a_child_closes_a_transport_without_touching_the_parents_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serve(always(response())) as server:
        transport = HttpTransport(ClusterConfig(server=server.url))
        async with await transport.send(PODS) as got:
            with monkeypatch.context() as patch:
                patch.setattr(os, "getpid", lambda: -1)
                await transport.close()
            assert await got.read() == b"{}"
        await transport.close()


async def test_a_transport_that_was_never_used_closes_without_a_loop_of_its_own() -> None:
    transport = HttpTransport(ClusterConfig(server="http://127.0.0.1:1"))
    await transport.close()


def test_a_wrong_url_is_refused_before_anything_is_opened() -> None:
    for url in (
        "127.0.0.1:6443",
        "ftp://h",
        "https://",
        "https://h?x=1",
        "https://h:port",
        "",
        "https://u:p@h",
    ):
        with pytest.raises(ConfigError, match="the server"):
            ClusterConfig(server=url)
