"""The network as a protocol, so that sockets and an in-memory server are interchangeable.

A transport sends one request and returns one response; it knows nothing of retries, pacing or Kubernetes
errors. Those are the door's (`flow/door.py`), through which alone requests reach a transport.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

__all__ = ["Request", "Response", "Transport", "route_of"]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to the API server, and what it means in Kubernetes terms.

    Attributes:
        method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
        path: absolute and already percent-encoded, as `Resource.object_path` makes it.
        query: parameters in order, not yet encoded.
        headers: beyond what the transport adds itself (credentials, user agent, encoding).
        body: the exact bytes to send, or None.
        verb: the Kubernetes verb (`get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, …).
        resource: what it is about, as text, for messages and metrics: `"v1/pods"`.
        streaming: True for a response that is read as it arrives and may live long (a watch): it is kept
            off the pool of unary calls and has no total time limit.
        timeout: seconds for the whole exchange of a unary call, credentials included; None leaves it
            unbounded, and keeps it off the pool of calls that end in time.
        stall: seconds of silence within the body after which it fails with `ConnectionLost`; None for never.
        answer_within: seconds for the answer's headers to come once the request has a connection, after which
            it fails with a `ConnectionLost` that is `overdue`; `stall` bounds that wait too where None. A
            server may need long before the first byte of a large list, and then send it without a pause.
        connect_within: seconds for its connection to be made, instead of the transport's own.
        any_body: True where a success may carry anything (a log, what a pod answers through the proxy): it
            is not taken for a fault that it is no JSON, or empty.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    verb: str = "get"
    resource: str = ""
    streaming: bool = False
    timeout: float | None = 30.0
    stall: float | None = None
    answer_within: float | None = None
    connect_within: float | None = None
    any_body: bool = False

    @property
    def patience(self) -> float | None:
        """Seconds to wait for the answer's headers; None for no bound but `timeout`."""
        return self.stall if self.answer_within is None else self.answer_within

    @property
    def what(self) -> str:
        """The request in words, for messages: `list v1/pods (/api/v1/namespaces/default/pods)`."""
        return f"{self.verb} {self.resource} ({self.path})" if self.resource else f"{self.method} {self.path}"


@runtime_checkable
class Response(Protocol):
    """An answer whose body has not been read yet. Close it, or read it to its end, in every case."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""

    @property
    def wire_bytes(self) -> int:
        """Bytes of body received so far, as they crossed the wire (before decompression)."""

    async def read(self, limit: int | None = None) -> bytes:
        """The rest of the body, decompressed; at most *limit* bytes of it where given.

        Raises `ConnectionLost` where it ends early or stalls. Cancelled: the response is closed.
        """

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed, in pieces of any size, none of them empty.

        Ends when the server ends the body; raises `ConnectionLost` when the connection breaks or stays
        silent for longer than the request's `stall`. Cancelled: nothing already yielded is lost.
        """

    async def close(self) -> None:
        """Let go of the connection; it is reused only if the body was read to its end. Idempotent."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Transport(Protocol):
    """A way to one API server."""

    @property
    def server(self) -> str:
        """The server's base URL, for messages."""

    async def send(self, request: Request) -> Response:
        """Send *request* and return once the status and headers of the answer are there.

        Credentials are added here; on a 401 they are refreshed once and the request is sent again.

        Raises:
            ConnectFailed: nothing was sent.
            ConnectionLost: it may have arrived.

        Cancelled: the exchange is aborted; the server may still have acted on it.
        """

    async def close(self) -> None:
        """Close every connection. Idempotent; responses still open are cut off."""


def route_of(transport: Transport) -> Hashable:
    """What leads *transport* to its server: equal ones lead to the same.

    Its attribute `route` where it has one, else its URL. A proxy may have many clusters at one URL, and tell
    them apart by what else a client shows.
    """
    return getattr(transport, "route", transport.server)
