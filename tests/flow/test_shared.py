"""What clients of one server share on one loop, and that it goes with the last of them."""

from __future__ import annotations

import asyncio
import gc

from kresilient.client import Client
from kresilient.flow import shared
from kresilient.flow.limiter import Limiter
from kresilient.flow.shared import shared_budget, shared_limiter, shared_lists

from .scripted import ScriptedTransport


async def test_clients_with_equal_figures_share_a_limiter_and_others_do_not() -> None:
    clients = [
        Client(ScriptedTransport(), qps=qps, shares=shares)
        for qps, shares in [(5.0, True), (5.0, True), (6.0, True), (5.0, False)]
    ]
    limiters = [(await client.open()).door.limiter for client in clients]
    assert limiters[0] is limiters[1]
    assert len({id(limiter) for limiter in limiters}) == 3
    assert len({id(client.door.lists) for client in clients}) == 1
    for client in clients:
        await client.close()


async def test_another_server_has_its_own() -> None:
    one, other = Limiter(5.0, 1), Limiter(5.0, 1)
    assert shared_limiter("http://a", one) is one
    assert shared_limiter("http://b", other) is other
    assert shared_lists("http://a") is not shared_lists("http://b")


def test_another_loop_has_its_own() -> None:
    kept = []

    async def ask() -> None:
        kept.append((shared_limiter("http://a", Limiter(5.0, 1)), shared_lists("http://a")))

    asyncio.run(ask())
    asyncio.run(ask())
    (limiter, lists), (other_limiter, other_lists) = kept
    assert limiter is not other_limiter and lists is not other_lists


async def test_they_outlive_their_clients_so_that_the_next_begins_where_those_ended() -> None:
    limiter, budget = shared_limiter("http://a", Limiter(0.001, 5)), shared_budget("http://a")
    while limiter.try_acquire():
        pass
    while budget.spend():
        pass
    del limiter, budget
    gc.collect()
    assert not shared_limiter("http://a", Limiter(0.001, 5)).try_acquire()
    assert not shared_budget("http://a").spend()


async def test_of_very_many_servers_those_used_last_are_remembered() -> None:
    first = shared_limiter("http://0", Limiter(5.0, 1))
    for number in range(1, 300):
        shared_limiter(f"http://{number}", Limiter(5.0, 1))
    assert len(shared._servers[asyncio.get_running_loop()]) == 256
    assert shared_limiter("http://0", Limiter(5.0, 1)) is not first


def test_a_loop_that_was_closed_is_forgotten_with_all_that_was_its() -> None:
    async def ask() -> None:
        await shared_limiter("http://a", Limiter(5.0, 1)).acquire()

    for _ in range(5):
        asyncio.run(ask())
    assert sum(loop.is_closed() for loop in shared._servers) <= 1
