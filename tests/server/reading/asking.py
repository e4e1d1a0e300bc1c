"""Asks a server in memory, as a client would, and reads the answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from kresilient.testing.server import MemoryApiServer
from kresilient.transport.base import Request

PODS = "/api/v1/namespaces/default/pods"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


async def ask(
    server: MemoryApiServer, path: str, *, accept: str = "application/json", method: str = "GET", **query: Any
) -> tuple[int, dict[str, Any]]:
    """The status and the decoded body of one answer."""
    status, body = await raw(server, path, accept=accept, method=method, **query)
    return status, json.loads(body)


async def raw(
    server: MemoryApiServer,
    path: str,
    *,
    accept: str = "application/json",
    agent: str = "test/1",
    method: str = "GET",
    **query: Any,
) -> tuple[int, bytes]:
    pairs = tuple((name, str(value)) for name, value in query.items())
    headers = {"Accept": accept}
    request = Request(method, path, pairs, headers=headers, timeout=600.0, stall=600.0)
    async with await server.transport(user_agent=agent).send(request) as response:
        return response.status, await response.read()


async def refusal(server: MemoryApiServer, path: str, **query: Any) -> tuple[int, str, str]:
    """The code, the reason and the message of an answer that is a failure."""
    status, body = await ask(server, path, **query)
    assert body["kind"] == "Status"
    return status, body.get("reason", ""), body["message"]


class Watching:
    """A watch that runs, whose events are read as they come."""

    def __init__(self, server: MemoryApiServer, path: str, accept: str, query: dict[str, Any]) -> None:
        pairs = (("watch", "1"), *((name, str(value)) for name, value in query.items()))
        self._request = Request("GET", path, pairs, headers={"Accept": accept}, timeout=None, streaming=True)
        self._transport = server.transport()
        self._lines: list[bytes] = []

    async def __aenter__(self) -> Watching:
        self._response = await self._transport.send(self._request)
        assert self._response.status == 200
        self._chunks = self._response.chunks()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._response.close()

    async def event(self) -> dict[str, Any] | None:
        """The next event; None where the watch has ended."""
        while not self._lines:
            piece = await anext(self._chunks, None)
            if piece is None:
                return None
            self._lines += piece.splitlines()
        decoded: dict[str, Any] = json.loads(self._lines.pop(0))
        return decoded

    async def events(self, count: int) -> list[dict[str, Any]]:
        return [one for _ in range(count) if (one := await self.event()) is not None]

    async def silent(self, seconds: float) -> bool:
        """Whether nothing comes for that time."""
        try:
            async with asyncio.timeout(seconds):
                await self.event()
        except TimeoutError:
            return True
        return False


def watching(
    server: MemoryApiServer, path: str, *, accept: str = "application/json", **query: Any
) -> Watching:
    return Watching(server, path, accept, query)


def shown(event: dict[str, Any] | None) -> str:
    """`ADDED a`, `BOOKMARK 61223`, `ERROR 410`."""
    assert event is not None, "the watch has ended"
    obj = event["object"]
    if event["type"] == "ERROR":
        return f"ERROR {obj['code']}"
    metadata = obj["metadata"]
    return f"{event['type']} {metadata.get('name') or metadata['resourceVersion']}"


def names(body: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in body["items"]]
