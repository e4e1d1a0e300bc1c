"""The fake server answers as kube-apiserver 1.36 did: every recorded exchange, in order, in one server."""

from __future__ import annotations

import asyncio
from random import Random

import looptime
import pytest

from kresilient.testing.server import MemoryApiServer

from .comparison import Difference
from .differences import EVERYWHERE, HERE, covers
from .replay import TOKENS, Exchange, Replay, exchanges

NAMES = [one.name for one in exchanges()]


async def replayed() -> Replay:
    clock = asyncio.get_running_loop().time
    async with MemoryApiServer(
        strict_namespaces=True,
        controllers=False,
        sharding=True,
        authorization="rbac",
        token=TOKENS["admin (system:masters)"],
        random=Random(1),
        now=lambda: 1_795_285_079.0 + clock(),
    ) as server:
        limited = TOKENS["limited (agents, no rights)"]
        server.access.accept(limited, user="limited", uid="limited-uid", groups=["agents"])
        server.create("v1/namespaces", {"metadata": {"name": "rec"}})
        replay = Replay(server)
        await replay.run()
        return replay


@pytest.fixture(scope="module")
def replay() -> Replay:
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        return runner.run(replayed())


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_the_recorded_one(name: str, replay: Replay) -> None:
    wrong = unexplained(replay.by_name[name])
    assert not wrong, "\n".join(map(str, wrong))


def test_versions_rise_as_they_did(replay: Replay) -> None:
    assert not replay.learned.out_of_order()


def test_every_difference_that_is_listed_is_there(replay: Replay) -> None:
    found = {one.name: [each.path for each in one.differences] for one in replay.exchanges}
    everything = [path for paths in found.values() for path in paths]
    stale = [pattern for pattern in EVERYWHERE if not any(covers(pattern, path) for path in everything)]
    for name, patterns in HERE.items():
        stale += [f"{name}: {one}" for one in patterns if not any(covers(one, path) for path in found[name])]
    assert not stale, "listed in differences.py, yet as recorded: take it out there"


def unexplained(exchange: Exchange) -> list[Difference]:
    """What differs in *exchange* and is in no list."""
    patterns = [*EVERYWHERE, *HERE.get(exchange.name, ())]
    return [one for one in exchange.differences if not any(covers(each, one.path) for each in patterns)]
