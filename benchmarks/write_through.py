"""What it costs that caches show own writes at once: beside the write's own request, and in a cache of many
objects beside one of few.

Two fake API servers, each in a process of its own, hold few pods and many. A client of each follows its pods
with an index and a handler. Both write in turn, in one process, so that a noisy machine is noisy to both.
Timed is what `Client.patch`, `create` and `delete` do for it: before the request is sent, and from its answer
until the cache shows the result. What the watch brought before its answer came is not counted: there was
nothing to show.
"""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from statistics import median, quantiles
from typing import Final

from kresilient import verbs
from kresilient.api.objects import KubeObject
from kresilient.api.resources import Key, Resource
from kresilient.cache.events import Event
from kresilient.cache.informer import Informer
from kresilient.client import Client
from kresilient.decoding import object_written
from kresilient.transport.config import ClusterConfig
from kresilient.transport.http import HttpTransport
from kresilient.verbs import Write, WriteOptions
from kresilient.write_through import WriteThrough

from .process import BenchmarkFailed, Server
from .report import Options, Report, Row, progress

__all__ = ["run"]

FEW: Final = 300
_WRITES: Final = 100
_KINDS: Final = ("patch", "create", "delete")
_SAME: Final = 1.5
_SHARE: Final = 0.1
_SYNC: Final = 120.0
_ECHO: Final = 30.0
_PODS: Final = Resource.parse("v1/pods")
_PLAIN: Final = WriteOptions()


@dataclass(slots=True)
class Timed:
    """Microseconds of writes of one kind.

    Of a round: the median of what it took to show them, and the first decile of their requests, for a busy
    machine makes requests wait, and would flatter the share.
    """

    request: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)


def run(options: Options) -> Report:
    """Write round by round some hundred objects of each kind to both."""
    pods, rounds = options.pods_of(30_000), options.rounds_of(5)
    progress(f"seeding servers with {FEW:,} and {pods:,} pods …")
    with Server.seeded(FEW) as few, Server.seeded(pods) as many:
        return asyncio.run(_measure((few.url, FEW), (many.url, pods), rounds))


async def _measure(few: tuple[str, int], many: tuple[str, int], rounds: int) -> Report:
    async with AsyncExitStack() as stack:
        small, large = [await _Side.following(stack, url, pods) for url, pods in (few, many)]
        await _round(small, large)  # connections, and what is made once
        timed: tuple[dict[str, Timed], dict[str, Timed]] = (
            {kind: Timed() for kind in _KINDS},
            {kind: Timed() for kind in _KINDS},
        )
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}: {_WRITES} writes of each kind to both, in turn …")
            for into, found in zip(timed, await _round(small, large), strict=True):
                for kind, samples in found.items():
                    into[kind].request.append(quantiles(samples.request, n=10)[0])
                    into[kind].shown.append(median(samples.shown))
    return _report((FEW, many[1]), timed)


def _report(sizes: tuple[int, int], timed: tuple[dict[str, Timed], dict[str, Timed]]) -> Report:
    report = Report("write_through: what it costs to show own writes")
    for kind in _KINDS:
        for objects, samples in zip(sizes, timed, strict=True):
            for request, shown in zip(samples[kind].request, samples[kind].shown, strict=True):
                case = {"write": kind, "objects": objects}
                report.add(case, {"quick_request_us": request, "shown_us": shown})
    few, many = sizes
    in_few, in_many = timed
    for kind in _KINDS:
        ratios = [a / b for a, b in zip(in_many[kind].shown, in_few[kind].shown, strict=True)]
        report.rows.append(
            Row.of(f"a {kind} shown by {many:,} objects, in one shown by {few:,}", ratios, _SAME)
        )
    for kind in _KINDS:
        shares = [a / b for a, b in zip(in_many[kind].shown, in_many[kind].request, strict=True)]
        report.rows.append(Row.of(f"a {kind} shown, as a share of its own request", shares, _SHARE))
    return report


