"""The one door to the server: `admission -> send -> classify -> retry or give up`.

Every request passes here, so that a bound on requests holds by construction and each is observed once.
"""

from __future__ import annotations

import asyncio
import random as _random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final, cast

from ..api.errors import (
    ApiError,
    ConfigError,
    ConnectFailed,
    ConnectionLost,
    FlowTimeout,
    KresilientError,
    LifecycleError,
    NotAKubernetesAnswer,
    WireError,
)
from ..observe.events import Admitted, Observers, RequestFinished, RequestRetried, RetryDenied
from ..transport.base import Request, Response, Transport
from .answers import Answer, check_head, in_short, object_due
from .budget import RetryBudget
from .cost import CostGuard
from .in_flight import MAX_LISTS, InFlight
from .lanes import Lane, current_admission, lane_of
from .levels import Levels
from .limiter import Limiter
from .outage import SPREAD, Outage
from .pressure import Pressure
from .retry import RetryPolicy, retrying

__all__ = ["MAX_BODY", "Door"]

MAX_BODY: Final = 256 << 20
"""Bytes of one unary answer, above which it is refused."""

_LEFT_FOR_LEASES: Final = 1.0  # repeat of the budget that nobody else may take


class Door:
    """Sends requests through one transport: paced, classified, retried and observed.

    Args:
        transport: owned by the door from here on; closed with it.
        limiter: the token that every attempt takes, repeats included.
        observers: hear all that happens here.
        retry: how often a unary call is tried.
        budget: the repeats of all calls together.
        in_flight: the unary calls under way at once.
        lists: the informers' lists under way at once.
        levels: how far each priority level of the server is held back.
        outage: whether the server can be reached.
        spread: seconds over which its informers come back after an outage.
        strict: whether polling of whole lists is refused, and not only told of.
        clock: monotonic seconds; the running loop's time where None.
        random: uniform in [0, 1), for the jitter of waits.
        wall: seconds since the epoch, for a Retry-After that is a date.
        max_body: bytes of a unary answer above which it fails with `WireError`.

    `limiter`, `budget`, `in_flight`, `lists`, `levels` and `outage` may be shared with other doors.

    Raises `ConfigError` for a negative spread.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        limiter: Limiter,
        observers: Observers,
        retry: RetryPolicy | None = None,
        budget: RetryBudget | None = None,
        in_flight: InFlight | None = None,
        lists: InFlight | None = None,
        levels: Levels | None = None,
        outage: Outage | None = None,
        spread: float = SPREAD,
        strict: bool = False,
        clock: Callable[[], float] | None = None,
        random: Callable[[], float] = _random.random,
        wall: Callable[[], float] = time.time,
        max_body: int = MAX_BODY,
    ) -> None:
        if not spread >= 0:
            raise ConfigError(f"spread must be seconds >= 0; got {spread!r}")
        self._transport = transport
        self._limiter = limiter
        self._observers = observers
        self._retry = RetryPolicy() if retry is None else retry
        self._in_flight = InFlight() if in_flight is None else in_flight
        self._guard = CostGuard(observers=observers, strict=strict, clock=clock)
        self.budget = RetryBudget(clock=clock) if budget is None else budget
        self.pressure = Pressure(
            limiter=limiter, observers=observers, random=random, clock=clock, levels=levels
        )
        self.outage = Outage(transport.server, random=random, clock=clock) if outage is None else outage
        self.outage.join(observers)
        self._spread = spread
        self.lists = InFlight(MAX_LISTS) if lists is None else lists
        self._once = replace(self._retry, attempts=1)
        self._clock = clock
        self._random = random
        self._wall = wall
        self._max_body = max_body
        self._closed = False
        self._waits: set[asyncio.Timeout] = set()
        self.waiting = 0
        """Requests that wait for admission now: for the server to recover, a token, or a place."""

    @property
    def transport(self) -> Transport:
        return self._transport

    @property
    def limiter(self) -> Limiter:
        return self._limiter

    async def call(
        self,
        request: Request,
        *,
        repeatable: bool = False,
        retry: bool = True,
        admit: bool = True,
        within: float | None = None,
        probing: bool = False,
        sending: Callable[[], None] | None = None,
    ) -> Answer:
        """Send a unary *request* and return its answer; what fails is retried by what is known of it.

        *repeatable*: a precondition (uid, resource version) makes a repeat of this write safe.
        *retry*: False for one attempt only.
        *admit*: False for a further page of a list that was admitted; its repeats are admitted all the same.
        *within*: seconds from now after which no further try begins, where that is sooner than the policy's.
        *probing*: while the server refuses connections, wait with the informers for the client's one probe,
        or be it, as long as tries may begin: for callers that would begin again at once. The first try of a
        lease's renewal goes all the same, and its repeats are the next probes.
        *sending*: called as each try is sent, admission behind it.

        Raises:
            ApiError: the server answered with a failure.
            ConnectFailed, ConnectionLost: no answer came.
            NotAKubernetesAnswer: a success whose body is empty or no JSON.
            WireError: the body is larger than `max_body`.
            OutcomeUnknown: a write that may or may not have been carried out.
            FlowTimeout: it was not admitted within the time that `admission` allows.
            CostlyListRefused: it polls whole lists, and the door is strict.
            LifecycleError: the door is closed, or was while the request waited.

        `attempts` of the error counts the tries, `elapsed` the seconds they took.

        Cancelled: the attempt is aborted and its response closed; the server may still act on a write.
        """
        if admit:
            self._guard.check(request)
        lane, policy = _lane(request), self._policy(within)
        until = None if policy.within is None else self._now() + policy.within

        async def attempt(number: int) -> Answer:
            token = admit or number > 1
            if probing and (lane is not Lane.LEASE or number > 1):
                await self._admit_in_turn(request, lane, until, at_once=True, token=token)
            else:
                await self._admit(request, lane, self._deadline(), token=token, place=self._in_flight)
            try:
                if sending is not None:
                    sending()
                return await self._exchange(request, lane, number)
            finally:
                self._in_flight.release()

        def on_retry(number: int, delay: float, error: KresilientError) -> None:
            self._observers(RequestRetried(request.verb, request.resource, number, delay, in_short(error)))

        return await retrying(
            policy if retry else self._once,
            attempt,
            request=request,
            repeatable=repeatable,
            clock=self._now,
            random=self._random,
            allow=lambda number, error: self._may_repeat(request, number, error),
            on_retry=on_retry,
            sleep=self._pause,
        )

    async def admit(self, request: Request, *, place: InFlight | None = None, yielding: bool = False) -> None:
        """Wait until *request* may be sent, by `open(request, admit=False)` at once.

        *place*: where a place is taken as well, for the caller to release.
        *yielding*: for one that then waits for its `outage.turn`: it fails with `ConnectFailed` where the
        server has come to refuse connections while it waited. One that does not is taken for the probe.

        Raises what `open` raises before anything is sent. Cancelled, or failed: nothing is taken, and the
        turn of a probe is the next one's.
        """
        probes = not yielding and self.outage.lasts
        try:
            await self._admit(request, _lane(request), self._deadline(), token=True, place=place)
        except BaseException:
            if probes:
                self.outage.pass_on()
            raise
        if yielding and self.outage.lasts:
            self._limiter.give_back()
            if place is not None:
                place.release()
            raise self._away(request)

    async def open(
        self, request: Request, *, admit: bool = True, yielding: bool = False, probing: bool = False
    ) -> Response:
        """Send *request* once and return the response with its body unread: a streamed list or a watch.

        *admit*: False for a further page of a list that was admitted, and for what `admit` let pass.
        *yielding*: as in `admit`.
        *probing*: as in `call`.

        The caller closes the response. There is no retry here: whoever follows a stream decides what its
        failure means. Raises as `call` does, but never `OutcomeUnknown`.

        Cancelled: the exchange is aborted, and a response that was there is closed.
        """
        lane = _lane(request)
        if probing:
            within = self._retry.within
            until = None if within is None else self._now() + within
            await self._admit_in_turn(request, lane, until, at_once=True, token=admit, place=False)
        elif admit:
            await self.admit(request, yielding=yielding)
        started, status, failure = self._now(), 0, "cancelled"
        try:
            response = await self._send(request)
            status = response.status
            try:
                await self._check_head(request, response, lane, started)
            except BaseException:
                await response.close()
                raise
            failure = ""
            return response
        except Exception as error:
            failure = in_short(error)
            raise
        finally:
            self._finished(request, status, started, 1, failure)

    async def follow(self, request: Request, *, within: float | None = None) -> Response:
        """`open`, with a failure to open it retried as that of a read: for streams that nobody drives by a
        state machine of their own.

        While the server refuses connections it waits as an informer does, for the client's one probe and then
        for its place in the spread, but for no more than the time within which a read is tried.

        *within*: as in `call`. Raises and is cancelled as `open`.
        """
        policy = self._policy(within)
        until = None if policy.within is None else self._now() + policy.within

        async def attempt(_: int) -> Response:
            await self._admit_in_turn(request, _lane(request), until, at_once=False, token=True, place=False)
            return await self.open(request, admit=False)

        def on_retry(number: int, delay: float, error: KresilientError) -> None:
            self._observers(RequestRetried(request.verb, request.resource, number, delay, in_short(error)))

        return await retrying(
            policy,
            attempt,
            request=request,
            repeatable=False,
            clock=self._now,
            random=self._random,
            allow=lambda number, error: self._may_repeat(request, number, error),
            on_retry=on_retry,
            sleep=self._pause,
        )

    async def pause(self, seconds: float) -> None:
        """Wait *seconds*, but no longer than until the door is closed, which raises `LifecycleError`."""
        await self._pause(seconds)

    async def close(self) -> None:
        """Close the transport; later calls, and those that wait, raise `LifecycleError`. Idempotent."""
        self._closed = True
        self.outage.leave(self._observers)
        self.pressure.close()
        waits, self._waits = self._waits, set()
        for wait in waits:
            if not wait.expired():  # its deadline may have come in this very turn
                wait.reschedule(asyncio.get_running_loop().time())
        await self._transport.close()

    async def _exchange(self, request: Request, lane: Lane, number: int) -> Answer:
        """One attempt: sent, read and classified."""
        started, status, failure = self._now(), 0, "cancelled"
        try:
            async with await self._send(request) as response:
                status = response.status
                await self._check_head(request, response, lane, started)
                body = await response.read(self._max_body + 1)
                if len(body) > self._max_body:
                    del body  # not to live on in the error's traceback
                    raise WireError(
                        f"{request.what}: the answer is larger than {self._max_body} bytes; "
                        "ask for less (limit, selectors) or raise max_body"
                    )
                if not body.strip() and object_due(request, status):
                    raise NotAKubernetesAnswer(
                        f"{request.what}: {status} with an empty body where an object was due; "
                        "look for a proxy between here and the API server"
                    )
                answer = Answer(status, response.headers, body)
            failure = ""
            return answer
        except Exception as error:
            failure = in_short(error)
            raise
        finally:
            self._finished(request, status, started, number, failure)

    def _deadline(self) -> float | None:
        """When a request that comes now has to be admitted; None where it may take as long as it takes."""
        within = current_admission().within
        return None if within is None else self._now() + within

    def _left(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - self._now())

    async def _admit(
        self, request: Request, lane: Lane, deadline: float | None, *, token: bool, place: InFlight | None
    ) -> None:
        """Wait for what the server can take (pressure), for a token, and for a place where one is due."""
        came = self._now()
        self.waiting += 1
        try:
            async with self._until_closed():
                if token:
                    await self._pass(request, lane, place, deadline)
                elif place is not None:
                    await place.acquire(lane, within=self._left(deadline))
        except FlowTimeout as error:
            raise FlowTimeout(
                f"{request.what}: {error}", lane=str(lane), queued=error.queued, expected=error.expected
            ) from None
        finally:
            self.waiting -= 1
        if token:
            self._observers(Admitted(request.verb, request.resource, self._now() - came, str(lane)))

    async def _pass(
        self, request: Request, lane: Lane, place: InFlight | None, deadline: float | None
    ) -> None:
        """Come by a token and a place at the same moment, with the server fit to be asked.

        Whoever has to wait for one gives back the others. A token that is kept while its owner waits for a
        place is sent with all those of the others that did, as one burst above the rate; a place that is kept
        in the line for tokens keeps out a request that needs none; and one that was let through before the
        server asked for a pause has not heard of it.
        """
        passed: set[Limiter] = set()
        placed = False
        left = partial(self._left, deadline)
        try:
            if (within := left()) is not None:  # for all, before it waits for any
                self._limiter.check(lane, within)
                if place is not None:
                    place.check(lane, within)
            while True:
                if placed and place is not None and not self.pressure.lets(request, lane, passed):
                    placed = False
                    place.release()
                await self.pressure.admit(request, lane, passed, within=left())
                await self._limiter.acquire(lane, within=left(), first=placed)
                if self.pressure.lets(request, lane, passed):
                    if placed or place is None or place.try_acquire(lane):
                        return
                    self._limiter.give_back()
                    await place.acquire(lane, within=left())
                    placed = True
                else:
                    self._limiter.give_back()
        except BaseException:
            if placed and place is not None:
                place.release()
            raise

    def _away(self, request: Request) -> ConnectFailed:
        return ConnectFailed(
            f"{request.what}: {self._transport.server} still {self.outage.how}; nothing was sent."
            f" The last that was tried: {self.outage.reason}",
            brief=self.outage.reason,
        )

    async def _admit_in_turn(
        self,
        request: Request,
        lane: Lane,
        until: float | None,
        *,
        at_once: bool,
        token: bool,
        place: bool = True,
    ) -> None:
        """`_turn`, then `_admit`, under one deadline; from the beginning where the server has gone away
        meanwhile."""
        places, deadline = self._in_flight if place else None, self._deadline()
        while True:
            probes = await self._turn(request, until, deadline, at_once=at_once)
            try:
                await self._admit(request, lane, deadline, token=token, place=places)
            except BaseException:
                if probes:
                    self.outage.pass_on()
                raise
            if probes or not self.outage.lasts:
                return
            if token:
                self._limiter.give_back()
            if places is not None:
                places.release()

    async def _turn(
        self, request: Request, until: float | None, deadline: float | None, *, at_once: bool
    ) -> bool:
        """Wait until the server may be asked, as far as its outage goes; return whether this is the probe.

        Raises `ConnectFailed` where it still refuses connections at *until*, and `FlowTimeout` where the
        *deadline* of its admission is before that.
        """
        if not self.outage.lasts:
            return False
        hurried = deadline is not None and (until is None or deadline < until)
        try:
            async with self._until_closed(deadline if hurried else until):
                renewal = _lane(request) is Lane.LEASE
                await self.outage.turn(None if at_once else self._spread, renewal=renewal)
                return self.outage.lasts
        except FlowTimeout:
            if not cast(bool, self.outage.lasts):  # only its place in the spread has not come
                return False
            if hurried:
                raise FlowTimeout(
                    f"{request.what}: not admitted in time: {self._transport.server} {self.outage.how}, "
                    f"{self.outage.waiting} wait for it. The last that was tried: {self.outage.reason}",
                    lane=str(_lane(request)),
                    queued=self.outage.waiting,
                ) from None
            raise self._away(request) from None

    async def _pause(self, seconds: float) -> None:
        async with self._until_closed():
            await asyncio.sleep(seconds)

    @asynccontextmanager
    async def _until_closed(self, deadline: float | None = None) -> AsyncIterator[None]:
        """A wait that ends with `LifecycleError` as soon as the door is closed, and with `FlowTimeout` at the
        *deadline*."""
        self._check_open()
        try:
            async with asyncio.timeout_at(deadline) as wait:
                self._waits.add(wait)
                try:
                    yield
                finally:
                    self._waits.discard(wait)
        except FlowTimeout:
            self._check_open()
            raise
        except TimeoutError:
            self._check_open()
            raise FlowTimeout("not admitted in time") from None

    async def _send(self, request: Request) -> Response:
        self._check_open()  # it may have been closed while the request waited
        try:
            response = await self._transport.send(request)
        except ConnectFailed as error:
            if not (error.permanent or error.local or self._closed):
                self.outage.refused(error)
            raise
        except ConnectionLost as error:
            if error.dropped and not self._closed:
                self.outage.dropped(f"{request.method} {request.path}", error)
            raise
        self.outage.answered()
        return response

    async def _check_head(self, request: Request, response: Response, lane: Lane, started: float) -> None:
        """Raise what the status and the content type of *response* call for, and learn from it.

        *started*: when it was sent; the time to its headers may tell how busy the server is.
        """
        if response.status < 500 and response.status != 429:
            self.budget.succeeded()  # an answer, if not the one that was hoped for
        headers = response.headers
        try:
            await check_head(request, response, wall=self._wall)
        except ApiError as error:
            self.pressure.answered(request, lane, headers, error, None)
            raise
        except NotAKubernetesAnswer:
            self.pressure.answered(request, lane, headers, None, None)
            raise
        self.pressure.answered(request, lane, headers, None, self._now() - started)

    def _finished(self, request: Request, status: int, started: float, attempt: int, failure: str) -> None:
        self._observers(
            RequestFinished(
                request.verb,
                request.resource,
                request.path,
                status,
                self._now() - started,
                attempt,
                failure,
            )
        )

    def _may_repeat(self, request: Request, number: int, error: KresilientError) -> bool:
        if self.budget.spend(leaving=0.0 if _lane(request) is Lane.LEASE else _LEFT_FOR_LEASES):
            return True
        error.add_note(f"not repeated: the retry budget of this client is spent ({self.budget!r})")
        self._observers(RetryDenied(request.verb, request.resource, number, in_short(error)))
        return False

    def _policy(self, within: float | None) -> RetryPolicy:
        if within is None or (self._retry.within is not None and self._retry.within <= within):
            return self._retry
        return replace(self._retry, within=within)

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()

    def _check_open(self) -> None:
        if self._closed:
            raise LifecycleError(f"the client of {self._transport.server} is closed")


def _lane(request: Request) -> Lane:
    chosen = current_admission().lane
    return lane_of(request) if chosen is None else chosen
