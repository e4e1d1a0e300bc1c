"""Every recipe of docs/fault-cookbook.md does to a client what it says, and a healthy server does not."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

import kresilient as kr
from kresilient.testing.server import MemoryApiServer, MemoryTransport
from kresilient.transport.base import Request

from .test_fault_cookbook import RECIPE, TEXT, a_pod

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC).timestamp()
PODS = "/api/v1/namespaces/default/pods"
CONFIGS = "/api/v1/namespaces/default/configmaps"


@dataclass
class Seen:
    """What a client was sent for one request."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: Exception | None = None
    took: float = 0.0

    @property
    def lost(self) -> bool:
        return isinstance(self.error, kr.ConnectionLost)

    @property
    def refused(self) -> bool:
        return isinstance(self.error, kr.ConnectFailed)

    @property
    def events(self) -> list[tuple[str, str]]:
        """Of a watch: the type of each whole event, and the name of its object."""
        whole = [json.loads(line) for line in self.body.split(b"\n") if line.endswith(b"}}")]
        return [(event["type"], event["object"].get("metadata", {}).get("name", "")) for event in whole]

    @property
    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in json.loads(self.body)["items"]]


@dataclass
class Visit:
    """What one simple client met that lists, watches, and writes a config map."""

    recipe: dict[str, Any]
    server: MemoryApiServer
    lists: list[Seen] = field(default_factory=list)
    watches: list[Seen] = field(default_factory=list)
    create: Seen = field(default_factory=Seen)
    known: Seen = field(default_factory=Seen)
    """A list at the newest version, as an informer asks for that has seen it."""
    late: Seen = field(default_factory=Seen)
    """A list some time after the rest."""

    @property
    def configs(self) -> set[str]:
        return set(self.server.objects("v1/configmaps"))


async def asked(transport: MemoryTransport, request: Request) -> Seen:
    loop = asyncio.get_running_loop()
    seen, begun = Seen(), loop.time()
    try:
        async with await transport.send(request) as response:
            seen.status, seen.headers = response.status, dict(response.headers)
            async for piece in response.chunks():
                seen.body += piece
    except kr.KresilientError as error:
        seen.error = error
    seen.took = loop.time() - begun
    return seen


def a_list(**query: str) -> Request:
    return Request("GET", PODS, query=tuple(query.items()), verb="list", timeout=20.0)


async def visit(code: str, *, streaming: bool) -> Visit:
    """Let a client visit a server on which *code* was run."""
    async with MemoryApiServer(token="secret", random=random.Random(7), now=lambda: NOW) as server:
        for name in ("a", "b", "c"):
            server.create("v1/pods", a_pod(name))
        version = str(server.state.version)
        transport = server.transport(user_agent="agent")
        made = Visit({"apiserver": server}, server)
        exec(code, made.recipe)  # a recipe from this repository
        made.lists = [await asked(transport, a_list()) for _ in range(2)]
        config = json.dumps({"metadata": {"name": "made"}}).encode()
        made.create = await asked(transport, Request("POST", CONFIGS, body=config, timeout=20.0))
        query = {"watch": "1", "timeoutSeconds": "90", "allowWatchBookmarks": "true"}
        if streaming:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        else:
            query |= {"resourceVersion": version}
        watch = Request("GET", PODS, query=tuple(query.items()), verb="watch", streaming=True, stall=300.0)
        for number in range(3):
            watching = asyncio.create_task(asked(transport, watch))
            await asyncio.sleep(1.0)
            for one in range(5 if number == 0 else 0):
                server.create("v1/pods", a_pod(f"n{one}"))
            made.watches.append(await watching)
        made.known = await asked(transport, a_list(resourceVersion=str(server.state.version)))
        await asyncio.sleep(60.0)
        server.access.accept("new", user="admin")
        made.late = await asked(transport, a_list())
        return made


ADDED = [("ADDED", f"n{number}") for number in range(5)]


def reset(seen: Seen) -> bool:
    """The connection broke at once, and not because the client lost patience."""
    return seen.lost and "reset" in str(seen.error)


def changes(seen: Seen) -> list[tuple[str, str]]:
    return [event for event in seen.events if event[0] != "BOOKMARK"]


