"""The outage: a cluster of nodes, a kill, a restart with nothing of its history, and who is right when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from ...api.errors import ConfigError
from ..server import MemoryApiServer
from .capacity import Capacity, Machine
from .measures import Measures
from .nodes import Agent, agent, node_name
from .policies import POLICIES, Policy
from .virtual_loop import run_virtual

__all__ = ["LEAD", "WINDOW", "OutageOptions", "simulate_outage"]

LEAD: Final = 30
"""Seconds of the steady state that are measured before the kill."""

WINDOW: Final = 30.0
"""Seconds over which an even spread would bring every informer back."""

_NODES: Final = 2_500
_SETTLED_AT: Final = 60.0
_PODS: Final = 3
_SERVICES: Final = 5
_CONFIGMAPS: Final = 3
_WRITES: Final = 10  # a second, in the steady state
_EPOCH: Final = 1_700_000_000.0
_CHECK_EVERY: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageOptions:
    """How large, and for how long at most.

    Attributes:
        nodes: each with three informers and a lease.
        seed: of every random draw; the same seed gives the same figures.
        limit: seconds from the server's first return after which a policy that has not recovered is given up.
        capacity: what the server's machine can bear in a cluster of 2,500 nodes; it is scaled to *nodes*, so
            that a small run shows what a large one would.
    """

    nodes: int = 2_500
    seed: int = 0
    limit: float = 300.0
    capacity: Capacity = field(default_factory=Capacity)

    def __post_init__(self) -> None:
        if self.nodes < 1 or not self.limit > 0:
            raise ConfigError(f"a simulation needs nodes >= 1 and limit > 0; got {self.nodes}, {self.limit}")


def simulate_outage(
    policy: str, options: OutageOptions, *, progress: Callable[[float, str], None] = lambda _at, _what: None
) -> Measures:
    """Run the outage under *policy* in virtual time and return what was measured.

    *progress* hears, each virtual second, the time and what goes on. Raises `ConfigError` for a policy that
    does not exist. Interrupted: it ends, with `KeyboardInterrupt`.
    """
    for one in POLICIES:
        if one.name == policy:
            return run_virtual(_World(one, options, progress).run())
    raise ConfigError(f"there is no policy {policy!r}; there are {', '.join(one.name for one in POLICIES)}")


class _World:
    def __init__(
        self, policy: Policy, options: OutageOptions, progress: Callable[[float, str], None]
    ) -> None:
        self._policy = policy
        self._options = options
        self._progress = progress
        self._random = Random(f"outage {options.seed}")
        self._changes = 0

    async def run(self) -> Measures:
        options, loop = self._options, asyncio.get_running_loop()
        self._server = server = MemoryApiServer(
            now=lambda: _EPOCH + loop.time(),
            random=Random(f"server {options.seed}"),
            streaming_list=False,  # as the servers that this happened to; whole lists are the harder case
            controllers=False,
        )
        self._fill()
        self._machine = machine = Machine(
            server, options.capacity.scaled(options.nodes / _NODES), on_return=self._change_all
        )
        agents: list[Agent] = []
        for number in range(options.nodes):
            node = node_name(number)
            random = Random(f"{options.seed} {node}")
            agents.append(agent(self._policy, node, server.transport(), machine, random))
        tasks = [loop.create_task(one.run()) for one in agents]
        try:
            await self._steady()
            killed = loop.time()
            machine.kill()
            right_at = await self._recovery(agents)
            return self._measured(killed, right_at)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await machine.close()
            await server.close()
            for task in tasks:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error

    # --- the cluster ---

    def _fill(self) -> None:
        for number in range(self._options.nodes):
            for index in range(_PODS):
                self._server.create("v1/pods", _pod(node_name(number), index))
        for index in range(_SERVICES):
            spec = {"ports": [{"port": 80}], "clusterIP": "None"}
            self._server.create("v1/services", {"metadata": _meta(f"s{index}"), "spec": spec})
        for index in range(_CONFIGMAPS):
            meta = {"name": f"c{index}", "namespace": "kube-system"}
            self._server.create("v1/configmaps", {"metadata": meta, "data": {"at": "0"}})

    def _change(self, resource: str, key: str) -> None:
        self._changes += 1
        patch = {"metadata": {"annotations": {"changed": str(self._changes)}}}
        self._server.patch(resource, key, patch)

    def _change_all(self) -> None:
        """Something of what each informer follows changes as the server returns: none is right by luck."""
        for number in range(self._options.nodes):
            self._change("v1/pods", f"default/{_pod_name(node_name(number), 0)}")
        self._change("v1/services", "default/s0")
        self._change("v1/configmaps", "kube-system/c0")

    async def _steady(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < _SETTLED_AT + LEAD:
            await asyncio.sleep(1.0)
            for _ in range(_WRITES):
                node = node_name(self._random.randrange(self._options.nodes))
                self._change("v1/pods", f"default/{_pod_name(node, self._random.randrange(_PODS))}")
            self._progress(loop.time(), "starting" if loop.time() < _SETTLED_AT else "steady")

    async def _recovery(self, agents: list[Agent]) -> float | None:
        """When every cache was right; None where that took too long."""
        loop, machine = asyncio.get_running_loop(), self._machine
        wrong = list(range(len(agents)))
        returns = 0
        truth: list[list[dict[str, str]]] = []
        while True:
            await asyncio.sleep(_CHECK_EVERY)
            if not machine.returns:
                self._progress(loop.time(), "down")
                continue
            if loop.time() - machine.returns[0] > self._options.limit:
                return None
            if len(machine.returns) != returns:  # it changed what everybody follows
                returns, truth, wrong = len(machine.returns), self._truth(), list(range(len(agents)))
            if machine.alive:
                wrong = [number for number in wrong if agents[number].caches() != truth[number]]
                if not wrong:
                    return loop.time()
            self._progress(loop.time(), f"{len(agents) - len(wrong)} of {len(agents)} nodes right")

    def _truth(self) -> list[list[dict[str, str]]]:
        """What each agent's informers should hold."""
        pods: dict[str, dict[str, str]] = {}
        for key, pod in self._server.objects("v1/pods").items():
            pods.setdefault(pod["spec"]["nodeName"], {})[key] = pod["metadata"]["resourceVersion"]
        services = _versions(self._server.objects("v1/services"))
        maps = _versions(self._server.objects("v1/configmaps"))
        maps = {key: version for key, version in maps.items() if key.startswith("kube-system/")}
        return [[pods[node_name(n)], services, maps] for n in range(self._options.nodes)]

    # --- the figures ---

    def _measured(self, killed: float, right_at: float | None) -> Measures:
        machine, options = self._machine, self._options
        end = right_at if right_at is not None else machine.returns[0] + options.limit
        back = machine.returns[0]
        informers = 3 * options.nodes
        return Measures(
            policy=self._policy.name,
            nodes=options.nodes,
            informers=informers,
            seed=options.seed,
            steady=machine.reached.between(killed - LEAD, killed) / LEAD,
            peak_attempts=machine.attempts.peak(killed, end),
            peak_reached=machine.reached.peak(back, end),
            peak_asked=machine.asked.peak(back, end),
            spent=machine.tried.between(killed, end),
            spent_in_all=machine.attempts.between(killed, end),
            kills=len(machine.kills) - 1,
            right_after=None if right_at is None else right_at - back,
            limit=options.limit,
            even=2 * informers / WINDOW,
            most_memory=machine.most_memory,
            turned_away=machine.turned_away,
            attempts=machine.attempts.per_second(killed - LEAD, end),
            reached=machine.reached.per_second(killed - LEAD, end),
            lead=LEAD,
        )


def _meta(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "default"}


def _pod_name(node: str, index: int) -> str:
    return f"{node}-{index}"


def _pod(node: str, index: int) -> dict[str, Any]:
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
    return {"metadata": _meta(_pod_name(node, index)), "spec": spec}


def _versions(objects: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {key: one["metadata"]["resourceVersion"] for key, one in objects.items()}
