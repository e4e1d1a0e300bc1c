"""A small HTTP client that knows paths, media types and watches, and nothing else of Kubernetes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import aiohttp

from .kubeconfig import Cluster

__all__ = ["PATCHES", "Answer", "Client", "Stream", "collection", "names", "seen"]

PATCHES: Final = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
PATIENCE: Final = 20.0
"""Seconds after which an answer, or the next event of a watch, is missing."""


def collection(resource: str, namespace: str = "") -> str:
    """The path of *resource* (`"v1/pods"`, `"apps/v1/deployments"`), in *namespace* or of the cluster."""
    group_version, _, plural = resource.rpartition("/")
    root = "/apis" if "/" in group_version else "/api"
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}/{group_version}{within}/{plural}"


def names(body: dict[str, Any]) -> list[str]:
    """The names of the items of a list, in their order."""
    return [one["metadata"]["name"] for one in body["items"]]


def seen(event: dict[str, Any]) -> tuple[str, str]:
    """The type of an event and the name of its object."""
    return event["type"], event["object"]["metadata"]["name"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that was read whole."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def body(self) -> Any:
        """The JSON of the answer, its objects in the order of their fields."""
        return json.loads(self.data)

    @property
    def text(self) -> str:
        return self.data.decode()

    def ok(self, *statuses: int) -> Any:
        """The body of an answer that was to be good."""
        assert self.status in (statuses or (200, 201)), f"{self.status}: {self.text[:2000]}"
        return self.body

    def refused(self, status: int, reason: str | None, message: str | None = None) -> dict[str, Any]:
        """The Status of an answer that was to be refused."""
        assert self.status == status, f"{self.status}, not {status}: {self.text[:2000]}"
        body: dict[str, Any] = self.body
        assert (body["kind"], body["apiVersion"], body["status"]) == ("Status", "v1", "Failure"), body
        assert (body["code"], body.get("reason")) == (status, reason), body
        if message is not None:
            assert body["message"] == message
        return body


class Stream:
    """A running watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._rest = b""

    async def next(self) -> dict[str, Any]:
        """The next event. Raises `AssertionError` where the stream ends or nothing comes."""
        event = await self.next_or_end()
        assert event is not None, "the watch ended"
        return event

    async def next_or_end(self) -> dict[str, Any] | None:
        """The next event, or None where the stream ended."""
        async with asyncio.timeout(PATIENCE):
            while b"\n" not in self._rest:
                piece = await self._response.content.readany()
                if not piece:
                    assert not self._rest, f"the watch ended within an event: {self._rest[:200]!r}"
                    return None
                self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    async def rest(self) -> list[dict[str, Any]]:
        """Every event until the stream ends."""
        events = []
        while (event := await self.next_or_end()) is not None:
            events.append(event)
        return events


class Client:
    """Sends requests over one pool of connections. *headers* go with each of them."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        cluster: Cluster,
        *,
        headers: Mapping[str, str] | None = None,
        identified: bool = True,
    ) -> None:
        self.cluster = cluster
        self.session = session
        self.headers = dict(headers or {})
        self._ssl = cluster.ssl if identified else cluster.trust
        if identified and cluster.authorization:
            self.headers.setdefault("Authorization", cluster.authorization)

    def named(self, **headers: str) -> Client:
        """The same client, whose requests have *headers* too (`impersonate_user="x"`)."""
        more = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return Client(self.session, self.cluster, headers={**self.headers, **more})

    def unidentified(self, **headers: str) -> Client:
        """A client of the same server without credentials, but for those in *headers*."""
        more = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return Client(self.session, self.cluster, headers=more, identified=False)

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: str | int,
    ) -> Answer:
        """Send one request, *body* as JSON or, if it is text, as it is."""
        async with (
            asyncio.timeout(PATIENCE),
            self._open(method, path, body, content_type, accept, headers, query) as response,
        ):
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, *, accept: str = "application/json", **query: str | int) -> Answer:
        return await self.send("GET", path, accept=accept, **query)

    async def post(self, path: str, body: Any, **query: str | int) -> Answer:
        return await self.send("POST", path, body, **query)

    async def put(self, path: str, body: Any, **query: str | int) -> Answer:
        return await self.send("PUT", path, body, **query)

    async def patch(self, path: str, body: Any, kind: str = "merge", **query: str | int) -> Answer:
        return await self.send("PATCH", path, body, content_type=PATCHES[kind], **query)

    async def delete(self, path: str, body: Any = None, **query: str | int) -> Answer:
        return await self.send("DELETE", path, body, **query)

    @asynccontextmanager
    async def watch(
        self, path: str, *, accept: str = "application/json", **query: str | int
    ) -> AsyncIterator[Stream]:
        """A watch of the collection at *path*, for a minute at most."""
        query = {"watch": 1, "timeoutSeconds": 60, **query}
        async with self._open("GET", path, None, "", accept, None, query) as response:
            assert response.status == 200, f"{response.status}: {await response.text()}"
            yield Stream(response)

    def _open(
        self,
        method: str,
        path: str,
        body: Any,
        content_type: str,
        accept: str,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str | int],
    ) -> Any:
        sent = {"Accept": accept, **self.headers, **(headers or {})}
        data = None
        if body is not None:
            sent["Content-Type"] = content_type
            data = BytesIO((body if isinstance(body, str) else json.dumps(body)).encode())
        return self.session.request(
            method,
            f"{self.cluster.url}{path}",
            params={name: str(value) for name, value in query.items()},
            data=data,
            headers=sent,
            ssl=self._ssl if self._ssl is not None else True,
        )
