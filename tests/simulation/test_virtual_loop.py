"""The loop of the simulations: time is that of the next timer."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from kresilient.testing.simulation import NothingLeft, VirtualLoop, run_virtual


def test_a_day_passes_in_order_and_at_its_times() -> None:
    seen: list[tuple[float, str]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((round(asyncio.get_running_loop().time(), 6), name))

    async def work() -> None:
        await asyncio.gather(sleeper("day", 86_400.0), sleeper("hour", 3_600.0), sleeper("second", 1.0))

    run_virtual(work())
    assert seen == [(1.0, "second"), (3_600.0, "hour"), (86_400.0, "day")]


def test_it_begins_at_zero_and_a_turn_without_a_wait_takes_a_nanosecond() -> None:
    async def work() -> float:
        for _ in range(1_000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run_virtual(work()) < 1e-5


def test_a_timer_that_is_set_again_at_the_same_time_does_not_hold_the_clock() -> None:
    async def work() -> int:
        loop = asyncio.get_running_loop()
        turns = 0
        end = loop.create_future()

        def again() -> None:
            nonlocal turns
            turns += 1
            if loop.time() > 1.0:
                end.set_result(None)
            else:
                loop.call_at(1.0, again)

        loop.call_at(1.0, again)
        await end
        return turns

    assert run_virtual(work()) < 10_000


def test_waiting_for_what_nothing_can_bring_about_is_an_error() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingLeft):
        run_virtual(work())


def test_ctrl_c_cancels_what_runs_and_is_raised() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            while True:  # noqa: ASYNC110
                await asyncio.sleep(1.0)
        finally:
            ended.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run_virtual(work())
    assert ended == ["cleaned up"]


def test_its_timeouts_are_virtual_too() -> None:
    async def work() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1_000.0):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtual(work()) == pytest.approx(1_000.0)


def test_a_loop_can_be_closed_and_made_again() -> None:
    for _ in range(3):
        loop = VirtualLoop()
        try:
            loop.run_until_complete(asyncio.sleep(5.0))
            assert loop.time() == pytest.approx(5.0)
        finally:
            loop.close()
