"""A small cluster that tests delete things in."""

from __future__ import annotations

import json
from typing import Any

from kresilient.testing.server import MemoryApiServer

from ..asked import Asked, asked

__all__ = ["MAPS", "PODS", "asked", "bound", "change", "delete", "events", "owned", "refused"]

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"


async def delete(server: MemoryApiServer, path: str, **options: Any) -> Asked:
    """Delete with *options* in the body, where there are any."""
    return await asked(server, path, method="DELETE", body=options or None)


async def change(server: MemoryApiServer, path: str, patch: Any) -> Asked:
    return await asked(server, path, method="PATCH", body=patch, content_type="application/merge-patch+json")


async def events(server: MemoryApiServer, path: str, version: int) -> list[dict[str, Any]]:
    """What happened after *version*, in order."""
    text = (await asked(server, f"{path}?watch=1&resourceVersion={version}&timeoutSeconds=1")).text
    return [json.loads(line) for line in text.splitlines()]


def refused(answer: Asked) -> tuple[int, str, str]:
    """The code, the reason and the message of a Status that says no."""
    body = answer.json
    assert body["kind"] == "Status", body
    assert body["code"] == answer.status
    return answer.status, body.get("reason", ""), body["message"]


def bound(server: MemoryApiServer, name: str = "p", **metadata: Any) -> dict[str, Any]:
    """A pod that runs on a node."""
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    pod = {"metadata": {"name": name, **metadata}, "spec": spec, "status": status}
    return server.create("v1/pods", pod)


def owned(
    server: MemoryApiServer,
    name: str,
    *owners: dict[str, Any],
    resource: str = "v1/configmaps",
    blocks: bool = False,
    **metadata: Any,
) -> dict[str, Any]:
    """An object that names *owners*."""
    references = [
        {
            "apiVersion": one["apiVersion"],
            "kind": one["kind"],
            "name": one["metadata"]["name"],
            "uid": one["metadata"]["uid"],
            **({"blockOwnerDeletion": True} if blocks else {}),
        }
        for one in owners
    ]
    metadata = {"name": name, "ownerReferences": references, **metadata}
    return server.create(resource, {"metadata": metadata})
