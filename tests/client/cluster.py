"""A fake API server over loopback HTTP, clients of it, and all that was observed and delivered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from kresilient.cache.informer import Informer
from kresilient.cache.timing import Timing
from kresilient.client import Client
from kresilient.flow.retry import RetryPolicy
from kresilient.testing.server import FakeApiServer
from kresilient.transport.auth import Anonymous, BearerToken, Credentials
from kresilient.transport.config import ClusterConfig
from kresilient.transport.http import HttpTransport

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds after which a test that waits has failed, however busy the machine."""
FAST = Timing(small_jitter=0.01, spread=0.01, backoff_base=0.02, backoff_cap=0.2)
QUICK = RetryPolicy(base=0.01, cap=0.05)


def pod(name: str, *, namespace: str = "default", node: str = "n1", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]},
    }


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def widgets(kind: str = "Widget", plural: str = "widgets", scope: str = "Namespaced") -> dict[str, Any]:
    """A definition of custom resources in `example.com/v1`."""
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    return {
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": plural, "kind": kind},
            "versions": [version],
        },
    }


class Seen(list[Any]):
    """Events in the order they came; call it with each. `until` looks at its condition after every one."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def __call__(self, event: Any) -> None:
        self.append(event)
        self._news.set()

    async def until(self, condition: Callable[[], object], within: float = PATIENCE) -> None:
        async with asyncio.timeout(within):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self if isinstance(event, kind)]


class Cluster:
    """One server, and what its clients reported (`seen`) and delivered (`delivered`)."""

    def __init__(self, **server: Any) -> None:
        self.server = FakeApiServer(random=random.Random(7), **server)
        self.seen = Seen()

    def client(self, *, url: str = "", timing: Timing = FAST, **config: Any) -> Client:
        """A client without pacing that waits only briefly after a failure."""
        token = self.server.token
        credentials: Credentials = Anonymous() if token is None else BearerToken(token)
        config = {"credentials": credentials, "ca_data": self.server.ca_pem, **config}
        transport = HttpTransport(ClusterConfig(server=url or self.server.url, **config))
        return Client(
            transport,
            qps=None,
            retry=QUICK,
            observers=[self.seen],
            random=random.Random(11).random,
            timing=timing,
        )

    def create(self, *names: str, resource: str = "v1/pods") -> None:
        for name in names:
            self.server.create(resource, pod(name))

    def truth(self, resource: str = "v1/pods") -> dict[str, str]:
        """What the server holds: key -> resource version."""
        return {key: obj["metadata"]["resourceVersion"] for key, obj in self.server.objects(resource).items()}

    @asynccontextmanager
    async def following(
        self, client: Client, resource: Any = "v1/pods", **options: Any
    ) -> AsyncIterator[tuple[Informer[Any], Seen]]:
        """A synced informer, and what its handler is told."""
        async with client.informer(resource, **options) as informer:
            delivered = Seen()
            subscription = informer.add_handler(on_event=delivered)
            await informer.synced(PATIENCE)
            await subscription.synced(PATIENCE)
            yield informer, delivered

    async def agrees(self, informer: Informer[Any], delivered: Seen, resource: str = "v1/pods") -> None:
        """Wait until the cache equals the server."""
        await delivered.until(lambda: held(informer) == self.truth(resource))


def held(informer: Informer[Any]) -> dict[str, str]:
    """What a cache holds: key -> resource version."""
    return {obj.key: obj.resource_version for obj in informer.list()}
