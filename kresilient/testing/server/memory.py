"""The same server behind the `Transport` protocol, without a socket: it runs in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from kresilient.api.errors import ConnectFailed, ConnectionLost, LifecycleError
from kresilient.transport.base import Request

from .epoch import Reset
from .handler_chain import Reply
from .requests import Call
from .server import ApiServer

__all__ = ["MemoryApiServer", "MemoryTransport"]

_numbers = count(1)


class MemoryApiServer(ApiServer):
    """A fake API server that is asked by calls: no socket, no thread, no time but the loop's.

    It starts running; `async with` ends it. Takes the options of `ApiServer`. A client of it is
    `kresilient.connect(server.transport(), qps=None)`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._url = f"memory://apiserver-{next(_numbers)}"
        self._refusing = False
        self._begin()

    @property
    def url(self) -> str:
        """A name that no other server of this process has; nothing listens there."""
        return self._url

    def transport(
        self,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Iterable[str] | None = None,
        user_agent: str = "kresilient-memory",
    ) -> MemoryTransport:
        """A way in, with credentials of its own: those of `admin`, whichever are good when it sends.

        Args:
            token: a bearer token, good or not, instead.
            user, groups: who else it is for; a token is made where there is none (see `Access.token_of`).
            user_agent: how it calls itself.

        Raises `ValueError` for a token beside a user.
        """
        if token is None or user is not None:
            token = self._token_for(token, user, groups)
        return MemoryTransport(self, token=token, user_agent=user_agent)

    async def start(self) -> None:
        """Run again after `stop` or `kill`; nothing where it runs."""
        if self.epoch is None:
            self._refusing = False
            self._begin()

    async def stop(self) -> None:
        """End the watches cleanly and refuse new requests. Idempotent."""
        self._end(killed=False)

    async def kill(self) -> None:
        """Break everything that runs, and refuse new requests. Idempotent."""
        self._end(killed=True)

    @property
    def accepts(self) -> bool:
        """Whether a request can reach it."""
        return self.epoch is not None and not self._refusing

    def _refuse(self) -> None:
        self._refusing = True

    async def _accept(self) -> None:
        self._refusing = False


class MemoryTransport:
    """One client's way to a `MemoryApiServer`; a `Transport`."""

    def __init__(self, server: MemoryApiServer, *, token: str | None, user_agent: str) -> None:
        self._server = server
        self._token = token
        self._newest = server.token
        self._user_agent = user_agent
        self._open: set[MemoryResponse] = set()
        self._closed = False

    @property
    def server(self) -> str:
        return self._server.url

    async def send(self, request: Request) -> MemoryResponse:
        """See `Transport.send`; raises `LifecycleError` once closed."""
        self._check_open()
        loop = asyncio.get_running_loop()
        deadline = None if request.timeout is None or request.streaming else loop.time() + request.timeout
        if not self._server.accepts:
            raise ConnectFailed(f"{request.what}: {self.server} refuses connections")
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers.setdefault("user-agent", self._user_agent)
        # A client goes on with the token it has, also when that is good no more: 401, not an anonymous 403.
        self._newest = self._server.token or self._newest
        token = self._token if self._token is not None else self._newest
        if token is not None:
            headers.setdefault("authorization", f"Bearer {token}")
        query: dict[str, str] = {}
        for name, value in request.query:
            query.setdefault(name, value)
        call = Call(request.method, urlsplit(request.path).path, query, headers, request.body or b"")
        overdue_at = None if request.patience is None else loop.time() + request.patience
        limits = [deadline, overdue_at]
        await asyncio.sleep(0)  # as over a network, the answer never comes within the same turn
        if not self._server.accepts:
            raise ConnectFailed(f"{request.what}: {self.server} refuses connections")
        try:
            async with asyncio.timeout_at(min((one for one in limits if one is not None), default=None)):
                reply = await self._server.exchange(call)
        except Reset:
            raise ConnectionLost(f"{request.what}: the server reset the connection", dropped=True) from None
        except TimeoutError:
            raise ConnectionLost(
                f"{request.what}: no answer within {request.timeout or request.patience} s",
                overdue=overdue_at is not None and loop.time() >= overdue_at,
            ) from None
        response = MemoryResponse(request, reply, deadline, self._open)
        if self._closed:
            await response.close()
            self._check_open()
        self._open.add(response)
        return response

    def _check_open(self) -> None:
        if self._closed:
            raise LifecycleError(f"the transport to {self.server} is closed: make a new one")

    async def close(self) -> None:
        """Cut off every response that is still open, and send nothing more. Idempotent."""
        self._closed = True
        for response in tuple(self._open):
            await response.close()


