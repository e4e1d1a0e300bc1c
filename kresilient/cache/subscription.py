"""Subscriptions: the changes of a cache, handed to callbacks or pulled with `async for`.

A subscription never blocks the reflector or another subscription. It begins with what the cache holds, as
adds marked `initial`; then come the changes, those of one key in order. While the handler keeps up it sees
every change; past `max_backlog` pending events they merge per key (`backlog.py`). A handler that raises is
reported, and gets the next event.
"""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Generic, Self, TypeVar, cast

from ..api.errors import ConfigError, KresilientError, LifecycleError, SyncError
from ..api.objects import KubeObject
from ..observe.events import HandlerFailed, Observers
from .events import Event, EventType
from .feed import Feed
from .turns import turns_of

__all__ = ["EventStream", "Handlers", "Subscription"]

T = TypeVar("T")


class Handlers(Generic[T]):
    """The callbacks of one subscription; each may be plain or async, and any may be left out."""

    __slots__ = ("_on_add", "_on_delete", "_on_event", "_on_update", "name")

    def __init__(
        self,
        *,
        on_add: Callable[[T], Awaitable[None] | None] | None,
        on_update: Callable[[T, T], Awaitable[None] | None] | None,
        on_delete: Callable[[T], Awaitable[None] | None] | None,
        on_event: Callable[[Event[T]], Awaitable[None] | None] | None,
    ) -> None:
        given = [call for call in (on_event, on_add, on_update, on_delete) if call is not None]
        if not given:
            raise ConfigError("a handler needs on_add, on_update, on_delete or on_event")
        for call in given:
            if not callable(call):
                raise ConfigError(f"a handler must be callable, and {call!r} is not")
        self._on_event, self._on_add, self._on_delete = on_event, on_add, on_delete
        self._on_update: Callable[[Any, Any], Awaitable[None] | None] | None = on_update
        self.name = getattr(given[0], "__qualname__", type(given[0]).__qualname__)

    @property
    def tell(self) -> Callable[[Event[T]], Awaitable[None] | None]:
        """Calls what concerns an event, one after the other.

        It returns what is left to be awaited, as soon as one of them is async; None where all is done.
        """
        return self._by_type if self._on_event is None else self._all

    def _all(self, event: Event[T]) -> Awaitable[None] | None:
        assert self._on_event is not None
        result = self._on_event(event)
        if result is not None and inspect.isawaitable(result):
            return self._rest(result, event)
        return self._by_type(event)

    async def _rest(self, first: Awaitable[None], event: Event[T]) -> None:
        await first
        if (result := self._by_type(event)) is not None:
            await result

    def _by_type(self, event: Event[T]) -> Awaitable[None] | None:
        if event.type is EventType.UPDATED:
            result = None if self._on_update is None else self._on_update(event.old, event.object)
        else:
            call = self._on_add if event.type is EventType.ADDED else self._on_delete
            result = None if call is None else call(event.object)
        return result if result is not None and inspect.isawaitable(result) else None


