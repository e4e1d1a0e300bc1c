"""Makes the recorded requests of a fake server, in order, in virtual time; see `recorded/README.md`."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.requests import Call

from .comparison import Difference, Learned, compare

__all__ = ["ADMIN", "LIMITED", "TOKENS", "Exchange", "Replay", "exchanges"]

RECORDED: Final = Path(__file__).parent / "recorded"
CONFIGMAPS: Final = "/api/v1/namespaces/rec/configmaps"
USER_AGENT: Final = "Python/3.13 aiohttp/3.14"
ADMIN: Final = "admin (system:masters)"
LIMITED: Final = "limited (agents, no rights)"
TOKENS: Final = {
    ADMIN: "admin-token",
    LIMITED: "limited-token",
    "invalid token": "invalid-token",
    "none": "",
}
ABBREVIATED: Final = {
    "<data of 1,100,000 characters>": {"metadata": {"name": "big"}, "data": {"k": "x" * 1_100_000}},
    "<data of 3,200,000 characters>": {"metadata": {"name": "big"}, "data": {"k": "x" * 3_200_000}},
}
W1: Final = f"{CONFIGMAPS}/w1"
WRITTEN_MEANWHILE: Final = {
    "06 add, change, leave the selector, come back, delete": [
        ("POST", CONFIGMAPS, {"metadata": {"name": "w1", "labels": {"app": "l"}}}),
        ("PATCH", W1, {"data": {"a": "b"}}),
        ("PATCH", W1, {"metadata": {"labels": {"app": "other"}}}),
        ("PATCH", W1, {"metadata": {"labels": {"app": "l"}}}),
        ("DELETE", W1, None),
    ]
}
"""What was written while a watch ran, by the exchange of the watch."""
STARTED_BEFORE: Final = {"08 delete the definition": "08 watch while the definition is deleted"}
"""Watches that ran while another recorded request was made."""
MISSING: Final = {
    "05 by label": [
        ("POST", CONFIGMAPS, {"metadata": {"name": f"l{i}", "labels": {"app": "l", "i": str(i)}}})
        for i in range(7)
    ]
}
"""Requests that were made before an exchange and are not recorded."""


@dataclass(slots=True)
class Exchange:
    """One recorded request with its answer; `name` is the number of its file and its title."""

    name: str
    request: dict[str, Any]
    response: dict[str, Any]
    differences: list[Difference] = field(default_factory=list)


def exchanges() -> list[Exchange]:
    """Everything recorded, in order. Titles that a file has more than once are counted: `create (2)`."""
    found = []
    for path in sorted(RECORDED.glob("*.json")):
        seen: Counter[str] = Counter()
        for one in json.loads(path.read_text()):
            seen[one["title"]] += 1
            count = f" ({seen[one['title']]})" if seen[one["title"]] > 1 else ""
            found.append(Exchange(f"{path.name[:2]} {one['title']}{count}", one["request"], one["response"]))
    return found


class Replay:
    """All exchanges against one server; each gets its differences."""

    def __init__(self, server: MemoryApiServer) -> None:
        self.exchanges = exchanges()
        self.by_name = {one.name: one for one in self.exchanges}
        self.learned = Learned()
        self._server = server
        self._running: dict[str, asyncio.Task[Any]] = {}

    async def run(self) -> None:
        for exchange in self.exchanges:
            for method, path, body in MISSING.get(exchange.name, ()):
                await self._write(method, path, body)
            if exchange.name in STARTED_BEFORE:
                watch = self.by_name[STARTED_BEFORE[exchange.name]]
                self._running[watch.name] = await self._begin(watch)
            task = self._running.pop(exchange.name, None) or await self._begin(exchange)
            for method, path, body in WRITTEN_MEANWHILE.get(exchange.name, ()):
                await self._write(method, path, body)
            exchange.differences = self._compare(exchange, *await task)

    async def _begin(self, exchange: Exchange) -> asyncio.Task[tuple[int, dict[str, str], Any]]:
        """Send the request; a watch runs once this returns."""
        request = exchange.request
        headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
        body = request.get("body_text")
        if body is None and "body" in request:
            given = request["body"]
            body = json.dumps(ABBREVIATED[given] if isinstance(given, str) else self.learned.now(given))
            headers.setdefault("content-type", "application/json")
        if token := TOKENS[request.get("user", ADMIN)]:
            headers["authorization"] = f"Bearer {token}"
        call = self._call(request["method"], request["path"], headers, body or "")
        started = asyncio.Event()
        task = asyncio.create_task(self._ask(call, started, lines="events" in exchange.response))
        await started.wait()
        return task

    def _call(self, method: str, path: str, headers: dict[str, str], body: str) -> Call:
        parts = urlsplit(self.learned.now(path))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {"accept": "application/json", "user-agent": USER_AGENT, **headers}
        return Call(method, parts.path, query, headers, body.encode())

    async def _ask(
        self, call: Call, started: asyncio.Event, *, lines: bool
    ) -> tuple[int, dict[str, str], Any]:
        try:
            async with self._answered(call) as (status, headers, chunks):
                started.set()
                data = b"".join([piece async for piece in chunks])
        finally:
            started.set()
        answer = [_parsed(line) for line in data.splitlines()] if lines else _parsed(data)
        return status, headers, answer

    @asynccontextmanager
    async def _answered(self, call: Call) -> AsyncIterator[tuple[int, dict[str, str], AsyncIterator[bytes]]]:
        reply = await self._server.exchange(call)
        try:
            yield reply.status, reply.headers, reply.chunks
        finally:
            await reply.chunks.aclose()
            reply.finish()

    async def _write(self, method: str, path: str, body: Any) -> None:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        token = TOKENS[ADMIN]
        headers = {"content-type": kind, "authorization": f"Bearer {token}"}
        call = self._call(method, path, headers, "" if body is None else json.dumps(body))
        async with self._answered(call) as (status, _, chunks):
            answer = b"".join([piece async for piece in chunks])
            assert status < 300, f"{method} {path}: {status} {answer.decode()}"

    def _compare(
        self, exchange: Exchange, status: int, headers: dict[str, str], answer: Any
    ) -> list[Difference]:
        response = exchange.response
        found = compare(response["status"], status, self.learned, path="status")
        given = {name.lower(): value for name, value in headers.items()}
        for name, value in response["headers"].items():
            found += compare(value, given.get(name.lower()), self.learned, path=f"headers.{name}")
        for name in ("Warning", "Retry-After"):
            if name not in response["headers"] and name.lower() in given:
                found += compare(None, given[name.lower()], self.learned, path=f"headers.{name}")
        body = exchange.request.get("body")
        metadata = body.get("metadata") or {} if isinstance(body, dict) else {}
        recorded = response.get("events", response.get("body"))
        return found + compare(recorded, answer, self.learned, generated=metadata.get("generateName", ""))


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()
