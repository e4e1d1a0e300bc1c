"""The demo's API server: `kresilient fake-apiserver` in a process of its own, which can really be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from ..failures import CommandFailed
from ..fake_apiserver import LISTENING
from .truth import NODES, PODS, SERVICES, Identity, Snapshot

__all__ = ["ServerCounts", "ServerProcess"]

_START_LIMIT: Final = 20.0
_READS: Final = ("GET", "LIST", "WATCH")


class ServerProcess:
    """The server as a child process that keeps its objects in *directory* and its port across restarts.

    It holds the other end of its stdin, so it ends with this process, however that ends.
    """

    def __init__(self, directory: Path, *, pods: int, nodes: int, services: int) -> None:
        self.url = ""
        self._directory = directory
        self._seed = ("--seed-pods", f"{pods}", "--seed-nodes", f"{nodes}", "--seed-services", f"{services}")
        self._port = "0"
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it and wait until it listens. Raises `CommandFailed` with what it said where it does not."""
        log = self._directory / "server.log"
        with log.open("ab") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kresilient.cli", "fake-apiserver", "--exit-with-stdin"),
                *("--port", self._port, "--data", str(self._directory / "objects.jsonl"), *self._seed),
                stdin=PIPE,
                stdout=PIPE,
                stderr=stderr,
                start_new_session=True,  # a Ctrl-C is for the demo, which ends its server in its own time
            )
        assert self._process.stdout is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            line = await asyncio.wait_for(self._process.stdout.readline(), _START_LIMIT)
        text = line.decode("utf-8", "replace").strip()
        if not text.startswith(LISTENING):
            await self.kill()
            said = " ".join(log.read_text("utf-8", "replace").split())[-500:] or "nothing"
            raise CommandFailed(
                f"the demo's API server did not start within {_START_LIMIT:g} s; it said: {said}"
            )
        self.url = text.removeprefix(LISTENING)
        self._port = self.url.rpartition(":")[2]

    async def kill(self) -> None:
        """SIGKILL: what it had in memory is gone, and its connections with it. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()


class _Metadata(msgspec.Struct):
    name: str
    uid: str
    resourceVersion: str  # noqa: N815  # as the server spells it
    namespace: str = ""


class _Spec(msgspec.Struct):
    nodeName: str = ""  # noqa: N815


class _Item(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


class _List(msgspec.Struct):
    items: list[_Item]


_decoder = msgspec.json.Decoder(_List)
_RESOURCES: Final = (PODS, SERVICES, NODES)
_SAMPLE = re.compile(r"^apiserver_(request_total|longrunning_requests)\{(.*)\} (\d+)$", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class ServerCounts:
    """What the server says of itself: the reads it has answered to the agents, and the objects it holds.

    It asks over plain HTTP and shares no code with the caches that it judges. The agents' requests are those
    the server counted of GET, LIST and WATCH on pods, services and nodes, less the lists made here; the
    writer only writes, and scrapes count under their own path. The count goes on over a restart, as a
    Prometheus `increase` would; reads between the last scrape and a kill are lost to it.
    """

    def __init__(self, url: str) -> None:
        self._session = aiohttp.ClientSession(
            url,
            headers={"User-Agent": f"kresilient-demo-observer/{os.getpid()}"},
            timeout=aiohttp.ClientTimeout(total=10.0),
        )
        self._before = 0  # counted by processes that are gone
        self._last = 0
        self._own = 0

    async def agents_requests(self) -> int | None:
        """How many requests of the agents the server has answered so far; None while it cannot be asked."""
        text = await self._metrics()
        if text is None:
            return None
        # A watch is counted once it is over; one that runs was answered too.
        total = self._last = sum(_counts(text, "request_total")) + sum(_counts(text, "longrunning_requests"))
        return self._before + total - self._own

    async def watches(self) -> int:
        """How many watches the server serves now; 0 while it cannot be asked."""
        return sum(_counts(await self._metrics() or "", "longrunning_requests"))

    async def _metrics(self) -> str | None:
        try:
            async with self._session.get("/metrics") as answer:
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return None

    def restarted(self) -> None:
        """The server process is gone: the next one counts from 0."""
        self._before += self._last - self._own
        self._last = self._own = 0

    async def snapshot(self) -> Snapshot:
        """Everything the server holds, listed directly. Raises `CommandFailed` where it does not answer."""
        found: dict[str, list[_Item]] = {}
        for resource in _RESOURCES:
            try:
                async with self._session.get(f"/api/{resource}") as answer:
                    answer.raise_for_status()
                    found[resource] = _decoder.decode(await answer.read()).items
            except (aiohttp.ClientError, TimeoutError, ConnectionError, msgspec.DecodeError) as error:
                raise CommandFailed(f"the demo's API server does not list {resource}: {error!r}") from error
            self._own += 1
        snapshot = Snapshot()
        for resource, items in found.items():
            for item in items:
                meta = item.metadata
                key = f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
                node = item.spec.nodeName if resource == PODS else ""
                snapshot.add(resource, key, Identity(meta.uid, meta.resourceVersion), node=node)
        return snapshot

    async def close(self) -> None:
        await self._session.close()


def _counts(text: str, name: str) -> Iterator[int]:
    """The samples of *name* in *text* that are of reads of the demo's resources."""
    for found, labels, count in _SAMPLE.findall(text):
        said = dict(_LABEL.findall(labels))
        resource = "/".join(filter(None, (said["group"], said["version"], said["resource"])))
        if found == name and said["verb"] in _READS and resource in _RESOURCES:
            yield int(count)
