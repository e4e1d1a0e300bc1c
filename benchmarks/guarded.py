"""What the guard measures: parts of the library, each beside a floor that is none of its code.

All of it happens in this process, on prepared bytes, in milliseconds a time: so it can be repeated often, and
the best of many is steady. A time is CPU time.
"""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiolimiter import AsyncLimiter

import kresilient as kr
from kresilient.api.wire import ListDecoder, WatchDecoder
from kresilient.flow.limiter import Limiter

from .prepared_server import Prepared
from .process import measured
from .replay import Replay, pieces

__all__ = ["Guarded", "guarded"]

_PODS: Final = 240
_EVENTS: Final = 720
_READS: Final = 20_000
_PASSES: Final = 5_000
_PLENTY: Final = 10**9
_PATIENCE: Final = 60.0
_LOADED: Final = ("kresilient.connection", "kresilient.transport.load", "kresilient.transport.http")

_QUICK: Final = 15
_COSTLY: Final = 4


@dataclass(frozen=True, slots=True)
class Guarded:
    """One part of the library and its floor, each measured by a call.

    Attributes:
        rounds: how often both are measured, in turn; what counts is the least of each.
        margin: how much more than recorded the ratio may be before it is a loss.
    """

    name: str
    ours: Callable[[], float]
    floor: Callable[[], float]
    rounds: int = _QUICK
    margin: float = 1.2


def guarded() -> list[Guarded]:
    """All that is guarded, on the same prepared pods."""
    prepared = Prepared(_PODS, _EVENTS)
    initial, events, body = pieces(prepared.initial), pieces(prepared.events), pieces([prepared.list])
    pods = [item for item in _list(body) if isinstance(item, kr.KubeObject)]
    raws = [pod.raw for pod in pods]

    def decoded() -> float:
        return _cpu(lambda: _headers(events))

    return [
        Guarded("a watch stream, cut and decoded", lambda: _cpu(lambda: _watch(events)), decoded),
        Guarded(
            "a list, cut and decoded",
            lambda: _cpu(lambda: _list(body)),
            lambda: _cpu(lambda: _of_list.decode(prepared.list)),
        ),
        Guarded(
            "an informer syncs", lambda: asyncio.run(_sync(initial)), lambda: _cpu(lambda: _headers(initial))
        ),
        Guarded("events to 1 handler", lambda: asyncio.run(_events(initial, events, 1)), decoded),
        Guarded("events to 10 handlers", lambda: asyncio.run(_events(initial, events, 10)), decoded),
        Guarded(
            "spec and status of an object",
            lambda: _cpu(lambda: [(pod["spec"], pod["status"]) for pod in pods]),
            lambda: _cpu(lambda: [_json.decode(raw) for raw in raws]),
        ),
        Guarded("get by key", lambda: asyncio.run(_get(initial)), lambda: _look_up(pods)),
        Guarded("30 by index", lambda: asyncio.run(_by_index(initial)), lambda: _filed(pods)),
        Guarded("a pass of the limiter", lambda: asyncio.run(_passes()), lambda: asyncio.run(_metered())),
        Guarded("import", lambda: _imported(*_LOADED), lambda: _imported("aiohttp"), _COSTLY),
        Guarded("memory of a synced informer", lambda: _held(initial), lambda: _received(raws), 1, 1.1),
        Guarded("peak of memory while it syncs", lambda: _peak(initial), lambda: _received(raws), 1, 1.1),
    ]


# --- floors -----------------------------------------------------------------------------------------------


