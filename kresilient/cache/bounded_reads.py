"""Reads with a bound on their age: how one cache is shown to be current, and what is read past it where it is
not.

The proof is a consistent list of one object. It says at which version the server stands, and the cache has to
get there. A quiet watch does not: the version counts the writes of the whole cluster, and the next bookmark
may be a minute away (a server that answers such reads from its own cache asks etcd for its progress; a client
cannot). So a second, short watch from the cache's version is opened, which ends soon and has its bookmark
before: what it has not brought, there is not.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeVar

from ..api.errors import ConfigError, KresilientError, LifecycleError, StaleError
from ..api.objects import KubeObject
from ..api.resources import Key
from ..api.versions import is_older
from ..flow.lanes import Lane, admission, unasked
from ..flow.single_flight import Sending, SingleFlight, Work
from .direct import newest, nothing_until, read_object, read_table
from .freshness import NEVER, Freshness, rising
from .intake import Intake
from .listwatch import ListWatch
from .store import Store, Table

__all__ = ["Bound", "BoundedReads", "Fallback"]

T = TypeVar("T")
Fallback = Literal["live"]
Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]

_ON_ITS_WAY: Final = 0.25
"""Seconds for a watch to bring what the server has already: a round trip and the server's queue."""

_SHORT: Final = 3.0
"""Seconds that the second watch lives: its bookmark comes after one, and it has whole seconds only."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How old an answer may be.

    Attributes:
        max_staleness: seconds before the call of which it has to hold everything.
        timeout: seconds that may be spent on showing that.
        live: read from the server where it cannot be shown.
    """

    max_staleness: float
    timeout: float
    live: bool

    @classmethod
    def checked(cls, max_staleness: float, timeout: float, fallback: Fallback | None) -> Bound:
        """The bound; raises `ConfigError` with what is wrong."""
        if not max_staleness >= 0:
            raise ConfigError(f"max_staleness= is in seconds and not negative; got {max_staleness!r}")
        if not timeout > 0:
            raise ConfigError(f"timeout= of a read is in seconds and above 0; got {timeout!r}")
        if fallback not in (None, "live"):
            raise ConfigError(f'fallback= of a read is "live" or None; got {fallback!r}')
        return cls(max_staleness, timeout, fallback == "live")


