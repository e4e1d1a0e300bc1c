"""A client and an in-memory API server in virtual time, with everything that was observed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from kresilient.client import Client
from kresilient.observe.events import Event, ReflectorMoved
from kresilient.testing.server import MemoryApiServer


def pod(
    name: str,
    *,
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    node: str = "n1",
    **extra: Any,
) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "namespace": namespace}
    if labels:
        meta["labels"] = labels
    return {
        "metadata": meta,
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}], **extra},
    }


class World:
    """One server, one client, and what the client reported. `until` waits in virtual time."""

    def __init__(self, **server: Any) -> None:
        self.server = MemoryApiServer(random=random.Random(7), **server)
        self.seen: list[Event] = []
        self.client = self.connect()

    def connect(self, **options: Any) -> Client:
        options = {"qps": None, "random": random.Random(11).random, **options}
        return Client(self.server.transport(), observers=[self.seen.append], **options)

    async def until(
        self, condition: Callable[[], object], within: float = 300.0, *, step: float = 0.1
    ) -> None:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110  # virtual time costs nothing
                await asyncio.sleep(step)  # virtual time costs nothing

    @property
    def rows(self) -> list[str]:
        """The rows of the table that were taken, but for the ends of pauses."""
        return [e.row for e in self.seen if isinstance(e, ReflectorMoved) and e.row != "the pause is over"]

    def moves(self, row: str) -> list[ReflectorMoved]:
        return [e for e in self.seen if isinstance(e, ReflectorMoved) and e.row == row]

    def reported(self, kind: type[Event]) -> list[Any]:
        return [e for e in self.seen if isinstance(e, kind)]

    def truth(self) -> dict[str, str]:
        """What the server holds: key -> resource version."""
        return {
            key: obj["metadata"]["resourceVersion"] for key, obj in self.server.objects("v1/pods").items()
        }
