"""Reads that are more than one answer: lists in pages, and a single raw watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, Generic, Self, TypeVar

from .api.errors import ConnectionLost, Expired, LifecycleError, PoisonObject, WireError, api_error
from .api.objects import KubeObject
from .api.versions import later
from .api.wire import Bookmark, ListDecoder, Poison, WatchDecoder, WatchError, WatchEvent, WatchFrame
from .flow.door import Door
from .transport.base import Request, Response

__all__ = ["ListCall", "WatchStream"]

T = TypeVar("T")
Convert = Callable[[KubeObject], Any]


class ListCall(Generic[T]):
    """A list, not asked for yet: `await` it for all, or `async for` over it page by page.

    Awaited, a page token that expires begins the list again, at most `restarts` times; iterated, it raises
    `Expired`, since what was yielded belongs to a snapshot that is gone. `resource_version` is known after
    the first page. Raises what the door raises, and `PoisonObject` for an item that does not decode.
    """

    restarts = 3

    def __init__(self, door: Door, page: Callable[[str], Request], convert: Convert) -> None:
        self._door = door
        self._page = page
        self._convert = convert
        self.resource_version = ""

    def __await__(self) -> Generator[Any, None, list[T]]:
        return self._all().__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        return self._each()

    async def _all(self) -> list[T]:
        for left in reversed(range(self.restarts + 1)):
            try:
                return [obj async for obj in self._each()]
            except Expired:
                if not left or not self.resource_version:
                    raise
        raise AssertionError("unreachable")

    async def _each(self) -> AsyncIterator[T]:
        token, self.resource_version = "", ""
        while True:
            request = self._page(token)
            answer = await self._door.call(request)
            decoder = ListDecoder()
            items = decoder.feed(answer.body)
            last, meta = decoder.close()
            self.resource_version = self.resource_version or meta.resource_version
            for item in (*items, *last):
                if isinstance(item, Poison):
                    raise item.error
                yield self._convert(item)
            if not meta.continue_token:
                return
            if meta.continue_token == token:
                raise WireError(f"{request.what}: the server gave the same page token twice")
            token = meta.continue_token


class WatchStream(AsyncIterator[WatchEvent]):
    """One raw watch: the events as the server sends them, until it ends the stream.

    It does not reconnect, and it hides nothing: an informer is what you want unless you know better.
    `resource_version` follows events and bookmarks. Raises the typed `ApiError` of an ERROR event,
    `PoisonObject` for an object that does not decode (the stream can be read on), `ConnectionLost`.
    """

    def __init__(
        self, open_stream: Callable[[], Any], what: str, resource_version: str, stall: float
    ) -> None:
        self._open = open_stream
        self._what = what
        self._stall = stall
        self._response: Response | None = None
        self._frames: AsyncIterator[WatchFrame] | None = None
        self._closed = False
        self.resource_version = resource_version

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent:
        if self._closed:
            raise StopAsyncIteration
        if self._frames is None:
            self._response = await self._open()
            self._frames = self._read(self._response)
        try:
            async for frame in self._frames:
                if isinstance(frame, WatchEvent):
                    self.resource_version = later(frame.object.resource_version, self.resource_version)
                    return frame
                if isinstance(frame, Bookmark):
                    self.resource_version = later(frame.resource_version, self.resource_version)
                elif isinstance(frame, WatchError):
                    raise api_error(frame.status.code or 500, frame.status, what=self._what)
                else:
                    raise frame.error
        except PoisonObject:
            raise  # one object; the stream goes on
        except BaseException:
            await self.aclose()
            raise
        await self.aclose()
        raise StopAsyncIteration

    async def _read(self, response: Response) -> AsyncIterator[WatchFrame]:
        decoder = WatchDecoder()
        chunks = response.chunks()
        while True:
            try:
                async with asyncio.timeout(self._stall):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise ConnectionLost(f"{self._what}: nothing came for {self._stall:g} s") from None
            if chunk is None:
                break
            for frame in decoder.feed(chunk):
                yield frame
        if decoder.cut:
            raise ConnectionLost(f"{self._what}: the stream ended in the middle of a frame")

    async def aclose(self) -> None:
        """End the watch. Idempotent."""
        self._closed = True
        response, self._response = self._response, None
        if response is not None:
            await response.close()

    async def __aenter__(self) -> Self:
        if self._closed:
            raise LifecycleError(f"{self._what}: this watch is closed")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