async def _round(small: _Side, large: _Side) -> tuple[dict[str, Timed], dict[str, Timed]]:
    found = ({kind: Timed() for kind in _KINDS}, {kind: Timed() for kind in _KINDS})
    sides = list(zip((small, large), found, strict=True))
    gc.collect()
    gc.disable()
    try:
        for number in range(_WRITES):
            for kind in _KINDS:
                for side, timed in sides if number % 2 else reversed(sides):
                    await side.write(kind, timed[kind])
    finally:
        gc.enable()
    for timed in found:
        for kind, samples in timed.items():
            if len(samples.shown) < _WRITES // 4:
                raise BenchmarkFailed(
                    f"of {_WRITES} writes ({kind}) the watch brought {_WRITES - len(samples.shown)} before "
                    "their answer came: too few are left to measure"
                )
    return found


class _Side:
    """A client that follows the pods of one server, and writes some of them."""

    def __init__(self, client: Client, informer: Informer[KubeObject]) -> None:
        self._client = client
        self._informer = informer
        self._through = WriteThrough(client.caches, wrote=lambda *_: None, observe=client.observers)
        keys = informer.keys()  # which are kept in order from now on
        self._keys = [keys[number * len(keys) // _WRITES] for number in range(_WRITES)]
        self._numbers = count()
        self._made: Key = ""

    @classmethod
    async def following(cls, stack: AsyncExitStack, url: str, pods: int) -> _Side:
        """A side on the server at *url*, once it holds all its *pods*; *stack* closes it."""
        client = await stack.enter_async_context(Client(HttpTransport(ClusterConfig(server=url)), qps=None))
        informer = await stack.enter_async_context(client.informer(_PODS, index=["spec.nodeName"]))
        await informer.synced(_SYNC)
        if len(informer) != pods:
            raise BenchmarkFailed(f"the cache holds {len(informer):,} pods, where the server has {pods:,}")
        handler = informer.add_handler(on_event=_heard)
        await handler.synced(_SYNC)
        return cls(client, informer)

    async def write(self, kind: str, timed: Timed) -> None:
        """One write of *kind*, shown by the cache; into *timed* if there was anything to show."""
        number = next(self._numbers)
        if kind == "patch":
            change = {"metadata": {"labels": {"bench": str(number)}}}
            key = self._keys[number % _WRITES]
            write = verbs.patch(_PODS, key, change, "merge", _PLAIN, force=False)
        elif kind == "create":
            spec = {"containers": [{"name": "c", "image": "i"}]}
            pod = {"metadata": {"name": f"bench-{number}", "namespace": "default"}, "spec": spec}
            self._made = f"default/bench-{number}"
            write = verbs.create(_PODS, pod, None, _PLAIN)
        else:
            write = verbs.delete(
                _PODS,
                self._made,
                uid=None,
                resource_version=None,
                propagation=None,
                grace_period=0,
                dry_run=False,
            )
        await self._timed(write, timed)

    async def _timed(self, write: Write, timed: Timed) -> None:
        stood = self._informer.resource_version
        begun = time.perf_counter()
        before = self._through.before(_PODS, write.key)
        sent = time.perf_counter()
        answer = await self._client.door.call(write.request, repeatable=write.repeatable)
        answered = time.perf_counter()
        written = object_written(answer, _PODS)
        behind = self._informer.resource_version == stood
        decoded = time.perf_counter()
        self._through.compare(before, write, written.resource_version)
        verb, key = write.request.verb, write.key
        await self._through.acknowledged(_PODS, verb, key, answer.body, before=before)
        shown = time.perf_counter()
        self._check(write, written)
        if behind:
            timed.request.append((answered - sent) * 1e6)
            timed.shown.append((sent - begun + shown - decoded) * 1e6)
        await self._caught_up(stood)

    def _check(self, write: Write, written: KubeObject) -> None:
        held = self._informer.get(write.key or written.key)
        if write.request.verb == "delete":
            right = held is None
        else:
            right = held is not None and held.resource_version == written.resource_version
        if not right:
            raise BenchmarkFailed(f"{write.request.what}: the cache shows {held!r}")

    async def _caught_up(self, stood: str) -> None:
        """Wait until the watch has brought what was written while the cache *stood* there."""
        try:
            async with asyncio.timeout(_ECHO):
                while self._informer.resource_version == stood:  # noqa: ASYNC110  # an echo delivers no event
                    await asyncio.sleep(0.0005)
        except TimeoutError:
            raise BenchmarkFailed(f"the watch brought nothing for {_ECHO:.0f} s") from None


def _heard(event: Event[KubeObject]) -> None:
    """A handler that has nothing to do."""
