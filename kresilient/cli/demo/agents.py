"""The demo's fleet: an agent on each node, which first polls what it needs and then follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, Self

from ...api.errors import KresilientError, PoisonObject
from ...api.objects import KubeObject
from ...cache.informer import Informer
from ...client import Client
from ...flow.limiter import Limiter
from ...transport.base import Request, Response, Transport
from ...transport.config import ClusterConfig
from ...transport.http import HttpTransport
from .truth import NODES, PODS, SERVICES, Identity

__all__ = ["WATCHED", "Agent", "Fleet", "Meter"]

WATCHED: Final = (PODS, SERVICES, NODES)
"""What every agent needs: the pods of its own node, and all services and nodes."""


class Meter:
    """Counts what goes through a transport: attempts, bytes of JSON, and bytes as they crossed the wire."""

    def __init__(self) -> None:
        self.attempts = 0
        self.json_bytes = 0
        self._closed_bytes = 0
        self._open: set[_Metered] = set()

    @property
    def wire_bytes(self) -> int:
        return self._closed_bytes + sum(response.wire_bytes for response in self._open)

    def opened(self, response: _Metered) -> None:
        self._open.add(response)

    def closed(self, response: _Metered) -> None:
        if response in self._open:
            self._open.remove(response)
            self._closed_bytes += response.wire_bytes


class _MeteredTransport:
    """A transport whose every request is metered."""

    def __init__(self, inner: Transport, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    @property
    def server(self) -> str:
        return self._inner.server

    async def send(self, request: Request) -> Response:
        self._meter.attempts += 1
        return _Metered(await self._inner.send(request), self._meter)

    async def close(self) -> None:
        await self._inner.close()


class _Metered:
    """A response that tells its meter when it is done with."""

    def __init__(self, inner: Response, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter
        meter.opened(self)

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    @property
    def wire_bytes(self) -> int:
        return self._inner.wire_bytes

    async def read(self, limit: int | None = None) -> bytes:
        body = await self._inner.read(limit)
        self._meter.json_bytes += len(body)
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            self._meter.json_bytes += len(chunk)
            yield chunk

    async def close(self) -> None:
        self._meter.closed(self)
        await self._inner.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


_SPREAD: Final = 5.0
"""Seconds over which the agents come back after the outage: by default 30, which nobody wants to watch."""


class Agent:
    """The agent of one node, with a client of its own, as in a process of its own."""

    def __init__(self, node: str, config: ClusterConfig, *, limiter: Limiter | None = None) -> None:
        self.node = node
        self.meter = Meter()
        self.failures = 0
        self.polls = 0
        self._config = config
        self.client = Client(self._transport, limiter=limiter, spread=_SPREAD)
        self._polled: dict[str, dict[str, KubeObject]] = {}
        self._informers: dict[str, Informer[KubeObject]] = {}

    async def _transport(self) -> tuple[Transport, str]:
        return _MeteredTransport(HttpTransport(self._config), self.meter), self._config.namespace

    # --- two ways to know ---

    async def poll(self, interval: float, offset: float) -> None:
        """Ask for everything again each *interval* seconds, beginning *offset* seconds from now.

        Cancelled: the request under way is aborted.
        """
        clock = asyncio.get_running_loop().time
        due = clock() + offset
        while True:
            await asyncio.sleep(due - clock())
            for resource in WATCHED:
                try:
                    found = await self.client.list(resource, field_selector=self._selector(resource))
                except KresilientError:
                    self.failures += 1
                else:
                    self._polled[resource] = {obj.key: obj for obj in found}
            self.polls += 1
            due = max(due + interval, clock())

    async def follow(self, timeout: float) -> None:
        """Hold an informer of each resource, synced within *timeout* seconds. Raises `SyncError`."""
        self._polled.clear()
        for resource in WATCHED:
            informer = self.client.informer(resource, field_selector=self._selector(resource))
            self._informers[resource] = await informer.start()
        for informer in self._informers.values():
            await informer.synced(timeout)

    async def unfollow(self) -> None:
        """Let go of the informers. Idempotent."""
        informers, self._informers = self._informers, {}
        for informer in informers.values():
            await informer.close()

    # --- what it knows ---

    def version(self, resource: str, key: str) -> int | None:
        """The version that a read of *key* gives now: 0 where it is absent, None where nothing is known."""
        obj: KubeObject | None
        if self._informers:
            try:
                obj = self._informers[resource].get(key)
            except (KresilientError, PoisonObject):
                return None
        else:
            if resource not in self._polled:
                return None
            obj = self._polled[resource].get(key)
        return 0 if obj is None else int(obj.resource_version)

    def held(self, resource: str) -> dict[str, Identity]:
        """What the cache of *resource* holds."""
        return {obj.key: Identity(obj.uid, obj.resource_version) for obj in self._informers[resource].list()}

    @property
    def relists(self) -> int:
        """Whole lists after the first, over its informers."""
        return sum(
            sum(reflector.relists.values())
            for informer in self._informers.values()
            for reflector in informer.health.reflectors
        )

    def _selector(self, resource: str) -> str | None:
        return f"spec.nodeName={self.node}" if resource == PODS else None


class Fleet:
    """All agents together. Entered, their clients are open."""

    def __init__(self, agents: Sequence[Agent]) -> None:
        self.agents = agents
        self._stack = AsyncExitStack()

    @property
    def attempts(self) -> int:
        """Requests sent, those that nobody answered included."""
        return sum(agent.meter.attempts for agent in self.agents)

    @property
    def wire_bytes(self) -> int:
        """Bytes of answers received, as they crossed the wire."""
        return sum(agent.meter.wire_bytes for agent in self.agents)

    @property
    def json_bytes(self) -> int:
        """Bytes of JSON in these answers, decompressed."""
        return sum(agent.meter.json_bytes for agent in self.agents)

    @asynccontextmanager
    async def polling(self, interval: float) -> AsyncIterator[None]:
        """Let every agent poll, their starts spread over one *interval*."""
        starts = (interval * place / len(self.agents) for place in range(len(self.agents)))
        tasks = [
            asyncio.create_task(agent.poll(interval, start))
            for agent, start in zip(self.agents, starts, strict=True)
        ]
        try:
            yield
        finally:
            await _ended(tasks)

    @asynccontextmanager
    async def following(self, timeout: float) -> AsyncIterator[None]:
        """Let every agent follow what it needs; entered once all have synced. Raises `SyncError`."""
        tasks = [asyncio.create_task(agent.follow(timeout)) for agent in self.agents]
        try:
            try:
                await asyncio.gather(*tasks)
            finally:
                await _ended(tasks)
            yield
        finally:
            await asyncio.gather(*(agent.unfollow() for agent in self.agents))

    async def __aenter__(self) -> Self:
        for agent in self.agents:
            await self._stack.enter_async_context(agent.client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(agent.client.close(timeout=1.0) for agent in self.agents))
        await self._stack.aclose()


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel *tasks* and wait until they are over; what one raised by itself is raised here."""
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
