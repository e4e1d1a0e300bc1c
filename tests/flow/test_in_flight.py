"""The cap on what is under way: how many, who is next, and that no place is ever lost."""

from __future__ import annotations

import asyncio
import random

import pytest

from kresilient.api.errors import ConfigError
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
        await places.acquire(lane)
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


@pytest.mark.parametrize("most", [0, -1, 1.5, True])
def test_a_cap_is_a_whole_number_of_at_least_one(most: int) -> None:
    with pytest.raises(ConfigError, match="max_in_flight"):
        InFlight(most)
