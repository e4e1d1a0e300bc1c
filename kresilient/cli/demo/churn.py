"""Life in the demo's cluster: pods change, come and go, nodes report, services move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final

from ...api.errors import KresilientError
from ...client import Client
from .truth import NODES, PODS, SERVICES, Ledger

__all__ = ["Churn"]

_MIX: Final = {PODS: 14, NODES: 3, SERVICES: 1, "replace": 2}
"""Which writes, by weight. `replace` deletes a pod and creates another one on the same node."""


class Churn:
    """Writes at a steady rate, and enters each acknowledged write in the ledger. It never reads."""

    def __init__(self, client: Client, ledger: Ledger, template: dict[str, Any], random: Random) -> None:
        self.writes = 0
        self.failures = 0
        self._client = client
        self._ledger = ledger
        self._random = random
        self._labels = template["metadata"].get("labels") or {}
        self._spec = template["spec"]
        self._number = 0
        self._clock = asyncio.get_running_loop().time

    async def run(self, rate: float) -> None:
        """Write *rate* times a second until cancelled. Cancelled: one write may be left in flight."""
        due = self._clock()
        while True:
            due = max(due + 1.0 / rate, self._clock() - 1.0)  # catch up with a second at most
            await asyncio.sleep(due - self._clock())
            await self.step()

    async def burst(self, writes: int) -> None:
        """At least *writes* writes, one after the other, without a pause."""
        end = self.writes + writes
        while self.writes < end:
            await self.step()
            if self.failures > writes:
                return

    async def step(self) -> None:
        """One change; one that fails is counted, and what it concerns stays in flight."""
        kind = self._random.choices(list(_MIX), list(_MIX.values()))[0]
        try:
            if kind == "replace":
                await self._replace()
            else:
                await self._change(kind)
        except KresilientError:
            self.failures += 1

    async def _change(self, resource: str) -> None:
        key = self._any(resource)
        if key is None:
            return
        self._number += 1
        patch = {"metadata": {"annotations": {"demo.kresilient/change": str(self._number)}}}
        await self._written(resource, key, lambda: self._client.patch(resource, key, patch))

    async def _replace(self) -> None:
        key = self._any(PODS)
        if key is None:
            return
        node = self._ledger.node_of(PODS, key)
        self._ledger.in_flight.add((PODS, key))
        await self._client.delete(PODS, key, grace_period=0)
        self._ledger.deleted(PODS, key, self._clock())
        self._ledger.in_flight.discard((PODS, key))
        self.writes += 1
        self._number += 1
        namespace, name = key.partition("/")[0], f"churn-{self._number:06d}"
        pod = {
            "metadata": {"name": name, "namespace": namespace, "labels": self._labels},
            "spec": {**self._spec, "nodeName": node},
        }
        await self._written(PODS, f"{namespace}/{name}", lambda: self._client.create(PODS, pod), node=node)

    async def _written(self, resource: str, key: str, write: Callable[[], Any], *, node: str = "") -> None:
        self._ledger.in_flight.add((resource, key))
        obj = await write()
        self._ledger.written(resource, key, int(obj.resource_version), self._clock(), node=node)
        self._ledger.in_flight.discard((resource, key))
        self.writes += 1

    def _any(self, resource: str) -> str | None:
        places = [self._random.choice(self._ledger.keys(NODES))] if resource == PODS else [""]
        keys = [
            key
            for place in places
            for key in self._ledger.keys(resource, place)
            if self._ledger.alive(resource, key) and (resource, key) not in self._ledger.in_flight
        ]
        return self._random.choice(keys) if keys else None
