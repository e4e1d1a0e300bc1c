"""What is retried, what is not, and what is said to be unknown; walked as a table in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kresilient.api.errors import (
    AlreadyExists,
    ApiError,
    ConfigError,
    Conflict,
    ConnectFailed,
    ConnectionLost,
    Forbidden,
    KresilientError,
    NotAKubernetesAnswer,
    NotFound,
    OutcomeUnknown,
    ServerUnavailable,
    TooManyRequests,
    WireError,
)
from kresilient.flow import Door, Limiter, RetryPolicy
from kresilient.observe.events import Event, Observers, RequestFinished, RequestRetried
from kresilient.transport.base import Request

from .scripted import Scripted, ScriptedTransport, bare, status

pytestmark = pytest.mark.looptime

READ = Request("GET", "/api/v1/namespaces/n/pods/p", verb="get", resource="v1/pods")
WRITE = Request("POST", "/api/v1/namespaces/n/pods", verb="create", resource="v1/pods", body=b"{}")

REFUSED = lambda: ConnectFailed("refused")  # noqa: E731
LOST = lambda: ConnectionLost("reset")  # noqa: E731
CUT = lambda: Scripted(200, ConnectionLost("cut in the body"))  # noqa: E731
HTML = lambda: Scripted(200, b"<html>", {"content-type": "text/html"})  # noqa: E731
EMPTY = lambda: Scripted(200, b" ")  # noqa: E731
OK = lambda: Scripted()  # noqa: E731
BUDGET = lambda: status(429, "TooManyRequests", cause="DisruptionBudget")  # noqa: E731
TIMEOUT_504 = lambda: status(504, "Timeout", retry_after=1)  # noqa: E731
SERVER_TIMEOUT = lambda: status(500, "ServerTimeout", retry_after=1)  # noqa: E731
UNAVAILABLE = lambda: status(503, "ServiceUnavailable", retry_after=1)  # noqa: E731

Entry = Callable[[], Scripted | BaseException]


def door(
    transport: ScriptedTransport, *, retry: RetryPolicy | None = None, seen: list[Event] | None = None
) -> Door:
    return Door(
        transport,
        limiter=Limiter(qps=None),
        observers=Observers() if seen is None else Observers(seen.append),
        retry=retry,
        random=lambda: 0.0,
        wall=lambda: 0.0,
    )


@pytest.mark.parametrize(
    "failure",
    [REFUSED, LOST, CUT, HTML, EMPTY, TIMEOUT_504, SERVER_TIMEOUT, UNAVAILABLE]
    + [lambda code=code: bare(code) for code in (429, 500, 502, 503, 504)]
    + [lambda code=code: status(code) for code in (429, 500, 503)],
)
async def test_a_read_is_asked_again(failure: Entry) -> None:
    transport = ScriptedTransport(failure(), OK())
    answer = await door(transport).call(READ)
    assert answer.body == b"{}" and len(transport.sent) == 2


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404, 405, 409, 410, 422, 501])
@pytest.mark.parametrize("request_", [READ, WRITE])
async def test_a_plain_refusal_is_raised_at_once(code: int, request_: Request) -> None:
    transport = ScriptedTransport(status(code))
    with pytest.raises(ApiError) as caught:
        await door(transport).call(request_)
    assert caught.value.code == code and caught.value.attempts == 1


@pytest.mark.parametrize(
    "failure",
    [REFUSED, SERVER_TIMEOUT, UNAVAILABLE, lambda: status(429), lambda: bare(429, b"Too many requests")],
)
async def test_a_write_that_certainly_did_nothing_is_sent_again(failure: Entry) -> None:
    transport = ScriptedTransport(failure(), OK())
    assert (await door(transport).call(WRITE)).status == 200


def json_of(code: int, body: bytes) -> Scripted:
    return Scripted(code, body)


async def test_a_proxys_json_is_no_status_and_its_code_is_not_the_answers() -> None:
    transport = ScriptedTransport(json_of(500, b'{"code":429,"message":"slow down"}'), OK())
    with pytest.raises(OutcomeUnknown) as caught:
        await door(transport).call(WRITE)
    assert isinstance(caught.value.__cause__, ServerUnavailable)
    assert not caught.value.__cause__.status_sent and len(transport.sent) == 1


@pytest.mark.parametrize(
    "body", [b'{"code":14,"message":"unavailable"}', b'{"kind":"Status","status":"Failure","code":404}']
)
async def test_the_http_status_is_the_code_whatever_the_body_says(body: bytes) -> None:
    transport = ScriptedTransport(json_of(503, body), OK())
    await door(transport).call(READ)
    assert len(transport.sent) == 2


@pytest.mark.parametrize("request_", [READ, WRITE])
async def test_what_stays_wrong_until_it_is_mended_is_said_at_once(request_: Request) -> None:
    transport = ScriptedTransport(ConnectFailed("untrusted", permanent=True), OK())
    with pytest.raises(ConnectFailed, match="untrusted"):
        await door(transport).call(request_)
    assert len(transport.sent) == 1


UNKNOWN: list[tuple[Entry, type[KresilientError]]] = [
    (LOST, ConnectionLost),
    (CUT, ConnectionLost),
    (HTML, NotAKubernetesAnswer),
    (EMPTY, NotAKubernetesAnswer),
    (TIMEOUT_504, ServerUnavailable),
    (lambda: status(500, "InternalError"), ServerUnavailable),
    (lambda: status(503, "ServiceUnavailable"), ServerUnavailable),
    (lambda: bare(502), ServerUnavailable),
    (lambda: bare(503, headers={"retry-after": "1"}), ServerUnavailable),
    (lambda: bare(504), ServerUnavailable),
]


@pytest.mark.parametrize(("failure", "cause"), UNKNOWN)
async def test_a_write_that_may_have_arrived_is_never_sent_again(
    failure: Entry, cause: type[KresilientError]
) -> None:
    transport = ScriptedTransport(failure(), OK())
    with pytest.raises(OutcomeUnknown, match="create v1/pods") as caught:
        await door(transport).call(WRITE)
    assert isinstance(caught.value.__cause__, cause)
    assert len(transport.sent) == 1


@pytest.mark.parametrize(("failure", "cause"), UNKNOWN)
async def test_a_write_whose_repeat_is_safe_is_sent_again(
    failure: Entry, cause: type[KresilientError]
) -> None:
    transport = ScriptedTransport(failure(), OK())
    assert (await door(transport).call(WRITE, repeatable=True)).status == 200


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        (lambda: status(404, "NotFound"), NotFound),
        (lambda: status(409, "Conflict"), Conflict),
        (lambda: status(409, "AlreadyExists"), AlreadyExists),
        (lambda: status(403, "Forbidden"), Forbidden),
    ],
)
async def test_a_refused_repeat_after_a_lost_answer_is_unknown(refusal: Entry, cause: type[ApiError]) -> None:
    transport = ScriptedTransport(LOST(), refusal())
    with pytest.raises(OutcomeUnknown, match="tried 2 times") as caught:
        await door(transport).call(WRITE, repeatable=True)
    assert isinstance(caught.value.__cause__, cause)
    assert caught.value.__cause__.attempts == 2


async def test_a_lost_answer_stays_unknown_however_the_later_tries_end() -> None:
    transport = ScriptedTransport(LOST(), *[REFUSED() for _ in range(4)])
    with pytest.raises(OutcomeUnknown):
        await door(transport).call(WRITE, repeatable=True)
    assert len(transport.sent) == 5


async def test_a_refused_repeat_after_a_refused_connection_is_just_refused() -> None:
    with pytest.raises(Conflict):
        await door(ScriptedTransport(REFUSED(), status(409, "Conflict"))).call(WRITE, repeatable=True)


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_disruption_budget_is_no_overload(repeatable: bool) -> None:
    transport = ScriptedTransport(BUDGET())
    with pytest.raises(TooManyRequests) as caught:
        await door(transport).call(WRITE, repeatable=repeatable)
    assert caught.value.attempts == 1


async def test_an_answer_that_is_too_large_is_not_asked_for_again() -> None:
    transport = ScriptedTransport(Scripted(200, b"x" * 11))
    small = Door(transport, limiter=Limiter(None), observers=Observers(), max_body=10)
    with pytest.raises(WireError, match="larger than 10 bytes"):
        await small.call(READ)


async def test_five_tries_and_no_more() -> None:
    transport = ScriptedTransport(*[status(503) for _ in range(9)])
    with pytest.raises(ServerUnavailable) as caught:
        await door(transport).call(READ)
    assert caught.value.attempts == 5 and len(transport.sent) == 5
    assert transport.times == pytest.approx([0.0, 0.8, 2.4, 5.6, 12.0], abs=1e-3)


async def test_the_error_of_a_connection_tells_how_often_it_was_tried() -> None:
    transport = ScriptedTransport(*[REFUSED() for _ in range(9)])
    with pytest.raises(ConnectFailed) as caught:
        await door(transport).call(WRITE)
    assert caught.value.__notes__ == ["tried 5 times in 12.0 s"]
    assert (caught.value.attempts, caught.value.elapsed) == (5, pytest.approx(12.0, abs=1e-3))


async def test_the_policy_says_how_often() -> None:
    transport = ScriptedTransport(*[status(503) for _ in range(9)])
    with pytest.raises(ServerUnavailable):
        await door(transport, retry=RetryPolicy(attempts=2)).call(READ)
    assert len(transport.sent) == 2


async def test_retry_can_be_turned_off_for_a_call() -> None:
    transport = ScriptedTransport(status(503), OK())
    with pytest.raises(ServerUnavailable) as caught:
        await door(transport).call(READ, retry=False)
    assert caught.value.attempts == 1


async def test_a_write_without_retry_is_unknown_all_the_same() -> None:
    with pytest.raises(OutcomeUnknown):
        await door(ScriptedTransport(LOST())).call(WRITE, retry=False)


async def test_no_try_begins_after_the_time_is_up() -> None:
    transport = ScriptedTransport(*[status(503) for _ in range(9)])
    with pytest.raises(ServerUnavailable):
        await door(transport, retry=RetryPolicy(within=3.0)).call(READ)
    assert len(transport.sent) == 3


@pytest.mark.parametrize(
    "failure",
    [lambda: bare(429, headers={"retry-after": "7"}), lambda: status(503, retry_after=7)],
)
async def test_retry_after_is_a_floor(failure: Entry) -> None:
    transport = ScriptedTransport(failure(), OK())
    await door(transport).call(READ)
    assert transport.times[1] == pytest.approx(7.0, abs=1e-3)


async def test_a_retry_after_beyond_the_time_bound_gives_up_at_once() -> None:
    transport = ScriptedTransport(status(503, retry_after=100), OK())
    with pytest.raises(ServerUnavailable) as caught:
        await door(transport).call(READ)
    assert caught.value.retry_after == 100 and transport.times == [0.0]


@pytest.mark.parametrize(("asked", "kept"), [(1e300, 600.0), (-5, None), (0, None)])
async def test_an_absurd_retry_after_of_a_status_is_bounded(asked: float, kept: float | None) -> None:
    transport = ScriptedTransport(status(503, retry_after=asked))
    with pytest.raises(ServerUnavailable) as caught:
        await door(transport).call(READ, retry=False)
    assert caught.value.retry_after == kept


async def test_each_repeat_is_observed_with_its_wait_and_reason() -> None:
    seen: list[Event] = []
    transport = ScriptedTransport(status(503, "ServiceUnavailable"), REFUSED(), OK())
    await door(transport, seen=seen).call(READ)
    assert [one for one in seen if isinstance(one, RequestRetried)] == [
        RequestRetried("get", "v1/pods", 1, 0.8, "503 ServiceUnavailable"),
        RequestRetried("get", "v1/pods", 2, 1.6, "refused"),
    ]


async def test_a_cancellation_between_tries_ends_the_call() -> None:
    transport = ScriptedTransport(status(503), OK())
    call = asyncio.create_task(door(transport).call(READ))
    await asyncio.sleep(0.5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(transport.sent) == 1


async def test_a_cancellation_within_a_try_is_not_retried() -> None:
    transport = ScriptedTransport(None, OK())
    call = asyncio.create_task(door(transport).call(READ))
    await asyncio.sleep(0.5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(transport.sent) == 1


async def test_a_bug_in_a_transport_is_not_retried() -> None:
    transport = ScriptedTransport(ZeroDivisionError(), OK())
    seen: list[Event] = []
    with pytest.raises(ZeroDivisionError):
        await door(transport, seen=seen).call(READ)
    assert len(transport.sent) == 1
    assert isinstance(seen[-1], RequestFinished) and seen[-1].error == "ZeroDivisionError"


async def test_many_calls_at_once_keep_their_counts_apart() -> None:
    policy = RetryPolicy(attempts=3)

    async def failing(times: int) -> int:
        transport = ScriptedTransport(*[status(503) for _ in range(times)], OK(), OK(), OK())
        try:
            await door(transport, retry=policy).call(READ)
        except ServerUnavailable as error:
            return -error.attempts
        return len(transport.sent)

    assert await asyncio.gather(*(failing(n) for n in (0, 1, 2, 3, 4))) == [1, 2, 3, -3, -3]


@pytest.mark.parametrize(
    "options", [{"attempts": 0}, {"base": 0.0}, {"base": 99.0}, {"factor": 0.1}, {"within": -1.0}]
)
def test_numbers_that_make_no_policy_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        RetryPolicy(**options)  # type: ignore[arg-type]
