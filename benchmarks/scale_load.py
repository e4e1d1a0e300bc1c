"""The load on a server, one phase a process: `python -m benchmarks.scale_load PHASE URL [N …]`."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from statistics import quantiles
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp

from kresilient.testing.server.seed import node_name

from .process import BenchmarkFailed, end_with_stdin

CONCURRENCY = 8
PODS = "/api/v1/namespaces/{}/pods/{}"
FRAME = b'{"type":"MODIFIED","object":'
"""What an event begins with."""
STAMP = b'"bench":"'
MERGE = {"Content-Type": "application/merge-patch+json"}

Request = Callable[[aiohttp.ClientSession, int], Awaitable[None]]


# --- requests ----------------------------------------------------------------------------------------


async def requests(url: str, kind: str, count: int) -> dict[str, Any]:
    """*count* requests of *kind*, eight at a time; how many there were in a second."""
    async with aiohttp.ClientSession(url) as session:
        request = await _request(session, kind)
        numbers = iter(range(count))
        begun = time.perf_counter()

        async def work() -> None:
            for number in numbers:
                await request(session, number)

        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(work())
        return {"count": count, "per_s": count / (time.perf_counter() - begun)}


async def _request(session: aiohttp.ClientSession, kind: str) -> Request:
    """What one request of *kind* is."""

    async def ask(method: str, path: str, wanted: int = 200, **options: Any) -> bytes:
        async with session.request(method, path, **options) as answer:
            body = await answer.read()
            if answer.status != wanted:
                raise BenchmarkFailed(f"{method} {path} was answered with {answer.status}: {body[:200]!r}")
            return body

    if kind == "floor":

        async def floor(session: aiohttp.ClientSession, number: int) -> None:
            await ask("GET", "/")

        return floor
    paths = await _pods(session, 100)

    async def get(session: aiohttp.ClientSession, number: int) -> None:
        await ask("GET", paths[number % len(paths)])

    async def list_node(session: aiohttp.ClientSession, number: int) -> None:
        selector = f"spec.nodeName%3D{node_name(number % 2500)}"
        await ask("GET", f"/api/v1/pods?fieldSelector={selector}")

    async def create(session: aiohttp.ClientSession, number: int) -> None:
        spec = {"containers": [{"name": "c", "image": "i"}]}
        pod = {"metadata": {"generateName": "bench-"}, "spec": spec}
        await ask("POST", "/api/v1/namespaces/default/pods", 201, json=pod)

    async def patch(session: aiohttp.ClientSession, number: int) -> None:
        body = json.dumps({"metadata": {"labels": {"bench": str(number)}}})
        await ask("PATCH", paths[number % len(paths)], data=body, headers=MERGE)

    return {"get": get, "list by node": list_node, "create": create, "patch": patch}[kind]


async def _pods(session: aiohttp.ClientSession, nodes: int) -> list[str]:
    """The paths of the pods on the first *nodes* nodes."""
    paths = []
    for number in range(nodes):
        selector = f"spec.nodeName%3D{node_name(number)}"
        async with session.get(f"/api/v1/pods?fieldSelector={selector}") as answer:
            found = [item["metadata"] for item in (await answer.json())["items"]]
        paths += [PODS.format(one["namespace"], one["name"]) for one in found]
    if not paths:
        raise BenchmarkFailed("the server has no pods on these nodes")
    return paths


# --- watches -----------------------------------------------------------------------------------------


class Watches:
    """Many watches over bare sockets, which cost the client little: they count frames and look for stamps."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._arrived = asyncio.Event()
        self.frames = 0
        self.delays: list[float] = []

    async def open(self, path: str) -> None:
        """Begin to watch *path*, and read on until it is closed."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        self._writers.append(writer)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n".encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise BenchmarkFailed(f"a watch was answered with {status!r}")
        while (await reader.readline()).strip():
            pass
        self._tasks.append(asyncio.create_task(self._read(reader)))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        pending = b""
        while piece := await reader.read(1 << 18):
            now = time.perf_counter()
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                if FRAME not in line:  # what chunks begin and end with
                    continue
                self.frames += 1
                _, found, rest = line.partition(STAMP)
                if found:
                    self.delays.append(now - float(rest.partition(b'"')[0]))
            self._arrived.set()

    async def until(self, frames: int) -> None:
        """Wait until *frames* have come."""
        async with asyncio.timeout(60):
            while self.frames < frames:
                self._arrived.clear()
                await self._arrived.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.close()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def events(url: str, watchers: int, writes: int, everybody: bool) -> dict[str, Any]:
    """*writes* patches of pods on the first nodes, seen by *watchers* watches: each of a node of its own, or,
    for *everybody*, each of the same few objects, so that every watch sees every write."""
    watches = Watches(url)
    begun = time.perf_counter()
    async with aiohttp.ClientSession(url) as session:
        if everybody:
            path = "/api/v1/namespaces/default/configmaps"
            made = {"metadata": {"name": f"bench-{time.time_ns()}"}}
            async with session.post(path, json=made) as answer:
                version = (await answer.json())["metadata"]["resourceVersion"]
            paths = [f"{path}/{made['metadata']['name']}"]
            watched = [f"{path}?watch=1&resourceVersion={version}"] * watchers
        else:
            paths = await _pods(session, min(watchers, 25))
            async with session.get("/api/v1/namespaces/default/pods?limit=1") as answer:
                version = (await answer.json())["metadata"]["resourceVersion"]
            nodes = [quote(f"spec.nodeName={node_name(number)}") for number in range(watchers)]
            watched = [f"/api/v1/pods?watch=1&resourceVersion={version}&fieldSelector={one}" for one in nodes]
        try:
            for start in range(0, watchers, 100):
                await asyncio.gather(*map(watches.open, watched[start : start + 100]))
            opened = time.perf_counter() - begun
            begun = time.perf_counter()
            for number in range(writes):
                stamp = f"{time.perf_counter():.6f}"
                body = json.dumps({"metadata": {"labels": {"bench": stamp}}})
                path = paths[number % len(paths)]
                async with session.patch(path, data=body, headers=MERGE) as answer:
                    if answer.status != 200:
                        raise BenchmarkFailed(f"a patch was answered with {answer.status}")
            await watches.until(writes * (watchers if everybody else 1))
            seconds = time.perf_counter() - begun
        finally:
            await watches.close()
    cuts = quantiles([*watches.delays, *watches.delays], n=100)  # of one alone there are none
    return {
        "watchers": watchers,
        "open_s": opened,
        "writes": writes,
        "frames": watches.frames,
        "frames_per_s": watches.frames / seconds,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
    }


def main() -> None:
    with suppress(ValueError, OSError):  # each watch is a socket
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    phase, url, *numbers = sys.argv[1:]
    if phase == "requests":
        found = asyncio.run(requests(url, numbers[0], int(numbers[1])))
    else:
        found = asyncio.run(events(url, int(numbers[0]), int(numbers[1]), numbers[2] == "everybody"))
    print(json.dumps(found))


if __name__ == "__main__":
    end_with_stdin()
    main()
