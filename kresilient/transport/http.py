"""The transport over sockets: aiohttp with two pools, one for unary calls and one for streams.

What aiohttp would do by itself and a paced client must not is off: replaying a request on a new connection
(only the door decides what is sent twice), following redirects (credentials would go to another host, and
an API server never redirects: a 3xx is handed on as the failure it is), cookies, `.netrc`, and the proxy
variables (`proxy.py` reads them as client-go does).
"""

from __future__ import annotations

import asyncio
import io
import os
import socket
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from ..api.errors import ConnectionLost, LifecycleError, TransportError, WireError
from .auth import Authenticator, Identity
from .base import Request, Response
from .config import ClusterConfig
from .failures import exchange_failed
from .response import HttpResponse
from .tls import TlsContext

__all__ = ["HttpTransport"]

_READ_BUFFER = 96 << 10  # over 200 MB in chunks, 128 KiB and more cost two and a half times the CPU
_HEADER_LIMIT = 1 << 16
_LARGE_BODY = 1 << 20  # aiohttp writes a larger `bytes` in one go, and warns of it


class HttpTransport:
    """A way to one API server over HTTP.

    Made anywhere, it opens its pools in the event loop that first sends through it and belongs to that loop
    and process from then on.

    Args:
        config: the cluster.
        connect_timeout: seconds for one connection to be made: name, proxy, TCP and TLS together.
        max_connections: connections for unary calls; more calls than that wait for one to be free. Streams
            have no limit, so that watches can never starve a lease renewal.
        keepalive: seconds that an idle connection is kept; below what servers and load balancers allow (60 s
            and more), so that a request rarely meets one that is just being closed.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        connect_timeout: float = 10.0,
        max_connections: int = 32,
        keepalive: float = 30.0,
    ) -> None:
        self.config = config
        self._connect_timeout = connect_timeout
        self._max_connections = max_connections
        self._keepalive = keepalive
        self._auth = Authenticator(config.credentials)
        self._tls = TlsContext(config) if config.server.startswith("https:") else None
        self._impersonation = tuple(config.impersonate.headers()) if config.impersonate is not None else ()
        self._unary: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._open: set[HttpResponse] = set()
        self._closed = False

    @property
    def server(self) -> str:
        return self.config.server

    async def send(self, request: Request) -> Response:
        """See `Transport.send`.

        Raises:
            ConnectFailed: nothing was sent.
            ConnectionLost: it may have arrived.
            CredentialsError: there are no credentials to send it with; nothing was sent, or the server had
                refused the ones there were.
            ConfigError: the TLS files cannot be used.
            LifecycleError: closed, in another event loop, or after a fork.
            WireError: the answer came in an encoding that was not asked for.
        """
        self._enter()
        loop = asyncio.get_running_loop()
        deadline = None if request.streaming or request.timeout is None else loop.time() + request.timeout
        identity = await self._auth.identity()
        response = await self._exchange(request, identity, deadline)
        if response.status != 401:
            return response
        try:
            fresh = await self._auth.refreshed(identity)
        except BaseException:
            await response.close()
            raise
        if fresh == identity:
            return response
        await response.close()
        return await self._exchange(request, fresh, deadline)

    async def close(self) -> None:
        """See `Transport.close`. In a forked child the connections are the parent's and are left alone."""
        forked = self._loop is not None and os.getpid() != self._pid
        if not forked and self._loop not in (None, asyncio.get_running_loop()):
            raise LifecycleError("a transport is closed in the event loop that it was used in")
        self._closed = True
        if forked:
            return
        for response in tuple(self._open):
            await response.close()
        for session in (self._unary, self._streams):
            if session is not None:
                await session.close()

    def _enter(self) -> None:
        if self._closed:
            raise LifecycleError(f"the transport to {self.server} is closed: make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop, self._pid = loop, os.getpid()
        if os.getpid() != self._pid:
            raise LifecycleError(
                "this process was forked from the one that used the transport, and connections cannot be"
                " shared: make a new transport in the child"
            )
        if self._loop is not loop:
            raise LifecycleError(
                "the transport belongs to another event loop: make one for each loop, and close it there"
            )

    def _session(self, streaming: bool) -> aiohttp.ClientSession:
        session = self._streams if streaming else self._unary
        if session is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0 if streaming else self._max_connections,
                    keepalive_timeout=self._keepalive,
                    socket_factory=_keepalive_socket,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                raise_for_status=False,
                read_bufsize=_READ_BUFFER,
                max_line_size=_HEADER_LIMIT,
                max_field_size=_HEADER_LIMIT,
                skip_auto_headers=(hdrs.CONTENT_TYPE, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT),
                middlewares=(_never_replay,),
                trace_configs=[_progress_trace()],
            )
            if streaming:
                self._streams = session
            else:
                self._unary = session
        return session

    def _headers(self, request: Request, identity: Identity) -> CIMultiDict[str]:
        compress = self.config.compression and request.verb != "watch"
        headers = CIMultiDict(self.config.headers)
        headers.setdefault(hdrs.USER_AGENT, self.config.user_agent)
        headers.setdefault(hdrs.ACCEPT, "application/json")
        headers[hdrs.ACCEPT_ENCODING] = "gzip" if compress else "identity"
        if request.body is not None:
            headers[hdrs.CONTENT_TYPE] = "application/json"
        headers.update(request.headers)
        headers.extend(self._impersonation)
        headers.update(identity.headers)
        return headers

    async def _exchange(self, request: Request, identity: Identity, deadline: float | None) -> HttpResponse:
        url = URL(_target(self.server, request), encoded=True)
        tls = await self._tls.get(identity.client_certificate) if self._tls is not None else True
        self._enter()  # closed while waiting for credentials or files
        loop = asyncio.get_running_loop()
        remaining = None if deadline is None else max(deadline - loop.time(), 0.001)
        body = request.body
        progress = _Progress(self._connect_timeout)
        try:
            async with asyncio.timeout(None) as progress.connecting:
                raw = await self._session(request.streaming).request(
                    request.method,
                    url,
                    headers=self._headers(request, identity),
                    data=io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY else body,
                    allow_redirects=False,
                    ssl=tls,
                    server_hostname=self.config.tls_server_name if self._tls is not None else None,
                    proxy=self.config.proxy,
                    proxy_headers=self.config.proxy_headers or None,
                    timeout=aiohttp.ClientTimeout(total=remaining, sock_read=request.stall),
                    trace_request_ctx=progress,
                )
        except _Unanswered as wrapped:
            cause = wrapped.__cause__ or wrapped
            raise self._failed(cause, request, progress) from cause
        except aiohttp.ClientResponseError as error:
            raise self._failed(error, request, progress) from None  # it carries the request's headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._failed(error, request, progress) from error
        response = HttpResponse(raw, request, self.config, done=self._open.discard)
        if self._closed:
            await response.close()
            raise ConnectionLost(f"{request.what}: the transport was closed meanwhile")
        self._open.add(response)
        encoding = raw.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", ""):
            await response.close()
            raise WireError(f"{request.what}: the body came encoded as {encoding!r}, which was not asked for")
        return response

    def _failed(self, error: BaseException, request: Request, progress: _Progress) -> TransportError:
        if progress.connecting is not None and progress.connecting.expired():
            timeout = f"no connection within {self._connect_timeout:g} s"
        elif progress.sent:
            timeout = f"no answer within {request.timeout or 0:g} s"
        elif progress.started:
            timeout = f"no connection within {request.timeout or 0:g} s"
        else:
            timeout = (
                f"none of {self._max_connections} connections was free within {request.timeout or 0:g} s"
            )
        return exchange_failed(error, request, self.config, sent=progress.sent, timeout=timeout)


