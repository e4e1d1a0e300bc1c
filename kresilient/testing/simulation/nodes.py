"""A node's agent in the simulation: three informers and a lease, by this library or by another policy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any, Final, Protocol

from ...api.errors import ConnectFailed, ConnectionLost, KresilientError
from ...api.objects import KubeObject
from ...cache.informer import Informer
from ...client import Client
from ...transport.base import Request, Response
from ..server.memory import MemoryTransport
from .capacity import LEASES, Machine
from .policies import OURS, ListWatchLoop, Policy, Watched

__all__ = ["Agent", "LibraryAgent", "LoopAgent", "agent", "node_name", "watched_by"]

RENEW_EVERY: Final = 10.0
"""Seconds from one renewal of a node's lease to the next, the kubelet's (`nodeLeaseDurationSeconds` / 4)."""

_RENEW_JITTER: Final = 0.04

START_WITHIN: Final = 30.0
"""Seconds over which the agents start, whatever their policy: this is about the outage."""


class Agent(Protocol):
    """What the world knows of a node."""

    async def run(self) -> None:
        """Follow until cancelled."""

    def caches(self) -> list[Mapping[str, str]]:
        """What each informer holds now: key -> resource version."""


def node_name(number: int) -> str:
    return f"node-{number:05d}"


def watched_by(node: str) -> tuple[Watched, ...]:
    """What the agent of *node* follows: its pods, all services, and the configuration in one namespace."""
    return (
        Watched("v1/pods", "/api/v1/pods", f"spec.nodeName={node}"),
        Watched("v1/services", "/api/v1/services"),
        Watched("v1/configmaps", "/api/v1/namespaces/kube-system/configmaps", namespace="kube-system"),
    )


def agent(policy: Policy, node: str, inner: MemoryTransport, machine: Machine, random: Random) -> Agent:
    """The agent of *node* that goes by *policy*."""
    way = _Way(node, inner, machine, again_after=policy.fixed)
    return LibraryAgent(node, way, random) if policy.name == OURS else LoopAgent(policy, node, way, random)


class _Way:
    """A `Transport` that leads through the machine."""

    def __init__(
        self, node: str, inner: MemoryTransport, machine: Machine, *, again_after: float | None = None
    ) -> None:
        self._node = node
        self._inner = inner
        self._machine = machine
        self._again_after = again_after

    @property
    def server(self) -> str:
        """Of its own: each node stands for a process, which shares nothing with the others."""
        return f"{self._inner.server}/{self._node}"

    async def send(self, request: Request) -> Response:
        return await self._machine.reach(
            request, lambda: self._inner.send(request), again_after=self._again_after
        )

    async def close(self) -> None:
        await self._inner.close()


class LibraryAgent:
    """The library, with its defaults: nothing in it knows that it is a simulation."""

    def __init__(self, node: str, way: _Way, random: Random) -> None:
        self._node = node
        self._client = Client(way, random=random.random, start_jitter=START_WITHIN)
        self._random = random
        self._informers: list[Informer[KubeObject]] = []

    async def run(self) -> None:
        async with self._client as client:
            for watched in watched_by(self._node):
                informer = client.informer(
                    watched.resource,
                    namespaces=watched.namespace,
                    field_selector=watched.field_selector or None,
                )
                self._informers.append(await informer.start())
            await _renewing(self._renew, self._random)

    async def _renew(self) -> None:
        with contextlib.suppress(KresilientError):  # the next period brings the next one
            await self._client.update(LEASES, lease(self._node))

    def caches(self) -> list[Mapping[str, str]]:
        return [
            {one.key: one.resource_version for one in informer.list()} if informer.has_synced else {}
            for informer in self._informers
        ]


class LoopAgent:
    """Three loops of another policy, and a renewal that goes by it too."""

    def __init__(self, policy: Policy, node: str, way: _Way, random: Random) -> None:
        self._policy = policy
        self._node = node
        self._way = way
        self._random = random
        self._loops = [ListWatchLoop(policy, watched, way, random) for watched in watched_by(node)]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_renewing(self._renew, self._random))
            for loop in self._loops:
                tasks.create_task(_later(START_WITHIN * self._random.random(), loop.run()))

    async def _renew(self) -> None:
        request = Request(
            "PUT",
            f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self._node}",
            body=b"{}",
            verb="update",
            resource=LEASES,
        )
        failures = 0
        while True:
            try:
                response = await self._way.send(request)
                await response.close()
                if response.status < 300:
                    return
            except (ConnectFailed, ConnectionLost):
                pass
            # The kubelet's backoff for its lease is 0.2 s, doubling to 7 s (pkg/kubelet/nodelease).
            backoff = min(7.0, 0.2 * 2.0 ** min(failures, 10))
            failures += 1
            await asyncio.sleep(backoff if self._policy.fixed is None else self._policy.fixed)

    def caches(self) -> list[Mapping[str, str]]:
        return [loop.cache for loop in self._loops]


def lease(node: str) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": node, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": node},
    }


async def _later(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    try:
        await asyncio.sleep(seconds)
    except BaseException:
        work.close()
        raise
    await work


async def _renewing(renew: Callable[[], Coroutine[Any, Any, None]], random: Random) -> None:
    """Renew each period, counted from the end of the last renewal and with a little jitter: the kubelet's
    `wait.JitterUntil` (component-helpers, apimachinery/lease)."""
    await asyncio.sleep(RENEW_EVERY * random.random())
    while True:
        await renew()
        await asyncio.sleep(RENEW_EVERY * (1.0 + _RENEW_JITTER * random.random()))
