"""A transport that answers from a script, one entry an attempt, and remembers what was sent."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Self

import msgspec

from kresilient.transport.base import Request, Response

JSON = {"content-type": "application/json"}


class Headers(dict[str, str]):
    """Header lookup without regard to case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(name.lower(), default)


class Scripted:
    """A response: `body` at once, or the error that reading it raises, or nothing for ever."""

    def __init__(
        self,
        status: int = 200,
        body: bytes | BaseException | None = b"{}",
        headers: Mapping[str, str] = JSON,
    ) -> None:
        self.status = status
        self.headers = Headers(headers)
        self.wire_bytes = 0
        self.closed = 0
        self._body = body

    async def read(self, limit: int | None = None) -> bytes:
        if self._body is None:
            await asyncio.Event().wait()
        if isinstance(self._body, BaseException):
            raise self._body
        assert self._body is not None
        return self._body[:limit]

    async def chunks(self) -> AsyncIterator[bytes]:
        yield await self.read()

    async def close(self) -> None:
        self.closed += 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def status(code: int, reason: str = "", *, retry_after: float | None = None, cause: str = "") -> Scripted:
    """A failure with a Kubernetes Status."""
    details: dict[str, object] = {}
    if retry_after is not None:
        details["retryAfterSeconds"] = retry_after
    if cause:
        details["causes"] = [{"reason": cause}]
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
    return Scripted(code, msgspec.json.encode(body | ({"details": details} if details else {})))


def bare(code: int, body: bytes = b"<html>", headers: Mapping[str, str] | None = None) -> Scripted:
    """A failure as a proxy sends it."""
    return Scripted(code, body, {"content-type": "text/html", **(headers or {})})


class ScriptedTransport:
    server = "http://scripted"

    def __init__(self, *script: Scripted | BaseException | None) -> None:
        self.script = list(script)
        self.sent: list[Request] = []
        self.times: list[float] = []
        self.closed = 0

    async def send(self, request: Request) -> Response:
        self.sent.append(request)
        self.times.append(asyncio.get_running_loop().time())
        entry = self.script.pop(0)
        if entry is None:
            await asyncio.Event().wait()
        if isinstance(entry, BaseException):
            raise entry
        assert entry is not None
        return entry

    async def close(self) -> None:
        self.closed += 1


class Driven:
    """A transport whose answers are computed: `answer(request)` is a response or the error to raise, and
    `latency` the seconds before it. It remembers what was sent, when, and how many were under way at once."""

    server = "http://driven"

    def __init__(self, answer: Callable[[Request], Scripted | BaseException], latency: float = 0.0) -> None:
        self.answer = answer
        self.latency = latency
        self.sent: list[Request] = []
        self.times: list[float] = []
        self.under_way = self.most = 0
        self.closed = 0

    async def send(self, request: Request) -> Response:
        self.sent.append(request)
        self.times.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.under_way -= 1
        answer = self.answer(request)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def close(self) -> None:
        self.closed += 1

    def most_within(self, seconds: float) -> int:
        """The largest number of requests sent in any span of so many seconds."""
        ends = (bisect_left(self.times, start + seconds) for start in self.times)
        return max((end - begin for begin, end in enumerate(ends)), default=0)
