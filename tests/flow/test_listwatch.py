"""What a list is given to begin, and what its failures mean to the reflector."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from kresilient.api.errors import (
    ConfigError,
    ConnectFailed,
    ConnectionLost,
    CredentialsError,
    KresilientError,
    NotAKubernetesAnswer,
    Status,
    api_error,
)
from kresilient.api.resources import Resource
from kresilient.cache.listwatch import ListResult, ListWatch, signal_of, signal_of_status
from kresilient.cache.states import Denied, Expired, Listing, NotAList, Strategy, Unavailable, Unreachable
from kresilient.flow import Door, Limiter
from kresilient.observe.events import Observers
from kresilient.testing.server import MemoryApiServer
from kresilient.transport.base import Request, Response, Transport

from .scripted import Scripted, ScriptedTransport

pytestmark = pytest.mark.looptime

LATEST = Listing(Strategy.LATEST)
PODS = msgspec.json.encode({"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": []})


class SlowTransport(ScriptedTransport):
    """Answers after 100 s."""

    async def send(self, request: Request) -> Response:
        response = await super().send(request)
        await asyncio.sleep(100)
        return response


def listwatch(transport: Transport) -> ListWatch:
    door = Door(transport, limiter=Limiter(None), observers=Observers())
    return ListWatch(door, Resource("", "v1", "pods"))


async def read(lists: ListWatch) -> None:
    async for _ in lists.pages(LATEST, ListResult()):
        pass


async def test_a_list_is_given_longer_to_begin_than_to_go_on_and_a_watch_is_not() -> None:
    transport = ScriptedTransport(Scripted(200, PODS), Scripted())
    lists = listwatch(transport)
    await read(lists)
    await lists.watch("1", lifetime=300, answer_within=150, stall=150)
    assert [(one.patience, one.stall) for one in transport.sent] == [(75.0, 30.0), (150, 150)]


async def test_a_list_that_does_not_begin_is_given_twice_the_time_up_to_ten_minutes() -> None:
    transport = ScriptedTransport(*[ConnectionLost("late", overdue=True) for _ in range(6)])
    lists = listwatch(transport)
    for _ in range(6):
        with pytest.raises(ConnectionLost):
            await read(lists)
    assert [one.answer_within for one in transport.sent] == [75, 150, 300, 600, 600, 600]


async def test_a_connection_that_breaks_gives_the_next_list_no_longer() -> None:
    transport = ScriptedTransport(ConnectionLost("reset"), Scripted(200, PODS))
    lists = listwatch(transport)
    with pytest.raises(ConnectionLost):
        await read(lists)
    await read(lists)
    assert [one.answer_within for one in transport.sent] == [75, 75]


async def test_a_server_once_slow_is_given_twice_what_it_took() -> None:
    transport = SlowTransport(Scripted(200, PODS), Scripted(200, PODS))
    lists = listwatch(transport)
    await read(lists)
    await read(lists)
    assert transport.sent[1].answer_within == pytest.approx(200, abs=0.1)


async def test_a_server_that_encodes_for_35_seconds_is_listed_at_the_first_try() -> None:
    async with MemoryApiServer() as server:
        server.faults.next("list", "v1/pods").delay(35)
        await read(listwatch(server.transport()))


async def test_a_server_that_encodes_for_100_seconds_is_listed_at_the_second_try() -> None:
    async with MemoryApiServer() as server:
        server.faults.next("list", "v1/pods").times(2).delay(100)
        lists = listwatch(server.transport())
        with pytest.raises(ConnectionLost) as caught:
            await read(lists)
        assert caught.value.overdue
        await read(lists)


@pytest.mark.parametrize(
    "error",
    [
        ConnectFailed("untrusted", permanent=True),
        CredentialsError("no plug-in", permanent=True),
        ConfigError("the CA file cannot be used"),
    ],
)
def test_what_stays_wrong_until_it_is_mended_is_a_denial_with_its_reason(error: KresilientError) -> None:
    assert signal_of(error, LATEST) == Denied(str(error))
    assert signal_of(error, None) == Denied(str(error))


def test_an_outage_is_no_denial() -> None:
    assert signal_of(ConnectFailed("refused"), LATEST) == Unreachable("refused")


def test_no_reason_quotes_a_body_or_a_program() -> None:
    page = api_error(502, b"hunter2", what="list v1/pods", content_type="text/html")
    login = NotAKubernetesAnswer("starting 'hunter2'", brief="200 with 'text/html'")
    plugin = CredentialsError("exit code 1: hunter2", brief="exit code 1")
    assert signal_of(page, LATEST).reason == "list v1/pods: 502 without a Status (text/html, 7 bytes)"
    assert signal_of(login, LATEST) == NotAList("200 with 'text/html'")
    assert signal_of(plugin, LATEST) == Unavailable("exit code 1")


def test_the_code_of_an_error_event_is_the_statuss_own() -> None:
    assert isinstance(signal_of_status(Status(code=410, reason="Expired"), "watch", None), Expired)
    assert isinstance(signal_of_status(Status(code=403), "watch", None), Denied)
    assert isinstance(signal_of_status(Status(), "watch", None), Unavailable)
