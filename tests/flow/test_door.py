"""The door: what it lets through, what it takes for an answer, what it reports, and that it leaks nothing."""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import Mapping
from dataclasses import replace

import pytest

from kresilient.api.errors import (
    ConnectFailed,
    ConnectionLost,
    CredentialsError,
    Expired,
    LifecycleError,
    NotAKubernetesAnswer,
    NotFound,
    ServerUnavailable,
)
from kresilient.flow import Door, Limiter
from kresilient.flow.answers import parse_retry_after
from kresilient.flow.budget import RetryBudget
from kresilient.flow.retry import RetryPolicy
from kresilient.observe.events import Admitted, Event, Observers, PressureChanged, RequestFinished
from kresilient.transport.base import Request

from .scripted import JSON, Driven, Scripted, ScriptedTransport, bare, status

pytestmark = pytest.mark.looptime

GET = Request("GET", "/api/v1/namespaces/n/pods/p", verb="get", resource="v1/pods")
RENEWAL = Request("PUT", "/l", body=b"{}", verb="update", resource="coordination.k8s.io/v1/leases")
WATCH = Request("GET", "/api/v1/pods", verb="watch", resource="v1/pods", streaming=True, timeout=None)


def door(
    *script: Scripted | BaseException | None, limiter: Limiter | None = None, seen: list[Event] | None = None
) -> tuple[Door, ScriptedTransport]:
    transport = ScriptedTransport(*script)
    observers = Observers() if seen is None else Observers(seen.append)
    return Door(
        transport, limiter=limiter or Limiter(None), observers=observers, random=lambda: 0.0
    ), transport


# --- unary calls -------------------------------------------------------------------------------------


async def test_an_answer_has_its_status_headers_and_bytes() -> None:
    one, _ = door(Scripted(201, b'{"a": 1}', {**JSON, "Warning": "299"}))
    answer = await one.call(GET)
    assert (answer.status, answer.body, answer.headers.get("warning")) == (201, b'{"a": 1}', "299")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;stream=watch",
        "application/x+json",
    ],
)
async def test_json_by_any_of_its_names_is_an_answer(content_type: str) -> None:
    one, _ = door(Scripted(200, b"{}", {"content-type": content_type}))
    assert (await one.call(GET, retry=False)).body == b"{}"


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ({"content-type": "text/html"}, b"<html><title>Sign in", "starting '<html><title>Sign in'"),
        ({"content-type": "text/plain"}, b"{}", "text/plain"),
        ({}, b"{}", "no content type"),
        (JSON, b"", "empty body"),
        (JSON, b" \n", "empty body"),
    ],
)
async def test_a_success_that_is_no_object_is_an_error(
    headers: Mapping[str, str], body: bytes, words: str
) -> None:
    one, _ = door(Scripted(200, body, headers))
    with pytest.raises(NotAKubernetesAnswer, match=words):
        await one.call(GET, retry=False)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (
            Request("GET", "/log", headers={"accept": "text/plain"}),
            Scripted(200, b"", {"content-type": "text/plain"}),
        ),
        (Request("GET", "/metrics", headers={"Accept": "*/*"}), Scripted(200, b"x 1", {})),
        (Request("HEAD", "/healthz"), Scripted(200, b"", {})),
        (Request("DELETE", "/x"), Scripted(204, b"", {})),
    ],
)
async def test_where_no_object_was_asked_for_none_is_due(request_: Request, answer: Scripted) -> None:
    one, _ = door(answer)
    assert (await one.call(request_, retry=False)).status == answer.status


async def test_a_request_that_takes_any_body_has_no_object_due() -> None:
    log = Request("GET", "/log", headers={"Accept": "application/json"}, any_body=True)
    one, _ = door(Scripted(200, b"", {"content-type": "text/plain"}))
    assert (await one.call(log, retry=False)).body == b""


