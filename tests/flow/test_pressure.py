"""Pressure: what presses a level, how far it falls and rises, and whom it holds back."""

from __future__ import annotations

import asyncio
import email.utils

import pytest

from kresilient.api.errors import ApiError, FlowTimeout, api_error
from kresilient.flow import Limiter
from kresilient.flow.door import Door
from kresilient.flow.lanes import Lane, admission, lane_of
from kresilient.flow.levels import Levels
from kresilient.flow.pressure import Pressure
from kresilient.observe.events import Event, Observers, PressureChanged
from kresilient.transport.base import Request

from .scripted import JSON, Driven, Scripted, ScriptedTransport, status

pytestmark = pytest.mark.looptime

GET = Request("GET", "/api/v1/namespaces/n/pods/p", verb="get", resource="v1/pods")
LIST = Request("GET", "/api/v1/pods", verb="list", resource="v1/pods")
UPDATE = Request("PUT", "/api/v1/namespaces/n/pods/p", verb="update", resource="v1/pods")
METRICS = Request(
    "GET", "/apis/metrics.k8s.io/v1beta1/nodes/a", verb="get", resource="metrics.k8s.io/v1beta1/nodes"
)
LEASE = Request(
    "PUT",
    "/apis/coordination.k8s.io/v1/namespaces/n/leases/l",
    verb="update",
    resource="coordination.k8s.io/v1/leases",
)


def failed(code: int, *, retry_after: float | None = None, cause: str = "") -> ApiError:
    scripted = status(code, "", cause=cause)
    assert isinstance(scripted._body, bytes)
    error = api_error(code, scripted._body, what="x", content_type="application/json")
    error.retry_after = retry_after
    return error


class Pressed:
    """A `Pressure` of a client with 20 requests a second, and what it reported."""

    def __init__(self, qps: float | None = 20.0, jitter: float = 0.0) -> None:
        self.seen: list[Event] = []
        self.levels = Levels()
        self.pressure = Pressure(
            limiter=Limiter(qps),
            observers=Observers(self.seen.append),
            random=lambda: jitter,
            levels=self.levels,
        )

    def answer(
        self,
        request: Request = GET,
        error: ApiError | None = None,
        *,
        level: str = "",
        schema: str = "",
        latency: float | None = None,
    ) -> None:
        headers = {}
        if level:
            headers["X-Kubernetes-PF-PriorityLevel-UID"] = level
        if schema:
            headers["X-Kubernetes-PF-FlowSchema-UID"] = schema
        self.pressure.answered(request, lane_of(request), headers, error, latency)

    def rate(self, level: str) -> float | None:
        (found,) = [one for one in self.pressure.levels if one.level == level]
        return found.rate

    async def passes(self, request: Request, *, lane: Lane | None = None) -> float:
        """The seconds until *request* is let through."""
        started = asyncio.get_running_loop().time()
        await self.pressure.admit(request, lane_of(request) if lane is None else lane, set())
        return asyncio.get_running_loop().time() - started


async def spread_of(pressed: Pressed, request: Request, count: int) -> float:
    """Seconds until so many are let through."""
    return max(await asyncio.gather(*(pressed.passes(request) for _ in range(count))))


# --- falling and rising ---


async def test_rejections_lower_the_rate_by_half_each_time_and_never_to_nothing() -> None:
    one, rates = Pressed(), []
    for _ in range(8):
        one.answer(error=failed(429))
        rates.append(one.rate("lane read"))
        await asyncio.sleep(1.5)
    assert rates == pytest.approx([2.5, 1.25, 0.625, 0.3125, 0.2, 0.2, 0.2, 0.2])


async def test_a_busy_level_falls_to_half_of_what_it_had() -> None:
    one = Pressed()
    for _ in range(100):
        one.answer()
        await asyncio.sleep(0.0625)  # 16 a second
    one.answer(error=failed(429))
    assert one.rate("lane read") == pytest.approx(8.0, rel=0.1)


async def test_answers_to_what_was_sent_before_the_last_fall_say_nothing_new() -> None:
    one = Pressed()
    for _ in range(100):
        one.answer(error=failed(429))
        await asyncio.sleep(0.009)
    assert one.rate("lane read") == pytest.approx(10.0, rel=0.8)
    assert len([event for event in one.seen if isinstance(event, PressureChanged)]) == 1