class BoundedReads:
    """The reads of one cache that have a bound on their age.

    Args:
        name: of the cache, for messages.
        spawn: starts a task that is shared by all who wait, and owns it.
        suspect_rewind: told where the server stands below the cache.
    """

    def __init__(
        self,
        name: str,
        listwatch: ListWatch,
        store: Store,
        freshness: Freshness,
        *,
        intake: Intake,
        spawn: Spawn,
        suspect_rewind: Callable[[str], None],
    ) -> None:
        self._name = name
        self._listwatch = listwatch
        self._store = store
        self._freshness = freshness
        self._intake = intake
        self._spawn = spawn
        self._suspect_rewind = suspect_rewind
        self._loop = asyncio.get_running_loop()
        self._clock = rising(self._loop.time)
        self._news: asyncio.Future[None] | None = None  # done at the next proof
        self._closed: KresilientError | None = None
        self._asked = NEVER  # when the last list of one object was sent that was answered
        self._second: asyncio.Timeout | None = None  # runs while the second watch is read
        self._tasks: set[asyncio.Task[None]] = set()
        self._proofs = SingleFlight[None](self._shared)
        self._second_watches = SingleFlight[None](self._shared)
        self._tables = SingleFlight[Table](self._shared)
        self._objects = SingleFlight[KubeObject | None](self._shared)
        freshness.on_proof = self._proved

    def object(self, key: Key, bound: Bound) -> Coroutine[Any, Any, Table]:
        """The cache's table, if that is new enough; else one with what the server has under *key* alone.

        It is of the moment of the call. Raises as `Informer.get` says.
        """
        return self._object(key, bound, self._clock() - bound.max_staleness)

    def table(self, bound: Bound) -> Coroutine[Any, Any, Table]:
        """The cache's table, if that is new enough; else one with all that the server has.

        It is of the moment of the call. Raises as `Informer.list` says.
        """
        return self._table(bound, self._clock() - bound.max_staleness)

    async def _object(self, key: Key, bound: Bound, since: float) -> Table:
        if self._freshness.proved >= since:
            return self._store.table
        async with self._within(bound):
            if await self._shown(since, bound):
                return self._store.table
            obj = await self._together(self._objects, key, partial(self._read_object, key))
        table = self._store.new_table()
        if obj is not None:
            table.put(key, obj)
        return table

    async def _table(self, bound: Bound, since: float) -> Table:
        if self._freshness.proved >= since:
            return self._store.table
        async with self._within(bound):
            if await self._shown(since, bound):
                return self._store.table
            return await self._together(self._tables, self._name, self._read_table)

    def close(self, error: KresilientError) -> list[asyncio.Task[None]]:
        """End every read with *error*. Returns the tasks that are about to end."""
        self._closed = error
        for task in self._tasks:
            task.cancel()
        self._proved()
        return [*self._tasks]

    def _shared(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._spawn(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- the proof ---

    async def _shown(self, since: float, bound: Bound) -> bool:
        """Whether the cache was shown to hold everything as of *since*; where it may be read past, it gives
        up soon."""
        try:
            while self._asked < since:
                await self._together(self._proofs, self._name, partial(self._prove, since))
        except LifecycleError:
            raise
        except KresilientError as error:
            raise self._stale(bound, f"the server could not be asked: {error.brief}") from error
        if await self._proved_within(_ON_ITS_WAY, since):
            return True
        if bound.live:
            return False
        await self._together(self._second_watches, self._name, partial(self._watch_again, since))
        return await self._proved_within(None, since)

    async def _together(self, flights: SingleFlight[T], key: str, work: Work[T]) -> T:
        """What *work* comes to, done once for all who wait, and admitted as no one of them asks."""
        self._check_open()
        try:
            with unasked():
                return await flights.call(key, work, lane=Lane.READ)
        except LifecycleError:
            self._check_open()  # which says it better
            raise

    async def _prove(self, since: float, sending: Sending) -> None:
        self._check_open()
        if self._asked >= since:
            return
        moment, stood = NEVER, ""

        def noted() -> None:
            nonlocal moment, stood
            moment, stood = self._clock(), self._store.version
            sending()

        with admission(lane=Lane.READ):
            found = await newest(self._listwatch, noted)
        self._freshness.heard(self._loop.time())
        self._asked = moment
        if is_older(found.version, stood):
            self._suspect_rewind(f"the server stands at version {found.version}, the cache at {stood}")
            return
        self._freshness.shown(found.version, moment)
        if found.equals(self._store.table):
            self._freshness.nothing_between(self._store.version, found.version)

    async def _watch_again(self, since: float, sending: Sending) -> None:
        self._check_open()
        if self._freshness.proved >= since:
            return
        sending()
        try:
            async with asyncio.timeout(2 * _SHORT) as self._second:
                shown = await nothing_until(self._listwatch, self._store.version, lifetime=_SHORT)
        except (KresilientError, TimeoutError):
            return  # the door has told of it, and the first watch is waited for all the same
        finally:
            self._second = None
        if shown is not None:
            self._freshness.nothing_between(*shown)

    async def _read_object(self, key: Key, sending: Sending) -> KubeObject | None:
        self._check_open()
        with admission(lane=Lane.READ):
            return await read_object(self._listwatch, key, self._intake, sending)

    async def _read_table(self, sending: Sending) -> Table:
        self._check_open()
        return await read_table(self._listwatch, self._store, self._intake, sending)

    def _proved(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
        if self._second is not None and not self._freshness.awaited and not self._second.expired():
            self._second.reschedule(self._loop.time())  # the first watch got there

    def _next_proof(self) -> asyncio.Future[None]:
        if self._news is None:
            self._news = self._loop.create_future()
        return self._news

    async def _proved_within(self, seconds: float | None, since: float) -> bool:
        until = math.inf if seconds is None else self._loop.time() + seconds
        while self._freshness.proved < since:
            left = until - self._loop.time()
            if left <= 0:
                return False
            await asyncio.wait((self._next_proof(),), timeout=None if math.isinf(left) else left)
            self._check_open()
        return True

    # --- the end of patience ---

    @asynccontextmanager
    async def _within(self, bound: Bound) -> AsyncIterator[None]:
        limit = asyncio.timeout(bound.timeout)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._stale(bound, f"that was not shown within {bound.timeout:g} s") from error

    def _stale(self, bound: Bound, why: str) -> StaleError:
        age = self._loop.time() - self._freshness.proved
        known = "it was never proved" if math.isinf(age) else f"the last proof is {age:.1f} s old"
        instead = "" if bound.live else ', or set fallback="live" to read from the server instead'
        return StaleError(
            f"the cache of {self._name} may be older than {bound.max_staleness:g} s: {why} ({known}, and it "
            f"stands at version {self._store.version}); allow a larger max_staleness or timeout{instead}",
            age=age,
        )

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._closed