EVIDENCE: dict[str, Callable[[Visit], bool]] = {
    "The fault cookbook": lambda met: reset(met.watches[2]) and len(met.watches[2].body) == 100,
    "An error of the server": lambda met: (
        [(one.status, one.headers.get("retry-after")) for one in met.lists] == [(503, "1")] * 2
        and met.late.status == 200
    ),
    "An expired version, said in two ways": lambda met: (
        met.watches[0].status == 410
        and met.watches[1].status == 200
        and met.watches[1].events == [ADDED[0], ("ERROR", "")]
        and b'"code":410' in met.watches[1].body
    ),
    "Somebody else's answer": lambda met: (
        (met.lists[0].status, met.lists[0].body) == (200, b"<html>Log in</html>")
        and met.lists[0].headers["content-type"] == "text/html"
    ),
    "A late answer": lambda met: (
        all(0.5 <= one.took < 1.0 and one.status == 200 for one in met.lists) and met.create.took < 0.5
    ),
    "An answer that never begins": lambda met: (
        all(one.lost and one.took >= 20.0 for one in (met.lists[0], met.create))
        and "default/made" not in met.configs
    ),
    "Connections are refused": lambda met: (
        all(one.refused for one in (*met.lists, met.create)) and met.late.status == 200
    ),
    "A reset before the answer": lambda met: (
        reset(met.create) and met.create.status == 0 and "default/made" not in met.configs
    ),
    "A reset in the middle of a body": lambda met: (
        reset(met.watches[0])
        and changes(met.watches[0]) == ADDED[:1]
        and met.watches[0].body.endswith(b"\n")
        and reset(met.lists[0])
        and len(met.lists[0].body) == 100
    ),
    "A frame cut at a byte": lambda met: (
        met.watches[0].error is None
        and met.watches[0].events == ADDED[:1]
        and len(met.watches[0].body.split(b"\n")[1]) == 17
    ),
    "A stream that falls silent": lambda met: (
        met.watches[0].lost and met.watches[0].events == ADDED[:1] and met.watches[0].took >= 300.0
    ),
    "A slow drip": lambda met: (
        all(one.took >= len(one.body) / 1000 * 0.99 > 1.0 for one in met.lists) and met.create.took < 0.5
    ),
    "Blank lines and junk": lambda met: (
        met.watches[0].body.startswith(b'\n\n{"type":"ADDED"')
        and met.watches[1].body.split(b"\n")[1] == b"<html>502 Bad Gateway</html>"
        and changes(met.watches[1]) == ADDED
    ),
    "An oversized object": lambda met: len(met.lists[0].body) > 5_000_000 > len(met.lists[1].body),
    "Duplicated, reordered and lost events": lambda met: (
        met.watches[0].events.count(ADDED[1]) == 2
        and met.watches[0].events.count(ADDED[0]) == 1
        and changes(met.watches[1]) == [ADDED[1], ADDED[0], *ADDED[2:]]
        and 0 < len(changes(met.watches[2])) < len(ADDED)
    ),
    "A streaming list without its end": lambda met: (
        met.watches[0].events[:3] == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
        and b"initial-events-end" not in met.watches[0].body
        and b"initial-events-end" in met.watches[1].body
    ),
    "No bookmarks": lambda met: all(changes(one) == one.events == ADDED for one in met.watches),  #
    "A stale replica": lambda met: (
        met.known.status == 504
        and b"Too large resource version" in met.known.body
        and changes(met.watches[0]) == ADDED[:3]
        and met.late.names[-1] == "n4"
    ),
    "A compaction, now": lambda met: (
        met.watches[0].events == [("ERROR", "")]
        and b'"reason":"Expired"' in met.watches[0].body
        and met.late.status == 200
    ),
    "A restored backup": lambda met: (
        "default/lost" not in met.configs
        and int(json.loads(met.create.body)["metadata"]["resourceVersion"]) == met.recipe.get("backup", 0) + 1
    ),
    "Out of memory": lambda met: (
        reset(met.lists[0])
        and met.lists[1].refused
        and met.create.refused
        and met.late.status == 200
        and "default/made" not in met.configs
    ),
    "A clock that is off": lambda met: (
        json.loads(met.create.body)["metadata"]["creationTimestamp"] == "2026-05-04T11:58:30Z"
    ),
    "A token that is revoked": lambda met: (
        [one.status for one in (*met.watches, met.known, met.late)] == [200, 401, 401, 401, 200]
    ),
    "Anything else": lambda met: met.lists[0].names == ["b", "c"],
}


@pytest.mark.looptime
@pytest.mark.parametrize(("recipe", "code"), [(one[0], one[2]) for one in RECIPE.findall(TEXT)])
async def test_a_recipe_does_what_it_says(recipe: str, code: str) -> None:
    streaming = recipe == "A streaming list without its end"
    assert EVIDENCE[recipe](await visit(code, streaming=streaming))
    assert not EVIDENCE[recipe](await visit("", streaming=streaming)), "a healthy server shows it too"
