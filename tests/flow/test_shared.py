"""What clients of one server share on one loop, and that it goes with the last of them."""

from __future__ import annotations

import asyncio
import gc

from kresilient.client import Client
from kresilient.flow import shared
from kresilient.flow.limiter import Limiter
from kresilient.flow.shared import shared_limiter, shared_lists

from .scripted import ScriptedTransport


async def test_clients_with_equal_figures_share_a_limiter_and_others_do_not() -> None:
    clients = [
        Client(ScriptedTransport(), qps=qps, shares_limiter=shares)
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


async def test_what_nobody_uses_any_more_is_forgotten() -> None:
    kept = []
    for number in range(50):
        limiter = shared_limiter(f"http://{number}", Limiter(5.0, 1))
        if number == 7:
            kept += [limiter, shared_lists("http://7")]
        del limiter
    gc.collect()
    shared_lists("http://last")
    servers = shared._servers[asyncio.get_running_loop()]
    assert set(servers) == {"http://7", "http://last"}