async def test_a_failed_answer_keeps_its_headers_and_its_body() -> None:
    one, _ = door(bare(404, b"no such page", {"X-Served-By": "a"}))
    with pytest.raises(NotFound) as failed:
        await one.call(GET)
    assert (failed.value.body, failed.value.headers.get("x-served-by")) == (b"no such page", "a")


async def test_no_try_begins_later_than_the_call_allows() -> None:
    one, transport = door(*[status(503) for _ in range(9)])
    with pytest.raises(ServerUnavailable):
        await one.call(GET, within=3.0)
    assert transport.times == pytest.approx([0.0, 0.8, 2.4])


async def test_a_call_cannot_allow_itself_more_time_than_the_policy_has() -> None:
    transport = ScriptedTransport(*[status(503) for _ in range(9)])
    policy = RetryPolicy(within=3.0)
    one = Door(transport, limiter=Limiter(None), observers=Observers(), random=lambda: 0.0, retry=policy)
    with pytest.raises(ServerUnavailable):
        await one.call(GET, within=100.0)
    assert transport.times == pytest.approx([0.0, 0.8, 2.4])


async def test_what_the_server_answers_fills_the_retry_budget_unless_it_shows_overload() -> None:
    answers = [Scripted(), status(404), status(429), status(503), status(500)]
    budget = RetryBudget(share=1.0, floor=0.0)
    one = Door(ScriptedTransport(*answers), limiter=Limiter(None), observers=Observers(), budget=budget)
    left = []
    for _ in answers:
        await asyncio.gather(one.call(GET, retry=False), return_exceptions=True)
        left.append(budget.left)
    assert left == [1, 2, 2, 2, 2]


@pytest.mark.parametrize(("request_", "tries"), [(GET, 1), (RENEWAL, 2)])
async def test_the_last_repeat_of_the_budget_is_kept_for_renewals(request_: Request, tries: int) -> None:
    transport = ScriptedTransport(status(429), Scripted())
    budget = RetryBudget(share=0.0, floor=0.1, window=10.0)
    one = Door(transport, limiter=Limiter(None), observers=Observers(), budget=budget, random=lambda: 0.0)
    await asyncio.gather(one.call(request_), return_exceptions=True)
    assert len(transport.sent) == tries


@pytest.mark.parametrize(("verb", "slower"), [("get", True), ("list", False)])
async def test_the_time_that_lists_take_says_nothing_of_the_server(verb: str, slower: bool) -> None:
    transport = Driven(lambda _: Scripted(), latency=0.05)
    one = Door(transport, limiter=Limiter(None), observers=Observers())
    asked = replace(GET, verb=verb, query=(("labelSelector", "a"),), timeout=120.0)
    for number in range(15):
        transport.latency = 0.05 if number < 10 else 8.0
        await one.call(asked)
    assert any(level.rate is not None for level in one.pressure.levels) is slower


async def test_a_probing_call_waits_for_the_one_probe_while_the_server_is_away() -> None:
    one, transport = door(*[ConnectFailed("refused")] * 3, *[Scripted()] * 9)
    with pytest.raises(ConnectFailed):
        await one.call(GET, retry=False)
    calls = [asyncio.create_task(one.call(GET, probing=True)) for _ in range(5)]
    await asyncio.wait(calls)
    assert {call.result().status for call in calls} == {200}
    assert len(transport.sent) == 3 + 5
    assert transport.times[3:] == [transport.times[3]] * 5, "the last probe was answered, and all came"


async def test_what_failed_on_this_side_is_no_outage() -> None:
    one, transport = door(ConnectFailed("no connection was free", local=True), Scripted())
    with pytest.raises(ConnectFailed):
        await one.call(GET, retry=False)
    assert not one.outage.lasts
    await one.call(GET, probing=True)
    assert transport.times == [0.0, 0.0]


