"""Reads that are more than one answer: lists in pages, and a single raw watch."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Generic, Self, TypeVar

from .api.errors import ConnectionLost, Expired, LifecycleError, PoisonObject, WireError, api_error
from .api.objects import KubeObject
from .api.versions import later
from .api.wire import Bookmark, ListDecoder, Poison, WatchDecoder, WatchError, WatchEvent, WatchFrame
from .flow.door import Door
from .transport.base import Request, Response

__all__ = ["ListCall", "WatchStream", "let_go"]

T = TypeVar("T")
Convert = Callable[[KubeObject], Any]


class ListCall(Generic[T]):
    """A list, not asked for yet: `await` it for all, or `async for` over it page by page.

    Awaited, a page token that expires begins the list again, at most `restarts` times; iterated, it raises
    `Expired`, since what was yielded belongs to a snapshot that is gone. `resource_version` is known after
    the first page. Raises what the door raises, and `PoisonObject` for an item that does not decode.
    """

    restarts = 3

    def __init__(self, door: Door, page: Callable[[str], Awaitable[Request]], convert: Convert) -> None:
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
            request = await self._page(token)
            answer = await self._door.call(request, admit=not token, probing=True)
            decoder = ListDecoder()
            items = decoder.feed(answer.body)
            last, meta = decoder.close()
            if token and meta.resource_version != self.resource_version:
                pages = f"{self.resource_version}, then {meta.resource_version}"
                raise WireError(f"{request.what}: its pages are of different versions ({pages})")
            self.resource_version = meta.resource_version
            for item in (*items, *last):
                if isinstance(item, Poison):
                    raise item.error
                yield self._convert(item)
            if not meta.continue_token:
                return
            if meta.continue_token == token:
                raise WireError(f"{request.what}: the server gave the same page token twice")
            token = meta.continue_token


def let_go(loop: asyncio.AbstractEventLoop, response: Response) -> None:
    """Close the response of a stream that was dropped without being closed, in whatever thread that was."""
    with contextlib.suppress(RuntimeError):  # the loop is closed, and its connections with it
        loop.call_soon_threadsafe(lambda: _closing.add(loop.create_task(_close(response))))


async def _close(response: Response) -> None:
    try:
        await response.close()
    finally:
        if (task := asyncio.current_task()) is not None:
            _closing.discard(task)


_closing: set[asyncio.Task[Any]] = set()  # a task that nobody holds may be collected before it ran


class WatchStream(AsyncIterator[WatchEvent]):
    """One raw watch: the events as the server sends them, until it ends the stream.

    It does not reconnect, and it hides nothing: an informer is what you want unless you know better. One
    reader at a time; close it, or leave it as a context manager. `resource_version` follows events and
    bookmarks. Raises the typed `ApiError` of an ERROR event, `PoisonObject` for an object that does not
    decode (the stream can be read on), `ConnectionLost`. Cancelled while it reads: nothing is lost, and it
    can be read on.
    """

    def __init__(
        self, open_stream: Callable[[], Awaitable[Response]], what: str, resource_version: str, stall: float
    ) -> None:
        self._open = open_stream
        self._what = what
        self._stall = stall
        self._response: Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._decoder = WatchDecoder()
        self._frames: Iterator[WatchFrame] = iter(())
        self._dropped: weakref.finalize[Any, Any] | None = None
        self._reading = False
        self._closed = False
        self.resource_version = resource_version

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent:
        if self._reading:
            raise LifecycleError(f"{self._what}: two tasks read one watch; give each its own")
        self._reading = True
        try:
            while (frame := await self._next_frame()) is not None:
                if isinstance(frame, WatchEvent):
                    self.resource_version = later(frame.object.resource_version, self.resource_version)
                    return frame
                if isinstance(frame, Bookmark):
                    self.resource_version = later(frame.resource_version, self.resource_version)
                elif isinstance(frame, WatchError):
                    raise api_error(frame.status.code or 500, frame.status, what=self._what)
                else:
                    raise frame.error
        except (PoisonObject, asyncio.CancelledError):
            raise  # the stream goes on
        except BaseException:
            await self.aclose()
            raise
        finally:
            self._reading = False
        await self.aclose()
        raise StopAsyncIteration

    async def _next_frame(self) -> WatchFrame | None:
        """The next frame; None at the end of the stream, or once it was closed."""
        while not self._closed:
            if (frame := next(self._frames, None)) is not None:
                return frame
            if self._chunks is None:
                response = await self._open()
                if self._is_closed():
                    await response.close()
                    break
                self._response, self._chunks = response, response.chunks()
                self._dropped = weakref.finalize(self, let_go, asyncio.get_running_loop(), response)
                self._dropped.atexit = False
            try:
                async with asyncio.timeout(self._stall):
                    chunk = await anext(self._chunks, None)
            except TimeoutError:
                raise ConnectionLost(f"{self._what}: nothing came for {self._stall:g} s") from None
            except ConnectionLost:
                if self._is_closed():
                    break
                raise
            if chunk is None:
                if self._decoder.cut:
                    raise ConnectionLost(f"{self._what}: the stream ended in the middle of a frame")
                break
            self._frames = self._decoder.feed(chunk)
        return None

    def _is_closed(self) -> bool:
        return self._closed

    async def aclose(self) -> None:
        """End the watch. Idempotent."""
        self._closed = True
        response, self._response = self._response, None
        if response is not None:
            await response.close()
        if self._dropped is not None:
            self._dropped.detach()

    async def __aenter__(self) -> Self:
        if self._closed:
            raise LifecycleError(f"{self._what}: this watch is closed")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
