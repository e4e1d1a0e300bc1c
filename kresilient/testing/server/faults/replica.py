"""A replica that lags: what it has seen is what its clients read, until it catches up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ..requests import Call, RequestRecord
from ..routes import Routes
from ..state import ApiState
from ..statuses import Refused
from ..storage import Change
from .effect import Effect, Exchange

__all__ = ["Lag", "Replica"]


class Replica:
    """A state that follows another one from behind, watches included.

    Args:
        source: the state that is followed.
        behind: how many versions it stays behind; None to stay where it is now.
        consistent: whether reads of what is most recent are true all the same, as they ask etcd.
        history: changes that may wait to be taken in. One that fell further back starts anew when it catches
            up: its watches end, and older versions answer 410.

    Raises `ValueError` where the history of *source* does not reach back to where it should begin.
    """

    def __init__(self, source: ApiState, *, behind: int | None, consistent: bool, history: int) -> None:
        self._source = source
        self._consistent = consistent
        self._behind = behind
        self._stuck = None if behind is not None else source.version
        self._waiting: deque[tuple[tuple[str, str], Change]] = deque()
        self._history = history
        self._serving: set[RequestRecord] = set()
        self._crowd = 64
        self._retired = False
        self._seen = source.version
        self._lost = False
        self.state = source.as_of(self._horizon())
        self._waiting.extend(source.since(self.state.version))

    def serves(self, record: RequestRecord) -> None:
        """It may be asked by *record*, until that ends."""
        if len(self._serving) >= self._crowd:
            self._serving = {one for one in self._serving if one.end is None}
            self._crowd = 2 * len(self._serving) + 64
        self._serving.add(record)

    def retire(self) -> None:
        """Nobody new comes."""
        self._retired = True

    @property
    def idle(self) -> bool:
        """Whether nobody asks or watches here, nor ever will."""
        if not (self._retired or self.caught_up) or self.state.watched:
            return False
        return self.caught_up or all(one.end is not None for one in self._serving)

    @property
    def caught_up(self) -> bool:
        """Whether it is told to be as new as its source, and so stays."""
        return self._behind == 0

    def answers(self, call: Call, verb: str) -> bool:
        """Whether it answers *call*, and not the server itself."""
        if self.caught_up or verb not in ("get", "list", "watch"):
            return False
        most_recent = not call.query.get("resourceVersion") and verb != "watch"
        return not (self._consistent and most_recent)

    def routes(self, routes: Routes) -> Routes:
        """*routes* of the source over what has been seen here."""
        return routes.over(self.state, newest=self._newest if self._consistent else None)

    def _newest(self) -> int:
        return self._source.version

    def follow(self) -> None:
        """Take in what is not too new; to be called after every change to the source."""
        source = self._source
        if source.version < self._seen:
            self._lost = True  # it went back: so does whoever follows
            self._start_anew()
            return
        try:
            self._waiting.extend(source.since(self._seen))
        except Refused:  # objects came without a history
            self._lost = True
        self._seen = source.version
        if len(self._waiting) > self._history:
            self._lost = True
        if self._lost:
            self._waiting.clear()
        self._advance()

    def catch_up(self) -> None:
        """Be as new as the source from now on: whoever watches here gets what was withheld."""
        self._behind, self._stuck = 0, None
        self.follow()

    def _horizon(self) -> int:
        if self._stuck is not None:
            return self._stuck
        return max(0, self._source.version - (self._behind or 0))

    def _advance(self) -> None:
        horizon = self._horizon()
        if self._lost:
            if self._behind == 0 or (self._behind is not None and horizon > self.state.version):
                self._start_anew()
            return
        while self._waiting and self._waiting[0][1].version <= horizon:
            self.state.take_in(*self._waiting.popleft())
        self.state.reached(horizon)

    def _start_anew(self) -> None:
        self.state.end_watches()
        self._waiting.clear()
        self._lost = False
        self._seen = self._source.version
        if self._stuck is not None:
            self._stuck = self._seen
        self.state = self._source.as_of(self._seen)


@dataclass(frozen=True, slots=True)
class Lag(Effect):
    """Reads are answered by a replica that lags."""

    alone = False
    behind: Replica

    def replica(self, exchange: Exchange) -> Replica | None:
        return self.behind if self.behind.answers(exchange.call, exchange.record.verb) else None

    def met(self, record: RequestRecord) -> None:
        self.behind.serves(record)

    def spent(self) -> None:
        self.behind.retire()

    def lift(self) -> None:
        self.behind.catch_up()