async def test_a_probing_call_gives_up_with_what_was_tried_last() -> None:
    one, transport = door(*[ConnectFailed("no route")] * 9)
    with pytest.raises(ConnectFailed):
        await one.call(GET, retry=False)
    with pytest.raises(ConnectFailed, match=r"still refuses connections.*no route"):
        await one.call(GET, probing=True, within=0.1)
    assert len(transport.sent) == 1


async def test_a_probing_call_ends_with_the_door() -> None:
    one, _ = door(ConnectFailed("refused"))
    with pytest.raises(ConnectFailed):
        await one.call(GET, retry=False)
    waiting = asyncio.create_task(one.call(GET, probing=True))
    await asyncio.sleep(0.1)
    await one.close()
    with pytest.raises(LifecycleError):
        await waiting


async def test_a_stream_that_is_followed_is_opened_again_as_a_read_is() -> None:
    one, transport = door(ConnectFailed("refused"), status(429, retry_after=5), Scripted())
    async with await one.follow(WATCH) as response:
        assert response.status == 200
    assert transport.times == pytest.approx([0.0, 1.5, 6.5])


async def test_a_stream_whose_place_in_the_spread_comes_too_late_is_opened_in_time() -> None:
    transport = ScriptedTransport(ConnectFailed("refused"), Scripted(), Scripted())
    one = Door(transport, limiter=Limiter(None), observers=Observers(), random=lambda: 0.99)
    with pytest.raises(ConnectFailed):
        await one.call(GET, retry=False)
    following = asyncio.create_task(one.follow(WATCH, within=20.0))
    await asyncio.sleep(1.0)
    await one.call(GET)
    async with await following as response:
        assert response.status == 200
    assert transport.times == pytest.approx([0.0, 1.0, 20.0], abs=1e-3), "and not at 1.0 + 0.99 * 30"


async def test_a_token_got_while_the_server_went_away_is_given_back() -> None:
    transport = Driven(lambda _: ConnectFailed("refused"), latency=5.0)
    one = Door(transport, limiter=Limiter(0.1, 1), observers=Observers(), random=lambda: 0.0)
    first = asyncio.create_task(one.call(GET, retry=False))
    await asyncio.sleep(1.0)
    with pytest.raises(ConnectFailed):
        await one.call(GET, probing=True, within=12.0)
    assert transport.times == pytest.approx([0.0, 10.0], abs=0.01), "as the probe, with the token it had"
    await asyncio.gather(first, return_exceptions=True)


async def test_a_stream_that_is_followed_is_given_up_like_a_read() -> None:
    one, transport = door(*[status(503) for _ in range(9)])
    with pytest.raises(ServerUnavailable) as failed:
        await one.follow(WATCH)
    assert failed.value.attempts == len(transport.sent) == 5


async def test_every_attempt_passes_the_limiter() -> None:
    one, transport = door(*[status(503) for _ in range(3)], Scripted(), limiter=Limiter(0.1, 1))
    await one.call(GET)
    assert transport.times == pytest.approx([0.0, 10.0, 20.0, 30.0], abs=0.1)


async def test_an_error_without_a_body_keeps_its_status() -> None:
    one, _ = door(Scripted(404, ConnectionLost("cut")))
    with pytest.raises(NotFound):
        await one.call(GET)


async def test_an_error_whose_body_never_comes_keeps_its_status() -> None:
    one, _ = door(Scripted(404, None))
    with pytest.raises(NotFound):
        await asyncio.wait_for(one.call(GET), 60)


# --- events ------------------------------------------------------------------------------------------


async def test_each_attempt_is_reported_with_its_admission_and_its_end() -> None:
    seen: list[Event] = []
    one, _ = door(status(503, "ServiceUnavailable"), Scripted(), seen=seen)
    await one.call(GET)
    seen = [event for event in seen if not isinstance(event, PressureChanged)]
    assert [type(event).__name__ for event in seen] == [
        "Admitted",
        "RequestFinished",
        "RequestRetried",
        "Admitted",
        "RequestFinished",
    ]
    assert seen[0] == Admitted("get", "v1/pods", 0.0, "read")
    assert seen[1] == RequestFinished("get", "v1/pods", GET.path, 503, 0.0, 1, "503 ServiceUnavailable")
    assert seen[4] == RequestFinished("get", "v1/pods", GET.path, 200, 0.0, 2)


