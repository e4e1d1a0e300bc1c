"""The feed of a subscription: the informer writes without waiting, its consumers read.

It begins with what the cache holds, as adds marked `initial`; then come the changes, those of one key in
order, as long as they wait in its backlog (`backlog.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from ..api.errors import ConfigError, KresilientError, LifecycleError
from ..api.objects import KubeObject
from ..observe.events import BacklogMerging, Observers
from .backlog import Backlog, SerialBacklog
from .events import Event, EventType, Source
from .turns import Turns

__all__ = ["Feed"]


class Feed:
    """What one subscriber is to be told, in order.

    Args:
        consumers: who take events at the same time. A single one has dealt with each when he takes the next;
            where there are more, each event is given back with `done`, and its key is not out twice.
    """

    def __init__(
        self, name: str, *, informer: str, max_backlog: int, observe: Observers, consumers: int = 1
    ) -> None:
        if max_backlog < 1:
            raise ConfigError(f"max_backlog must be at least 1, not {max_backlog}")
        if consumers < 1:
            raise ConfigError(f"concurrency must be at least 1, not {consumers}")
        self.consumers = consumers
        self._limit = max_backlog
        self.name = name
        self.informer = informer
        self._observe = observe
        self._snapshots: deque[Iterator[KubeObject]] = deque()
        self._complete = False
        self._initial_out = 0
        self._keyed: Backlog[KubeObject] | None = Backlog(max_backlog) if consumers > 1 else None
        self._backlog: Backlog[KubeObject] | SerialBacklog[KubeObject] = (
            SerialBacklog(max_backlog) if self._keyed is None else self._keyed
        )
        self._waiting: dict[asyncio.Future[None], Turns | None] = {}
        self._caught_up = asyncio.Event()
        self._all_given = self._dropped = False
        self.closed = False
        self.error: KresilientError | None = None

    # --- the informer's end ---

    def begin(self, objects: Iterable[KubeObject], *, complete: bool) -> None:
        """Bring the consumers up to date with *objects*; *complete* says that they are all there are."""
        if not self.closed:
            self._snapshots.append(iter(tuple(objects)))
            self._complete = complete
            self._wake()

    def push(self, events: Sequence[Event[KubeObject]]) -> None:
        """Add changes behind what is pending."""
        if self.closed:
            return
        backlog = self._backlog
        merging = backlog.merging
        backlog.extend(events)
        if backlog.merging and not merging:
            self._observe(BacklogMerging(self.informer, self.name, backlog.pending))
        if self._waiting:
            self._wake()

    def close(self, error: KresilientError | None = None) -> None:
        """Accept nothing more. What is pending can still be taken."""
        self.closed = True
        self.error = self.error or error
        self._wake()

    def drop(self) -> None:
        """Forget all that is pending."""
        self._dropped = True
        self._snapshots.clear()
        self._backlog.clear()

    # --- the consumers' end ---

    @property
    def pending(self) -> int:
        """Changes that wait to be taken, not counting those of the first snapshot."""
        return self._backlog.pending

    @property
    def behind(self) -> bool:
        """Whether it will soon have to merge: more than half of its backlog is pending."""
        return not self._backlog.merging and 2 * self._backlog.pending > self._limit

    def take(self) -> Event[KubeObject] | None:
        """The next event; None where there is none now, and never will be once it is closed."""
        if self._snapshots and (event := self._initial()) is not None:
            return event
        return self._backlog.pop()

    async def wait(self, turns: Turns | None = None) -> None:
        """Wait until there may be something to take, or it is closed.

        Who is counted among the busy of *turns* is not, meanwhile. Cancelled: nothing was taken.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = turns
        if turns is not None:
            turns.busy -= 1
        try:
            await future
        finally:
            self._woken(future)

    def done(self, event: Event[KubeObject]) -> Event[KubeObject] | None:
        """*event* was handled. Returns the next one of its key where that one's turn has passed already."""
        if event.initial:
            self._initial_out -= 1
            self._check_caught_up()
        if self._keyed is None:
            return None
        following = self._keyed.done(event.key)
        if following is None:
            self._wake()  # another consumer may have skipped this key
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

    # --- the parts ---

    def _wake(self) -> None:
        for future in tuple(self._waiting):
            self._woken(future)
            if not future.done():
                future.set_result(None)

    def _woken(self, future: asyncio.Future[None]) -> None:
        if future in self._waiting and (turns := self._waiting.pop(future)) is not None:
            turns.busy += 1  # from now on: all who are woken in a turn share the next one

    def _initial(self) -> Event[KubeObject] | None:
        while self._snapshots:
            obj = next(self._snapshots[0], None)
            if obj is not None:
                self._initial_out += 1
                event = Event(EventType.ADDED, obj.key, obj, None, True, Source.LIST)
                return event if self._keyed is None else self._keyed.take(event)
            self._snapshots.popleft()
            self._check_caught_up()
        return None

    def _check_caught_up(self) -> None:
        if self._complete and not self._snapshots and not self._initial_out and not self._dropped:
            self._all_given = True
            self._caught_up.set()
