"""What a claim holds: requests in the namespace of the run, and a memory of what it has made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from secrets import token_hex
from typing import Any, Final, TypeVar

from .client import Answer, Client, collection

__all__ = ["Api", "eventually", "remove", "remove_namespace"]

Asked = TypeVar("Asked")

PATIENCE: Final = 5.0
"""Seconds that a controller is given to finish a namespace, before it is taken that there is none."""


class Api(Client):
    """A client whose created objects are noted in `made`, with short ways for what claims do all the time."""

    def __init__(self, client: Client, namespace: str) -> None:
        super().__init__(client.session, client.cluster, headers=client.headers)
        self.namespace = namespace
        self.made: list[str] = []

    async def clean(self) -> None:
        """Delete what was made here, the last first."""
        while self.made:
            await remove(self, self.made.pop())

    def name(self) -> str:
        """A name that nothing has yet."""
        return f"c-{token_hex(4)}"

    def path(self, resource: str, name: str = "", sub: str = "") -> str:
        """The path in the namespace of the run: of a collection, an object, or a subresource."""
        return "/".join(part for part in (collection(resource, self.namespace), name, sub) if part)

    async def send(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        answer = await super().send(method, path, body, **options)
        if answer.status == 201 and method in ("POST", "PATCH", "PUT") and "dryRun" not in options:
            metadata = answer.body.get("metadata") or {}
            if metadata.get("uid"):
                self.made.append(f"{path}/{metadata['name']}" if method == "POST" else path)
        return answer

    async def create(
        self, resource: str, obj: Mapping[str, Any] | None = None, *, at: str = "", **query: str
    ) -> dict[str, Any]:
        """Create an object in the namespace of the run, or *at* a path, named anew if it has no name."""
        metadata = {"name": self.name(), **((obj or {}).get("metadata") or {})}
        if "generateName" in metadata and "name" not in ((obj or {}).get("metadata") or {}):
            del metadata["name"]
        body = {**(obj or {}), "metadata": metadata}
        made: dict[str, Any] = (await self.post(at or self.path(resource), body, **query)).ok(201)
        return made

    async def configmap(self, data: Mapping[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
        """A new configmap with *data* and *metadata*."""
        obj: dict[str, Any] = {"metadata": metadata}
        return await self.create("v1/configmaps", obj if data is None else {**obj, "data": dict(data)})

    async def labelled(self, n: int) -> tuple[str, list[dict[str, Any]]]:
        """*n* new configmaps, in the order of their names, and the selector of the label that they share."""
        label, names = self.name(), sorted(self.name() for _ in range(n))
        return f"app={label}", [await self.configmap(name=name, labels={"app": label}) for name in names]

    async def version(self) -> str:
        """The version that configmaps are at now."""
        found: str = (await self.get(self.path("v1/configmaps"), limit=1)).ok()["metadata"]["resourceVersion"]
        return found

    async def pod(self, labels: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        """A new pod with *labels* that no scheduler looks after."""
        whole = {
            "schedulerName": "contract-nobody",
            "automountServiceAccountToken": False,
            "containers": [{"name": "c", "image": "example.com/none"}],
            **spec,
        }
        metadata = {"labels": dict(labels)} if labels else {}
        return await self.create("v1/pods", {"metadata": metadata, "spec": whole})


async def eventually(
    ask: Callable[[], Awaitable[Asked]], good: Callable[[Asked], bool], *, within: float = 5.0
) -> Asked:
    """The first answer of *ask* that is *good*: nobody is told when a part of a server has followed another.

    Raises `AssertionError` with the last answer after *within* seconds.
    """
    deadline = asyncio.get_running_loop().time() + within
    while not good(answer := await ask()):
        assert asyncio.get_running_loop().time() < deadline, f"after {within} s still {answer!r:.500}"
        await asyncio.sleep(0.02)
    return answer


async def remove(client: Client, path: str) -> None:
    """Delete the object at *path* at once, whatever holds it."""
    kind = path.rsplit("/", 2)[-2]
    if kind == "namespaces":
        await remove_namespace(client, path)
        return
    answer = await client.delete(path, gracePeriodSeconds=0, propagationPolicy="Background")
    if answer.status == 404:
        return
    metadata = answer.ok(200, 202).get("metadata") or {}
    if metadata.get("finalizers") and kind != "customresourcedefinitions":  # the server ends those itself
        answer = await client.patch(path, {"metadata": {"finalizers": None}})
        assert answer.status in (200, 404), answer.text


async def remove_namespace(client: Client, path: str) -> None:
    """Delete a namespace that is empty; where no controller finishes it, finish it here."""
    await client.delete(path)
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while (answer := await client.get(path)).status != 404:
        if asyncio.get_running_loop().time() > deadline:
            body = answer.ok()
            body["spec"] = {"finalizers": []}
            (await client.put(f"{path}/finalize", body)).ok()
        await asyncio.sleep(0.05)
