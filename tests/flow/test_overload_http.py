"""The same server in trouble, over real HTTP: what leaves the process, as the server counts it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from kresilient.api.errors import KresilientError, OutcomeUnknown
from kresilient.client import Client
from kresilient.observe.events import OutageBegan, OutageEnded, RequestFinished, RequestRetried
from kresilient.transport.auth import Anonymous, BearerToken, Credentials
from kresilient.transport.config import ClusterConfig
from kresilient.transport.http import HttpTransport

from ..client.cluster import PATIENCE, Cluster, config_map

WRITES = ("create", "update", "patch", "delete")


def paced(cluster: Cluster, *, qps: float | None, burst: int = 20) -> Client:
    token = cluster.server.token
    credentials: Credentials = Anonymous() if token is None else BearerToken(token)
    config = ClusterConfig(server=cluster.server.url, credentials=credentials, ca_data=cluster.server.ca_pem)
    return Client(HttpTransport(config), qps=qps, burst=burst, observers=[cluster.seen])


@pytest.mark.parametrize(("write", "read"), [(503, 429), (500, 500)])
async def test_while_everything_is_refused_no_more_leaves_than_the_rate_and_the_budget_allow(
    write: int, read: int
) -> None:
    cluster, seconds, qps, burst = Cluster(), 2.0, 40.0, 20
    async with cluster.server, paced(cluster, qps=qps, burst=burst) as client:
        cluster.server.faults.on(WRITES).status(write)
        cluster.server.faults.on(("get", "list", "watch")).status(read)

        async def again(caller: int) -> None:
            for number in range(10**9):
                try:
                    if caller % 2:
                        await client.get("v1/pods", f"default/a{caller}")
                    else:
                        await client.create("v1/configmaps", config_map(f"c{caller}-{number}"))
                except KresilientError:
                    await asyncio.sleep(0)

        clock = asyncio.get_running_loop().time
        async with client.informer("v1/nodes"):
            started = clock()
            callers = [asyncio.create_task(again(caller)) for caller in range(60)]
            await asyncio.sleep(seconds)
            sent, took = cluster.server.requests.count(), clock() - started
            for task in callers:
                task.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
        assert 10 <= sent <= burst + qps * took + 1
        assert len(cluster.seen.of(RequestRetried)) <= 5 + 0.5 * took
        assert not [event for event in cluster.seen.of(RequestRetried) if event.verb == "create"]


@pytest.mark.parametrize("after", [None, 0, 40])
async def test_no_post_leaves_twice_when_its_answer_was_lost(after: int | None) -> None:
    cluster = Cluster()
    async with cluster.server, paced(cluster, qps=None) as client:
        cluster.server.faults.on("create", "v1/configmaps").reset(after_bytes=after)
        outcomes = await asyncio.gather(
            *(client.create("v1/configmaps", config_map(f"c{number}")) for number in range(60)),
            return_exceptions=True,
        )
        assert Counter(type(outcome) for outcome in outcomes) == {OutcomeUnknown: 60}
        assert cluster.server.requests.count(verb="create") == 60
        assert len(cluster.server.objects("v1/configmaps")) == (0 if after is None else 60)


async def test_informers_behind_a_load_balancer_that_resets_wait_for_one_probe_and_come_back() -> None:
    cluster = Cluster()
    token = cluster.server.token
    credentials: Credentials = Anonymous() if token is None else BearerToken(token)
    async with cluster.server:
        config = ClusterConfig(
            server=cluster.server.url, credentials=credentials, ca_data=cluster.server.ca_pem
        )
        client = Client(HttpTransport(config), observers=[cluster.seen], random=lambda: 0.0, spread=0.1)
        fault = cluster.server.faults.on(("list", "watch")).reset()
        async with client:
            informers = [client.informer("v1/pods", namespaces=f"n{number}") for number in range(10)]
            for informer in informers:
                await informer.start()
            await cluster.seen.until(lambda: cluster.seen.of(OutageBegan))
            asked = len(cluster.seen.of(RequestFinished))
            assert asked <= 10
            await cluster.seen.until(lambda: len(cluster.seen.of(RequestFinished)) > asked)
            fault.lift()
            await asyncio.gather(*(informer.synced(timeout=PATIENCE) for informer in informers))
            (ended,) = cluster.seen.of(OutageEnded)
            assert ended.waiting >= 7
