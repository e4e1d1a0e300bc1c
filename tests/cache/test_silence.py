"""The limit of a silence: it moves with every sign of life, and costs a timer only when it runs out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from kresilient.cache.silence import Silence

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


class Talk:
    """Somebody who may be silent for *patience* seconds."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.heard = now()
        self.asked = 0

    def due(self) -> float:
        self.asked += 1
        return self.heard + self.patience

    async def speak(self, times: int, pause: float) -> None:
        for _ in range(times):
            await asyncio.sleep(pause)
            self.heard = now()


async def test_a_wait_ends_when_nothing_was_heard_for_so_long_and_not_before() -> None:
    start, talk = now(), Talk(patience=10)
    with pytest.raises(TimeoutError):
        async with Silence(talk.due) as silence:
            await talk.speak(5, pause=8)
            assert not silence.expired()
            await asyncio.sleep(1000)
    assert now() - start == pytest.approx(50)
    assert silence.expired()


async def test_signs_of_life_cost_nothing_but_what_the_timers_ask() -> None:
    talk = Talk(patience=10)
    async with Silence(talk.due):
        await talk.speak(10_000, pause=0.01)
    assert talk.asked <= 12


async def test_a_limit_that_became_sooner_is_looked_at_on_request() -> None:
    start, talk = now(), Talk(patience=100)
    with pytest.raises(TimeoutError):
        async with Silence(talk.due) as silence:
            await asyncio.sleep(5)
            talk.patience = 6
            silence.look()
            await asyncio.sleep(1000)
    assert now() - start == pytest.approx(6)


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_a_look_in_the_very_turn_in_which_it_is_over_changes_nothing(turns: int) -> None:
    loop, talk, failed = asyncio.get_running_loop(), Talk(patience=10), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: failed.append(context))
    with pytest.raises(TimeoutError):
        async with Silence(talk.due) as silence:
            look: Callable[[], object] = silence.look
            for _ in range(turns):
                look = partial(loop.call_soon, look)
            loop.call_at(talk.due(), look)
            try:
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(0)
    await asyncio.sleep(100)
    assert silence.expired() and failed == []


async def test_a_wait_that_ends_by_itself_leaves_no_timer_and_no_cancellation() -> None:
    talk = Talk(patience=10)
    with pytest.raises(KeyError):
        async with Silence(talk.due):
            raise KeyError
    asked = talk.asked
    await asyncio.sleep(100)
    assert talk.asked == asked
    task = asyncio.current_task()
    assert task is not None and not task.cancelling()


async def test_a_cancellation_from_outside_is_no_silence() -> None:
    async def wait() -> None:
        async with Silence(Talk(patience=10).due):
            await asyncio.sleep(1000)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_what_is_due_at_once_whenever_it_is_asked_ends_the_wait() -> None:
    """On a clock that goes on meanwhile."""

    async def wait() -> None:
        async with asyncio.timeout(20.0) as patience:
            with pytest.raises(TimeoutError):
                async with Silence(now):
                    await asyncio.Event().wait()
            assert not patience.expired(), "it asked again and again"

    asyncio.run(wait())
