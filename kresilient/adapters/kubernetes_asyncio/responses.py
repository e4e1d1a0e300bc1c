"""Answers as `kubernetes_asyncio` code reads them: as aiohttp's `ClientResponse` with its `.content`."""

from __future__ import annotations

import asyncio
import json
import re
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from typing import Any, Final, Self

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ...api.errors import KresilientError, WireError
from ...flow.door import MAX_BODY
from ...reads import let_go
from ...transport.base import Request, Response
from .failures import translated
from .heads import headers_of, reason_of

__all__ = ["ContentReader", "RawResponse"]

_JSON: Final = re.compile(r"application/(?:[\w.+-]+?\+)?json\Z", re.IGNORECASE)


class ContentReader:
    """A body as it arrives; reads like an `aiohttp.StreamReader`, but a line may have any length.

    One reader at a time. Cancelled while it reads: nothing is lost, and the next read goes on where this one
    stopped. Raises what aiohttp raises where the body breaks off, and `TimeoutError` at the call's deadline.
    """

    def __init__(
        self,
        held: bytes = b"",
        *,
        response: Response | None = None,
        deadline: float | None = None,
        ended: Callable[[bool], None] | None = None,
    ) -> None:
        """*held* and then what *response* brings, until *deadline* of the loop's time.

        *ended* is called once the server has ended the body, with whether there was anything in it.
        """
        self._held = bytearray(held)
        self._ended = ended
        self._brought = bool(held)
        self._chunks = None if response is None else response.chunks()
        self._deadline = deadline
        self._reading = self._cut = False
        self._drop: Callable[[], object] = lambda: None
        if response is not None:  # a stream that is dropped unread must not hold its connection
            finalizer = weakref.finalize(self, let_go, asyncio.get_running_loop(), response)
            finalizer.atexit = False
            self._drop = finalizer

    def at_eof(self) -> bool:
        """Whether all of it was read."""
        return self._chunks is None and not self._held and not self._cut

    async def readline(self) -> bytes:
        """The next line with its end; what is left at the end of the body; `b""` after that."""
        return await self.readuntil(b"\n")

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """The bytes up to *separator*, which is included; what is left where there is none."""
        searched = 0
        while (at := self._held.find(separator, searched)) < 0:
            searched = max(0, len(self._held) - len(separator) + 1)
            if not await self._more():
                return self._taken(len(self._held))
        return self._taken(at + len(separator))

    async def read(self, n: int = -1) -> bytes:
        """All that is left; with *n*, at most that many bytes, as soon as there are any."""
        if n == 0:
            return b""
        if n > 0:
            if not self._held:
                await self._more()
            return self._taken(min(n, len(self._held)))
        while await self._more():
            pass
        return self._taken(len(self._held))

    async def readexactly(self, n: int) -> bytes:
        """*n* bytes. Raises `asyncio.IncompleteReadError` where the body is shorter."""
        while len(self._held) < n:
            if not await self._more():
                raise asyncio.IncompleteReadError(self._taken(len(self._held)), n)
        return self._taken(n)

    async def readany(self) -> bytes:
        """Whatever has come, at least one byte; `b""` at the end."""
        if not self._held:
            await self._more()
        return self._taken(len(self._held))

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it comes."""
        while piece := await self.readany():
            yield piece

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """The body in pieces of at most *n* bytes."""
        while piece := await self.read(n):
            yield piece

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not (line := await self.readline()):
            raise StopAsyncIteration
        return line

    def drop(self) -> None:
        """Let go of the connection; what has not come is lost. Idempotent."""
        self._cut = self._cut or self._chunks is not None
        self._chunks = None
        self._drop()

    def _taken(self, size: int) -> bytes:
        piece = bytes(self._held[:size])
        del self._held[:size]
        return piece

    async def _more(self) -> bool:
        """Wait for more of the body; False at its end."""
        chunks = self._chunks
        if self._cut:
            raise aiohttp.ClientConnectionError("Connection closed")  # aiohttp's words
        if chunks is None:
            return False
        if self._reading:
            raise RuntimeError("this body is already read by another task: one reader at a time")
        if len(self._held) > MAX_BODY:
            raise WireError(f"more than {MAX_BODY} bytes of a body that do not end: read it in pieces")
        self._reading = True
        failure: BaseException | None = None
        try:
            async with asyncio.timeout_at(self._deadline):
                piece = await anext(chunks, None)
        except KresilientError as error:
            failure = translated(error)
        except TimeoutError:
            self.drop()
            raise
        finally:
            self._reading = False
        if failure is not None:
            self.drop()
            raise failure
        if piece is None:
            self._chunks = None
            self._drop()
            if self._ended is not None:
                self._ended(self._brought)
            return False
        self._brought = True
        self._held += piece
        return True


class RawResponse:
    """An answer of any status, as a call with `_preload_content=False` returns it.

    It has what is documented of `aiohttp.ClientResponse` and makes sense here. Close it, or read it to its
    end; one that is dropped is closed.
    """

    def __init__(
        self, request: Request, server: str, status: int, headers: Mapping[str, str], content: ContentReader
    ) -> None:
        self.method = request.method
        self.status = status
        self.reason = reason_of(status)
        self.headers = headers_of(headers)
        self.content = content
        self.url = URL(server + request.path, encoded=True).with_query(request.query)
        self.real_url = self.url
        self.history: tuple[RawResponse, ...] = ()
        self.closed = False
        self._body: bytes | None = None
        self._sent = CIMultiDict(request.headers)

    @property
    def ok(self) -> bool:
        """Whether the status is no failure."""
        return self.status < 400

    @property
    def content_type(self) -> str:
        """The media type, without parameters."""
        return self._type_and_charset()[0]

    @property
    def charset(self) -> str | None:
        return self._type_and_charset()[1]

    @property
    def content_length(self) -> int | None:
        length = self.headers.get("Content-Length")
        return int(length) if length is not None and length.isdecimal() else None

    @property
    def request_info(self) -> aiohttp.RequestInfo:
        sent = CIMultiDictProxy(self._sent)
        return aiohttp.RequestInfo(self.url, self.method, sent, self.url)

    async def read(self) -> bytes:
        """The whole body; kept, so that it can be asked for again."""
        if self._body is None:
            self._body = await self.content.read()
        return self._body

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """The whole body as text."""
        return (await self.read()).decode(encoding or self.charset or "utf-8", errors)

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: Callable[[str], Any] = json.loads,
        content_type: str | None = "application/json",
    ) -> Any:
        """The whole body, decoded; None where it is empty. Raises `aiohttp.ContentTypeError` where the answer
        calls itself something else than *content_type*, unless that is None."""
        expected = content_type is None or (
            _JSON.match(self.content_type) is not None
            if content_type == "application/json"
            else content_type in self.content_type
        )
        if not expected:
            raise aiohttp.ContentTypeError(
                self.request_info,
                (),
                status=self.status,
                message=f"unexpected content type {self.content_type!r} of {self.method} {self.url.path}",
                headers=self.headers,
            )
        text = (await self.text(encoding)).strip()
        return loads(text) if text else None

    def raise_for_status(self) -> None:
        """Raise `aiohttp.ClientResponseError` for a failure, whose body is then let go."""
        if not self.ok:
            self.close()
            raise aiohttp.ClientResponseError(
                self.request_info, (), status=self.status, message=self.reason, headers=self.headers
            )

    def close(self) -> None:
        """Let go of the connection, at the latest in the loop's next turn. Idempotent."""
        self.closed = True
        self.content.drop()

    def release(self) -> _Done:
        """The same; may be awaited."""
        self.close()
        return _Done()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _type_and_charset(self) -> tuple[str, str | None]:
        kind, _, parameters = self.headers.get("Content-Type", "application/octet-stream").partition(";")
        found = re.search(r"charset=\"?([\w.:-]+)", parameters, re.IGNORECASE)
        return kind.strip().lower(), found[1] if found else None

    def __repr__(self) -> str:
        return f"<RawResponse {self.status} {self.reason} of {self.method} {self.url.path}>"


class _Done:
    def __await__(self) -> Generator[None, None, None]:
        yield from ()