async def test_success_raises_the_rate_evenly_back_to_the_configured_one_within_a_minute() -> None:
    one = Pressed()
    for _ in range(5):
        one.answer(error=failed(429))
        await asyncio.sleep(1.1)
    low = one.rate("lane read")
    assert low == pytest.approx(0.2)
    rises = []
    while (before := one.rate("lane read")) is not None:
        for _ in range(4):
            await asyncio.sleep(0.25)
            one.answer()
        after = one.rate("lane read")
        rises.append((20.0 if after is None else after) - before)
    assert rises[1:-1] == pytest.approx([20.0 / 60.0] * (len(rises) - 2), rel=0.01)
    assert 55 <= len(rises) <= 61
    assert isinstance(one.seen[-1], PressureChanged) and one.seen[-1].rate is None


async def test_a_thousand_successes_at_once_raise_it_no_more_than_one() -> None:
    one = Pressed()
    one.answer(error=failed(429))
    await asyncio.sleep(0.5)
    for _ in range(1000):
        one.answer()
    assert one.rate("lane read") == pytest.approx(2.5 + 0.5 * 20 / 60)


async def test_the_rate_holds_for_those_who_wait() -> None:
    one = Pressed()
    one.answer(error=failed(429))  # 2.5 a second, and two at once
    assert await spread_of(one, GET, 22) == pytest.approx(20 / 2.5, abs=0.01)


async def test_whoever_waits_is_let_go_when_the_level_is_well_again() -> None:
    one = Pressed()
    one.answer(error=failed(429))
    waiting = [asyncio.create_task(one.passes(GET)) for _ in range(1000)]
    for _ in range(61):
        await asyncio.sleep(1.0)
        one.answer()
    assert one.rate("lane read") is None
    await asyncio.wait_for(asyncio.gather(*waiting), 0.1)


async def test_answers_that_become_several_times_slower_press_a_little() -> None:
    one = Pressed()
    for _ in range(100):
        one.answer(latency=0.05)
        await asyncio.sleep(0.1)
    for _ in range(2):
        one.answer(latency=5.0)
        await asyncio.sleep(0.1)
    assert one.rate("lane read") is None
    one.answer(latency=5.0)
    assert one.rate("lane read") == pytest.approx(8.0, rel=0.05)
    assert "answers take 5 s" in str(one.seen[-1])


@pytest.mark.parametrize(
    "latencies", [[8.0] * 50, [0.05, 0.5] * 50, ([0.05] * 9 + [9.0] * 2) * 5, [0.05] * 30 + [0.9] * 30]
)
async def test_what_is_slow_by_nature_or_once_or_not_much_presses_nothing(latencies: list[float]) -> None:
    one = Pressed()
    for latency in latencies:
        one.answer(latency=latency)
        await asyncio.sleep(0.2)
    assert one.seen == []


async def test_slowness_is_each_kinds_own() -> None:
    one = Pressed()
    for _ in range(50):
        one.answer(GET, latency=0.02)
        one.answer(METRICS, latency=6.0)
        await asyncio.sleep(0.1)
    assert one.seen == []


def watch(resource: str, path: str, **query: str) -> Request:
    return Request("GET", path, tuple(query.items()), verb="watch", resource=resource, streaming=True)


def page(path: str = "/api/v1/pods", **query: str) -> Request:
    return Request("GET", path, tuple(query.items()), verb="list", resource="v1/pods")


def slow_ones(like: Request, slow: list[Request]) -> list[Event]:
    """What is reported where requests of one kind were fast, and then others were slow."""
    one = Pressed()
    for _ in range(50):
        one.answer(like, latency=0.02)
    for request in slow:
        one.answer(request, latency=5.0)
    return one.seen


async def test_starts_of_watches_in_one_api_become_slower_together() -> None:
    pods, nodes = (
        watch("v1/pods", "/api/v1/pods"),
        watch("v1/nodes", "/api/v1/nodes", sendInitialEvents="true"),
    )
    others = watch("e.io/v1/as", "/apis/e.io/v1/as")
    assert slow_ones(pods, [nodes, pods, nodes])
    assert slow_ones(pods, [others] * 9) == []


