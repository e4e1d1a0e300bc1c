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
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any, Generic, Self, TypeVar, cast

from ..api.errors import ConfigError, KresilientError, LifecycleError, SyncError
from ..api.objects import KubeObject
from ..observe.events import BacklogMerging, HandlerFailed, Observers
from .backlog import Backlog
from .events import Event, EventType, Source

__all__ = ["EventStream", "Feed", "Handlers", "Subscription"]

T = TypeVar("T")
_SLICE = 0.005
"""Seconds that handlers which never wait may keep the event loop before others get a turn."""


class Feed:
    """The two ends of a subscription: the informer writes without waiting, one consumer reads."""

    def __init__(self, name: str, *, informer: str, max_backlog: int, observe: Observers) -> None:
        if max_backlog < 1:
            raise ConfigError(f"max_backlog must be at least 1, not {max_backlog}")
        self.name = name
        self.informer = informer
        self._observe = observe
        self._snapshots: deque[Iterator[KubeObject]] = deque()
        self._complete = False
        self._initial_out = 0
        self._backlog: Backlog[KubeObject] = Backlog(max_backlog)
        self._changed = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._all_given = self._dropped = False
        self.closed = False
        self.error: KresilientError | None = None

    # --- the informer's end ---

    def begin(self, objects: Iterable[KubeObject], *, complete: bool) -> None:
        """Bring the consumer up to date with *objects*; *complete* says that they are all there are."""
        if not self.closed:
            self._snapshots.append(iter(tuple(objects)))
            self._complete = complete
            self._changed.set()

    def push(self, event: Event[KubeObject]) -> None:
        """Add a change behind what is pending."""
        if self.closed:
            return
        merging = self._backlog.merging
        self._backlog.push(event)
        if self._backlog.merging and not merging:
            self._observe(BacklogMerging(self.informer, self.name, self._backlog.pending))
        self._changed.set()

    def close(self, error: KresilientError | None = None) -> None:
        """Accept nothing more. What is pending can still be taken; then `take` returns None."""
        self.closed = True
        self.error = self.error or error
        self._changed.set()

    def drop(self) -> int:
        """Forget all that is pending; returns the number of changes dropped."""
        self._dropped = True
        self._snapshots.clear()
        return self._backlog.clear()

    # --- the consumer's end ---

    @property
    def pending(self) -> int:
        """Changes that wait to be taken, not counting those of the first snapshot."""
        return self._backlog.pending

    async def take(self) -> Event[KubeObject] | None:
        """The next event, its key held until `done`; None once closed and empty.

        Cancelled: nothing was taken.
        """
        while True:
            if (event := self._next()) is not None:
                return event
            if self.closed:
                self.end()
                return None
            self._changed.clear()
            await self._changed.wait()

    def done(self, event: Event[KubeObject]) -> Event[KubeObject] | None:
        """*event* was handled. Returns the next one of its key where that one's turn has passed already."""
        if event.initial:
            self._initial_out -= 1
            self._check_caught_up()
        following = self._backlog.done(event.key)
        if following is None:
            self._changed.set()  # another consumer may have skipped this key
        return following

    async def caught_up(self) -> None:
        """Wait until every initial event was handled. Raises `LifecycleError` where the feed ends before."""
        self._check_caught_up()
        await self._caught_up.wait()
        if not self._all_given:
            raise LifecycleError(
                f"the handler {self.name} of {self.informer} was closed before it was given all there was"
            )

    def end(self) -> None:
        """Nobody takes from here any more."""
        self._caught_up.set()

    def _next(self) -> Event[KubeObject] | None:
        while self._snapshots:
            obj = next(self._snapshots[0], None)
            if obj is not None:
                self._initial_out += 1
                return self._backlog.take(Event(EventType.ADDED, obj.key, obj, None, True, Source.LIST))
            self._snapshots.popleft()
            self._check_caught_up()
        return self._backlog.pop()

    def _check_caught_up(self) -> None:
        if self._complete and not self._snapshots and not self._initial_out and not self._dropped:
            self._all_given = True
            self._caught_up.set()


class Handlers(Generic[T]):
    """The callbacks of one subscription; each may be plain or async, and any may be left out."""

    __slots__ = ("_calls", "name")

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
        self._calls = (on_add, on_update, on_delete, on_event)
        self.name = getattr(given[0], "__qualname__", type(given[0]).__qualname__)

    def __call__(self, event: Event[T]) -> Iterator[Awaitable[None] | None]:
        """Call what concerns *event*, one after the other."""
        on_add, on_update, on_delete, on_event = self._calls
        if on_event is not None:
            yield on_event(event)
        if event.type is EventType.ADDED:
            if on_add is not None:
                yield on_add(event.object)
        elif event.type is EventType.UPDATED:
            if on_update is not None:
                yield on_update(cast(T, event.old), event.object)
        elif on_delete is not None:
            yield on_delete(event.object)


class Subscription(Generic[T]):
    """Callbacks that are told of every change; made by `Informer.add_handler`."""

    def __init__(
        self,
        feed: Feed,
        handlers: Handlers[T],
        *,
        convert: Callable[[Event[KubeObject]], Event[T]],
        concurrency: int,
        observe: Observers,
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        left: Callable[[Feed], None],
    ) -> None:
        if concurrency < 1:
            raise ConfigError(f"concurrency must be at least 1, not {concurrency}")
        self._feed = feed
        self._handlers = handlers
        self._convert = convert
        self._observe = observe
        self._left = left
        self.failures = 0
        """How often a handler raised."""
        self._workers = [
            spawn(self._work(), f"kresilient handler {feed.name} of {feed.informer}")
            for _ in range(concurrency)
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
        clock = asyncio.get_running_loop().time
        turn = clock() + _SLICE
        try:
            while (event := await self._feed.take()) is not None:
                following: Event[KubeObject] | None = event
                while following is not None:
                    await self._handle(following)
                    following = self._feed.done(following)
                    if clock() > turn:
                        await asyncio.sleep(0)
                        turn = clock() + _SLICE
        finally:
            self._feed.end()

    async def _handle(self, event: Event[KubeObject]) -> None:
        try:
            for result in self._handlers(self._convert(event)):
                if inspect.isawaitable(result):
                    await result
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._failed(event, error)  # the handler's own doing: it must not end the subscription
        except Exception as error:  # the user's code: reported, and the next event comes all the same
            self._failed(event, error)

    def _failed(self, event: Event[KubeObject], error: BaseException) -> None:
        self.failures += 1
        self._observe(HandlerFailed(self._feed.informer, self._handlers.name, event.key, error))


class EventStream(Generic[T], AsyncIterator[Event[T]]):
    """The changes of a cache, pulled: `async for event in informer.events()`.

    One consumer at a time. Close it with `aclose`, leave it as a context manager, or just drop it. It ends
    when the informer closes.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        convert: Callable[[Event[KubeObject]], Event[T]],
        left: Callable[[Feed], None],
    ) -> None:
        self._feed = feed
        self._convert = convert
        self._held: Event[KubeObject] | None = None
        self._reading = False
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
        try:
            event = self._feed.done(self._held) if self._held is not None else None
            self._held = None
            if event is None:
                event = await self._feed.take()
        finally:
            self._reading = False
        if event is None:
            if (error := self._feed.error) is not None:
                # A fresh one: the feed's, once raised, would keep the frames that it passed, and so this.
                raise KresilientError(str(error)) from error.__cause__
            raise StopAsyncIteration
        self._held = event
        return self._convert(event)

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
