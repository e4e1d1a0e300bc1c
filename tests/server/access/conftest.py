"""A server with roles, and a client of it that has any user's rights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

from ..asked import Asked, asked

GROUP = "rbac.authorization.k8s.io"
Ask = Callable[..., Awaitable[Asked]]


@pytest.fixture
def server() -> MemoryApiServer:
    server = MemoryApiServer(authorization="rbac")
    server.access.accept("jane-token", user="jane", uid="u-1", groups=["devs"])
    return server


@pytest.fixture
def as_admin(server: MemoryApiServer) -> Ask:
    return _with(server, server.token)


@pytest.fixture
def as_jane(server: MemoryApiServer) -> Ask:
    return _with(server, "jane-token")


def _with(server: MemoryApiServer, token: str | None) -> Ask:
    async def ask(path: str, *, method: str = "GET", body: Any = None, **headers: str) -> Asked:
        return await asked(server, path, method=method, body=body, authorization=f"Bearer {token}", **headers)

    return ask


def rule(
    *verbs: str, resources: str = "configmaps", groups: str = "", names: tuple[str, ...] = ()
) -> dict[str, Any]:
    made: dict[str, Any] = {"verbs": list(verbs), "apiGroups": [groups], "resources": resources.split()}
    return made | ({"resourceNames": list(names)} if names else {})


def grant(
    server: MemoryApiServer,
    *rules: dict[str, Any],
    namespace: str = "default",
    to: tuple[str, str] = ("User", "jane"),
    name: str = "r",
) -> None:
    """Let *to* have *rules* in *namespace*, or in the cluster where that is empty."""
    kind, plural = ("Role", "roles") if namespace else ("ClusterRole", "clusterroles")
    server.create(
        f"{GROUP}/v1/{plural}", {"metadata": {"name": name}, "rules": list(rules)}, namespace=namespace
    )
    bind(server, kind, name, namespace=namespace, to=to)


def bind(
    server: MemoryApiServer,
    kind: str,
    role: str,
    *,
    namespace: str = "default",
    to: tuple[str, str] = ("User", "jane"),
    name: str = "",
) -> None:
    bindings = f"{GROUP}/v1/{'rolebindings' if namespace else 'clusterrolebindings'}"
    subject = {"kind": to[0], "name": to[1]}
    server.create(
        bindings,
        {
            "metadata": {"name": name or role},
            "subjects": [subject | ({"namespace": "default"} if to[0] == "ServiceAccount" else {})],
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        },
        namespace=namespace,
    )
