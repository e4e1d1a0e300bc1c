"""What a read from the cache costs: by key beside a dict, by index beside what it finds and what is held.

Two fake API servers, each in a process of its own, hold few pods and many, about 30 on each node. A client of
each follows its pods; both are read in turn, in one process, by CPU time.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from random import Random
from typing import Any, Final

import kresilient as kr

from .process import BenchmarkFailed, Server
from .report import Options, Report, Row, progress

__all__ = ["run"]

_PER_NODE: Final = 30
_FEW: Final = 100 * _PER_NODE
_SYNC: Final = 120.0
_NODES: Final = 20
_READS: Final = 20_000
_INDEX_READS: Final = 400
_SELECTOR: Final = "app.kubernetes.io/name=web"

_GET_LIMIT: Final = 10.0
_SAME: Final = 1.25
_TWICE: Final = 2.3


def run(options: Options) -> Report:
    """Read round by round from a cache of few pods and from one of many."""
    rounds = options.rounds_of(9, quick=3)
    few, many = (300, options.pods_of(3000)) if options.quick else (_FEW, options.pods_of(30_000))
    progress(f"seeding servers with {few:,} and {many:,} pods …")
    with Server.seeded(few) as small, Server.seeded(many) as large:
        return asyncio.run(_measure({few: small.url, many: large.url}, rounds))


async def _measure(servers: dict[int, str], rounds: int) -> Report:
    report = Report("reads: from the cache, CPU time of each")
    async with AsyncExitStack() as stack:
        caches = {pods: await _cache(stack, url, pods) for pods, url in servers.items()}
        few, many = caches
        reads = {pods: _Reads(informer, pods) for pods, informer in caches.items()}
        gc.collect()
        gc.freeze()
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            for pods, cache in reads.items():
                for name, microseconds in cache.round():
                    report.add({"read": name, "of": pods}, {"cpu_us": microseconds})
    report.rows = _rows(report, few, many)
    return report


async def _cache(stack: AsyncExitStack, url: str, pods: int) -> kr.Informer[kr.KubeObject]:
    client = await stack.enter_async_context(kr.connect(server=url, qps=None))
    index: dict[str, Any] = {"node": "spec.nodeName", "two nodes": _two_nodes}
    informer = await stack.enter_async_context(client.informer("v1/pods", index=index))
    await informer.synced(_SYNC)
    if len(informer) != pods:
        raise BenchmarkFailed(f"the cache holds {len(informer):,} pods, where the server has {pods:,}")
    return informer


def _two_nodes(pod: kr.KubeObject) -> Iterable[int]:
    """Files the pods of two neighbouring nodes under one number."""
    yield _pair(pod.field("spec.nodeName"))


def _pair(node: str) -> int:
    return int(node.rpartition("-")[2]) // 2


class _Reads:
    """What is read of one cache: of a few nodes again and again, or of any.

    The few are as many in each cache, so that the processor's own caches hold as much of what is read: else
    their misses would tell 30,000 pods from 3,000, as they do in a dict.
    """

    def __init__(self, informer: kr.Informer[kr.KubeObject], pods: int) -> None:
        random = Random(0)
        self._informer = informer
        self._table = {pod.key: pod for pod in informer.list()}
        nodes = sorted({pod["spec"]["nodeName"] for pod in self._table.values()})
        few = nodes[:_NODES]
        self._keys = random.choices(informer.keys(), k=_READS)
        self._few_keys = random.choices(
            [pod.key for node in few for pod in informer.by_index("node", node)], k=_READS
        )
        self._nodes = random.choices(few, k=_INDEX_READS)
        self._pairs = [_pair(node) for node in self._nodes]
        for found, wanted in (
            (informer.by_index("node", self._nodes[0]), _PER_NODE),
            (informer.by_index("two nodes", self._pairs[0]), 2 * _PER_NODE),
        ):
            if len(found) != wanted:
                raise BenchmarkFailed(f"{len(found)} pods were found by index, where there are {wanted}")

    def round(self) -> Iterable[tuple[str, float]]:
        """Each kind of read once around; what one took, in microseconds."""
        table, informer = self._table, self._informer
        yield "dict look-up", _timed(table.__getitem__, self._few_keys)
        yield "get by key", _timed(informer.get, self._few_keys)
        yield "dict look-up, of any", _timed(table.__getitem__, self._keys)
        yield "get by key, of any", _timed(informer.get, self._keys)
        yield "by index, 30 found", _timed(lambda node: informer.by_index("node", node), self._nodes)
        yield "by index, 60 found", _timed(lambda pair: informer.by_index("two nodes", pair), self._pairs)
        yield "list by selector", _timed(lambda text: informer.list(label_selector=text), [_SELECTOR] * 2)
        yield "list of all", _timed(lambda _: informer.list(), [None] * 2)


def _timed(read: Callable[[Any], object], arguments: list[Any]) -> float:
    begun = time.process_time()
    for argument in arguments:
        read(argument)
    return (time.process_time() - begun) / len(arguments) * 1e6


def _rows(report: Report, few: int, many: int) -> list[Row]:
    def ratios(one: tuple[str, int], other: tuple[str, int]) -> list[float]:
        above, below = (report.samples("cpu_us", read=read, of=of) for read, of in (one, other))
        return [mine / its for mine, its in zip(above, below, strict=True)]

    thirty, sixty, get, look_up = "by index, 30 found", "by index, 60 found", "get by key", "dict look-up"
    return [
        Row.of(
            f"get by key, of {many:,}, in dict look-ups", ratios((get, many), (look_up, many)), _GET_LIMIT
        ),
        Row.of(f"by index 30 of {many:,}, in 30 of {few:,}", ratios((thirty, many), (thirty, few)), _SAME),
        Row.of(f"by index 60 of {many:,}, in 30 of them", ratios((sixty, many), (thirty, many)), _TWICE),
    ]
