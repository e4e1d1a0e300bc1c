"""Reads that are the same and asked for at the same time are made once, and no answer is older than its call.

To share a read that was already sent would hand out what the server held before the caller asked: perhaps
less than the caller has just written, or than an event has just told it. So one who comes while a read is in
the air waits for its end, and shares the next with all who came meanwhile: however many ask, one is in the
air.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from ..api.errors import KresilientError, LifecycleError
from .lanes import Lane, current_admission

__all__ = ["Sending", "SingleFlight", "Work"]

T = TypeVar("T")

Sending = Callable[[], None]
"""Called as each try is sent."""

Work = Callable[[Sending], Awaitable[T]]
"""A read that is safe to share. It says when it is sent; what it raises reaches all who share it."""


class SingleFlight(Generic[T]):
    """One call in the air for each key.

    *spawn* starts a task that somebody owns, with a name. The call is no caller's own, so that none who is
    cancelled takes it from the others.
    """

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]) -> None:
        self._spawn = spawn
        self._flights: dict[Hashable, _Flight[T]] = {}

    def __len__(self) -> int:
        """The keys that are asked for now."""
        return len(self._flights)

    async def call(self, key: Hashable, work: Work[T], *, lane: Lane) -> T:
        """What *work* returned, called by this caller or by another of the same *key*, and sent after this
        call began.

        *lane*: what it waits in, where `admission` says nothing else. A caller shares no call of a later lane
        than its own, and shares nothing where a time is set for its admission.

        Raises what *work* raised, each caller an exception of its own, and `LifecycleError` where the owner
        of the task ended it. Cancelled: the call goes on for the others; with the last of them it is
        cancelled.
        """
        admission = current_admission()
        if admission.within is not None:
            return await work(_nobody_joins)
        lane = lane if admission.lane is None else admission.lane
        caller = _Caller(work, lane)
        self._board(key, caller)
        try:
            outcome = await caller.told
        except asyncio.CancelledError:
            flight = caller.flight
            if flight.left_by(caller):
                flight.task.cancel()
                self._follow(key, flight)
            raise
        return outcome()

    def _board(self, key: Hashable, caller: _Caller[T]) -> None:
        """Let *caller* share the call of *key* that is made, or its next try, or make one for it."""
        flight = self._flights.get(key)
        if flight is not None and flight.lane <= caller.lane:
            flight.add(caller)
            return
        flight = self._flights[key] = _Flight(caller.lane)
        flight.add(caller)
        flight.task = caller.context.run(
            self._spawn, flight.fly(caller.work), f"kresilient shared read {key}"
        )
        flight.task.add_done_callback(lambda task: self._ended(key, flight, task))

    def _ended(self, key: Hashable, flight: _Flight[T], task: asyncio.Task[None]) -> None:
        if task.cancelled():
            flight.end("this read was ended before its answer came: the client was closed")
        self._follow(key, flight)

    def _follow(self, key: Hashable, flight: _Flight[T]) -> None:
        """What comes after *flight*: another for those who waited for its end."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        waiting, flight.waiting = flight.waiting, {}
        for caller in sorted(waiting, key=lambda caller: caller.lane):
            self._board(key, caller)


class _Caller(Generic[T]):
    """One who asked: with what, in which lane and context; where it waits, and is told the outcome."""

    __slots__ = ("context", "flight", "lane", "told", "work")

    flight: _Flight[T]

    def __init__(self, work: Work[T], lane: Lane) -> None:
        self.work = work
        self.lane = lane
        self.context = copy_context()
        self.told: asyncio.Future[Callable[[], T]] = asyncio.get_running_loop().create_future()


class _Flight(Generic[T]):
    """One call, and who it is for.

    Attributes:
        lane: what it is admitted in.
        waiting: who came since it was last sent; a further try, or else another call, will be theirs.
    """

    __slots__ = ("_aboard", "_sent", "lane", "task", "waiting")

    task: asyncio.Task[None]

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.waiting: dict[_Caller[T], None] = {}
        self._aboard: dict[_Caller[T], None] = {}
        self._sent = False

    def add(self, caller: _Caller[T]) -> None:
        """Take *caller* on, for the next that is sent."""
        self.waiting[caller] = None
        caller.flight = self

    async def fly(self, work: Work[T]) -> None:
        """Make the call, and tell what came of it. Cancelled, perhaps before it began: nobody is told."""
        try:
            value = await work(self._take_off)
        except Exception as error:
            self._land(_failure(error))
        else:
            self._land(lambda: value)

    def end(self, reason: str) -> None:
        """Tell everybody that no call will be made."""
        self._take_off()
        self._land(_failure(LifecycleError(reason)))

    def left_by(self, caller: _Caller[T]) -> bool:
        """Let go of *caller*, who was cancelled; return whether it was the last to want this call."""
        if self.waiting.pop(caller, self) is not self:
            return not self._sent and not self.waiting
        return self._aboard.pop(caller, self) is not self and not self._aboard

    def _take_off(self) -> None:
        """A try is sent: it is of all who are here."""
        self._aboard |= self.waiting
        self.waiting, self._sent = {}, True

    def _land(self, outcome: Callable[[], T]) -> None:
        """Tell those whose call it was; where nothing was ever sent, that is everybody."""
        if not self._sent:
            self._take_off()
        told, self._aboard = self._aboard, {}
        for caller in told:
            if not caller.told.done():  # it may have been cancelled, and not run since
                caller.told.set_result(outcome)


def _nobody_joins() -> None:
    pass


def _failure(error: Exception) -> Callable[[], Any]:
    """Raises *error* whenever it is called, each time as another exception.

    One that many tasks raise would grow a traceback of them all, and the notes of each.
    """

    def outcome() -> Any:
        if not isinstance(error, KresilientError):
            raise error  # a bug, told as it is
        kind = type(error)
        own = kind.__new__(kind)
        own.args = error.args
        own.__dict__.update(error.__dict__)
        if notes := getattr(error, "__notes__", None):
            own.__notes__ = list(notes)
        own.__cause__, own.__context__ = error.__cause__, error.__context__
        own.__suppress_context__ = error.__suppress_context__
        raise own.with_traceback(error.__traceback__)

    return outcome
