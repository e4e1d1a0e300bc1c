"""The ListWatch table, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from kresilient.cache.states import (
    TABLE,
    Action,
    Closed,
    Cut,
    Denied,
    Elapsed,
    Expired,
    HistoryLost,
    ListDone,
    Listing,
    NotAList,
    NotNewer,
    OlderList,
    PageExpired,
    Pause,
    Poisoned,
    Proved,
    Proving,
    RelistDue,
    Replaced,
    Signal,
    Stalled,
    State,
    Stop,
    Stopped,
    Strategy,
    StreamingFailed,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreachable,
    Waiting,
    Watching,
    WentBack,
    WriteBehind,
    first_listing,
    step,
    table_as_markdown,
)

STREAM, CACHE, NOT_OLDER, LATEST = Strategy
W = Watching("7")
STREAMING = True

# row, state, signal, streaming allowed, next state, action
WALK: list[tuple[str, State, Signal, bool, State, Action]] = [
    ("list done", Listing(CACHE), ListDone(version="9"), False, Watching("9"), Action.REPLACE),
    ("list done", Listing(STREAM, "7"), ListDone(version="9"), True, Watching("9"), Action.REPLACE),
    (
        "a most recent list is older than what was seen, or follows a proof that the history went back",
        Listing(LATEST),
        OlderList(version="3"),
        False,
        Watching("3"),
        Action.REWIND,
    ),
    (
        "a most recent list is older than what was seen, or follows a proof that the history went back",
        Listing(STREAM),
        OlderList(version="3"),
        True,
        Watching("3"),
        Action.REWIND,
    ),
    (
        "any other list is older than what was seen",
        Listing(NOT_OLDER, "7"),
        OlderList(version="3"),
        False,
        Waiting(Pause.BACKOFF, Listing(LATEST)),
        Action.NONE,
    ),
    (
        "any other list is older than what was seen",
        Listing(CACHE),
        OlderList(version="3"),
        False,
        Waiting(Pause.BACKOFF, Listing(LATEST)),
        Action.NONE,
    ),
    (
        "streaming list refused, ended, or past its time limit without its end bookmark",
        Listing(STREAM),
        StreamingFailed(),
        True,
        Listing(CACHE),
        Action.STREAMING_OFF,
    ),
    (
        "streaming list refused, ended, or past its time limit without its end bookmark",
        Listing(STREAM, "7"),
        StreamingFailed(),
        True,
        Listing(NOT_OLDER, "7"),
        Action.STREAMING_OFF,
    ),
    (
        "410: the version expired",
        W,
        Expired(),
        False,
        Waiting(Pause.EXPIRED, Listing(NOT_OLDER, "7")),
        Action.NONE,
    ),
    (
        "410: the version expired",
        W,
        Expired(),
        True,
        Waiting(Pause.EXPIRED, Listing(STREAM, "7")),
        Action.NONE,
    ),
    (
        "410: the version expired",
        Listing(NOT_OLDER, "7"),
        Expired(),
        False,
        Waiting(Pause.EXPIRED, Listing(LATEST)),
        Action.NONE,
    ),
    (
        "410: the version expired",
        Listing(STREAM, "7"),
        Expired(),
        True,
        Waiting(Pause.EXPIRED, Listing(STREAM)),
        Action.NONE,
    ),
    (
        "the server is behind: resource version too large",
        Listing(NOT_OLDER, "7"),
        TooLarge(retry_after=1.0),
        False,
        Waiting(Pause.BACKOFF, Listing(LATEST), 1.0),
        Action.NONE,
    ),
    (
        "410 on a later page, or a page of another snapshot",
        Listing(LATEST),
        PageExpired(),
        False,
        Waiting(Pause.BACKOFF, Listing(LATEST)),
        Action.NONE,
    ),
    (
        "the server refuses connections, met here or by another request of the client",
        W,
        Unreachable(),
        True,
        Waiting(Pause.OUTAGE, W),
        Action.NONE,
    ),
    (
        "the server refuses connections, met here or by another request of the client",
        Listing(STREAM),
        Unreachable(),
        True,
        Waiting(Pause.OUTAGE, Listing(STREAM)),
        Action.NONE,
    ),
    (
        "an outage is over, and another watch found that the server forgot its history",
        Waiting(Pause.OUTAGE, W),
        HistoryLost(),
        False,
        Listing(NOT_OLDER, "7"),
        Action.NONE,
    ),
    (
        "429, 5xx, reset, timeout",
        W,
        Unavailable(retry_after=4.0),
        True,
        Waiting(Pause.BACKOFF, W, 4.0),
        Action.NONE,
    ),
    (
        "429, 5xx, reset, timeout",
        Listing(CACHE),
        Unavailable(),
        False,
        Waiting(Pause.BACKOFF, Listing(CACHE)),
        Action.NONE,
    ),
    (
        "401 after a refresh of the credentials",
        W,
        Unauthorized(),
        True,
        Waiting(Pause.BACKOFF, W),
        Action.DENIED,
    ),
    (
        "403, 404, a request the server rejects, or a set-up that cannot work",
        Listing(CACHE),
        Denied(),
        False,
        Waiting(Pause.CAP, Listing(CACHE)),
        Action.DENIED,
    ),
    (
        "a success that is no list or watch, or broken JSON",
        Listing(CACHE),
        NotAList(),
        False,
        Waiting(Pause.BACKOFF, Listing(CACHE)),
        Action.NONE,
    ),
    ("an object does not decode", W, Poisoned(), True, W, Action.SET_ASIDE),
    ("the paced relist is due", W, RelistDue(), False, Listing(NOT_OLDER, "7"), Action.NONE),
    ("the paced relist is due", W, RelistDue(), True, Listing(STREAM, "7"), Action.NONE),
    (
        "the stream closed after it lived",
        W,
        Closed(lived=True, version="9"),
        True,
        Waiting(Pause.SPREAD, Watching("9")),
        Action.NONE,
    ),
    (
        "the stream closed at once, empty",
        W,
        Closed(lived=False, version="7"),
        True,
        Waiting(Pause.BACKOFF, W),
        Action.NONE,
    ),
    (
        "the stream was cut after it lived, perhaps in a frame",
        W,
        Cut(version="9"),
        True,
        Waiting(Pause.SPREAD, Watching("9")),
        Action.NONE,
    ),
    (
        "the stream was cut at once",
        W,
        Cut(lived=False, version="7"),
        True,
        Waiting(Pause.BACKOFF, W),
        Action.NONE,
    ),
    (
        "silence up to the stall limit, or through the whole life of the watch",
        W,
        Stalled(version="9"),
        True,
        Waiting(Pause.SPREAD, Watching("9")),
        Action.NONE,
    ),
    (
        "a second silence in a row",
        W,
        Stalled(again=True, version="9"),
        False,
        Waiting(Pause.SPREAD, Proving("9")),
        Action.NONE,
    ),
    (
        "an own write was answered with a version below what was seen, or no watch gets to one",
        W,
        WriteBehind(),
        True,
        Waiting(Pause.SPREAD, Proving("7")),
        Action.NONE,
    ),
    ("the server's version is not below the cache's", Proving("7"), Proved(), True, W, Action.NONE),
    (
        "the server's version is below the cache's: its history went back",
        Proving("7"),
        WentBack(),
        True,
        Listing(STREAM),
        Action.NONE,
    ),
    (
        "the server's version is below the cache's: its history went back",
        Proving("7"),
        WentBack(),
        False,
        Listing(LATEST),
        Action.NONE,
    ),
    (
        "429, 5xx, reset, timeout",
        Proving("7"),
        Unavailable(),
        True,
        Waiting(Pause.BACKOFF, Proving("7")),
        Action.NONE,
    ),
    (
        "an event is not newer than the object held (same uid, or a deleted one)",
        W,
        NotNewer(),
        True,
        W,
        Action.IGNORE,
    ),
    ("same key, other uid", W, Replaced(), True, W, Action.DELETE_THEN_ADD),
    ("the pause is over", Waiting(Pause.BACKOFF, W), Elapsed(), True, W, Action.NONE),
    ("stop", W, Stop(), True, Stopped(), Action.NONE),
    ("stop", Waiting(Pause.CAP, W), Stop(), True, Stopped(), Action.NONE),
]


@pytest.mark.parametrize(("row", "state", "signal", "streaming", "following", "action"), WALK)
def test_each_row_leads_where_the_table_says(
    row: str, state: State, signal: Signal, streaming: bool, following: State, action: Action
) -> None:
    taken = step(state, signal, streaming=streaming)
    assert (taken.row.name, taken.state, taken.action) == (row, following, action)


def test_every_row_is_walked() -> None:
    assert {row for row, *_ in WALK} == {row.name for row in TABLE}


def test_in_every_state_that_asks_the_server_every_answer_has_exactly_one_row() -> None:
    both = [Expired, TooLarge, Unavailable, Unreachable, Unauthorized, Denied, NotAList]
    cases: list[tuple[State, Signal]] = [
        (state, kind()) for state in (W, Proving("7"), Listing(CACHE)) for kind in both
    ]
    cases += [(W, Closed(lived=lived)) for lived in (True, False)]
    cases += [(W, Cut(lived=lived)) for lived in (True, False)]
    cases += [(W, Stalled(again=again)) for again in (True, False)]
    cases += [(Listing(s, v), OlderList()) for s in Strategy for v in ("", "7")]
    for state, signal in cases:
        rows = [
            row
            for row in TABLE
            if row.signal is type(signal) and isinstance(state, row.states) and row.holds(state, signal)
        ]
        assert len(rows) == 1, (state, signal, rows)


def test_no_fault_leads_to_a_request_without_a_pause() -> None:
    faults = [Expired(), TooLarge(), Unavailable(), Unauthorized(), Denied(), NotAList(), OlderList()]
    for state in (W, Listing(CACHE), Listing(NOT_OLDER, "7"), Listing(LATEST)):
        for signal in faults:
            if isinstance(signal, OlderList) and (state is W or state == Listing(LATEST)):
                continue
            assert isinstance(step(state, signal, streaming=False).state, Waiting)


def test_the_ladder_ends_at_the_most_recent_list() -> None:
    for streaming in (True, False):
        state: State = W
        for _ in range(5):
            taken = step(state, Expired(), streaming=streaming).state
            assert isinstance(taken, Waiting)
            state = taken.then
        assert isinstance(state, Listing) and state.most_recent


def test_the_first_list_streams_where_it_may() -> None:
    assert first_listing(streaming=STREAMING) == Listing(STREAM)
    assert first_listing(streaming=False) == Listing(CACHE)


def test_a_signal_without_a_row_is_an_error() -> None:
    with pytest.raises(LookupError, match="no row"):
        step(Waiting(Pause.BACKOFF, W), ListDone(version="1"), streaming=True)


def test_the_docs_hold_the_same_table() -> None:
    docs = Path(__file__).parents[2] / "docs" / "listwatch.md"
    assert table_as_markdown() in docs.read_text()
