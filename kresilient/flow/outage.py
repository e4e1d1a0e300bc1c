"""Outages: while a server cannot be reached one probe asks, and when it is back nobody storms it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from ..api.errors import ConnectFailed, ConnectionLost, TransportError
from ..observe.audience import Audience
from ..observe.events import Observers, OutageBegan, OutageEnded, loop_time
from .backoff import Backoff

__all__ = ["PROBE_BASE", "PROBE_CAP", "RENEWAL_CAP", "SPREAD", "Outage"]

SPREAD: Final = 30.0
"""Seconds over which a client's informers come back after an outage."""

PROBE_BASE: Final = 1.5
"""Seconds before the first probe, before its jitter."""

PROBE_CAP: Final = 15.0
"""Seconds between two probes at the most, before their jitter (so 30 with it): a client sees that the server
is back no later than that, and its last informer asks one window after."""

RENEWAL_CAP: Final = 5.0
"""Seconds between two probes at the most while the renewal of a lease waits, before their jitter (so 10 with
it): what client-go allows a leader for one renewal, of a lease of 15 s."""

_RUN: Final = 3  # connections dropped in a row: one alone, or two, may be chance

_Line = OrderedDict["asyncio.Future[bool]", None]


class Outage:
    """Whether a server can be reached, and whose turn it is to find out; for all its clients together.

    It begins with a refused connection, or with three in a row that were accepted and dropped (by a load
    balancer with no server behind it), and ends with the first answer of any kind, whoever asked. While it
    lasts, `turn` lets one caller pass as the probe, again and again at the pace of a jittered backoff, and
    holds the others. When it is over, each of those is let go at a moment of its own, drawn from a window.
    The renewal of a lease that waits is the next probe, before all others, and brings it forward.

    The pace is that of the server, not of a caller: one that comes while nobody waits is the probe if the
    last one was long enough ago. There is a timer only while somebody waits.

    Args:
        server: for events.
        random: uniform in [0, 1).
        clock: monotonic seconds; the running loop's time where None.
    """

    def __init__(
        self, server: str, *, random: Callable[[], float], clock: Callable[[], float] | None = None
    ) -> None:
        self._server = server
        self._random = random
        self._clock = clock or loop_time
        self._audience: Audience[None] = Audience()
        self._pace = Backoff(base=PROBE_BASE, cap=PROBE_CAP, clock=self._clock, random=random)
        self._since: float | None = None
        self._ended_at = float("-inf")
        self.history_lost = False
        """Whether a watch learned, since the last outage ended, that the server has lost its history."""
        self.reason = ""
        """What the refused or dropped connection that began it said."""
        self.how = ""
        """What the server does instead of answering, in words: `"refuses connections"`."""
        self._dropped: deque[str] = deque(maxlen=_RUN)  # what was asked for on the last connections
        self._probes = 0
        self._probe_at = 0.0
        self._probe_left = False  # a turn that nobody took
        self._timer: asyncio.TimerHandle | None = None
        self._probed_at = float("-inf")
        self._renewals: _Line = OrderedDict()
        self._waiting: _Line = OrderedDict()

    @property
    def lasts(self) -> bool:
        """Whether the server refused or dropped the last connection that was tried."""
        return self._since is not None

    @property
    def waiting(self) -> int:
        """How many wait for the server: informers, calls, renewals of leases."""
        return len(self._waiting) + len(self._renewals)

    def join(self, observers: Observers) -> None:
        """Let *observers* hear `OutageBegan` and `OutageEnded` from now on; they are not kept alive."""
        self._audience.join(observers, None)

    def leave(self, observers: Observers) -> None:
        """Let *observers* hear nothing more."""
        self._audience.leave(observers)

    async def turn(self, window: float | None = None, *, renewal: bool = False) -> bool:
        """Wait for the moment to ask the server again; return whether it comes from the spread after an
        outage, and is not the probe's (nor that of a time without any outage).

        *window*: seconds over which those who waited come back; None to come back as soon as the server is,
        as a call does that somebody waits for.
        *renewal*: of a lease, which cannot wait long: it goes first, and no later than twice `RENEWAL_CAP`
        after the last probe.

        Cancelled: whoever is next gets the turn.
        """
        spread, line = False, self._renewals if renewal else self._waiting
        while self.lasts:
            if self._take():
                return False
            turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            line[turn] = None
            if renewal:
                self._hasten()
            self._wind()
            try:
                if await turn:
                    return False
            except BaseException:
                left = line.pop(turn, True) is None
                if not left and turn.done() and not turn.cancelled() and turn.result():
                    self.pass_on()
                self._wind()
                raise
            if window is None:
                continue
            await asyncio.sleep(window * self._random())
            spread = True  # unless it is away again by now
        return spread

    def pass_on(self) -> None:
        """Hand on a turn as the probe with which nothing was sent after all."""
        if self.lasts:
            self._hand_out()
            self._wind()

    def refused(self, error: ConnectFailed) -> None:
        """Note a connection that was refused."""
        if self._since is None:
            self._begin(error, "refuses connections")

    def dropped(self, asked: str, error: ConnectionLost) -> None:
        """Note a new connection that was accepted, and closed or reset before any byte of an answer.

        *asked*: what for. Where it is the same each time, what is asked for may be what is not borne (a body
        that a proxy takes for too large), and whoever asks waits by itself: that is no outage.
        """
        if self._since is None:
            self._dropped.append(asked)
            if len(self._dropped) == _RUN and len(set(self._dropped)) > 1:
                self._begin(error, "drops connections")

    def answered(self) -> None:
        """Note an answer of any kind."""
        self._dropped.clear()
        if self._since is None:
            return
        self._ended_at = self._clock()
        seconds, self._since = self._ended_at - self._since, None
        waiting = (*self._renewals, *self._waiting)
        self._renewals.clear()
        self._waiting.clear()
        self._wind()
        for turn in waiting:
            if not turn.done():
                turn.set_result(False)
        ended = OutageEnded(self._server, seconds, self._probes, len(waiting))
        self._audience.tell(lambda _: ended)

    def expired(self, window: float) -> None:
        """Note a watch that was answered with 410: within *window* seconds of an outage that says that the
        server has been restarted, and so what the others would be answered."""
        if self._clock() - self._ended_at <= window:
            self.history_lost = True

    def _begin(self, error: TransportError, how: str) -> None:
        self._since = self._probed_at = self._clock()
        self.reason, self.how = error.brief, how
        self._probes, self._probe_left = 0, False
        self.history_lost = False
        self._pace.reset()
        self._probe_at = self._since + self._pace.delay()
        self._audience.tell(lambda _: OutageBegan(self._server, error.brief))

    # --- the probes ---

    def _take(self) -> bool:
        """Be the probe, if one is due and nobody waits for it."""
        if self._probe_left:
            self._probe_left = False
            return True
        if self.waiting or self._clock() < self._probe_at:
            return False
        self._count()
        return True

    def _probe(self) -> None:
        """It is time to ask again: the one that waited longest does."""
        self._timer = None
        self._count()
        self._hand_out()
        if self._renewals:
            self._hasten()
        self._wind()  # whatever becomes of this probe

    def _count(self) -> None:
        self._probes += 1
        self._probed_at = self._clock()
        self._probe_at = self._probed_at + self._pace.delay()

    def _hasten(self) -> None:
        """Bring the next probe forward to a moment that a lease can wait for."""
        due = self._probed_at + RENEWAL_CAP * (1.0 + self._random())
        if due < self._probe_at:
            self._probe_at = due
            self._stop()

    def _hand_out(self) -> None:
        """Give the turn to the one that waited longest, or to the next that comes."""
        for line in (self._renewals, self._waiting):
            while line:
                turn, _ = line.popitem(last=False)
                if not turn.done():
                    turn.set_result(True)
                    return
        self._probe_left = True

    def _wind(self) -> None:
        """Set the timer if somebody waits, and else let it be gone."""
        if not self.waiting:
            self._stop()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._probe_at - self._clock()), self._probe)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
