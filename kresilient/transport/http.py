"""The transport over sockets: aiohttp with three pools: for calls that end in time, lists, and streams.

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
import ssl
from collections.abc import Awaitable, Hashable
from types import SimpleNamespace
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from ..api.errors import ConnectFailed, ConnectionLost, LifecycleError, TransportError, WireError
from .auth import Authenticator, ClientCertificate, Identity
from .base import Request, Response
from .config import ClusterConfig
from .failures import connection_dropped, exchange_failed
from .response import HttpResponse
from .tls import TlsContext

__all__ = ["HttpTransport"]

_READ_BUFFER = 256 << 10  # as much as asyncio reads at once, so that reading is seldom paused
_KEPT = 1 << 20
_HEADER_LIMIT = 1 << 16
_LARGE_BODY = 1 << 20  # aiohttp writes a larger `bytes` in one go, and warns of it

_Pool = Literal["calls", "lists", "streams"]
_T = TypeVar("_T")


class HttpTransport:
    """A way to one API server over HTTP.

    Made anywhere, it opens its pools in the event loop that first sends through it and belongs to that loop
    and process from then on.

    Args:
        config: the cluster.
        connect_timeout: seconds for one connection to be made: name, proxy, TCP and TLS together.
        max_connections: connections for unary calls with a `timeout`; more calls than that wait for one to be
            free. Streams have no limit, so that watches can never starve a lease renewal.
        max_lists: connections for unary calls without a `timeout`, which may last as long as their server
            likes: an informer's lists. More than that wait for as long as it takes, and hold up nothing else.
        keepalive: seconds that an idle connection is kept; below what servers and load balancers allow (60 s
            and more), so that a request rarely meets one that is just being closed.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        connect_timeout: float = 10.0,
        max_connections: int = 32,
        max_lists: int = 8,
        keepalive: float = 30.0,
    ) -> None:
        self.config = config
        self._connect_timeout = connect_timeout
        self._limits: dict[_Pool, int] = {"calls": max_connections, "lists": max_lists, "streams": 0}
        self._keepalive = keepalive
        self._auth = Authenticator(config.credentials)
        self._tls = TlsContext(config) if config.server.startswith("https:") else None
        self._impersonation = tuple(config.impersonate.headers()) if config.impersonate is not None else ()
        self._sessions: dict[_Pool, aiohttp.ClientSession] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._open: set[HttpResponse] = set()
        self._closed = False

    @property
    def server(self) -> str:
        return self.config.server

    @property
    def route(self) -> Hashable:
        """See `route_of`: the URL, and whatever proxies choose a cluster by."""
        config = self.config
        shown: ClientCertificate | None = getattr(config.credentials, "client_certificate", None)
        certificate = None if shown is None else (shown.cert_file, shown.cert_data)
        headers = (*sorted(config.proxy_headers.items()), *sorted(config.headers.items()))
        return config.server, config.proxy, config.tls_server_name, certificate, headers

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
        identity = await self._prepared(self._auth.identity(), request, deadline)
        response = await self._exchange(request, identity, deadline)
        if response.status != 401:
            return response
        try:
            fresh = await self._prepared(self._auth.refreshed(identity), request, deadline)
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
        for session in self._sessions.values():
            await session.close()

    def _enter(self) -> None:
        if self._closed:
            raise LifecycleError(f"the transport to {self.server} is closed: make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop, self._pid = loop, os.getpid()
            _keep_what_is_freed()
        if os.getpid() != self._pid:
            raise LifecycleError(
                "this process was forked from the one that used the transport, and connections cannot be"
                " shared: make a new transport in the child"
            )
        if self._loop is not loop:
            raise LifecycleError(
                "the transport belongs to another event loop: make one for each loop, and close it there"
            )

    def _session(self, request: Request) -> aiohttp.ClientSession:
        pool: _Pool = "streams" if request.streaming else "lists" if request.timeout is None else "calls"
        session = self._sessions.get(pool)
        if session is None:
            session = self._sessions[pool] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._limits[pool],
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
        return session

    async def _prepared(self, what: Awaitable[_T], request: Request, deadline: float | None) -> _T:
        """*what* has to be there before *request* can be sent, had by its deadline."""
        try:
            async with asyncio.timeout_at(deadline) as limit:
                return await what
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._late(request) from None

    def _late(self, request: Request) -> ConnectFailed:
        return ConnectFailed(
            f"{request.what}: no credentials or TLS files within {request.timeout or 0:g} s;"
            f" nothing was sent to {self.server}",
            local=True,
        )

    def _headers(self, request: Request, identity: Identity) -> CIMultiDict[str]:
        compress = self.config.compression and request.verb != "watch"
        headers = CIMultiDict(self.config.headers)
        headers.setdefault(hdrs.USER_AGENT, self.config.user_agent)
        headers.setdefault(hdrs.ACCEPT, "application/json")
        headers[hdrs.ACCEPT_ENCODING] = "gzip" if compress else "identity"
        if request.body is not None:
            headers[hdrs.CONTENT_TYPE] = "application/json"
        own = CIMultiDict(request.headers)  # credentials that a request brings along are its own
        headers.update(own)
        headers.extend(self._impersonation)
        headers.update((name, value) for name, value in identity.headers.items() if name not in own)
        return headers

    async def _exchange(self, request: Request, identity: Identity, deadline: float | None) -> HttpResponse:
        url = URL(_target(self.server, request), encoded=True)
        tls: ssl.SSLContext | bool = True
        if self._tls is not None:
            tls = await self._prepared(self._tls.get(identity.client_certificate), request, deadline)
        self._enter()  # closed while waiting for credentials or files
        remaining = None if deadline is None else deadline - asyncio.get_running_loop().time()
        if remaining is not None and remaining <= 0:
            raise self._late(request)
        body = request.body
        to_connect = self._connect_timeout if request.connect_within is None else request.connect_within
        progress = _Progress(to_connect, request.patience)
        try:
            async with asyncio.timeout(None) as progress.limit:
                raw = await self._session(request).request(
                    request.method,
                    url,
                    headers=self._headers(request, identity),
                    data=io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY else body,
                    allow_redirects=False,
                    ssl=tls,
                    server_hostname=self.config.tls_server_name if self._tls is not None else None,
                    proxy=self.config.proxy,
                    proxy_headers=self.config.proxy_headers or None,
                    timeout=aiohttp.ClientTimeout(total=remaining),
                    trace_request_ctx=progress,
                )
            # aiohttp's response keeps its trace, a time limit its task, and a task that was cancelled the
            # frames that it left: one that read a stream and dropped it would be kept by that stream.
            progress.limit = None
        except _Unanswered as wrapped:
            cause = wrapped.__cause__ or wrapped
            raise self._failed(cause, request, progress) from cause
        except aiohttp.ClientResponseError as error:
            raise self._failed(error, request, progress) from None  # it carries the request's headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._failed(error, request, progress) from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._closed or task is None or task.cancelling():
                raise
            # Nobody cancelled the caller: a pool that is closed cancels the waits for its connections.
            failure = ConnectionLost if progress.sent else ConnectFailed
            raise failure(f"{request.what}: the transport was closed meanwhile", local=True) from None
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
        local = True
        if progress.limit is not None and progress.limit.expired():
            if progress.sent:
                return ConnectionLost(
                    f"{request.what}: {self.server} did not begin to answer within"
                    f" {request.patience or 0:g} s: taken for dead",
                    overdue=True,
                )
            timeout = f"no connection within {progress.to_connect:g} s"
            local = progress.to_connect < self._connect_timeout
        elif progress.sent:
            timeout = f"no answer within {request.timeout or 0:g} s"
        elif progress.started:
            timeout = f"no connection within {request.timeout or 0:g} s"
        else:
            timeout = (
                f"none of {self._limits['calls']} connections was free within {request.timeout or 0:g} s"
            )
        failure = exchange_failed(
            error, request, self.config, sent=progress.sent, timeout=timeout, local=local
        )
        # One that was idle in the pool may have been closed at any time, with nothing wrong.
        failure.dropped = progress.sent and progress.started and connection_dropped(error)
        return failure


def _keep_what_is_freed() -> None:
    """Have the memory of a piece that was read serve for the next one.

    glibc gives blocks of 128 KiB and more back to the system when they are freed, and the next piece faults
    in each of its pages anew: half of what it costs to read a large body over TLS. It keeps blocks no
    larger than the largest that was ever freed (mallopt(3), M_MMAP_THRESHOLD), and twice as much at the end
    of the heap: so one is freed that was never touched.
    """
    bytes(_KEPT)


class _Progress:
    """How far one request has come, told by aiohttp's trace, and the time limit of the part it has come to.

    `to_connect` and *to_answer* are the seconds for a connection and, once that is there, for the headers of
    the answer. The wait for a place in the pool is in neither.
    """

    __slots__ = ("_to_answer", "limit", "sent", "started", "to_connect")

    def __init__(self, to_connect: float, to_answer: float | None) -> None:
        self.to_connect = to_connect
        self._to_answer = to_answer
        self.limit: asyncio.Timeout | None = None
        self.started = self.sent = False

    def connect_started(self) -> None:
        self.started = True
        self._allow(self.to_connect)

    def connect_ended(self) -> None:
        self._allow(self._to_answer)
        self.sent = True

    def _allow(self, seconds: float | None) -> None:
        assert self.limit is not None
        if not self.limit.expired():
            self.limit.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)


def _progress_trace() -> aiohttp.TraceConfig:
    """Bounds the making of a connection and the wait for the answer; a request is sent once it has one."""

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