async def test_pages_of_one_list_are_compared_with_each_other_and_whole_lists_with_nothing() -> None:
    first = page(limit="500", resourceVersion="5", resourceVersionMatch="NotOlderThan")
    further = page(limit="500", **{"continue": "x"})
    assert slow_ones(first, [further, first, further])
    for whole in (page(), page(limit="500", resourceVersion="0")):
        assert slow_ones(whole, [whole] * 9) == []
    for other in (
        page(limit="50"),
        page(limit="500", labelSelector="a"),
        page("/api/v1/namespaces/n/pods", limit="500"),
    ):
        assert slow_ones(first, [other] * 9) == []


async def test_a_log_that_is_followed_is_compared_with_nothing() -> None:
    log = Request("GET", "/api/v1/namespaces/n/pods/p/log", verb="get", resource="v1/pods", streaming=True)
    assert slow_ones(GET, [log] * 9) == []


async def test_the_start_of_a_watch_is_timed_to_its_headers() -> None:
    start = watch("v1/pods", "/api/v1/pods")
    transport = Driven(lambda _: Scripted(), latency=0.02)
    seen: list[Event] = []
    one = Door(transport, limiter=Limiter(20.0), observers=Observers(seen.append), random=lambda: 0.0)
    for number in range(13):
        transport.latency = 0.02 if number < 10 else 5.0
        await (await one.open(start)).close()
    (pressed,) = [event for event in seen if isinstance(event, PressureChanged)]
    assert pressed.level == "lane read" and "answers take 5 s" in pressed.reason
    await one.close()


# --- whom it concerns ---


async def test_only_the_level_that_was_rejected_is_held_back() -> None:
    one = Pressed()
    one.answer(GET, level="low", schema="s1")
    one.answer(UPDATE, level="high", schema="s2")
    one.answer(GET, failed(429), level="low", schema="s1")
    assert await spread_of(one, UPDATE, 50) == 0.0
    assert await spread_of(one, GET, 50) > 15.0
    low, high = one.pressure.levels
    assert (low.level, low.answers, low.rejections, low.flow_schema) == ("low", 2, 1, "s1")
    assert (high.level, high.answers, high.rejections, high.rate) == ("high", 1, 0, None)


async def test_without_headers_a_lane_is_a_level() -> None:
    one = Pressed()
    one.answer(GET, failed(429))
    assert await spread_of(one, UPDATE, 50) == 0.0
    assert await spread_of(one, LIST, 50) == 0.0
    assert await spread_of(one, GET, 50) > 15.0


async def test_a_503_concerns_its_api_alone() -> None:
    one = Pressed()
    one.answer(METRICS, level="low")
    one.answer(GET, level="low")
    one.answer(METRICS, failed(503), level="low")
    assert await spread_of(one, GET, 50) == 0.0
    assert await spread_of(one, METRICS, 50) > 15.0
    worst = one.pressure.levels[0]
    assert (worst.level, worst.answers, worst.rejections) == ("api metrics.k8s.io/v1beta1", 1, 1)


async def test_an_api_that_was_pressed_rises_by_its_own_successes_only() -> None:
    one = Pressed()
    one.answer(METRICS, failed(503))
    low = one.rate("api metrics.k8s.io/v1beta1")
    for _ in range(10):
        await asyncio.sleep(1.0)
        one.answer(GET)
    assert one.rate("api metrics.k8s.io/v1beta1") == low
    await asyncio.sleep(1.0)
    one.answer(METRICS)
    risen = one.rate("api metrics.k8s.io/v1beta1")
    assert low is not None and risen is not None and risen > low


async def test_leases_are_held_back_by_nothing_and_press_nothing() -> None:
    one = Pressed()
    for error in (failed(429, retry_after=60), failed(503, retry_after=60)):
        one.answer(LEASE, error, level="only")
        one.answer(GET, error, level="only")
    assert await spread_of(one, LEASE, 100) == 0.0
    other = Pressed()
    other.answer(LEASE, failed(429, retry_after=60), level="only")
    other.answer(LEASE, failed(503, retry_after=60), level="only")
    assert other.seen == []


