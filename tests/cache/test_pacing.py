"""What clients of one server spend together, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from kresilient.api.errors import NotFound

from .world import World

pytestmark = pytest.mark.looptime


async def took(world: World, *, shares: bool, qps: float = 5.0) -> float:
    """Seconds for two clients to get 20 answers each, at 5 requests a second and a burst of 10."""
    clock = asyncio.get_running_loop().time
    clients = [world.connect(qps=each, burst=10, shares=shares) for each in (5.0, qps)]

    async def ask(number: int) -> None:
        async with clients[number] as client:
            for _ in range(20):
                with pytest.raises(NotFound):
                    await client.get("v1/pods", "default/none")

    started = clock()
    await asyncio.gather(ask(0), ask(1))
    return clock() - started


async def test_clients_of_one_server_with_equal_figures_share_them(world: World) -> None:
    assert 5.5 <= await took(world, shares=True) <= 6.5  # (40 - 10) / 5


async def test_a_client_made_on_a_transport_has_its_own_limiter_unless_it_is_told(world: World) -> None:
    assert 1.5 <= await took(world, shares=False) <= 2.5  # (20 - 10) / 5


async def test_clients_with_other_figures_do_not_share(world: World) -> None:
    assert 1.5 <= await took(world, shares=True, qps=5.5) <= 2.5
