"""Asks a server in memory, as a client would over HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.requests import Call


@dataclass(frozen=True)
class Asked:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


async def asked(
    server: MemoryApiServer, path: str, *, method: str = "GET", body: Any = None, **headers: str
) -> Asked:
    """The whole answer; a header is named in Python's way: `if_none_match`."""
    parts = urlsplit(path)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("content-type", "application/json")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    data = b"" if body is None else json.dumps(body).encode()
    reply = await server.exchange(Call(method, parts.path, query, named, data))
    try:
        return Asked(reply.status, reply.headers, b"".join([piece async for piece in reply.chunks]).decode())
    finally:
        await reply.chunks.aclose()
        reply.finish()