async def test_an_evictions_429_is_no_pressure() -> None:
    one = Pressed()
    one.answer(UPDATE, failed(429, retry_after=10, cause="DisruptionBudget"))
    assert one.seen == [] and one.pressure.levels[0].rejections == 0


@pytest.mark.parametrize("code", [400, 404, 409, 410, 500, 502, 504])
async def test_other_failures_are_no_pressure(code: int) -> None:
    one = Pressed()
    one.answer(error=failed(code))
    assert one.seen == []


async def test_a_level_that_was_pressed_before_it_was_known_recovers() -> None:
    one = Pressed()
    one.answer(GET, failed(429))  # a proxy's, without the headers
    assert one.rate("lane read") is not None
    for number in range(70):
        await asyncio.sleep(1.0)
        other = Request("GET", "/x", verb="get", resource=f"v1/kind{number}")
        one.answer(other, level="low")
    assert one.rate("lane read") is None


async def test_a_pressed_level_is_not_forgotten_for_the_many_that_are_well() -> None:
    one = Pressed()
    one.answer(GET, failed(429), level="low")
    for number in range(1000):
        one.answer(Request("GET", "/x", verb="get", resource=f"v1/k{number}"), level=f"level {number}")
    low = one.rate("low")
    assert low is not None
    await asyncio.sleep(1.0)
    one.answer(GET, level="low")
    risen = one.rate("low")
    assert risen is not None and risen > low


async def test_no_number_of_levels_makes_it_grow() -> None:
    one = Pressed()
    for number in range(1000):
        request = Request("GET", f"/apis/g{number}/v1/x", verb="get", resource=f"g{number}/v1/x")
        one.answer(request, failed(503, retry_after=600))
    assert len(one.levels.tight) == 256 and len(one.levels.all()) <= 2 * 256
    first = Request("GET", "/apis/g0/v1/x", verb="get", resource="g0/v1/x")
    assert await one.passes(first) == 0.0, "what is forgotten holds nothing back"


# --- Retry-After ---


async def test_retry_after_pauses_what_got_it_with_jitter() -> None:
    one = Pressed(jitter=0.5)
    one.answer(GET, failed(429, retry_after=10))
    assert one.pressure.levels[0].paused == pytest.approx(15.0)
    waits = await asyncio.gather(one.passes(GET), one.passes(UPDATE))
    assert waits == pytest.approx([15.0, 0.0])


async def test_the_jitter_of_a_long_pause_is_bounded() -> None:
    one = Pressed(jitter=1.0)
    one.answer(GET, failed(429, retry_after=600))
    assert one.pressure.levels[0].paused == pytest.approx(630.0)


async def test_after_a_pause_those_who_waited_do_not_come_as_one() -> None:
    one = Pressed()
    one.answer(GET, failed(429, retry_after=10))
    waits = await asyncio.gather(*(one.passes(GET) for _ in range(12)))
    assert min(waits) == pytest.approx(10.0)
    assert max(waits) == pytest.approx(10.0 + 10 / 2.5, abs=0.01)


async def test_a_pause_that_comes_later_holds_those_who_wait_for_the_rate() -> None:
    one = Pressed()
    one.answer(GET, failed(429))
    waiting = [asyncio.create_task(one.passes(GET)) for _ in range(100)]
    await asyncio.sleep(5.0)
    passed = sum(task.done() for task in waiting)
    one.answer(GET, failed(429, retry_after=30))
    await asyncio.sleep(29.9)
    assert sum(task.done() for task in waiting) == passed
    await asyncio.sleep(2.0)
    assert passed < sum(task.done() for task in waiting) <= passed + 6
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_thousand_rejections_of_one_moment_are_a_handful_of_events() -> None:
    seen: list[Event] = []
    import random

    pressure = Pressure(limiter=Limiter(), observers=Observers(seen.append), random=random.Random(3).random)
    for _ in range(1000):
        pressure.answered(GET, Lane.READ, {}, failed(429, retry_after=10), None)
    assert 2 <= len(seen) <= 20


# --- through the door ---


def door(transport: Driven | ScriptedTransport, *, qps: float | None = 20.0, burst: int = 40) -> Door:
    return Door(
        transport, limiter=Limiter(qps, burst), observers=Observers(), random=lambda: 0.0, wall=lambda: 1e9
    )


