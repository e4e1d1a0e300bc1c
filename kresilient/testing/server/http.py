"""The fake API server over HTTP on the loopback interface, plain or with TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import HttpVersion11, web

from .answers import JSON
from .broadcast import Broadcast
from .certificates import Authority, certified
from .epoch import Reset
from .negotiation import accepts_gzip
from .requests import Call
from .server import ApiServer, Reply
from .statuses import bad_request
from .users import AUTHENTICATED

__all__ = ["FakeApiServer"]

_GZIP_ABOVE: Final = 128 * 1024
_BODY_LIMIT: Final = 3 * 1024 * 1024 + 1
_FAREWELL: Final = 0.25
"""Seconds in which a client may answer the end of its TLS session; one that reads no more never does."""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class FakeApiServer(ApiServer):
    """A Kubernetes API server in this process, for tests: `async with FakeApiServer() as server: …`

    Args, beyond those of `ApiServer`:
        port: where to listen on 127.0.0.1; 0 picks a free port, which is then kept across restarts.
        tls: serve HTTPS, with a certificate of an authority made for it (`ca_pem`).
        client_certificates: refuse connections without a client certificate of the same authority. With TLS
            it is asked for in any case, and names the user: its CN, with each O a group.
    """

    def __init__(
        self, *, port: int = 0, tls: bool = False, client_certificates: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self._port = port
        self._tls = Authority() if tls or client_certificates else None
        self._client_certificates = client_certificates
        self._listener: asyncio.Server | None = None
        self._bound: socket.socket | None = None
        self._web: _Connections | None = None

    # --- where it is -------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port it listens on, or last listened on."""
        return self._port

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def ca_pem(self) -> bytes | None:
        """The certificate of its authority; None without TLS."""
        return self._tls.ca_pem if self._tls else None

    def client_certificate(
        self, user: str = "admin", *, groups: Iterable[str] | None = None
    ) -> tuple[bytes, bytes]:
        """A client certificate of *user* in *groups* and its key, as PEM, that the server accepts.

        Without *groups*, `admin` is whoever may do everything. Raises `ValueError` without TLS.
        """
        if self._tls is None:
            raise ValueError("a server without TLS takes no client certificates: pass tls=True")
        named = self.access.user(user, groups=groups)
        return self._tls.client_certificate(user, [one for one in named.groups if one != AUTHENTICATED])

    def kubeconfig(
        self,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """A kubeconfig for this server, as plain data: of `admin`, of whose *token* it is, or of *user*.

        Args:
            token: a bearer token that is good.
            user, groups: who else it is for; a token is made where there is none (see `Access.token_of`). A
                server that insists on client certificates knows the user by that alone.

        Raises `ValueError` for a token that is not good, or one beside a user.
        """
        token = self._token_for(token, user, groups)
        whose = None if token is None else self.access.user_of_token(token)
        cluster: dict[str, Any] = {"server": self.url}
        credentials: dict[str, Any] = {}
        if self._tls is not None:
            cluster["certificate-authority-data"] = base64.b64encode(self._tls.ca_pem).decode()
        if self._client_certificates:
            named, among = ("admin", None) if whose is None else (whose.name, whose.groups)
            certificate, key = self.client_certificate(named, groups=among)
            credentials["client-certificate-data"] = base64.b64encode(certificate).decode()
            credentials["client-key-data"] = base64.b64encode(key).decode()
        if token is not None or self.token is not None:
            credentials["token"] = self.token if token is None else token
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": cluster}],
            "users": [{"name": "fake", "user": credentials}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
            "current-context": "fake",
        }

    def kubeconfig_file(
        self,
        path: str | Path,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Iterable[str] | None = None,
    ) -> Path:
        """Write `kubeconfig(…)` to *path*, readable by its owner only; returns the path."""
        import yaml

        path = Path(path)
        text = yaml.safe_dump(self.kubeconfig(token=token, user=user, groups=groups), sort_keys=False)
        with open(path, "w", opener=_private) as file:  # that of a Path takes no opener
            file.write(text)
        return path

    # --- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen. Raises `OSError` where the port is taken, `RuntimeError` where it runs already."""
        if self._web is not None:
            raise RuntimeError("the server runs already")
        self._web = _Connections(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=3600.0,
            max_line_size=1 << 16,
            max_field_size=1 << 16,
            auto_decompress=False,  # a server takes bodies as they are: one that is packed is no JSON
        )
        self._begin()
        try:
            await self._accept()
        except BaseException:
            self._stop_listening()
            self._web = None
            self._end(killed=True)
            raise

    async def stop(self) -> None:
        """End the watches, let running requests finish, and close every connection. Idempotent.

        Cancelled: it is stopped, and connections that were still busy are cut.
        """
        try:
            await self._close(killed=False)
        finally:
            if not self.runs:  # nobody started it again meanwhile
                self._let_port_go()

    async def kill(self) -> None:
        """Reset every connection at once and refuse new ones, as if the process had died. Idempotent.

        The port stays its own until it is stopped or closed. Cancelled: it is dead all the same.
        """
        await self._close(killed=True)

    async def _close(self, *, killed: bool) -> None:
        handlers, self._web = self._web, None
        if handlers is None:
            return
        self._stop_listening()
        self._end(killed=killed)
        try:
            if killed:
                self._keep_port()  # at once: during what follows somebody else could take it
                for connection in handlers.connections:
                    if connection.transport is not None:
                        _reset(connection.transport)
                await handlers.shutdown(0)
            else:
                handlers.pre_shutdown()
                await handlers.shutdown(2.0)
            await handlers.closed(_FAREWELL)
        finally:
            handlers.cut()

    # --- the port ----------------------------------------------------------------------------------------

    def _refuse(self) -> None:
        if self._web is None or self._listener is None:
            return
        self._stop_listening()
        self._keep_port()
        self._web.leave()

    async def _accept(self) -> None:
        if self._web is None or self._listener is not None:
            return
        bound = self._keep_port()
        context = self._tls.server_context(insist=self._client_certificates) if self._tls else None
        loop = asyncio.get_running_loop()
        # Not yet serving, it is here without a pause, in which another could do the same.
        self._listener = await loop.create_server(
            self._web, sock=bound, ssl=context, backlog=4096, start_serving=False
        )
        self._bound = None
        await self._listener.start_serving()

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _keep_port(self) -> socket.socket:
        """Hold the port without listening: attempts to connect are refused, and nobody else can take it."""
        if self._bound is not None:
            return self._bound
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("127.0.0.1", self._port))
        except BaseException:
            bound.close()
            raise
        self._port = bound.getsockname()[1]
        self.routes.address = f"127.0.0.1:{self._port}"
        self._bound = bound
        return bound

    def _let_port_go(self) -> None:
        bound, self._bound = self._bound, None
        if bound is not None:
            bound.close()

    # --- one request -------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await _body(request)
        except _ExpectationFailed:
            return _closing(417)
        except web.RequestPayloadError as error:
            refused = bad_request(f"the body of the request is broken: {error}")
            return _closing(refused.code, refused.body(), {"Content-Type": JSON})
        call = Call(
            request.method,
            request.rel_url.raw_path,
            _first_values(request),
            {name.lower(): _text(value) for name, value in request.headers.items()},
            body,
            _repeated(request),
            certified(request.transport),
            request.remote or "",
        )
        try:
            reply = await self.exchange(call)
        except Reset:
            return _aborted(request)
        try:
            return await self._send(request, reply)
        except Reset:
            return _aborted(request)
        except ConnectionError:  # the client went away; aiohttp knows
            return web.Response()
        finally:
            reply.finish()

    async def _send(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        """Send *reply*: as one piece with its length where it is one, else chunked as it is made."""
        async with contextlib.aclosing(reply.chunks) as chunks:
            if reply.streaming:
                return await _stream(request, reply, [], chunks)
            first = await anext(chunks, b"")
            second = await anext(chunks, None)
            gzip = len(first) > _GZIP_ABOVE and accepts_gzip(request.headers.get("Accept-Encoding", ""))
            if second is not None or gzip:
                pieces = [first] if second is None else [first, second]
                return await _stream(request, reply, pieces, chunks, gzip=gzip)
        response = web.Response(status=reply.status, headers=reply.headers, body=first)
        if not request.content.is_eof():  # the rest of a body that is too large stays unread
            response.force_close()
        await response.prepare(request)
        await response.write_eof()
        return response


class _Connections(web.Server):
    """Knows the connections that are open, those that are being closed included."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **options: Any):
        async def busy(request: web.BaseRequest) -> web.StreamResponse:
            self._busy.add(request.protocol)
            try:
                return await handler(request)
            finally:
                self._busy.discard(request.protocol)

        super().__init__(busy, **options)
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._busy: set[web.RequestHandler] = set()
        self._lost = Broadcast()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._open[handler] = transport

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._open.pop(handler, None)
        self._lost.tell()

    def leave(self) -> None:
        """Close the connections that are idle now, and the others when they have answered."""
        for handler, transport in tuple(self._open.items()):
            if handler in self._busy:
                handler.close()
            else:
                transport.close()

    async def closed(self, patience: float) -> None:
        """Wait until every connection is closed; those that are not after *patience* seconds are cut."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._open:
                    await self._lost.wait()
        self.cut()
        while self._open:
            await self._lost.wait()

    def cut(self) -> None:
        """Let go of every connection now, without a farewell."""
        for transport in tuple(self._open.values()):
            transport.abort()


async def _stream(
    request: web.BaseRequest,
    reply: Reply,
    pieces: list[bytes],
    chunks: AsyncIterator[bytes],
    *,
    gzip: bool = False,
) -> web.StreamResponse:
    """Send *pieces* and then *chunks* as a chunked body."""
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    else:
        response.force_close()  # the end of the body is the end of the connection
    packer = zlib.compressobj(1, wbits=31) if gzip else None
    if gzip:
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    await response.prepare(request)

    async def send(piece: bytes) -> None:
        if packer is not None:  # zlib lets go of the interpreter, so a thread keeps the loop free
            piece = await asyncio.to_thread(packer.compress, piece)
        if piece:
            await response.write(piece)

    for piece in pieces:
        await send(piece)
    try:
        async for piece in chunks:
            await send(piece)
    except Reset:
        await _flushed(request)
        raise
    if packer is not None:
        await response.write(packer.flush())
    await response.write_eof()
    return response


class _ExpectationFailed(Exception):
    """The client expects what the server does not do."""


async def _body(request: web.BaseRequest) -> bytes:
    """The request's body, cut above what the server takes.

    A client that waits to be told to send it is told so, as `net/http` does: from HTTP/1.1 on, where there is
    a body. Raises `_ExpectationFailed`, or `web.RequestPayloadError` for a body that is none.
    """
    expected = request.headers.get("Expect", "")
    continues = "100-continue" in (one.strip().lower() for one in expected.split(","))
    if expected and not continues:
        raise _ExpectationFailed
    if not request.can_read_body:
        return b""
    if continues and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer itself has gone out
    pieces: list[bytes] = []
    size = 0
    while size < _BODY_LIMIT and (piece := await request.content.readany()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _first_values(request: web.BaseRequest) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in request.query.items():
        values.setdefault(name, value)
    return values


def _repeated(request: web.BaseRequest) -> dict[str, list[str]]:
    headers = request.headers
    if len(headers) == len(set(headers)):
        return {}
    values = {name.lower(): [_text(one) for one in headers.getall(name)] for name in headers}
    return {name: several for name, several in values.items() if len(several) > 1}


def _text(value: str) -> str:
    """A header's value without the half surrogates that stand for bytes which are no UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def _flushed(request: web.BaseRequest) -> None:
    """Wait until what was written has gone out: a reset drops what is still in the buffer."""
    transport = request.transport
    # A transport tells its own protocol alone when its buffer runs empty, and that one is aiohttp's.
    while transport is not None and not transport.is_closing() and transport.get_write_buffer_size():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def _closing(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer that is the connection's last: where the next request would begin is not known."""
    response = web.Response(status=status, body=body, headers=headers)
    response.force_close()
    return response


def _private(path: str, flags: int) -> int:
    """Open *path* for its owner only before anything is written: what was there may be open to others."""
    opened = os.open(path, flags, 0o600)
    try:
        os.fchmod(opened, 0o600)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _aborted(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        _reset(request.transport)
    return web.Response()


def _reset(transport: asyncio.BaseTransport) -> None:
    """Close with RST, so that the peer sees a reset and no end of stream."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
