"""The ListWatch state machine: one pure function from a state and a signal to the next state and an action.

The table below is the whole of it. The same rows are printed in `docs/listwatch.md` (`python -m
kresilient.cache.states`) and walked by the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Any, Final

import msgspec

__all__ = [
    "TABLE",
    "Action",
    "Closed",
    "Cut",
    "Denied",
    "Elapsed",
    "Expired",
    "HistoryLost",
    "ListDone",
    "Listing",
    "NotAList",
    "NotNewer",
    "OlderList",
    "PageExpired",
    "Pause",
    "Poisoned",
    "Proved",
    "Proving",
    "RelistDue",
    "Replaced",
    "Row",
    "Signal",
    "Stalled",
    "State",
    "Step",
    "Stop",
    "Stopped",
    "Strategy",
    "StreamingFailed",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "Waiting",
    "Watching",
    "WentBack",
    "WriteBehind",
    "first_listing",
    "first_state",
    "step",
]


# --- states ----------------------------------------------------------------------------------------------


class Strategy(StrEnum):
    """Which list to ask for."""

    STREAM = "stream"
    """A streaming list (KEP-3157); at version "" the most recent, else not older than the version."""
    CACHE = "cache"
    """resourceVersion=0: what the server's watch cache has, as one body. Only for the first list."""
    NOT_OLDER = "not-older"
    """resourceVersionMatch=NotOlderThan."""
    LATEST = "latest"
    """The most recent, in pages: the bottom rung."""


class Listing(msgspec.Struct, frozen=True):
    """A list is being read."""

    strategy: Strategy
    version: str = ""

    @property
    def most_recent(self) -> bool:
        """Whether the answer is the truth even where it is older than what was seen."""
        return self.strategy is Strategy.LATEST or (self.strategy is Strategy.STREAM and not self.version)


class Watching(msgspec.Struct, frozen=True):
    """A watch runs, or is being opened, from this version."""

    version: str


class Proving(msgspec.Struct, frozen=True):
    """A most recent list of one object is asked for: is the server's version still above this one?

    A watch from a version that the server has not reached is accepted and silent for ever, so an etcd that
    was restored from a backup shows in no other way. One object costs the server next to nothing.
    """

    version: str


class Pause(Enum):
    """How long a `Waiting` lasts; the reflector turns it into seconds."""

    SPREAD = "a small jitter"
    BACKOFF = "the backoff, and no less than Retry-After"
    EXPIRED = "spread over the window the first time, then the backoff"
    OUTAGE = "until it is this informer's turn: as the client's probe, or spread once the server is back"
    START = "the jitter of a first start"
    CAP = "the cap of the backoff"


class Waiting(msgspec.Struct, frozen=True):
    """Nothing is asked until the pause is over."""

    pause: Pause
    then: Listing | Watching | Proving
    floor: float = 0.0


class Stopped(msgspec.Struct, frozen=True):
    """The end."""


State = Listing | Watching | Proving | Waiting | Stopped


# --- signals ---------------------------------------------------------------------------------------------


class Signal(msgspec.Struct, frozen=True):
    """The base of what can happen. `reason` says it in words."""

    reason: str = ""


class ListDone(Signal, frozen=True):
    version: str = ""


class OlderList(Signal, frozen=True):
    version: str = ""


class StreamingFailed(Signal, frozen=True):
    pass


class Expired(Signal, frozen=True):
    pass


class TooLarge(Signal, frozen=True):
    retry_after: float = 0.0


class PageExpired(Signal, frozen=True):
    pass


class Unavailable(Signal, frozen=True):
    retry_after: float = 0.0


class Unreachable(Signal, frozen=True):
    pass


class Unauthorized(Signal, frozen=True):
    pass


class Denied(Signal, frozen=True):
    pass


class NotAList(Signal, frozen=True):
    pass


class Poisoned(Signal, frozen=True):
    pass


class RelistDue(Signal, frozen=True):
    pass


class Closed(Signal, frozen=True):
    lived: bool = True
    version: str = ""


