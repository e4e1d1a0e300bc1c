"""The record of the requests: which, by whom, how many, how fast, how many at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer, RequestSelection
from kresilient.testing.server.request_log import RequestLog
from kresilient.testing.server.requests import Call, RequestInfo, RequestRecord

from .asked import asked

PODS = "/api/v1/namespaces/default/pods"


def log(*times: tuple[float, float | None], verb: str = "list") -> RequestLog:
    """A log of lists that began and ended then."""
    requests = RequestLog()
    for start, end in times:
        query = {"watch": "1"} if verb == "watch" else {}
        record = RequestRecord(RequestInfo.of(Call("GET", PODS, query, {})), "GET", query, "agent", start)
        requests.arrived(record)
        record.end = end
    return requests


@pytest.mark.parametrize(
    ("starts", "window", "rate"),
    [
        ([], 1.0, 0.0),
        ([0.0], 1.0, 1.0),
        ([0.0, 0.5, 0.9], 1.0, 3.0),
        ([0.0, 1.0, 2.0], 1.0, 1.0),
        ([0.0, 0.1, 5.0, 5.1, 5.2], 1.0, 3.0),
        ([0.0, 0.1, 5.0, 5.1, 5.2], 10.0, 0.5),
    ],
)
def test_the_busiest_window_makes_the_rate(starts: Sequence[float], window: float, rate: float) -> None:
    assert log(*((start, start) for start in starts)).max_rate(window) == rate


def test_a_window_has_a_length() -> None:
    with pytest.raises(ValueError, match="more than 0 seconds"):
        log().max_rate(0)


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([(0, 1), (1, 2), (2, 3)], 1),
        ([(0, 3), (1, 2), (1.5, 4), (3, 5)], 3),
        ([(0, None), (1, None), (2, 3)], 3),
    ],
)
def test_what_ran_at_the_same_time_is_counted(times: list[tuple[float, float | None]], most: int) -> None:
    assert log(*times).concurrent == most


def test_watches_that_run_are_told_from_those_that_ran() -> None:
    requests = log((0, 5), (1, None), (2, None), verb="watch")
    assert requests.concurrent_watches == 3
    assert requests.where(verb="watch").running.count == 2


async def test_a_selection_is_a_sequence_of_what_was_asked_for() -> None:
    server = MemoryApiServer()
    for path in (PODS, f"{PODS}/a", f"{PODS}/b", "/api/v1/nodes"):
        await asked(server, path, user_agent="agent-7/1.0")
    got = server.requests.where(verb="get")
    assert isinstance(got, RequestSelection)
    assert (got.count, len(got), [record.name for record in got]) == (2, 2, ["a", "b"])
    assert (got[-1].name, got[:1][0].name) == ("b", "a")
    assert got.where(name="b").count == 1
    assert server.requests.where(verb=("get", "list"), user_agent="agent-7").count == 4
    assert server.requests.count(code=range(400, 500)) == 2
    assert server.requests.where(resource={"v1/nodes", "v1/pods"}, verb="list").count == 2


async def test_a_selection_stays_as_it_was_made() -> None:
    server = MemoryApiServer()
    await asked(server, PODS)
    before = server.requests.where(verb="list")
    await asked(server, PODS)
    server.requests.clear()
    assert (before.count, server.requests.count(verb="list"), server.requests.total) == (1, 0, 2)


def test_an_attribute_that_no_request_has_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"requests have no \['kind'\]; ask by"):
        log().where(kind="Pod")


@pytest.mark.looptime
async def test_a_record_says_how_much_and_how_long() -> None:
    server = MemoryApiServer()
    for name in "abc":
        server.create("v1/pods", {"metadata": {"name": name}})
    server.faults.next("list").delay(2.0)
    answer = await asked(server, PODS)
    (listed,) = server.requests.where(verb="list")
    assert (listed.objects, listed.bytes) == (3, len(answer.text))
    assert listed.duration == pytest.approx(2.0, abs=0.01)
    await asked(server, f"{PODS}/a")
    assert server.requests.where(verb="get").objects == 1
    everything = server.requests.where()
    assert everything.objects == 4
    assert everything.bytes == sum(record.bytes for record in everything)


@pytest.mark.looptime
async def test_the_events_of_a_watch_are_its_objects() -> None:
    server = MemoryApiServer(bookmark_interval=1.0)
    server.create("v1/pods", {"metadata": {"name": "a"}})
    path = f"{PODS}?watch=1&timeoutSeconds=10&allowWatchBookmarks=true"
    watching = asyncio.create_task(asked(server, path))
    await server.watchers("v1/pods")
    await server.settled()
    (record,) = server.requests.where(verb="watch")
    assert (record.objects, record.duration) == (1, None)
    server.create("v1/pods", {"metadata": {"name": "b"}})
    lines = (await watching).text.splitlines()
    events = [one for one in map(json.loads, lines) if one["type"] != "BOOKMARK"]
    assert record.objects == len(events) == 2
    assert len(lines) > 2, "bookmarks are no objects"
    assert record.duration == pytest.approx(10.0, abs=0.1)


async def test_a_request_has_an_id_that_its_answer_tells() -> None:
    server = MemoryApiServer()
    ids: list[Any] = [(await asked(server, PODS)).headers["Audit-Id"] for _ in range(2)]
    assert [record.audit_id for record in server.requests] == ids
    assert len(set(ids)) == 2
    assert (await asked(server, PODS, audit_id="mine")).headers["Audit-Id"] == "mine"
