"""Small servers on loopback that do exactly what a test tells them to, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field


@dataclass
class Received:
    """A request as it came over the socket."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    client_certificate: dict[str, object] | None = None

    def header(self, name: str) -> str | None:
        values = self.header_values(name)
        return values[0] if values else None

    def header_values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


Answer = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A running server: what it received, and how many connections it has seen."""

    url: str
    port: int
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def received(self, count: int) -> None:
        """Wait until that many requests have arrived."""
        async with asyncio.timeout(5), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)


def response(body: bytes = b"{}", *, status: str = "200 OK", headers: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def read_request(reader: asyncio.StreamReader, connection: int = 0) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        return None
    first, *lines = head.decode("utf-8").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    received = Received(method, target, headers, b"", connection)
    if length := received.header("Content-Length"):
        received.body = await reader.readexactly(int(length))
    elif received.header("Transfer-Encoding"):
        while size := int(await reader.readline(), 16):
            received.body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    return received


@contextlib.asynccontextmanager
async def serve(answer: Answer, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve *answer* on 127.0.0.1; each connection goes on until it closes the writer."""
    tasks: set[asyncio.Task[None]] = set()
    stopping = False

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        number = server.connections
        try:
            while received := await read_request(reader, number):
                certificate = writer.get_extra_info("peercert")
                received.client_certificate = certificate
                server.requests.append(received)
                async with server._arrived:
                    server._arrived.notify_all()
                await answer(received, writer)
                await writer.drain()
                if writer.is_closing():
                    break
        except (ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass  # cut off by the client, or at the end of the test
        finally:
            tasks.discard(task)
            writer.transport.abort() if stopping else writer.close()

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    server = Server(f"{'https' if tls else 'http'}://127.0.0.1:{port}", port)
    try:
        async with asyncio.timeout(30):  # a test that hangs fails
            yield server
    finally:
        stopping = True
        listener.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def always(data: bytes) -> Answer:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answer


def unused_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