class Cut(Signal, frozen=True):
    lived: bool = True
    version: str = ""


class Stalled(Signal, frozen=True):
    again: bool = False
    version: str = ""


class WriteBehind(Signal, frozen=True):
    pass


class Proved(Signal, frozen=True):
    pass


class WentBack(Signal, frozen=True):
    pass


class NotNewer(Signal, frozen=True):
    pass


class Replaced(Signal, frozen=True):
    pass


class Elapsed(Signal, frozen=True):
    pass


class HistoryLost(Signal, frozen=True):
    pass


class Stop(Signal, frozen=True):
    pass


# --- actions ---------------------------------------------------------------------------------------------


class Action(Enum):
    """What the reflector does besides moving on."""

    NONE = "nothing"
    REPLACE = "swap the new list in, deliver the difference"
    REWIND = "swap that list in as the truth, compare by uid, announce it"
    STREAMING_OFF = "ask for no streaming list for 10 minutes"
    SET_ASIDE = "set the object aside under its key, flag and count it, schedule a paced relist"
    IGNORE = "ignore the event, count it"
    DELETE_THEN_ADD = "deliver the delete of the old object, then the add of the new one"
    DENIED = "let `synced` fail with the reason"


# --- the table -------------------------------------------------------------------------------------------

Asking = Listing | Watching | Proving
Next = Callable[[Any, Any, bool], State]


class Row(msgspec.Struct, frozen=True):
    """One row: in these states, on this signal (where it holds), this action and this next state."""

    name: str
    states: tuple[type[State], ...]
    signal: type[Signal]
    action: Action
    next: Next
    says: str
    holds: Callable[[Any, Any], bool] = lambda _state, _signal: True


class Step(msgspec.Struct, frozen=True):
    """What one step came to."""

    state: State
    action: Action
    row: Row


def first_listing(streaming: bool) -> Listing:
    """The first list of all."""
    return Listing(Strategy.STREAM) if streaming else Listing(Strategy.CACHE)


def first_state(streaming: bool, *, jitter: bool, since: str = "") -> Listing | Waiting:
    """How a reflector begins: with a list, not older than *since*, after a jitter where one is set."""
    listing = relist(since, streaming)
    return Waiting(Pause.START, listing) if jitter else listing


def relist(version: str, streaming: bool) -> Listing:
    """The list that follows a watch which cannot go on at *version*."""
    if not version:
        return first_listing(streaming)
    return Listing(Strategy.STREAM if streaming else Strategy.NOT_OLDER, version)


def most_recent(streaming: bool) -> Listing:
    """The bottom rung."""
    return Listing(Strategy.STREAM) if streaming else Listing(Strategy.LATEST)


def _rung_down(state: Asking, streaming: bool) -> Listing:
    return relist(state.version, streaming) if isinstance(state, Watching) else most_recent(streaming)


def _without_streaming(state: Listing, _signal: Signal, _streaming: bool) -> Listing:
    return relist(state.version, streaming=False)


def _stay(state: State, _signal: Signal, _streaming: bool) -> State:
    return state


def _same_after(pause: Pause) -> Next:
    def following(state: Asking, signal: Signal, _streaming: bool) -> Waiting:
        version = getattr(signal, "version", "")
        then = Watching(version) if isinstance(state, Watching) and version else state
        return Waiting(pause, then, getattr(signal, "retry_after", 0.0))

    return following


def _down_after(pause: Pause) -> Next:
    def following(state: Asking, signal: Signal, streaming: bool) -> Waiting:
        return Waiting(pause, _rung_down(state, streaming), getattr(signal, "retry_after", 0.0))

    return following


def _prove(state: Watching, signal: Signal, _streaming: bool) -> Waiting:
    return Waiting(Pause.SPREAD, Proving(getattr(signal, "version", "") or state.version))


_ASKING: Final = (Listing, Watching, Proving)

