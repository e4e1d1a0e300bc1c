"""How clients go on after a failure: the policies that are set side by side, and the loop of those that are
not this library's.

Each is told in the words of its source. They differ in when they ask again and whether a watch or a list is
asked for; all share one honest list-and-watch loop.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec

from ...api.errors import ConnectFailed, ConnectionLost
from ...flow.backoff import Backoff
from ...transport.base import Request, Transport

__all__ = ["OURS", "POLICIES", "ListWatchLoop", "Policy", "Watched"]

OURS: Final = "kresilient"


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to go on.

    Attributes:
        name: as on the command line.
        says: what it does, for people.
        fixed: seconds before it asks again; None for the backoff of client-go.
        rewatches: whether a broken watch is asked for again at its version; else everything is listed again.
        honours_retry_after: whether a 429 with Retry-After is repeated after that time, up to ten times.
    """

    name: str
    says: str
    fixed: float | None = None
    rewatches: bool = False
    honours_retry_after: bool = False


POLICIES: Final = (
    Policy("unbounded", "list again at once (50 ms) after any failure: the old reflector", 0.05),
    Policy("fixed-1s", "list again a second after any failure", 1.0),
    Policy("fixed-5s", "list again five seconds after any failure", 5.0),
    Policy(
        "client-go",
        "each reflector by itself: 0.8 s doubling to 30 s, with as much again of jitter; "
        "a refused watch is asked for again at its version",
        None,
        rewatches=True,
        honours_retry_after=True,
    ),
    Policy(OURS, "this library: one probe a client, then spread over a window", None, rewatches=True),
)


@dataclass(frozen=True, slots=True)
class Watched:
    """What one informer follows."""

    resource: str
    path: str
    field_selector: str = ""
    namespace: str | None = None

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        return (("fieldSelector", self.field_selector),) if self.field_selector else ()


class _Meta(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class _Object(msgspec.Struct, gc=False):
    metadata: _Meta
    code: int = 0


class _List(msgspec.Struct):
    metadata: _Meta
    items: list[_Object]


class _Frame(msgspec.Struct):
    type: str
    object: _Object


_list_decoder: Final = msgspec.json.Decoder(_List)
_frame_decoder: Final = msgspec.json.Decoder(_Frame)


class _Failed(Exception):
    """The server answered with a failure."""

    def __init__(self, code: int, retry_after: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after


class ListWatchLoop:
    """One reflector of a policy: keeps `cache`, key -> resource version, as its loop lets it.

    It lists at version 0, the server's cache, and watches from there for 5 to 10 minutes at a time.
    """

    def __init__(self, policy: Policy, watched: Watched, transport: Transport, random: Random) -> None:
        self.cache: dict[str, str] = {}
        self._policy = policy
        self._watched = watched
        self._transport = transport
        self._random = random
        self._backoff: Backoff | None = None
        self._version = ""

    async def run(self) -> None:
        """Follow until cancelled."""
        self._backoff = Backoff(clock=asyncio.get_running_loop().time, random=self._random.random)
        while True:
            try:
                await self._list()
                await self._follow()
            except (ConnectFailed, ConnectionLost, _Failed):
                pass  # the policy says how long to wait, and then everything is listed again
            await self._wait()

    async def _follow(self) -> None:
        """Watch for as long as watches can go on; then the caller lists again."""
        while True:
            try:
                await self._watch()
            except ConnectFailed:
                if not self._policy.rewatches:
                    raise
                await self._wait()
            except (ConnectionLost, _Failed) as error:
                if not self._policy.rewatches or isinstance(error, _Failed):
                    raise

    async def _wait(self) -> None:
        if self._policy.fixed is not None:
            await asyncio.sleep(self._policy.fixed)
        else:
            assert self._backoff is not None
            await asyncio.sleep(self._backoff.delay())

    async def _list(self) -> None:
        query = (*self._watched.query, ("resourceVersion", self._version or "0"))
        if self._version:
            query += (("resourceVersionMatch", "NotOlderThan"),)
        response = await self._send("list", query, timeout=60.0)
        found = _list_decoder.decode(response)
        self.cache = {one.metadata.key: one.metadata.resource_version for one in found.items}
        self._version = found.metadata.resource_version
        self._healthy()

    async def _watch(self) -> None:
        lifetime = 300 + int(300 * self._random.random())
        query = (
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(lifetime)),
            *self._watched.query,
            ("resourceVersion", self._version),
        )
        try:
            response = await self._open("watch", query)
        except ConnectionLost:  # client-go goes on at the version only where the connection was refused
            raise _Failed(0) from None
        self._healthy()
        try:
            rest = b""
            async for chunk in response.chunks():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        self._apply(_frame_decoder.decode(line))
        finally:
            await response.close()

    def _apply(self, frame: _Frame) -> None:
        meta = frame.object.metadata
        if frame.type == "ERROR":
            raise _Failed(frame.object.code)
        if frame.type == "DELETED":
            self.cache.pop(meta.key, None)
        elif frame.type != "BOOKMARK":
            self.cache[meta.key] = meta.resource_version
        self._version = meta.resource_version

    def _healthy(self) -> None:
        if self._backoff is not None:
            self._backoff.healthy()

    async def _send(self, verb: str, query: tuple[tuple[str, str], ...], *, timeout: float) -> bytes:
        response = await self._open(verb, query, timeout=timeout)
        async with response:
            body: bytes = await response.read()
        return body

    async def _open(
        self, verb: str, query: tuple[tuple[str, str], ...], *, timeout: float | None = None
    ) -> Any:
        streaming = verb == "watch"
        request = Request(
            "GET",
            self._watched.path,
            query,
            {"Accept": "application/json"},
            verb=verb,
            resource=self._watched.resource,
            streaming=streaming,
            timeout=timeout,
        )
        for left in range(10, -1, -1):
            response = await self._transport.send(request)
            if response.status < 300:
                return response
            asked = response.headers.get("Retry-After")
            code = response.status
            await response.close()
            if code != 429 or asked is None or not left or not self._policy.honours_retry_after:
                raise _Failed(code)
            await asyncio.sleep(float(asked))
        raise AssertionError("unreachable")