class _Metadata(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None


class _Object(msgspec.Struct, rename="camel", gc=False):
    metadata: _Metadata
    kind: str = ""
    api_version: str = ""


class _Frame(msgspec.Struct, gc=False):
    type: str
    object: _Object


class _Items(msgspec.Struct, gc=False):
    items: list[_Object]


_json: Final = msgspec.json.Decoder()
_frame: Final = msgspec.json.Decoder(_Frame)
_of_list: Final = msgspec.json.Decoder(_Items)


def _headers(stream: Iterable[bytes]) -> list[_Frame]:
    """The header of each frame, decoded by msgspec alone."""
    return [_frame.decode(line) for line in b"".join(stream).splitlines()]


def _look_up(pods: list[kr.KubeObject]) -> float:
    """A dict is asked for each of its keys."""
    table = {pod.key: pod for pod in pods}
    keys = list(table) * (_READS // _PODS)
    return _cpu(lambda: _each(table.__getitem__, keys))


def _filed(pods: list[kr.KubeObject]) -> float:
    """The objects of each node, of a dict, by their sorted keys."""
    table = {pod.key: pod for pod in pods}
    by_node: dict[str, set[str]] = {}
    for key, pod in table.items():
        by_node.setdefault(pod["spec"]["nodeName"], set()).add(key)
    nodes = list(by_node) * (_READS // _PODS)
    return _cpu(lambda: _each(lambda node: [table[key] for key in sorted(by_node[node])], nodes))


async def _metered() -> float:
    meter = AsyncLimiter(_PLENTY, 1.0)
    with _measuring() as spent:
        for _ in range(_PASSES):
            await meter.acquire()
    return spent()


def _received(raws: list[bytes]) -> float:
    return sum(map(len, raws))


# --- the library ------------------------------------------------------------------------------------------


def _watch(stream: Iterable[bytes]) -> list[Any]:
    decoder = WatchDecoder()
    return [frame for piece in stream for frame in decoder.feed(piece)]


def _list(body: Iterable[bytes]) -> list[Any]:
    decoder = ListDecoder()
    items = [item for piece in body for item in decoder.feed(piece)]
    return items + decoder.close()[0]


async def _sync(initial: list[bytes]) -> float:
    async with kr.connect(Replay(initial), qps=None) as client:
        informer = client.informer("v1/pods", index=["spec.nodeName"])
        with _measuring() as spent:
            async with informer:
                await informer.synced(_PATIENCE)
    return spent()


async def _events(initial: list[bytes], events: list[bytes], handlers: int) -> float:
    replay = Replay(initial, events)
    left = _EVENTS * handlers
    done = asyncio.Event()

    def updated(old: kr.KubeObject, new: kr.KubeObject) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    async with kr.connect(replay, qps=None) as client, client.informer("v1/pods") as informer:
        for subscription in [informer.add_handler(on_update=updated) for _ in range(handlers)]:
            await subscription.synced(_PATIENCE)
        with _measuring() as spent:
            replay.go.set()
            async with asyncio.timeout(_PATIENCE):
                await done.wait()
    return spent()


async def _get(initial: list[bytes]) -> float:
    async with kr.connect(Replay(initial), qps=None) as client, client.informer("v1/pods") as informer:
        await informer.synced(_PATIENCE)
        keys = informer.keys() * (_READS // _PODS)
        return _cpu(lambda: _each(informer.get, keys))


async def _by_index(initial: list[bytes]) -> float:
    async with (
        kr.connect(Replay(initial), qps=None) as client,
        client.informer("v1/pods", index=["spec.nodeName"]) as informer,
    ):
        await informer.synced(_PATIENCE)
        nodes = list({pod["spec"]["nodeName"]: None for pod in informer.list()}) * (_READS // _PODS)
        return _cpu(lambda: _each(lambda node: informer.by_index("spec.nodeName", node), nodes))


async def _passes() -> float:
    limiter = Limiter(float(_PLENTY), _PLENTY)
    with _measuring() as spent:
        for _ in range(_PASSES):
            await limiter.acquire()
    return spent()


def _imported(*modules: str) -> float:
    found: float = measured("-m", "benchmarks.sides.imports", *modules, timeout=60)["cpu_s"]
    return found


# --- memory: bytes that Python allocated, the same in every run -------------------------------------------


def _held(initial: list[bytes]) -> float:
    return asyncio.run(_traced(initial))[0]


def _peak(initial: list[bytes]) -> float:
    return asyncio.run(_traced(initial))[1]


async def _traced(initial: list[bytes]) -> tuple[int, int]:
    async with kr.connect(Replay(initial), qps=None) as client:
        gc.collect()
        tracemalloc.start()
        try:
            async with client.informer("v1/pods", index=["spec.nodeName"]) as informer:
                await informer.synced(_PATIENCE)
                gc.collect()
                return tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()


# --- time -------------------------------------------------------------------------------------------------


@contextmanager
def _measuring() -> Iterator[Callable[[], float]]:
    gc.collect()
    found = 0.0
    begun = time.process_time()
    yield lambda: found
    found = time.process_time() - begun


def _each(read: Callable[[Any], object], arguments: Iterable[Any]) -> None:
    for argument in arguments:
        read(argument)


def _cpu(work: Callable[[], object]) -> float:
    with _measuring() as spent:
        kept = work()  # its end is no part of it
    del kept
    return spent()