async def test_a_date_pauses_like_seconds() -> None:
    date = email.utils.formatdate(1e9 + 20, usegmt=True)
    transport = ScriptedTransport(Scripted(429, b"{}", {**JSON, "Retry-After": date}), Scripted())
    one = door(transport)
    await asyncio.gather(one.call(GET, retry=False), return_exceptions=True)
    await one.call(GET)
    assert transport.times == pytest.approx([0.0, 20.0])


async def test_a_pause_stops_those_too_who_passed_it_and_wait_for_a_token() -> None:
    paused_at = 5.0
    clock = asyncio.get_running_loop().time

    def answer(_: Request) -> Scripted:
        return status(429, retry_after=60) if paused_at <= clock() < 10 else Scripted()

    transport = Driven(answer, latency=0.05)
    one = door(transport, qps=10.0, burst=1)
    calls = [asyncio.create_task(one.call(GET, retry=False)) for _ in range(1000)]
    await asyncio.sleep(60.0)
    assert len([time for time in transport.times if time > paused_at + 0.3]) == 0
    await asyncio.sleep(30.0)
    assert len(transport.times) > 60
    assert one.waiting == 1000 - len(transport.times)
    await one.close()
    await asyncio.gather(*calls, return_exceptions=True)
    assert one.waiting == 0


async def test_a_fall_holds_those_too_who_passed_it_and_wait_for_a_token() -> None:
    clock = asyncio.get_running_loop().time
    transport = Driven(lambda _: status(429) if clock() >= 5.0 else Scripted(), latency=0.05)
    one = door(transport, qps=10.0, burst=1)
    calls = [asyncio.create_task(one.call(GET, retry=False)) for _ in range(1000)]
    await asyncio.sleep(15.0)
    assert len([time for time in transport.times if time >= 5.0]) <= 20
    await one.close()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_level_that_is_well_again_stays_paused_as_long_as_it_was_told() -> None:
    one = Pressed()
    one.answer(GET, failed(429, retry_after=300))
    for _ in range(61):
        await asyncio.sleep(1.0)
        one.answer()
    assert one.rate("lane read") is None
    assert await one.passes(GET) == pytest.approx(239.0)
    assert one.levels.tight == {}


async def test_a_pause_stops_those_too_who_wait_for_a_place() -> None:
    clock = asyncio.get_running_loop().time
    transport = Driven(lambda _: status(429, retry_after=60) if clock() < 50 else Scripted(), latency=20.0)
    one = door(transport, qps=100.0, burst=100)
    calls = [asyncio.create_task(one.call(GET, retry=False)) for _ in range(300)]
    await asyncio.sleep(19.0)
    assert len(transport.sent) == 30
    await asyncio.sleep(40.0)
    assert len(transport.sent) == 30
    await one.close()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_deadline_that_a_pause_makes_impossible_is_said_before_waiting() -> None:
    one = door(ScriptedTransport(status(429, retry_after=60), Scripted()))
    await asyncio.gather(one.call(GET, retry=False), return_exceptions=True)
    clock = asyncio.get_running_loop().time
    started = clock()
    with admission(within=30.0), pytest.raises(FlowTimeout, match="lane read is held back") as caught:
        await one.call(GET)
    assert clock() == started
    assert (caught.value.lane, caught.value.expected) == ("read", pytest.approx(60.0))
    with admission(within=61.0):
        await one.call(GET)


async def test_a_deadline_that_a_low_rate_makes_impossible_is_said_before_waiting() -> None:
    one = door(ScriptedTransport(status(429), *[Scripted()] * 99))
    await asyncio.gather(one.call(GET, retry=False), return_exceptions=True)
    waiting = [asyncio.create_task(one.call(GET)) for _ in range(52)]
    await asyncio.sleep(0)
    clock = asyncio.get_running_loop().time
    started = clock()
    with admission(within=5.0), pytest.raises(FlowTimeout) as caught:
        await one.call(GET)
    assert clock() == started
    assert (caught.value.queued, caught.value.expected) == (50, pytest.approx(51 / 2.5, abs=0.1))
    await one.close()
    await asyncio.gather(*waiting, return_exceptions=True)