class _Progress:
    """How far one request has come, told by aiohttp's trace."""

    __slots__ = ("_allowed", "connecting", "sent", "started")

    def __init__(self, allowed: float) -> None:
        self._allowed = allowed
        self.connecting: asyncio.Timeout | None = None
        self.started = self.sent = False

    def connect_started(self) -> None:
        self.started = True
        assert self.connecting is not None
        self.connecting.reschedule(asyncio.get_running_loop().time() + self._allowed)

    def connect_ended(self) -> None:
        assert self.connecting is not None
        if not self.connecting.expired():
            self.connecting.reschedule(None)
        self.sent = True


def _progress_trace() -> aiohttp.TraceConfig:
    """Bounds the making of a connection, and marks a request as sent from the moment it has one."""

    async def started(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.connect_started()

    async def ended(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.connect_ended()

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(started)
    trace.on_connection_create_end.append(ended)
    trace.on_connection_reuseconn.append(ended)
    return trace


class _Unanswered(Exception):
    """Carries a lost connection past aiohttp, which would send an idempotent request a second time."""


async def _never_replay(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except (aiohttp.ClientConnectionError, OSError) as error:
        raise _Unanswered from error


def _target(server: str, request: Request) -> str:
    path = request.path if request.path.startswith("/") else f"/{request.path}"
    return (
        f"{server}{path}?{urlencode(request.query, quote_via=quote)}" if request.query else f"{server}{path}"
    )


def _keepalive_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket that notices a vanished peer even while nobody reads; the stall timeout is what counts."""
    family, kind, protocol, *_ = address
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock
