"""The cap on what is under way: how many, who is next, and that no place is ever lost."""

from __future__ import annotations

import asyncio
import random

import pytest

from kresilient.api.errors import ConfigError, FlowTimeout
from kresilient.flow.in_flight import InFlight
from kresilient.flow.lanes import Lane

pytestmark = pytest.mark.looptime


async def test_only_so_many_are_under_way_and_leases_have_places_of_their_own() -> None:
    places = InFlight(2, reserved=1)
    assert [places.try_acquire(Lane.LIST) for _ in range(3)] == [True, True, False]
    assert [places.try_acquire(Lane.LEASE) for _ in range(2)] == [True, False]
    places.release()
    assert not places.try_acquire(Lane.WRITE), "the lease still has one of three"
    places.release()
    assert places.try_acquire(Lane.WRITE)


async def test_a_place_goes_to_the_first_of_the_first_lane() -> None:
    places, order = InFlight(1), []
    await places.acquire(Lane.LIST)

    async def ask(lane: Lane, number: int) -> None:
        await places.acquire(lane)
        order.append((lane, number))
        places.release()

    lanes = [Lane.LIST, Lane.READ, Lane.WRITE, Lane.LIST, Lane.WRITE]
    tasks = [asyncio.create_task(ask(lane, number)) for number, lane in enumerate(lanes)]
    await asyncio.sleep(1)
    assert places.waiting == 5
    places.release()
    await asyncio.gather(*tasks)
    assert order == [(Lane.WRITE, 2), (Lane.WRITE, 4), (Lane.READ, 1), (Lane.LIST, 0), (Lane.LIST, 3)]
    assert (places.count, places.waiting) == (0, 0)


async def test_a_waiter_cancelled_in_the_very_turn_it_got_its_place_hands_it_on() -> None:
    places = InFlight(1)
    await places.acquire(Lane.READ)
    first = asyncio.create_task(places.acquire(Lane.READ))
    second = asyncio.create_task(places.acquire(Lane.READ))
    await asyncio.sleep(1)
    places.release()
    first.cancel()
    await second
    assert first.cancelled() and (places.count, places.waiting) == (1, 0)


async def test_a_waiter_that_was_cancelled_and_has_not_run_since_gets_no_place() -> None:
    places = InFlight(1)
    await places.acquire(Lane.READ)
    first = asyncio.create_task(places.acquire(Lane.READ))
    second = asyncio.create_task(places.acquire(Lane.READ))
    await asyncio.sleep(1)
    first.cancel()
    places.release()
    await second
    assert first.cancelled() or first.done()
    assert (places.count, places.waiting) == (1, 0)


@pytest.mark.parametrize("seed", range(5))
async def test_under_random_cancellation_no_place_is_lost_and_none_is_made(seed: int) -> None:
    draw, places, most = random.Random(seed), InFlight(3, reserved=2), [0, 0]

    async def ask() -> None:
        lane = draw.choice(list(Lane))
        await places.acquire(lane, within=draw.choice([None, 3.0, 10.0]))
        try:
            most[lane is Lane.LEASE] = max(most[lane is Lane.LEASE], places.count)
            await asyncio.sleep(draw.random())
        finally:
            places.release()

    tasks = [asyncio.create_task(ask()) for _ in range(200)]
    for task in draw.sample(tasks, 120):
        await asyncio.sleep(draw.random() * 0.2)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (places.count, places.waiting) == (0, 0)
    assert most[0] <= 3 and most[1] <= 5


# --- deadlines -----------------------------------------------------------------------------------------


async def holding(places: InFlight, seconds: float, lane: Lane = Lane.READ) -> None:
    await places.acquire(lane)
    await asyncio.sleep(seconds)
    places.release()