async def test_no_event_quotes_a_body() -> None:
    seen: list[Event] = []
    one, _ = door(
        bare(500, b"password=hunter2"), Scripted(200, b"hunter2", {"content-type": "text/html"}), seen=seen
    )
    for _ in range(2):
        with pytest.raises((ServerUnavailable, NotAKubernetesAnswer)):
            await one.call(GET, retry=False)
    assert len(seen) == 4 and "hunter2" not in repr(seen)


async def test_no_event_quotes_what_a_plug_in_printed() -> None:
    seen: list[Event] = []
    error = CredentialsError("exit code 1: hunter2", brief="exit code 1")
    one, _ = door(error, Scripted(), seen=seen)
    await one.call(GET)
    assert isinstance(seen[1], RequestFinished) and seen[1].error == "exit code 1"
    assert "hunter2" not in repr(seen)


async def test_a_cancelled_request_is_reported_as_such() -> None:
    seen: list[Event] = []
    one, _ = door(None, seen=seen)
    call = asyncio.create_task(one.call(GET))
    await asyncio.sleep(2.0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert isinstance(seen[-1], RequestFinished)
    assert (seen[-1].error, seen[-1].status) == ("cancelled", 0)
    assert seen[-1].duration == pytest.approx(2.0, abs=1e-3)


# --- responses are closed, whatever happens ------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        lambda: Scripted(),
        lambda: Scripted(200, b""),
        lambda: Scripted(200, b"x", {"content-type": "text/html"}),
        lambda: Scripted(200, ConnectionLost("cut")),
        lambda: status(404),
        lambda: Scripted(500, ConnectionLost("cut")),
        lambda: Scripted(200, ZeroDivisionError()),
    ],
)
async def test_the_response_of_a_call_is_closed(answer: type[Scripted]) -> None:
    response = answer()
    one, _ = door(response)
    await asyncio.gather(one.call(GET, retry=False), return_exceptions=True)
    assert response.closed >= 1


