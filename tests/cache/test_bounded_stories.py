"""Whatever a server does, a read with a bound shows one state that was not over when it was asked for."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from kresilient.api.errors import StaleError
from kresilient.cache.timing import Timing
from kresilient.testing.server import Fault

from .world import World

pytestmark = pytest.mark.looptime

KIND = "v1/configmaps"
State = dict[str, str]


class Story:
    """One server that others write to and that misbehaves, and readers of two caches of it.

    `states` is what it has been, in order: a read that was asked for at `now` may show that or a later one.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.states: list[State] = []
        self.faults: list[Fault] = []
        self.shown = self.refused = 0
        self.noted()

    @property
    def now(self) -> int:
        return len(self.states) - 1

    def noted(self) -> None:
        there = self.world.server.objects(KIND)
        self.states.append({key: obj["metadata"]["resourceVersion"] for key, obj in there.items()})

    def step(self) -> None:
        server, choose = self.world.server, self.random
        match choose.randrange(12):
            case 0 | 1:
                server.create("v1/nodes", {"metadata": {"name": f"n{choose.random()}"}})
            case 2:
                self.faults.append(server.faults.next("watch", KIND).lag())
            case 3:
                self.faults.append(server.faults.on("watch", KIND).lag())
            case 4:
                self.faults.append(server.faults.next("list", KIND).delay(choose.uniform(0, 3)))
            case 5:
                self.faults.append(server.faults.next("watch", KIND).status(choose.choice([410, 503])))
            case 6 | 7 if self.faults:
                fault = self.faults.pop(choose.randrange(len(self.faults)))
                fault.lift()
                server.faults.remove(fault)
            case _:
                key = f"default/c{choose.randrange(4)}"
                if key not in self.states[-1]:
                    meta = {"name": key.split("/")[1], "namespace": "default", "labels": {"app": "web"}}
                    server.create(KIND, {"metadata": meta})
                elif choose.random() < 0.5:
                    label = {"metadata": {"labels": {"x": str(choose.random())}}}
                    server.patch(KIND, key, label)
                else:
                    server.delete(KIND, key)
                self.noted()

    async def read(self, cache: Any) -> None:
        fallback = self.random.choice([None, None, "live"])
        asked = self.now
        try:
            found = await cache.list(max_staleness=0, timeout=self.random.uniform(0.5, 6), fallback=fallback)
        except StaleError:
            self.refused += 1
            return
        self.shown += 1
        assert {obj.key: obj.resource_version for obj in found} in self.states[asked:]


@pytest.mark.parametrize("seed", range(12))
async def test_what_a_bound_allows_was_not_over_when_it_was_asked_for(world: World, seed: int) -> None:
    story = Story(world, seed)
    quick = Timing(stall=20, spread=1.0, backoff_cap=4.0)
    async with world.connect(timing=quick) as client:
        caches = [
            await client.informer(KIND, streaming=bool(seed % 2), **options).start()
            for options in ({}, {"label_selector": "app=web"})
        ]
        for cache in caches:
            await cache.synced(60)
        reads: set[asyncio.Task[None]] = set()
        for number in range(120):
            story.step()
            if number % 40 == 39:
                await world.server.restart(history=bool(number % 3))
            if story.random.random() < 0.5:
                reads.add(asyncio.create_task(story.read(story.random.choice(caches))))
            if story.random.random() < 0.6:
                await asyncio.sleep(story.random.choice([0, 0.01, 0.3, 1.5, 5.0]))
            for task in [task for task in reads if task.done()]:
                reads.remove(task)
                task.result()
        await asyncio.gather(*reads)
    assert story.shown > 10 and story.shown > story.refused / 4