async def test_how_long_a_place_is_waited_for_is_unknown_until_one_was_released() -> None:
    places, clock = InFlight(2), asyncio.get_running_loop().time
    assert places.expected_wait(Lane.READ) == 0.0
    tasks = [asyncio.create_task(holding(places, 20.0, lane)) for lane in (*[Lane.READ] * 3, Lane.LIST)]
    await asyncio.sleep(1.0)
    assert places.expected_wait(Lane.READ) is None
    with pytest.raises(FlowTimeout, match=r"within 5 s: too many calls.*\(2\), and 1 wait before") as caught:
        await places.acquire(Lane.READ, within=5.0)
    assert clock() == pytest.approx(6.0), "so it is waited for"
    assert (caught.value.lane, caught.value.queued) == ("read", 1)
    assert caught.value.expected == pytest.approx(6.0), "none has become free for so long"
    await asyncio.gather(*tasks)


async def test_a_deadline_that_cannot_be_met_is_said_before_waiting() -> None:
    places, clock = InFlight(2), asyncio.get_running_loop().time
    await asyncio.gather(*(holding(places, 4.0) for _ in range(4)))
    started = clock()
    tasks = [asyncio.create_task(holding(places, 4.0)) for _ in range(7)]
    await asyncio.sleep(0)
    with pytest.raises(FlowTimeout, match="5 wait before it for a place") as caught:
        await places.acquire(Lane.READ, within=11.9)
    assert clock() == pytest.approx(started)
    assert (caught.value.lane, caught.value.queued) == ("read", 5)
    assert caught.value.expected == pytest.approx(6 * 4.0 / 2)
    await places.acquire(Lane.READ, within=12.1)
    assert clock() - started == pytest.approx(12.0)
    await asyncio.gather(*tasks)
    places.release()


async def test_only_those_of_lanes_that_go_before_are_waited_for() -> None:
    places = InFlight(1)
    await holding(places, 4.0)
    tasks = [
        asyncio.create_task(holding(places, 4.0, lane)) for lane in (Lane.LIST, *[Lane.LIST] * 3, Lane.READ)
    ]
    await asyncio.sleep(0)
    expected = [places.expected_wait(lane) for lane in Lane]
    assert expected == pytest.approx([0.0, 4.0, 8.0, 20.0])
    await asyncio.gather(*tasks)


async def test_calls_that_hang_are_expected_to_take_as_long_as_none_has_become_free() -> None:
    places, clock = InFlight(1), asyncio.get_running_loop().time
    await holding(places, 0.1)
    await asyncio.sleep(1000.0)
    await places.acquire(Lane.READ)
    assert places.expected_wait(Lane.READ) == pytest.approx(0.1)
    with pytest.raises(FlowTimeout) as caught:
        await places.acquire(Lane.READ, within=5.0)
    assert caught.value.expected == pytest.approx(5.0)
    await asyncio.sleep(5.0)
    started = clock()
    with pytest.raises(FlowTimeout):
        await places.acquire(Lane.READ, within=5.0)
    assert clock() == started


async def test_a_waiter_cancelled_in_the_very_turn_of_its_deadline_leaves_the_line_in_order() -> None:
    places = InFlight(1)
    await places.acquire(Lane.READ)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5.0):
            await places.acquire(Lane.READ, within=5.0)
    assert places.waiting == 0
    places.release()
    assert places.try_acquire(Lane.READ)


async def test_a_place_given_in_the_very_turn_of_a_deadline_is_kept_or_handed_on() -> None:
    places, loop = InFlight(1), asyncio.get_running_loop()
    await places.acquire(Lane.READ)
    waiting = asyncio.create_task(places.acquire(Lane.READ, within=5.0))
    await asyncio.sleep(0)
    loop.call_at(5.0, places.release)
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    assert places.count == (0 if isinstance(outcome, FlowTimeout) else 1)


@pytest.mark.parametrize("most", [0, -1, 1.5, True])
def test_a_cap_is_a_whole_number_of_at_least_one(most: int) -> None:
    with pytest.raises(ConfigError, match="max_in_flight"):
        InFlight(most)
