"""What an API server can bear: a machine with cores and memory around the in-memory server.

The server itself answers; the machine decides when, and whether it lives. Its figures are declared, once for
all policies, and each is explained in `docs/outage.md`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

from ...api.errors import ConnectFailed, ConnectionLost
from ...transport.base import Request, Response
from ..server import MemoryApiServer
from .measures import Timeline

__all__ = ["LEASES", "Canned", "Capacity", "Machine"]

LEASES: Final = "coordination.k8s.io/v1/leases"
"""Renewals are load, but nobody here reads a lease: they are answered by the machine."""

MIB: Final = 1 << 20
GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The figures of the machine.

    Attributes:
        cores: requests that are worked on at once; others that are in flight wait for one.
        in_flight: requests admitted at once (`--max-requests-inflight` and its mutating sibling, together).
        queue: requests that wait for admission; one more is answered with 429.
        queue_timeout: seconds after which a waiting request is answered with 429.
        memory: bytes above which the kernel kills the server.
        base: bytes that it holds in any case: its own, and its caches of the cluster.
        queued: bytes that a waiting request holds (connection, TLS, goroutines).
        list_bytes: the size of the JSON of one informer's list, by resource.
        list_factor: bytes of memory for each byte of a list in flight: decoded, encoded, compressed.
        list_rate: bytes of a list that one core makes in a second.
        watch_cost, write_cost: seconds of a core that the start of a watch and a small write take.
        round_trip: seconds between client and server and back.
        refused: seconds that an attempt to connect takes where nothing listens.
        down: seconds from a kill until the server listens again.
    """

    cores: int = 32
    in_flight: int = 600
    queue: int = 6_000
    queue_timeout: float = 15.0
    memory: float = 16.0 * GIB
    base: float = 6.0 * GIB
    queued: float = 0.1 * MIB
    list_bytes: tuple[tuple[str, float], ...] = (
        ("v1/pods", 0.3 * MIB),
        ("v1/services", 7.5 * MIB),
        ("v1/configmaps", 4.0 * MIB),
    )
    list_factor: float = 5.0
    list_rate: float = 80.0 * MIB
    watch_cost: float = 0.002
    write_cost: float = 0.004
    round_trip: float = 0.005
    refused: float = 0.1
    down: float = 30.0

    def scaled(self, share: float) -> Capacity:
        """The machine of a cluster of *share* times the size: cores, places and the memory above `base`.

        None is smaller than a fiftieth: a list of the whole cluster has to fit in.
        """
        share = max(share, 0.02)
        return replace(
            self,
            cores=max(1, round(self.cores * share)),
            in_flight=max(1, round(self.in_flight * share)),
            queue=max(1, round(self.queue * share)),
            memory=self.base + (self.memory - self.base) * share,
        )


