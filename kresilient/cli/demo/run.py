"""The demo's story: a fleet polls, goes over to informers, loses its server, and comes back right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from ...cache.timing import Timing
from ...client import Client
from ...connection import connect
from ...testing.server.seed import node_name
from ...transport.config import ClusterConfig
from ..failures import CommandFailed
from .agents import WATCHED, Agent, Fleet
from .churn import Churn
from .display import Display
from .figures import Figures, Sample
from .load import Load
from .server import ServerCounts, ServerProcess
from .truth import NODES, PODS, Ledger, Snapshot, StaleReads, divergent, pick

__all__ = ["DemoOptions", "bytes_per_s", "count_divergent", "renewals", "requests_per_s", "run_demo"]

_PODS_ON_A_NODE: Final = 30
_WRITES: Final = 40.0
_READ_EVERY: Final = 0.05
_SYNC_LIMIT: Final = 20.0
_RECOVERY_LIMIT: Final = 20.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How large and how long.

    Attributes:
        agents: nodes, each with its agent.
        seconds: length of each of the two measured phases.
        poll_interval: seconds between two polls: the age at which an agent's data is too old for it.
    """

    agents: int = 60
    seconds: float = 10.0
    poll_interval: float = 1.0

    @property
    def outage(self) -> float:
        """Seconds without a server."""
        return min(5.0, max(1.0, self.seconds / 2))


async def run_demo(options: DemoOptions, directory: Path, display: Display) -> Figures:
    """Run the whole story against a server of its own in *directory*; returns what it found.

    Raises `CommandFailed` or `KresilientError` where it could not be told to its end. Cancelled: the server
    process is killed and every client closed.
    """
    figures = Figures(
        counted_by="server",
        agents=options.agents,
        pods=options.agents * _PODS_ON_A_NODE,
        services=options.agents,
        nodes=options.agents,
        poll_interval_s=options.poll_interval,
        phase_s=options.seconds,
    )
    started = asyncio.get_running_loop().time()
    display.begin("server: a process of its own")
    server = ServerProcess(directory, pods=figures.pods, nodes=figures.nodes, services=figures.services)
    try:
        await server.start()
        display.end(
            f"{server.url}: {figures.pods:,} pods, {figures.nodes} nodes, {figures.services} services"
        )
        await _Story(options, server, figures, display).tell()
    finally:
        await server.kill()
    figures.duration_s = asyncio.get_running_loop().time() - started
    return figures


