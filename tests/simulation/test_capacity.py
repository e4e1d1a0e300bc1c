"""The machine around the server: what it bears, what it answers beyond, and what kills it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kresilient.api.errors import ConnectFailed, ConnectionLost
from kresilient.testing.server import MemoryApiServer
from kresilient.testing.simulation import Capacity, run_virtual
from kresilient.testing.simulation.capacity import LEASES, Machine
from kresilient.testing.simulation.measures import Timeline
from kresilient.transport.base import Request, Response

LIST = Request("GET", "/api/v1/services", verb="list", resource="v1/services")
RENEWAL = Request(
    "PUT",
    "/apis/coordination.k8s.io/v1/namespaces/d/leases/a",
    body=b"{}",
    verb="update",
    resource=LEASES,
)
SMALL = Capacity(
    cores=1,
    in_flight=3,
    queue=2,
    queue_timeout=5.0,
    memory=1_000.0,
    base=100.0,
    queued=1.0,
    list_bytes=(("v1/services", 10.0),),
    list_factor=10.0,
    list_rate=10.0,
    watch_cost=0.1,
    write_cost=0.1,
    round_trip=0.0,
    refused=0.5,
    down=30.0,
)
Lister = Callable[[], Awaitable[Response]]


def on_machine(capacity: Capacity, work: Callable[[Machine, Lister], Awaitable[None]]) -> None:
    async def run() -> None:
        async with MemoryApiServer() as server:
            machine = Machine(server, capacity)
            transport = server.transport()

            async def ask() -> Response:
                return await machine.reach(LIST, lambda: transport.send(LIST))

            try:
                await work(machine, ask)
            finally:
                await machine.close()

    run_virtual(run())


def now() -> float:
    return asyncio.get_running_loop().time()


def test_one_core_works_on_one_request_after_the_other() -> None:
    async def work(_: Machine, ask: Lister) -> None:
        async def timed() -> float:
            assert (await ask()).status == 200
            return now()

        assert await asyncio.gather(*(timed() for _ in range(3))) == pytest.approx([1.0, 2.0, 3.0])

    on_machine(SMALL, work)


def test_what_finds_no_place_and_no_queue_is_sent_away_with_429() -> None:
    async def work(machine: Machine, ask: Lister) -> None:
        answers = await asyncio.gather(*(ask() for _ in range(7)))
        assert [one.status for one in answers] == [200] * 5 + [429] * 2
        assert answers[-1].headers["Retry-After"] == "1"
        assert machine.turned_away == 2

    on_machine(SMALL, work)


def test_what_waits_too_long_in_the_queue_is_sent_away() -> None:
    async def work(machine: Machine, ask: Lister) -> None:
        slow = [asyncio.ensure_future(ask()) for _ in range(3)]
        await asyncio.sleep(0)
        answer = await ask()
        assert (answer.status, now()) == (429, pytest.approx(5.0))
        for one in slow:
            assert (await one).status == 200
        assert machine.memory == machine.capacity.base  # nothing is left of any of them

    on_machine(Capacity(**{**_figures(SMALL), "list_rate": 1.0}), work)


def test_memory_that_runs_out_kills_it_and_all_that_is_in_flight_is_lost() -> None:
    async def work(machine: Machine, ask: Lister) -> None:
        answers = await asyncio.gather(*(ask() for _ in range(4)), return_exceptions=True)
        assert all(isinstance(one, ConnectFailed | ConnectionLost) for one in answers)
        assert not machine.alive and len(machine.kills) == 1
        assert machine.memory == machine.capacity.base
        started = now()
        with pytest.raises(ConnectFailed):
            await ask()
        assert now() - started == pytest.approx(0.5)
        await asyncio.sleep(30.0)
        assert machine.alive and (await ask()).status == 200

    on_machine(Capacity(**{**_figures(SMALL), "memory": 350.0}), work)


def test_those_in_flight_hear_of_a_kill_in_the_order_in_which_they_came() -> None:
    async def work(machine: Machine, ask: Lister) -> None:
        heard: list[int] = []

        async def asking(number: int) -> None:
            with pytest.raises(ConnectionLost):
                await ask()
            heard.append(number)

        tasks = [asyncio.ensure_future(asking(number)) for number in range(60)]
        await asyncio.sleep(0.1)
        machine.kill()
        await asyncio.gather(*tasks)
        assert heard == list(range(60))  # a seed is one run only if no address decides this

    on_machine(Capacity(**{**_figures(SMALL), "in_flight": 30, "queue": 30, "memory": 1e9}), work)


def test_it_comes_back_without_its_history() -> None:
    async def work(machine: Machine, ask: Lister) -> None:
        created = machine.server.create("v1/configmaps", {"metadata": {"name": "a", "namespace": "default"}})
        machine.server.create("v1/configmaps", {"metadata": {"name": "b", "namespace": "default"}})
        machine.kill()
        await asyncio.sleep(31.0)
        watch = Request(
            "GET",
            "/api/v1/configmaps",
            (("watch", "true"), ("resourceVersion", created["metadata"]["resourceVersion"])),
            verb="watch",
            resource="v1/configmaps",
            streaming=True,
            timeout=None,
        )
        transport = machine.server.transport()
        async with await machine.reach(watch, lambda: transport.send(watch)) as response:
            assert b'"code":410' in await anext(response.chunks())

    on_machine(SMALL, work)


def test_a_second_kill_while_it_is_down_is_none() -> None:
    async def work(machine: Machine, _: Lister) -> None:
        machine.kill()
        machine.kill()
        await asyncio.sleep(31.0)
        assert (len(machine.kills), len(machine.returns)) == (1, 1)

    on_machine(SMALL, work)


def test_renewals_are_answered_by_the_machine_and_counted_apart() -> None:
    async def work(machine: Machine, ask: Lister) -> None:
        def never() -> Any:
            raise AssertionError("the server is not asked")

        async with await machine.reach(RENEWAL, never) as response:
            assert (response.status, await response.read()) == (200, b"{}")
        await ask()
        assert (machine.attempts.total, machine.tried.total, machine.reached.total) == (2, 1, 2)

    on_machine(SMALL, work)


def test_attempts_that_are_sat_out_are_counted_as_if_they_had_been_made() -> None:
    """A client that repeats what is refused 0.2 s later, acted out and counted."""
    counts: list[tuple[int, list[int], float]] = []
    for counted in (False, True):

        async def work(machine: Machine, _: Lister, counted: bool = counted) -> None:
            transport = machine.server.transport()
            machine.kill()
            await asyncio.sleep(0.05)
            while True:
                try:
                    again = 0.2 if counted else None
                    await machine.reach(LIST, lambda: transport.send(LIST), again_after=again)
                    break
                except ConnectFailed:
                    await asyncio.sleep(0.2)
            counts.append((machine.attempts.total, machine.attempts.per_second(0, 31), round(now(), 3)))

        on_machine(SMALL, work)
    acted, sat_out = counts
    assert acted == sat_out
    assert acted[0] > 40


def test_a_scaled_machine_has_its_share_of_all_but_the_base() -> None:
    half = Capacity().scaled(0.5)
    whole = Capacity()
    assert (half.cores, half.in_flight, half.queue) == (16, 300, 3_000)
    assert half.memory - half.base == pytest.approx((whole.memory - whole.base) / 2)
    assert Capacity().scaled(0.0001) == Capacity().scaled(0.02)


def test_a_timeline_counts_windows_and_peaks() -> None:
    line = Timeline()
    for at in (0.05, 0.95, 1.0, 1.05, 1.9, 5.0):
        line.count(at)
    assert line.total == 6
    assert (line.between(0, 1), line.between(1, 2), line.between(2, 5), line.between(5, 6)) == (2, 3, 0, 1)
    assert line.peak(0, 6) == 3  # from 0.9 or 1.0 on
    assert line.peak(2, 6) == 1
    assert line.per_second(0, 3) == [2, 3, 0]


def test_a_timeline_counts_what_comes_at_a_pace() -> None:
    line = Timeline()
    assert line.count_each(0.5, 0.25, 2.0) == pytest.approx(2.0)
    assert (line.total, line.between(0, 1), line.between(1, 2)) == (6, 2, 4)
    assert line.count_each(3.0, 1.0, 2.0) == 3.0  # it begins later than it ends


def _figures(capacity: Capacity) -> dict[str, Any]:
    return {name: getattr(capacity, name) for name in Capacity.__dataclass_fields__}