TABLE: Final[tuple[Row, ...]] = (
    Row(
        "list done",
        (Listing,),
        ListDone,
        Action.REPLACE,
        lambda _state, signal, _streaming: Watching(signal.version),
        "WATCHING(list version)",
    ),
    Row(
        "a most recent list is older than what was seen, or follows a proof that the history went back",
        (Listing,),
        OlderList,
        Action.REWIND,
        lambda _state, signal, _streaming: Watching(signal.version),
        "WATCHING(list version)",
        lambda state, _signal: state.most_recent,
    ),
    Row(
        "any other list is older than what was seen",
        (Listing,),
        OlderList,
        Action.NONE,
        _down_after(Pause.BACKOFF),
        "WAITING(backoff), then the most recent list",
        lambda state, _signal: not state.most_recent,
    ),
    Row(
        "streaming list refused, ended, or past its time limit without its end bookmark",
        (Listing,),
        StreamingFailed,
        Action.STREAMING_OFF,
        _without_streaming,
        "LISTING(not older than the version, else the cache) now",
    ),
    Row(
        "410: the version expired",
        _ASKING,
        Expired,
        Action.NONE,
        _down_after(Pause.EXPIRED),
        "WAITING(spread over the window, then the backoff), then LISTING one rung down",
    ),
    Row(
        "the server is behind: resource version too large",
        _ASKING,
        TooLarge,
        Action.NONE,
        _down_after(Pause.BACKOFF),
        "WAITING(max(Retry-After, backoff)), then LISTING one rung down",
    ),
    Row(
        "410 on a later page, or a page of another snapshot",
        (Listing,),
        PageExpired,
        Action.NONE,
        _same_after(Pause.BACKOFF),
        "WAITING(backoff), then the same list from its start",
    ),
    Row(
        "the server refuses connections, met here or by another request of the client",
        _ASKING,
        Unreachable,
        Action.NONE,
        _same_after(Pause.OUTAGE),
        "WAITING(for the client's one probe, or its place in the spread once the server is back), then the "
        "same step at the same version: no relist",
    ),
    Row(
        "429, 5xx, reset, timeout",
        _ASKING,
        Unavailable,
        Action.NONE,
        _same_after(Pause.BACKOFF),
        "WAITING(max(Retry-After, backoff)), then the same step at the same version: no relist",
    ),
    Row(
        "401 after a refresh of the credentials",
        _ASKING,
        Unauthorized,
        Action.DENIED,
        _same_after(Pause.BACKOFF),
        "WAITING(backoff), then the same step at the same version",
    ),
    Row(
        "403, 404, a request the server rejects, or a set-up that cannot work",
        _ASKING,
        Denied,
        Action.DENIED,
        _same_after(Pause.CAP),
        "WAITING(cap), then the same step at the same version",
    ),
    Row(
        "a success that is no list or watch, or broken JSON",
        _ASKING,
        NotAList,
        Action.NONE,
        _same_after(Pause.BACKOFF),
        "WAITING(backoff), then the same step at the same version; never an empty cache",
    ),
    Row(
        "an object does not decode",
        _ASKING,
        Poisoned,
        Action.SET_ASIDE,
        _stay,
        "the same: the stream goes on",
    ),
    Row(
        "the paced relist is due",
        (Watching,),
        RelistDue,
        Action.NONE,
        lambda state, _signal, streaming: relist(state.version, streaming),
        "LISTING(not older than the version)",
    ),
    Row(
        "the stream closed after it lived",
        (Watching,),
        Closed,
        Action.NONE,
        _same_after(Pause.SPREAD),
        "WAITING(a small jitter), then WATCHING(last version)",
        lambda _state, signal: signal.lived,
    ),
    Row(
        "the stream closed at once, empty",
        (Watching,),
        Closed,
        Action.NONE,
        _same_after(Pause.BACKOFF),
        "WAITING(backoff), then WATCHING(last version)",
        lambda _state, signal: not signal.lived,
    ),
    Row(
        "the stream was cut after it lived, perhaps in a frame",
        (Watching,),
        Cut,
        Action.NONE,
        _same_after(Pause.SPREAD),
        "the half frame is dropped; WAITING(a small jitter), then WATCHING(last version)",
        lambda _state, signal: signal.lived,
    ),
    Row(
        "the stream was cut at once",
        (Watching,),
        Cut,
        Action.NONE,
        _same_after(Pause.BACKOFF),
        "WAITING(backoff), then WATCHING(last version)",
        lambda _state, signal: not signal.lived,
    ),
    Row(
        "silence up to the stall limit, or through the whole life of the watch",
        (Watching,),
        Stalled,
        Action.NONE,
        _same_after(Pause.SPREAD),
        "closed; WAITING(a small jitter), then WATCHING(last version)",
        lambda _state, signal: not signal.again,
    ),
    Row(
        "a second silence in a row",
        (Watching,),
        Stalled,
        Action.NONE,
        _prove,
        "a restored etcd is suspected: WAITING(a small jitter), then PROVING(last version)",
        lambda _state, signal: signal.again,
    ),
    Row(
        "an own write was answered with a version below what was seen, or no watch gets to one",
        (Watching,),
        WriteBehind,
        Action.NONE,
        _prove,
        "a restored etcd is suspected: WAITING(a small jitter), then PROVING(last version)",
    ),
    Row(
        "the server's version is not below the cache's",
        (Proving,),
        Proved,
        Action.NONE,
        lambda state, _signal, _streaming: Watching(state.version),
        "WATCHING(version)",
    ),
    Row(
        "the server's version is below the cache's: its history went back",
        (Proving,),
        WentBack,
        Action.NONE,
        lambda _state, _signal, streaming: most_recent(streaming),
        "LISTING(the most recent)",
    ),
    Row(
        "an event is not newer than the object held (same uid, or a deleted one)",
        (Watching,),
        NotNewer,
        Action.IGNORE,
        _stay,
        "the same",
    ),
    Row(
        "same key, other uid",
        (Watching,),
        Replaced,
        Action.DELETE_THEN_ADD,
        _stay,
        "the same",
    ),
    Row(
        "the pause is over",
        (Waiting,),
        Elapsed,
        Action.NONE,
        lambda state, _signal, _streaming: state.then,
        "what was waited for",
    ),
    Row(
        "an outage is over, and another watch found that the server forgot its history",
        (Waiting,),
        HistoryLost,
        Action.NONE,
        lambda state, _signal, streaming: relist(state.then.version, streaming),
        "LISTING(not older than the version): its own watch would only be answered with 410",
        lambda state, _signal: isinstance(state.then, Watching),
    ),
    Row(
        "stop",
        (Listing, Watching, Proving, Waiting, Stopped),
        Stop,
        Action.NONE,
        lambda _state, _signal, _streaming: Stopped(),
        "STOPPED",
    ),
)

_BY_SIGNAL: Final[dict[type[Signal], tuple[Row, ...]]] = {
    kind: tuple(row for row in TABLE if row.signal is kind) for kind in dict.fromkeys(r.signal for r in TABLE)
}


def step(state: State, signal: Signal, *, streaming: bool) -> Step:
    """The next state and the action, for *signal* in *state*; *streaming* says whether to ask for one.

    Raises `LookupError` where the table has no row: a bug in whoever made the signal.
    """
    for row in _BY_SIGNAL.get(type(signal), ()):
        if isinstance(state, row.states) and row.holds(state, signal):
            return Step(row.next(state, signal, streaming), row.action, row)
    raise LookupError(f"no row of the ListWatch table takes {signal!r} in {state!r}")


def table_as_markdown() -> str:
    """The table as it stands in the docs."""
    lines = ["| in | signal | what is done | next |", "|---|---|---|---|"]
    for row in TABLE:
        states = ", ".join(state.__name__.upper() for state in row.states)
        done = "" if row.action is Action.NONE else row.action.value
        lines.append(f"| {states} | {row.name} | {done} | {row.says} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(table_as_markdown())