class _Story:
    def __init__(
        self, options: DemoOptions, server: ServerProcess, figures: Figures, display: Display
    ) -> None:
        self._options = options
        self._server = server
        self._figures = figures
        self._display = display
        self._random = Random(7)

    async def tell(self) -> None:
        config = ClusterConfig(server=self._server.url, user_agent="kresilient-demo-agent")
        names = [node_name(index) for index in range(self._options.agents)]
        counts = ServerCounts(self._server.url)
        try:
            async with (
                Fleet([Agent(name, config) for name in names]) as fleet,
                connect(server=self._server.url, qps=None, user_agent="kresilient-demo-writer") as writer,
            ):
                ledger = Ledger(await counts.snapshot())
                churn = await _churn(writer, ledger, self._random)
                load = Load(fleet, counts.agents_requests, self._figures, self._display)
                async with load.running():
                    writing = asyncio.create_task(churn.run(_WRITES))
                    try:
                        await self._poll(fleet, load, churn, ledger)
                        await self._follow(fleet, load, churn, ledger, counts, writing)
                    finally:
                        writing.cancel()
                        await asyncio.gather(writing, return_exceptions=True)
        finally:
            await counts.close()

    async def _poll(self, fleet: Fleet, load: Load, churn: Churn, ledger: Ledger) -> None:
        options, figures = self._options, self._figures
        title = f"polling: {options.agents} agents, every {options.poll_interval:g} s"
        load.begin("polling", title, options.seconds + options.poll_interval)
        async with fleet.polling(options.poll_interval):
            await asyncio.sleep(options.poll_interval)  # until every agent has begun
            async with _reading(fleet, ledger, self._random, load) as stale:
                writes = churn.writes
                before, after = await load.measure(options.seconds)
                figures.polling_writes_per_s = (churn.writes - writes) / (after.at - before.at)
        figures.polling_rps = requests_per_s(before, after)
        figures.polling_bytes_per_s, figures.polling_json_bytes_per_s = bytes_per_s(before, after)
        figures.polling_failures = sum(agent.failures for agent in fleet.agents)
        figures.polling_stale = stale
        load.end(_rates(figures.polling_rps, figures.polling_bytes_per_s))

    async def _follow(
        self,
        fleet: Fleet,
        load: Load,
        churn: Churn,
        ledger: Ledger,
        counts: ServerCounts,
        writing: asyncio.Task[None],
    ) -> None:
        options, figures = self._options, self._figures
        load.begin("first lists", "informers: first lists")
        before = await load.sample()
        async with fleet.following(_SYNC_LIMIT):
            after = await load.sample()
            figures.initial_requests = after.attempts - before.attempts
            figures.initial_bytes = after.wire_bytes - before.wire_bytes
            figures.initial_sync_s = after.at - before.at
            load.end(f"{figures.initial_requests} requests, once, and all are in step")

            load.begin("informers", "informers: reads from memory", options.seconds)
            async with _reading(fleet, ledger, self._random, load) as stale:
                writes = churn.writes
                before, after = await load.measure(options.seconds)
                figures.informer_writes_per_s = (churn.writes - writes) / (after.at - before.at)
            figures.informer_rps_counted = requests_per_s(before, after)
            figures.informer_bytes_per_s, figures.informer_json_bytes_per_s = bytes_per_s(before, after)
            figures.informer_rps_renewals = renewals(options.agents)
            figures.informer_stale = stale
            load.end(_rates(figures.informer_rps_counted, figures.informer_bytes_per_s))
            await self._outage(fleet, load, ledger, counts, writing)
            await self._recovery(fleet, load, churn, ledger, counts)

    async def _outage(
        self,
        fleet: Fleet,
        load: Load,
        ledger: Ledger,
        counts: ServerCounts,
        writing: asyncio.Task[None],
    ) -> None:
        options, figures = self._options, self._figures
        load.begin("outage", "outage: the server is killed", options.outage)
        await load.sample()
        attempts, began = fleet.attempts, load.now
        await self._server.kill()
        counts.restarted()
        writing.cancel()
        async with _reading(fleet, ledger, self._random, load) as stale:
            await asyncio.sleep(options.outage)
        figures.outage_reads = stale.reads + stale.unanswered
        figures.outage_reads_answered = stale.reads
        await self._server.start()
        figures.outage_s = load.now - began
        figures.outage_attempts = fleet.attempts - attempts
        load.end(f"{figures.outage_attempts} attempts in {figures.outage_s:.1f} s")

    async def _recovery(
        self, fleet: Fleet, load: Load, churn: Churn, ledger: Ledger, counts: ServerCounts
    ) -> None:
        figures = self._figures
        load.begin("recovery", "recovery: the server is back")
        attempts, began = fleet.attempts, load.now
        figures.lost_writes = ledger.lost(await counts.snapshot())
        writes = churn.writes
        await churn.burst(self._options.agents)
        figures.recovery_writes = churn.writes - writes
        truth = await counts.snapshot()
        watches = len(fleet.agents) * len(WATCHED)
        while True:
            wrong = [agent for agent in fleet.agents if count_divergent([agent], truth)]
            figures.right.append((load.now, 100.0 * (1 - len(wrong) / len(fleet.agents))))
            # A cache of what did not change is right all the time, so the watches have to be there too.
            figures.recovered = not wrong and await counts.watches() >= watches
            if figures.recovered or load.now - began > _RECOVERY_LIMIT:
                break
            await asyncio.sleep(_READ_EVERY)
        figures.recovery_s = load.now - began
        figures.recovery_requests = fleet.attempts - attempts
        figures.relists = sum(agent.relists for agent in fleet.agents)
        figures.divergent_objects = count_divergent(fleet.agents, await counts.snapshot())
        figures.cached_objects = sum(len(agent.held(name)) for agent in fleet.agents for name in WATCHED)
        load.end(f"all right after {figures.recovery_s:.1f} s, {figures.divergent_objects} objects differ")


def count_divergent(agents: Sequence[Agent], truth: Snapshot) -> int:
    """Over all caches of *agents*, the objects that are not as *truth* has them."""
    return sum(
        len(divergent(agent.held(resource), truth.of(resource, agent.node)))
        for agent in agents
        for resource in WATCHED
    )


def requests_per_s(before: Sample, after: Sample) -> float:
    """Requests answered a second. Raises `CommandFailed` where the server could not be asked."""
    if before.requests is None or after.requests is None:
        raise CommandFailed("the server did not say how many requests it answered")
    return (after.requests - before.requests) / (after.at - before.at)


def bytes_per_s(before: Sample, after: Sample) -> tuple[float, float]:
    """Bytes received a second, as they crossed the wire, and decompressed."""
    span = after.at - before.at
    return (after.wire_bytes - before.wire_bytes) / span, (after.json_bytes - before.json_bytes) / span


def renewals(agents: int) -> float:
    """Requests a second with which so many agents renew their watches, each after 5 to 10 minutes."""
    shortest, longest = Timing().watch_lifetime
    return agents * len(WATCHED) / ((shortest + longest) / 2)


def _rates(requests: float, received: float) -> str:
    return f"{requests:,.1f} requests/s, {received / 1e6:,.1f} MB/s"


async def _churn(writer: Client, ledger: Ledger, random: Random) -> Churn:
    node = ledger.keys(NODES)[0]
    template = await writer.get(PODS, ledger.keys(PODS, node)[0])
    return Churn(writer, ledger, template.to_dict(), random)


@asynccontextmanager
async def _reading(fleet: Fleet, ledger: Ledger, random: Random, load: Load) -> AsyncIterator[StaleReads]:
    """Let every agent read now and then, and see how old the answers are."""
    stale, clock = StaleReads(), asyncio.get_running_loop().time

    async def forever() -> None:
        while True:
            now = clock()
            ages: list[float | None] = []
            for agent in fleet.agents:
                for resource, key in pick(random, ledger, agent.node):
                    version = agent.version(resource, key)
                    if version is None:
                        stale.unanswered += 1
                    else:
                        ages.append(ledger.age(resource, key, version, now))
            stale.add(ages, load.now)
            await asyncio.sleep(_READ_EVERY)

    task = asyncio.create_task(forever())
    try:
        yield stale
    finally:
        task.cancel()
        for outcome in await asyncio.gather(task, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
