"""The read-only half of the demo on a real cluster: few agents, slow polls, no writes, nothing killed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from ...api.objects import KubeObject
from ...client import Client
from ...connection import ConnectOptions, connect
from ...flow.limiter import Limiter
from ...transport.load import load_config
from ..failures import CommandFailed
from .agents import Agent, Fleet
from .display import Display
from .figures import Figures
from .load import Load
from .run import bytes_per_s, count_divergent, renewals, requests_per_s
from .truth import NODES, PODS, SERVICES, Identity, Snapshot

__all__ = ["ClusterOptions", "run_on_cluster"]

_QPS: Final = 10.0
"""Requests a second over all agents together: a guest's share."""
_SYNC_LIMIT: Final = 60.0
_COMPARISONS: Final = 5


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How many agents, and how long; as `DemoOptions`."""

    agents: int
    seconds: float
    poll_interval: float


async def run_on_cluster(options: ClusterOptions, cluster: ConnectOptions, display: Display) -> Figures:
    """Poll, then follow, on the cluster that *cluster* means; returns what the clients counted.

    Raises `KresilientError` for what the cluster refuses. Cancelled: every client is closed.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    config = await load_config(**cluster)
    limiter = Limiter(_QPS, int(2 * _QPS))
    async with connect(config, limiter=limiter) as observer:
        display.begin(f"nodes of {config.server}")
        nodes = [node.name for node in await observer.list(NODES, metadata_only=True)]
        if not nodes:
            raise CommandFailed(f"{config.server} has no nodes: no agent could run there")
        names = nodes[: options.agents]
        display.end(f"{len(nodes)}; agents for {len(names)} of them")
        figures = Figures(
            counted_by="client",
            agents=len(names),
            pods=0,
            services=0,
            nodes=len(nodes),
            poll_interval_s=options.poll_interval,
            phase_s=options.seconds,
        )
        async with Fleet([Agent(name, config, limiter=limiter) for name in names]) as fleet:

            async def answered() -> int:
                return fleet.attempts

            load = Load(fleet, answered, figures, display)
            async with load.running():
                await _poll(options, figures, fleet, load)
                await _follow(options, figures, fleet, load, observer)
    figures.duration_s = loop.time() - started
    return figures


async def _poll(options: ClusterOptions, figures: Figures, fleet: Fleet, load: Load) -> None:
    title = f"polling: {figures.agents} agents, every {options.poll_interval:g} s"
    load.begin("polling", title, options.seconds + options.poll_interval)
    async with fleet.polling(options.poll_interval):
        await asyncio.sleep(options.poll_interval)
        before, after = await load.measure(options.seconds)
    figures.polling_rps = requests_per_s(before, after)
    figures.polling_bytes_per_s, figures.polling_json_bytes_per_s = bytes_per_s(before, after)
    figures.polling_failures = sum(agent.failures for agent in fleet.agents)
    load.end(f"{figures.polling_rps:,.1f} requests/s, {figures.polling_bytes_per_s / 1e6:,.2f} MB/s")


async def _follow(
    options: ClusterOptions, figures: Figures, fleet: Fleet, load: Load, observer: Client
) -> None:
    load.begin("first lists", "informers: first lists")
    before = await load.sample()
    async with fleet.following(_SYNC_LIMIT):
        after = await load.sample()
        figures.initial_requests = after.attempts - before.attempts
        figures.initial_bytes = after.wire_bytes - before.wire_bytes
        figures.initial_sync_s = after.at - before.at
        load.end(f"{figures.initial_requests} requests, once, and all are in step")
        load.begin("informers", "informers: reads from memory", options.seconds)
        before, after = await load.measure(options.seconds)
        figures.informer_rps_counted = requests_per_s(before, after)
        figures.informer_bytes_per_s, figures.informer_json_bytes_per_s = bytes_per_s(before, after)
        figures.informer_rps_renewals = renewals(figures.agents)
        load.end(f"{figures.informer_rps_counted:,.1f} requests/s")
        await _compare(figures, fleet, load, observer)


async def _compare(figures: Figures, fleet: Fleet, load: Load, observer: Client) -> None:
    """Compare the caches with lists. The cluster lives on meanwhile, so the best of a few tries counts."""
    load.begin("comparison", "comparison with the server's lists")
    figures.divergent_objects = -1
    for _ in range(_COMPARISONS):
        truth = await _snapshot(observer, [agent.node for agent in fleet.agents])
        differing = count_divergent(fleet.agents, truth)
        if figures.divergent_objects < 0 or differing < figures.divergent_objects:
            figures.divergent_objects = differing
        if not differing:
            break
        await asyncio.sleep(1.0)
    held = [agent.held(PODS) for agent in fleet.agents]
    figures.pods = sum(len(one) for one in held)
    figures.services = len(fleet.agents[0].held(SERVICES))
    figures.cached_objects = figures.pods + figures.agents * (figures.services + figures.nodes)
    load.end(f"{figures.divergent_objects} of {figures.cached_objects:,} objects differ")


async def _snapshot(observer: Client, nodes: list[str]) -> Snapshot:
    snapshot = Snapshot()

    async def add(resource: str, node: str = "") -> None:
        selector = f"spec.nodeName={node}" if node else None
        found: list[KubeObject] = await observer.list(resource, field_selector=selector, metadata_only=True)
        for obj in found:
            snapshot.add(resource, obj.key, Identity(obj.uid, obj.resource_version), node=node)

    await asyncio.gather(add(SERVICES), add(NODES), *(add(PODS, node) for node in nodes))
    return snapshot
