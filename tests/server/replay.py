"""Replays recorded exchanges against the fake server, and compares the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.requests import Call

RECORDED = Path(__file__).parent / "recorded"
LEARNED = (
    "uid",
    "resourceVersion",
    "continue",
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
)


class Replay:
    """One recording against one server. What a run makes up (uids, versions, times, tokens) is learned from
    the answers and put in place of the recorded values, in later requests and in what is expected."""

    def __init__(self, name: str, server: MemoryApiServer) -> None:
        self.exchanges: list[dict[str, Any]] = json.loads((RECORDED / f"{name}.json").read_text())
        self._server = server
        self._learned: dict[str, str] = {}

    def find(self, title: str) -> dict[str, Any]:
        return next(one for one in self.exchanges if one["title"] == title)

    async def ask(self, exchange: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        """Send the request of *exchange*; the status, headers and decoded body (or events) that came."""
        parts = urlsplit(exchange["path"])
        query = {key: self.now(value) for key, value in parse_qsl(parts.query, keep_blank_values=True)}
        headers = {"content-type": "application/json", "accept": "application/json"}
        headers |= {key.lower(): value for key, value in exchange.get("headers", {}).items()}
        body = exchange.get("body_text")
        if body is None:
            body = json.dumps(self.now(exchange["body"])) if "body" in exchange else ""
        reply = await self._server.exchange(
            Call(exchange["method"], self.now(parts.path), query, headers, body.encode())
        )
        try:
            data = b"".join([piece async for piece in reply.chunks])
        finally:
            reply.finish()
        if "events" in exchange:
            return reply.status, reply.headers, [_parsed(line) for line in data.splitlines()]
        return reply.status, reply.headers, _parsed(data)

    def learn(self, recorded: Any, actual: Any) -> None:
        if isinstance(recorded, dict) and isinstance(actual, dict):
            for key, value in recorded.items():
                if key in LEARNED and isinstance(value, str) and isinstance(actual.get(key), str):
                    self._learned[value] = actual[key]
                elif key == "name" and isinstance(value, str) and recorded.get("generateName"):
                    self._learned[value] = actual["name"]
                else:
                    self.learn(value, actual.get(key))
        elif isinstance(recorded, list) and isinstance(actual, list):
            for one, other in zip(recorded, actual, strict=False):
                self.learn(one, other)

    def now(self, value: Any) -> Any:
        """*value* with what was recorded replaced by what holds in this run."""
        if isinstance(value, dict):
            return {key: self.now(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.now(one) for one in value]
        if not isinstance(value, str):
            return value
        if value in self._learned:
            return self._learned[value]
        for old, new in self._learned.items():
            if len(old) > 4:
                value = value.replace(old, new)
        return value


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()
