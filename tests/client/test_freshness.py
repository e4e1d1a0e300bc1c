"""How old a cache is, over HTTP: a server that lags, one that restarts, and a watch that is quiet."""

from __future__ import annotations

import asyncio

import pytest

from kresilient.api.errors import StaleError
from kresilient.client import Client

from .cluster import Cluster, pod


async def test_a_lagging_server_is_not_taken_for_the_present(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    async with cluster.following(client) as (pods, delivered):
        lag = cluster.server.faults.on("watch", "v1/pods").lag()
        await cluster.server.restart()
        await cluster.server.watchers("v1/pods", 1, timeout=30)
        cluster.create("b")
        with pytest.raises(StaleError, match="within 1 s") as raised:
            await pods.get("default/b", max_staleness=0, timeout=1)
        assert raised.value.age >= 1 and pods.get("default/b") is None
        live = await pods.get("default/b", max_staleness=0, fallback="live")
        assert live is not None and live.name == "b"
        assert [obj.name for obj in await pods.list(max_staleness=0, fallback="live")] == ["a", "b"]
        waiting = asyncio.create_task(pods.list(max_staleness=0, timeout=30))
        lag.lift()
        assert [obj.name for obj in await waiting] == ["a", "b"]
        await delivered.until(lambda: pods.get("default/b"))


async def test_a_quiet_watch_is_proved_within_seconds(cluster: Cluster, client: Client) -> None:
    cluster.server.create("v1/pods", pod("a", app="web"))
    cluster.server.create("v1/pods", pod("b", app="web"))
    async with cluster.following(client, label_selector="app=web") as (pods, _):
        cluster.create("other")
        cluster.server.requests.clear()
        found = await asyncio.gather(*(pods.list(max_staleness=0, timeout=30) for _ in range(100)))
        assert [[obj.name for obj in one] for one in found] == [["a", "b"]] * 100
        assert [one.verb for one in cluster.server.requests] == ["list", "watch"]


async def test_a_thousand_readers_of_a_restarted_server_make_one_request(
    cluster: Cluster, client: Client
) -> None:
    async with cluster.following(client) as (pods, _):
        await cluster.server.restart()
        await cluster.server.watchers("v1/pods", 1, timeout=30)
        cluster.create("new")
        cluster.server.requests.clear()
        found = await asyncio.gather(*(pods.get("default/new", max_staleness=0) for _ in range(1000)))
        assert None not in found
        assert [one.verb for one in cluster.server.requests] == ["list"]
