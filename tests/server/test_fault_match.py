"""Which requests meet a fault, and what a mistake in arming one says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

import kresilient as kr
from kresilient.testing.server import Faults, Match, MemoryApiServer, MemoryTransport
from kresilient.transport.base import Request

pytestmark = pytest.mark.looptime

PODS = "/api/v1/namespaces/default/pods"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    async with MemoryApiServer() as server:
        yield server


async def code(transport: MemoryTransport, path: str = PODS, method: str = "GET") -> int:
    """The status that is answered; 0 for none."""
    try:
        async with await transport.send(Request(method, path)) as response:
            await response.read()
            return response.status
    except kr.ConnectionLost:
        return 0


async def codes(server: MemoryApiServer, n: int) -> list[int]:
    transport = server.transport()
    return [await code(transport) for _ in range(n)]


@pytest.mark.parametrize(
    ("choose", "met"),
    [
        (lambda faults: faults.on("list"), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (lambda faults: faults.next("list"), [1]),
        (lambda faults: faults.on("list").times(2), [1, 2]),
        (lambda faults: faults.next("list").after(3), [4]),
        (lambda faults: faults.on("list").nth(3), [3]),
        (lambda faults: faults.on("list").every(3), [3, 6, 9]),
        (lambda faults: faults.on("list").every(2).after(3).times(2), [5, 7]),
        (lambda faults: faults.on(["get", "list"], "v1/pods"), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (lambda faults: faults.on("list").chance(0.0, seed=1), []),
        (lambda faults: faults.on("list").chance(1.0, seed=1).times(1), [1]),
        (lambda faults: faults.on("list", "v1/nodes"), []),
        (lambda faults: faults.on("list", namespace="default").nth(2), [2]),
        (lambda faults: faults.on("list", namespace="other"), []),
        (lambda faults: faults.on(user_agent="memory").nth(1), [1]),
        (lambda faults: faults.on(user_agent="curl"), []),
        (lambda faults: faults.on("list", user="admin").nth(1), [1]),
        (lambda faults: faults.on("list", user="somebody"), []),
    ],
)
async def test_which_requests_meet_it(
    server: MemoryApiServer, choose: Callable[[Faults], Match], met: list[int]
) -> None:
    server.access.accept("secret", user="admin", groups=["system:masters"])
    fault = choose(server.faults).status(503)
    seen = await codes(server, 9)
    assert [number for number, one in enumerate(seen, 1) if one == 503] == met
    assert set(seen) <= {200, 503}
    assert fault.hits == len(met)


async def test_chance_is_had_again_from_its_seed(server: MemoryApiServer) -> None:
    runs = []
    for seed in (5, 5, 6):
        fault = server.faults.on("list").chance(0.3, seed=seed).status(503)
        runs.append(await codes(server, 100))
        fault.lift()
    assert runs[0] == runs[1] != runs[2]
    assert 15 < runs[0].count(503) < 45


async def test_it_lasts_for_a_time(server: MemoryApiServer) -> None:
    server.faults.on("list").during(30.0).status(503)
    assert await codes(server, 2) == [503, 503]
    await asyncio.sleep(31.0)
    assert await codes(server, 1) == [200]
    assert len(server.faults) == 0, "what can strike no more is not kept"


async def test_it_lasts_while_a_condition_holds(server: MemoryApiServer) -> None:
    broken = True
    server.faults.on("list").when(lambda request: broken and "limit" not in request.query).status(503)
    assert await codes(server, 1) == [503]
    broken = False
    assert await codes(server, 1) == [200]


async def test_of_two_that_fit_the_first_takes_the_request_and_the_second_does_not_count_it(
    server: MemoryApiServer,
) -> None:
    first = server.faults.next("list").status(503)
    second = server.faults.on("list").nth(2).status(500)
    assert await codes(server, 4) == [503, 200, 500, 200]
    assert (first.hits, second.hits) == (1, 1)


async def test_a_delay_goes_with_whatever_else_fits(server: MemoryApiServer) -> None:
    slow = server.faults.on().delay(2.0)
    server.faults.on("list").delay(3.0)
    server.faults.next("list").delayed(1.0).status(503)
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert await codes(server, 1) == [503]
    assert loop.time() - start == pytest.approx(6.0, abs=0.01)
    assert await codes(server, 1) == [200]
    assert loop.time() - start == pytest.approx(11.0, abs=0.01)
    assert slow.hits == 2


async def test_a_fault_is_awaited_and_knows_whom_it_met(server: MemoryApiServer) -> None:
    fault = server.faults.on("list").status(503)
    waiting = asyncio.create_task(fault.hit(2))
    await codes(server, 1)
    assert not waiting.done()
    await codes(server, 1)
    await waiting
    assert [record.resource for record in fault.requests] == ["v1/pods", "v1/pods"]
    with pytest.raises(TimeoutError, match=r"2 of 3 requests met on\('list'\)\.status\(503\) within 5 s"):
        await fault.hit(3, timeout=5.0)


async def test_a_lifted_fault_meets_nobody(server: MemoryApiServer) -> None:
    kept, lifted = server.faults.on("list").status(500), server.faults.on("list").status(503)
    kept.lift()
    kept.lift()
    assert await codes(server, 1) == [503]
    server.faults.clear()
    assert await codes(server, 1) == [200]
    assert (kept.lifted, lifted.lifted, len(server.faults)) == (True, True, 0)


async def test_one_match_arms_several_faults(server: MemoryApiServer) -> None:
    agent = server.faults.on(user_agent="memory")
    agent.times(1).status(503)
    agent.times(1).status(429)
    assert await codes(server, 3) == [503, 429, 200]


@pytest.mark.parametrize("fault", ["delay", "hang", "hold", "drip", "silence", "stall"])
@pytest.mark.parametrize("end", ["client", "stop", "kill"])
@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_nothing_is_left_of_a_request_that_a_fault_keeps(
    server: MemoryApiServer, fault: str, end: str, verb: str
) -> None:
    match = server.faults.on(verb)
    arm = {
        "delay": lambda: match.delay(1000.0),
        "hang": match.hang,
        "hold": match.hold,
        "drip": lambda: match.drip(1.0),
        "silence": match.silence,
        "stall": lambda: match.answer(b"{", then="stall"),
    }
    armed = arm[fault]()
    server.create(
        "v1/pods", {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    )
    transport = server.transport()
    tasks = asyncio.all_tasks()
    path = PODS if verb == "list" else f"{PODS}?watch=1"
    query = (("watch", "1"),) if verb == "watch" else ()

    async def asks() -> None:
        async with await transport.send(Request("GET", PODS, query=query)) as response:
            await response.read()

    asked = asyncio.create_task(asks())
    await armed.hit()
    await asyncio.sleep(10.0)
    assert not asked.done(), path
    if end == "client":
        asked.cancel()
    elif end == "stop":
        await server.stop()
    else:
        await server.kill()
    await asyncio.wait([asked], timeout=5.0)
    assert asked.done()
    asked.cancelled() or asked.exception()
    await transport.close()
    await server.settled(timeout=1.0)
    assert server.watch_count("v1/pods") == 0
    assert not any(record.end is None for record in server.requests)
    assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        (lambda faults: faults.on("lists"), "no request has the verb 'lists': did you mean 'list'"),
        (lambda faults: faults.on("fly"), "no request has the verb 'fly': there are get, list"),
        (lambda faults: faults.on([]), "at least one verb"),
        (lambda faults: faults.on("list", "pods"), "names no resource"),
        (lambda faults: faults.on("list", "v1/pod"), "no server serves 'v1/pod': did you mean 'v1/pods'"),
        (
            lambda faults: faults.on("list").drop_events(),
            r'drop_events\(\) cannot happen to list: arm it with on\("watch"',
        ),
        (lambda faults: faults.on("get").silence(after_events=1), "cannot happen to get"),
        (
            lambda faults: faults.on("create").lag(3),
            'cannot happen to create: arm it with on."get" or "list"',
        ),
        (lambda faults: faults.on("create").oversized(3), "cannot happen to create"),
        (lambda faults: faults.on("list").close(), "needs a place"),
        (lambda faults: faults.on("list").nth(0), "nth is 0, and has to be 1 at least"),
        (lambda faults: faults.on("list").times(0), "times is 0"),
        (lambda faults: faults.on("list").chance(1.5, seed=1), "between 0 and 1"),
        (lambda faults: faults.on("watch").drop_events(chance=0.1), "needs a seed"),
        (lambda faults: faults.on("watch").drop_events(types="MOVED"), "no event has the type 'MOVED'"),
        (lambda faults: faults.on("list").during(0), "no time"),
        (lambda faults: faults.on("list").delay(-1), "delay: -1 is no time: give 0 or more seconds"),
        (lambda faults: faults.on("list").drip(0), "more than 0"),
        (lambda faults: faults.on("list").status(42), "no HTTP status"),
        (lambda faults: faults.on("list").answer(then="explode"), "not 'explode'"),
        (lambda faults: faults.on("list", "v1/pods/jump"), "has no subresource 'jump': there are .*status"),
        (lambda faults: faults.on("watch", "/version"), "no request for '/version' has the verb watch"),
        (lambda faults: faults.on("post", "v1/pods"), "no request for 'v1/pods' has the verb post"),
        (lambda faults: faults.on("list").nth(3).every(2), r"nth\(3\).every\(2\): nth is one request"),
        (lambda faults: faults.on("list").after(2).nth(3), "leave after and every out"),
        (lambda faults: faults.on("watch").drop_events(nth=1, every=2), "leave every=2 out"),
        (lambda faults: faults.on("watch").drop_events(seed=3), "needs a chance"),
        (lambda faults: faults.on("watch").drop_events(types=[]), "needs types of events"),
        (lambda faults: faults.on("list").oversized(10, nth=2), "cannot happen to list"),
        (lambda faults: faults.on("watch").error_event(200), "200 is no failure"),
        (lambda faults: faults.on("list").during(float("nan")), "nan is no time"),
        (lambda faults: faults.on("list").delay(float("inf")), "inf is no time"),
        (lambda faults: faults.on("list").delayed(float("nan")), "nan is no time"),
        (lambda faults: faults.on("list").drip(float("nan")), "more than 0"),
        (lambda faults: faults.on("list").restart(down=float("nan")), "nan is no time"),
        (lambda faults: faults.refuse_connections(seconds=float("nan")), "nan is no time"),
        (lambda faults: faults.skew_clock(float("nan")), "off by nan"),
        (lambda faults: faults.skew_clock(1e18), "a thousand years"),
        (lambda faults: faults.on("list").status(100), "no HTTP status of an answer"),
        (lambda faults: faults.on("list").answer("x", status=199), "no HTTP status of an answer"),
        (lambda faults: faults.on("list").status(200), "give a body"),
        (lambda faults: faults.on("list").status(204, body="x"), "has no body"),
        (lambda faults: faults.on("list").answer("x", status=304), "has no body"),
        (lambda faults: faults.on("list").status(429, retry_after=-1), "retry_after is -1"),
        (lambda faults: faults.on("list").status(500, headers={"A": "b\r\nC: d"}), "a control character"),
        (lambda faults: faults.on("list").answer(headers={"A B": "c"}), "no header can be named 'A B'"),
        (lambda faults: faults.on("list").lag(10**9), "keep more of it with history=N"),
        (
            lambda faults: faults.refuse_connections(seconds=0),
            "refuse_connections: 0 is no time: give more than 0",
        ),
        (lambda faults: faults.revoke_token(), "give it a token"),
    ],
)
async def test_a_mistake_says_what_to_write(
    server: MemoryApiServer, arm: Callable[[Faults], object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        arm(server.faults)
    assert len(server.faults) == 0


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        (lambda faults: faults.on(5), 'a verb is a text such as "list", not 5'),
        (lambda faults: faults.on("list", None), 'a resource is a text such as "v1/pods"'),
        (lambda faults: faults.on("list").nth(1.5), "nth is a whole number, not 1.5"),
        (lambda faults: faults.on("list").times(True), "times is a whole number, not True"),
        (lambda faults: faults.on("list").status("500"), "an HTTP status is a whole number, not '500'"),
        (lambda faults: faults.on("list").status(429, retry_after=0.5), "retry_after is a whole number"),
        (lambda faults: faults.on("list").status(500, headers={"A": 1}), "a header is text, not 'A': 1"),
        (lambda faults: faults.on("list").status(500, body=5), "a body is bytes, text or an object, not 5"),
        (lambda faults: faults.on("watch").insert([]), "a body is bytes, text or an object"),
        (lambda faults: faults.on("list").call(5), "call takes a function of the request, not 5"),
        (lambda faults: faults.on("list").when("x"), "when takes a function of the request"),
    ],
)
async def test_what_is_of_the_wrong_type_is_said_when_it_is_written(
    server: MemoryApiServer, arm: Callable[[Faults], object], said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        arm(server.faults)
    assert len(server.faults) == 0


async def test_the_nth_request_is_that_one_whatever_chance_says(server: MemoryApiServer) -> None:
    fault = server.faults.on("list").nth(3).chance(0.0, seed=1).status(503)
    assert await codes(server, 4) == [200] * 4
    assert (fault.hits, len(server.faults)) == (0, 0), "its request has been"
    server.faults.on("list").nth(2).times(5).status(503)
    assert await codes(server, 4) == [200, 503, 200, 200]


async def test_a_server_is_not_down_for_less_than_no_time(server: MemoryApiServer) -> None:
    with pytest.raises(ValueError, match="restart: down: -1 is no time"):
        await server.faults.restart(down=-1)
    assert await codes(server, 1) == [200], "and it was not killed"


def test_a_time_needs_a_loop() -> None:
    with pytest.raises(RuntimeError, match="arm it where an event loop runs"):
        MemoryApiServer().faults.on("list").during(3).status(503)


def test_the_text_of_a_fault_is_the_code_that_arms_it() -> None:
    faults = MemoryApiServer().faults
    watch = faults.on("watch", "v1/pods", user_agent="agent").nth(3)
    assert str(watch.reset(after_bytes=100)) == (
        "on('watch', 'v1/pods', user_agent='agent').nth(3).reset(after_bytes=100)"
    )
    assert str(faults.next().answer(b"x" * 100)) == f"next().answer(b'{'x' * 57}…)"