class Canned:
    """A small answer that needs no server: a `Response`."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.wire_bytes = 0
        self._body = body

    async def read(self, limit: int | None = None) -> bytes:
        return self._body[:limit]

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


_TOO_MANY: Final = (
    b"Too many requests, please try again later.\n"  # plain text, as priority and fairness has it
)
_JSON: Final = MappingProxyType({"Content-Type": "application/json"})


@dataclass(slots=True, eq=False)
class _Job:
    """One request on the machine."""

    memory: float
    work: float
    done: asyncio.Future[bool]  # True: served; False: sent away
    admitted: bool = False
    expiry: asyncio.TimerHandle | None = None


class Machine:
    """The machine that *server* runs on, and the record of what reached it.

    Args:
        server: killed when memory runs out, and started again after `capacity.down` seconds with nothing of
            its history: a watch from before answers 410.
        capacity: what it can bear.
        on_return: called when the server listens again, before anybody reaches it.
    """

    def __init__(
        self, server: MemoryApiServer, capacity: Capacity, *, on_return: Callable[[], None] = lambda: None
    ) -> None:
        self.server = server
        self.capacity = capacity
        self.attempts = Timeline()
        """Every attempt to reach it."""
        self.tried = Timeline()
        """Of these, those of informers: lists and watches."""
        self.reached = Timeline()
        """Those that came while it was alive."""
        self.asked = Timeline()
        """Of these, those of informers."""
        self.kills: list[float] = []
        self.returns: list[float] = []
        self.most_memory = 0.0
        self.turned_away = 0
        self._on_return = on_return
        self._sizes = dict(capacity.list_bytes)
        self._alive = True
        self._memory = capacity.base
        self._running = 0
        self._queue: deque[_Job] = deque()
        self._jobs: dict[_Job, None] = {}  # in the order they came: a set's order is that of addresses
        self._cores = [0.0] * capacity.cores
        self._restart: asyncio.Task[None] | None = None
        self._returned = asyncio.Event()

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def memory(self) -> float:
        """Bytes in use."""
        return self._memory

    async def reach(
        self, request: Request, send: Callable[[], Any], *, again_after: float | None = None
    ) -> Response:
        """Carry *request* to the server and back; *send* is the server's part, done after the work on it.

        *again_after*: where a client repeats what is refused so many seconds later, whatever happens, its
        attempts are counted and not acted out: this returns with the first one that finds the server.

        Raises `ConnectFailed` where nothing listens and `ConnectionLost` where it is killed meanwhile.
        Cancelled: the work that has begun is done all the same, as a server does not notice at once.
        """
        loop = asyncio.get_running_loop()
        if again_after is not None and not self._alive:
            await self._sit_out(request, self.capacity.refused + again_after)
        self.attempts.count(loop.time())
        if request.resource != LEASES:
            self.tried.count(loop.time())
        if not self._alive:
            await asyncio.sleep(self.capacity.refused)
            if not self._alive:
                raise ConnectFailed(f"{request.what}: connection refused")
        await asyncio.sleep(self.capacity.round_trip)
        if not self._alive:
            raise ConnectFailed(f"{request.what}: connection refused")
        self.reached.count(loop.time())
        if request.resource != LEASES:
            self.asked.count(loop.time())
        job = _Job(*self._cost(request), loop.create_future())
        self._arrive(job)
        if not await job.done:
            self.turned_away += 1
            return Canned(429, _TOO_MANY, {"Content-Type": "text/plain", "Retry-After": "1"})
        if request.resource == LEASES:
            return Canned(200, request.body or b"{}", _JSON)
        response: Response = await send()
        return response

    def kill(self) -> None:
        """The kernel kills the server: what is in flight or queued is lost, watches break."""
        if not self._alive:
            return
        loop = asyncio.get_running_loop()
        self._alive = False
        self._returned.clear()
        self.kills.append(loop.time())
        jobs, self._jobs = self._jobs, {}
        self._queue.clear()
        self._running, self._memory = 0, self.capacity.base
        for job in jobs:
            if job.expiry is not None:
                job.expiry.cancel()
            if not job.done.done():
                job.done.set_exception(ConnectionLost("the server was killed"))
        self._cores = [0.0] * self.capacity.cores
        self._restart = loop.create_task(self._come_back())

    async def _sit_out(self, request: Request, period: float) -> None:
        """Until the moment of the first attempt that would find a server, if there is one each *period*."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._alive:
            await self._returned.wait()
            now = loop.time()
            if request.resource != LEASES:
                self.tried.count_each(due, period, now)
            due = self.attempts.count_each(due, period, now)
            await asyncio.sleep(due - now)

    async def close(self) -> None:
        """Come back no more."""
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.wait([self._restart])

    async def _come_back(self) -> None:
        await self.server.kill()
        await asyncio.sleep(self.capacity.down)
        self.server.compact()
        self._on_return()
        await self.server.start()
        self._alive = True
        self._returned.set()
        self.returns.append(asyncio.get_running_loop().time())

    # --- one request ---

    def _cost(self, request: Request) -> tuple[float, float]:
        """Bytes of memory while it is in flight, and seconds of a core."""
        capacity = self.capacity
        listed = request.verb == "list" or ("sendInitialEvents", "true") in request.query
        if listed:
            size = self._sizes.get(request.resource, 0.1 * MIB)
            return capacity.queued + size * capacity.list_factor, size / capacity.list_rate
        work = capacity.watch_cost if request.verb in ("get", "watch") else capacity.write_cost
        return capacity.queued, work

    def _arrive(self, job: _Job) -> None:
        self._jobs[job] = None
        if self._running < self.capacity.in_flight:
            self._admit(job)
        elif len(self._queue) < self.capacity.queue:
            self._hold(self.capacity.queued)
            self._queue.append(job)
            loop = asyncio.get_running_loop()
            job.expiry = loop.call_later(self.capacity.queue_timeout, self._send_away, job)
        else:
            self._jobs.pop(job, None)
            job.done.set_result(False)

    def _admit(self, job: _Job) -> None:
        job.admitted = True
        self._running += 1
        loop = asyncio.get_running_loop()
        core = max(heapq.heappop(self._cores), loop.time()) + job.work
        heapq.heappush(self._cores, core)
        loop.call_at(core, self._served, job)
        self._hold(job.memory)

    def _served(self, job: _Job) -> None:
        if job not in self._jobs:  # it was killed with the server
            return
        self._jobs.pop(job, None)
        self._memory -= job.memory
        self._running -= 1
        if not job.done.done():
            job.done.set_result(True)
        while self._queue and self._running < self.capacity.in_flight:
            following = self._queue.popleft()
            if following in self._jobs:
                self._memory -= self.capacity.queued
                if following.expiry is not None:
                    following.expiry.cancel()
                self._admit(following)

    def _send_away(self, job: _Job) -> None:
        if job in self._jobs and not job.admitted:
            self._jobs.pop(job, None)
            self._queue.remove(job)
            self._memory -= self.capacity.queued
            if not job.done.done():
                job.done.set_result(False)

    def _hold(self, size: float) -> None:
        self._memory += size
        self.most_memory = max(self.most_memory, self._memory)
        if self._memory > self.capacity.memory:
            self.kill()