class Subscription(Generic[T]):
    """Callbacks that are told of every change; made by `Informer.add_handler`."""

    def __init__(
        self,
        feed: Feed,
        handlers: Handlers[T],
        *,
        convert: Callable[[Event[KubeObject]], Event[T]] | None,
        observe: Observers,
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        left: Callable[[Feed], None],
    ) -> None:
        self._feed = feed
        self._tell: Callable[[Any], Awaitable[None] | None] = handlers.tell
        self._name = handlers.name
        self._convert = convert
        self._observe = observe
        self._left = left
        self._turns = turns_of(asyncio.get_running_loop())
        self.failures = 0
        """How often a handler raised."""
        self._workers = [
            spawn(self._work(), f"kresilient handler {feed.name} of {feed.informer}")
            for _ in range(feed.consumers)
        ]

    @property
    def closed(self) -> bool:
        """Whether it takes no more changes."""
        return self._feed.closed

    @property
    def pending(self) -> int:
        """Changes that wait for the handler, not counting those of the first snapshot."""
        return self._feed.pending

    async def synced(self, timeout: float | None = None) -> None:
        """Wait until the handler has been given everything the cache held when it synced.

        *timeout* is in seconds. Raises `SyncError` where it passes, `LifecycleError` where the handler is
        closed before. Cancelled: nothing has changed.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._feed.caught_up()
        except TimeoutError:
            raise SyncError(
                f"the handler {self._feed.name} of {self._feed.informer} was not given all initial objects "
                f"within {timeout} s: it is slow, or the informer has not synced"
            ) from None

    async def close(self, *, drain: bool = False, timeout: float = 10.0) -> None:
        """Stop. With *drain*, pending events are handled first, for at most *timeout* seconds.

        A handler that is running is waited for within the same time, then cancelled, and given up after as
        long again. Called from one of its own handlers it waits for none: they end after the events that
        they have. Idempotent. Cancelled: the handlers are cancelled at once.
        """
        await self._end(drain=drain, timeout=timeout, caller=asyncio.current_task())

    async def _end(self, *, drain: bool, timeout: float, caller: asyncio.Task[Any] | None) -> None:
        """`close`, on behalf of *caller*, who may be one of the handlers."""
        self._left(self._feed)
        self._feed.close()
        if not drain:
            self._feed.drop()
        if caller in self._workers:
            return
        workers = [worker for worker in self._workers if not worker.done()]
        if not workers:
            return
        try:
            await asyncio.wait(workers, timeout=timeout)
        finally:
            for worker in workers:
                worker.cancel()
        await asyncio.wait(workers, timeout=timeout)

    async def _work(self) -> None:
        feed, turns, tell, convert = self._feed, self._turns, self._tell, self._convert
        clock = asyncio.get_running_loop().time
        several = feed.consumers > 1
        turns.busy += 1
        try:
            await asyncio.sleep(0)  # who begins in the same turn of the loop is counted before anyone works
            end = clock() + turns.share
            while True:
                event = feed.take()
                if event is None:
                    if feed.closed:
                        return
                    await feed.wait(turns)
                    end = clock() + turns.share
                    continue
                while event is not None:
                    try:
                        rest = tell(event if convert is None else convert(event))
                    except (Exception, asyncio.CancelledError) as error:
                        self._failed(event, error)
                    else:
                        if rest is not None:
                            await self._finish(rest, event)
                    event = feed.done(event) if several or event.initial else None
                    if clock() > end:
                        await asyncio.sleep(0)
                        end = clock() + turns.share
        finally:
            turns.busy -= 1
            feed.end()

    async def _finish(self, rest: Awaitable[None], event: Event[KubeObject]) -> None:
        self._turns.busy -= 1  # whoever waits takes nobody's time
        try:
            await rest
        except (Exception, asyncio.CancelledError) as error:
            self._failed(event, error)
        finally:
            self._turns.busy += 1

    def _failed(self, event: Event[KubeObject], error: BaseException) -> None:
        """Report what the user's code raised: the next event comes all the same."""
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
            raise error  # not the handler's own doing
        self.failures += 1
        self._observe(HandlerFailed(self._feed.informer, self._name, event.key, error))


class EventStream(Generic[T], AsyncIterator[Event[T]]):
    """The changes of a cache, pulled: `async for event in informer.events()`.

    One consumer at a time. Close it with `aclose`, leave it as a context manager, or just drop it. It ends
    when the informer closes.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        convert: Callable[[Event[KubeObject]], Event[T]] | None,
        left: Callable[[Feed], None],
    ) -> None:
        self._feed = feed
        self._convert = convert
        self._reading = False
        self._turns = turns_of(asyncio.get_running_loop())
        self._end = 0.0
        self._close = weakref.finalize(self, _leave, feed, left)
        self._close.atexit = False

    @property
    def pending(self) -> int:
        """Changes that wait to be pulled, not counting those of the first snapshot."""
        return self._feed.pending

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event[T]:
        if self._reading:
            raise LifecycleError("two tasks read one event stream: give each its own informer.events()")
        self._reading = True
        clock = asyncio.get_running_loop().time
        try:
            if clock() > self._end:
                await asyncio.sleep(0)
                self._end = clock() + self._turns.share
            while (event := self._feed.take()) is None and not self._feed.closed:
                await self._feed.wait()
        finally:
            self._reading = False
        if event is None:
            if (error := self._feed.error) is not None:
                # A fresh one: the feed's, once raised, would keep the frames that it passed, and so this.
                raise KresilientError(str(error)) from error.__cause__
            raise StopAsyncIteration
        return cast("Event[T]", event) if self._convert is None else self._convert(event)

    async def aclose(self) -> None:
        """Stop; pending events are dropped. Idempotent."""
        self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _leave(feed: Feed, left: Callable[[Feed], None]) -> None:
    left(feed)
    feed.close()
    feed.drop()
