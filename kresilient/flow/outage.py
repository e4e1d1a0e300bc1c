"""Outages: while a server refuses connections one probe asks, and when it is back nobody storms it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ..api.errors import ConfigError, ConnectFailed
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

_Line = OrderedDict["asyncio.Future[bool]", None]


class Outage:
    """Whether the server can be reached, and whose turn it is to find out.

    It begins with a refused connection and ends with the first answer of any kind, whoever asked. While it
    lasts, `turn` lets one informer pass as the probe, again and again at the pace of a jittered backoff, and
    holds the others. When it is over, each of those is let go at a moment of its own, drawn from a window.
    The renewal of a lease that waits is the next probe, before all others, and brings it forward.

    Args:
        server: for events.
        window: seconds over which they are spread; 0 lets all go at once.
        observers: hear `OutageBegan` and `OutageEnded`.
        random: uniform in [0, 1).
        clock: monotonic seconds; the running loop's time where None.

    Raises `ConfigError` for a negative window.
    """

    def __init__(
        self,
        server: str,
        *,
        observers: Observers,
        random: Callable[[], float],
        window: float = SPREAD,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if not window >= 0:
            raise ConfigError(f"spread must be seconds >= 0; got {window!r}")
        self._server = server
        self._observers = observers
        self._random = random
        self.window = window
        self._clock = clock or loop_time
        self._pace = Backoff(base=PROBE_BASE, cap=PROBE_CAP, clock=self._clock, random=random)
        self._since: float | None = None
        self._ended_at = float("-inf")
        self.history_lost = False
        """Whether a watch learned, since the last outage ended, that the server has lost its history."""
        self.reason = ""
        """What the refused connection that began it said."""
        self._probes = 0
        self._probe_due = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._probed_at = float("-inf")
        self._renewals: _Line = OrderedDict()
        self._waiting: _Line = OrderedDict()

    @property
    def lasts(self) -> bool:
        """Whether the server refused the last connection that was tried."""
        return self._since is not None

    @property
    def waiting(self) -> int:
        """How many wait for the server: informers, calls, renewals of leases."""
        return len(self._waiting) + len(self._renewals)

    async def turn(self, *, at_once: bool = False, renewal: bool = False) -> bool:
        """Wait for the moment to ask the server again; return whether it comes from the spread after an
        outage, and is not the probe's (nor that of a time without any outage).

        *at_once*: come back as soon as the server is, as a call does that somebody waits for.
        *renewal*: of a lease, which cannot wait long: it goes first, and no later than twice `RENEWAL_CAP`
        after the last probe.

        Cancelled: whoever is next gets the turn.
        """
        spread, line = False, self._renewals if renewal else self._waiting
        while self.lasts:
            if self._probe_due:
                self._probe_due = False
                return False
            turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            line[turn] = None
            if renewal:
                self._hasten()
            try:
                if await turn:
                    return False
            except BaseException:
                if line.pop(turn, True) is True and turn.done() and not turn.cancelled():
                    self._hand_on(turn.result())
                raise
            if at_once:
                continue
            await asyncio.sleep(self.window * self._random())
            spread = True  # unless it is away again by now
        return spread

    def refused(self, error: ConnectFailed) -> None:
        """Note a connection that was refused."""
        if self._since is None and not self._closed:
            self._since = self._probed_at = self._clock()
            self.reason = error.brief
            self._probes, self._probe_due = 0, False
            self.history_lost = False
            self._pace.reset()
            self._observers(OutageBegan(self._server, error.brief))
            self._schedule()

    def answered(self) -> None:
        """Note an answer of any kind."""
        if self._since is None:
            return
        self._ended_at = self._clock()
        seconds, self._since = self._ended_at - self._since, None
        self._cancel_timer()
        waiting = (*self._renewals, *self._waiting)
        self._renewals.clear()
        self._waiting.clear()
        for turn in waiting:
            if not turn.done():
                turn.set_result(False)
        self._observers(OutageEnded(self._server, seconds, self._probes, len(waiting)))

    def expired(self) -> None:
        """Note a watch that was answered with 410: soon after an outage that says that the server has been
        restarted, and so what the others would be answered."""
        if self._clock() - self._ended_at <= self.window:
            self.history_lost = True

    def close(self) -> None:
        """Send no further probe. Those who wait are their owners' to cancel."""
        self._closed = True
        self._cancel_timer()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._pace.delay(), self._probe)
        if self._renewals:
            self._hasten()

    def _hasten(self) -> None:
        """Bring the next probe forward to a moment that a lease can wait for."""
        if self._timer is None:
            return
        loop = asyncio.get_running_loop()
        due = self._probed_at + RENEWAL_CAP * (1.0 + self._random()) - self._clock()
        if self._timer.when() - loop.time() > due:
            self._timer.cancel()
            self._timer = loop.call_later(max(0.0, due), self._probe)

    def _probe(self) -> None:
        """It is time to ask again: the one that waited longest does, or the next that comes."""
        self._timer = None
        self._probed_at = self._clock()
        self._probes += 1
        self._hand_on(True)
        self._schedule()  # whatever becomes of this probe

    def _hand_on(self, probe: bool) -> None:
        if not probe or not self.lasts:
            return
        for line in (self._renewals, self._waiting):
            while line:
                turn, _ = line.popitem(last=False)
                if not turn.done():
                    turn.set_result(True)
                    return
        self._probe_due = True

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