class MemoryResponse:
    """An answer as it is read; a `Response`."""

    def __init__(
        self, request: Request, reply: Reply, deadline: float | None, kept: set[MemoryResponse]
    ) -> None:
        self._request = request
        self._reply = reply
        self._deadline = deadline
        self._kept = kept
        self._arriving: asyncio.Task[bytes | None] | None = None
        self._closed = self._complete = False
        self.wire_bytes = 0

    @property
    def status(self) -> int:
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        return _Headers(self._reply.headers)

    async def read(self, limit: int | None = None) -> bytes:
        """See `Response.read`."""
        pieces: list[bytes] = []
        size = 0
        try:
            while (limit is None or size < limit) and (piece := await self._piece()) is not None:
                pieces.append(piece)
                size += len(piece)
        except BaseException:
            await self.close()
            raise
        body = b"".join(pieces)
        return body if limit is None else body[:limit]

    def chunks(self) -> AsyncIterator[bytes]:
        """See `Response.chunks`."""
        return _Chunks(self)

    async def _piece(self) -> bytes | None:
        """The next piece of the body; None at its clean end. Cancelled: the next call returns it."""
        if self._complete:
            return None
        if self._closed:
            raise ConnectionLost(f"{self._request.what}: the response is closed")
        loop = asyncio.get_running_loop()
        # A task, for the server's generator would be over if the cancellation of a reader reached it.
        arriving = self._arriving = self._arriving or loop.create_task(self._receive())
        limits = [] if self._request.stall is None else [self._request.stall]
        if self._deadline is not None:
            limits.append(max(0.0, self._deadline - loop.time()))
        await asyncio.wait([arriving], timeout=min(limits, default=None))
        if not arriving.done():
            await self.close()
            raise ConnectionLost(f"{self._request.what}: the server fell silent")
        if self._arriving is arriving:
            self._arriving = None
        if arriving.cancelled():
            raise ConnectionLost(f"{self._request.what}: the response was closed here")
        try:
            piece = arriving.result()
        except BaseException as error:
            await self.close()
            if isinstance(error, Reset):
                raise ConnectionLost(f"{self._request.what}: the server reset the connection") from None
            raise
        if piece is None:
            self._complete = True
            await self.close()
        else:
            self.wire_bytes += len(piece)
        return piece

    async def _receive(self) -> bytes | None:
        return await anext(self._reply.chunks, None)

    async def close(self) -> None:
        """See `Response.close`."""
        if self._closed:
            return
        self._closed = True
        self._kept.discard(self)
        self._reply.finish()
        arriving, self._arriving = self._arriving, None
        if arriving is None:
            await self._reply.chunks.aclose()
        else:
            arriving.cancel()
            # A task, for whoever closes may be cancelled, and the server's generator is closed all the same.
            await asyncio.shield(asyncio.get_running_loop().create_task(self._leave(arriving)))

    async def _leave(self, arriving: asyncio.Task[bytes | None]) -> None:
        await asyncio.wait([arriving])
        if not arriving.cancelled():
            arriving.exception()  # nobody is left to hear of it
        await self._reply.chunks.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Chunks:
    """The pieces of a body. No generator: one that is cancelled is over, as if the body had ended."""

    __slots__ = ("_response",)

    def __init__(self, response: MemoryResponse) -> None:
        self._response = response

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._response._piece()
        if piece is None:
            raise StopAsyncIteration
        return piece


class _Headers(dict[str, str]):
    """Headers looked up without regard to case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)