@pytest.mark.parametrize("code", [200, 404])
async def test_the_response_of_a_cancelled_call_is_closed(code: int) -> None:
    response = Scripted(code, None)
    one, _ = door(response)
    call = asyncio.create_task(one.call(GET))
    await asyncio.sleep(1.0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert call.cancelled() and response.closed >= 1


@pytest.mark.parametrize("answer", [lambda: status(404), lambda: Scripted(200, b"x", {})])
async def test_the_response_of_a_stream_that_is_none_is_closed(answer: type[Scripted]) -> None:
    response = answer()
    one, _ = door(response)
    await asyncio.gather(one.open(WATCH), return_exceptions=True)
    assert response.closed == 1


async def test_the_response_of_a_cancelled_open_is_closed() -> None:
    response = Scripted(500, None)
    one, _ = door(response)
    opening = asyncio.create_task(one.open(WATCH))
    await asyncio.sleep(1.0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert opening.cancelled() and response.closed == 1


# --- streams -----------------------------------------------------------------------------------------


async def test_a_stream_is_handed_over_open_and_unread() -> None:
    seen: list[Event] = []
    response = Scripted(200, b"frame", {"content-type": "application/json;stream=watch"})
    one, _ = door(response, seen=seen)
    opened = await one.open(WATCH)
    assert [chunk async for chunk in opened.chunks()] == [b"frame"]
    assert response.closed == 0
    assert seen == [
        Admitted("watch", "v1/pods", 0.0, "read"),
        RequestFinished("watch", "v1/pods", WATCH.path, 200, 0.0, 1),
    ]


async def test_a_stream_is_never_retried() -> None:
    one, transport = door(status(503, retry_after=3), Scripted())
    with pytest.raises(ServerUnavailable) as caught:
        await one.open(WATCH)
    assert caught.value.retry_after == 3 and len(transport.sent) == 1


async def test_an_expired_watch_is_the_typed_error() -> None:
    one, _ = door(status(410, "Expired"))
    with pytest.raises(Expired):
        await one.open(WATCH)


async def test_html_instead_of_a_stream_is_quoted() -> None:
    one, _ = door(Scripted(200, b"<html>proxy", {"content-type": "text/html"}))
    with pytest.raises(NotAKubernetesAnswer, match="<html>proxy"):
        await one.open(WATCH)


async def test_html_that_never_comes_does_not_hold_the_reflector() -> None:
    one, _ = door(Scripted(200, None, {"content-type": "text/html"}))
    with pytest.raises(NotAKubernetesAnswer):
        await asyncio.wait_for(one.open(WATCH), 60)


async def test_a_further_page_takes_no_token() -> None:
    one, transport = door(Scripted(), Scripted(), limiter=Limiter(0.1, 1))
    await one.open(WATCH)
    await one.open(WATCH, admit=False)
    assert transport.times == [0.0, 0.0]


async def test_a_further_page_of_a_call_takes_no_token_but_its_repeat_does() -> None:
    one, transport = door(Scripted(), Scripted(), status(503), Scripted(), limiter=Limiter(0.1, 1))
    await one.call(GET)
    await one.call(GET, admit=False)
    await one.call(GET, admit=False)
    assert transport.times == pytest.approx([0.0, 0.0, 0.0, 10.0], abs=0.1)


# --- closing -----------------------------------------------------------------------------------------


async def test_a_closed_door_lets_nothing_through() -> None:
    one, transport = door(Scripted(), Scripted())
    await one.close()
    await one.close()
    for attempt in (one.call(GET), one.open(WATCH)):
        with pytest.raises(LifecycleError, match="closed"):
            await attempt
    assert transport.sent == []


async def test_a_request_that_waits_while_the_door_closes_is_not_sent() -> None:
    one, transport = door(Scripted(), Scripted(), limiter=Limiter(0.1, 1))
    await one.call(GET)
    waiting = asyncio.create_task(one.call(GET))
    await asyncio.sleep(1.0)
    await one.close()
    closed = asyncio.get_running_loop().time()
    with pytest.raises(LifecycleError, match="closed"):
        await waiting
    assert asyncio.get_running_loop().time() == pytest.approx(closed, abs=0.01)
    assert len(transport.sent) == 1


async def test_a_pause_between_tries_ends_when_the_door_closes() -> None:
    one, transport = door(status(503, retry_after=30), Scripted())
    waiting = asyncio.create_task(one.call(GET))
    await asyncio.sleep(1.0)
    await one.close()
    with pytest.raises(LifecycleError, match="closed"):
        await waiting
    assert asyncio.get_running_loop().time() == pytest.approx(1.0, abs=0.01)
    assert len(transport.sent) == 1


async def test_a_waiting_caller_that_is_cancelled_while_the_door_closes_is_cancelled() -> None:
    one, _ = door(Scripted(), limiter=Limiter(0.1, 1))
    await one.call(GET)
    waiting = asyncio.create_task(one.call(GET))
    await asyncio.sleep(1.0)
    await one.close()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


# --- Retry-After -------------------------------------------------------------------------------------

NOON = 1_700_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", None),
        ("-3", None),
        ("1e9", 600.0),
        ("inf", 600.0),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("1" * 100_000, 600.0),
        (email.utils.formatdate(NOON + 30, usegmt=True), 30.0),
        (email.utils.formatdate(NOON - 30, usegmt=True), None),
        (email.utils.formatdate(NOON + 1e6, usegmt=True), 600.0),
        ("Mon, 99 Foo 9999 99:99:99 GMT", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("\x00\ud800", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_absurd(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, wall=lambda: NOON) == seconds
