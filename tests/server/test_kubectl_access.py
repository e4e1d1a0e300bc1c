"""The real kubectl asks the fake server who may do what, as one user and another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kresilient.testing.server import FakeApiServer

from .kubectl import Kubectl


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer(authorization="rbac", tls=True) as server:  # kubectl shows plain HTTP no token
        server.access.accept("jane-token", user="jane", groups=["devs"])
        server.create(
            "rbac.authorization.k8s.io/v1/rolebindings",
            {
                "metadata": {"name": "devs"},
                "subjects": [{"kind": "Group", "name": "devs"}],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            },
        )
        yield server


@pytest.fixture
def jane(server: FakeApiServer, tmp_path: Path) -> Kubectl:
    return of(server, tmp_path, "jane-token")


@pytest.fixture
def admin(server: FakeApiServer, tmp_path: Path) -> Kubectl:
    return of(server, tmp_path, None)


def of(server: FakeApiServer, home: Path, token: str | None) -> Kubectl:
    kubectl = Kubectl(server, home)
    file = server.kubeconfig_file(home / f"{token}.yaml", token=token)
    kubectl.environment["KUBECONFIG"] = str(file)
    return kubectl


async def test_can_i_is_what_the_roles_say(jane: Kubectl, admin: Kubectl) -> None:
    assert await jane("auth", "can-i", "list", "pods") == "yes\n"
    for refused in (("create", "pods"), ("list", "pods", "-A"), ("get", "/metrics")):
        assert (await jane.run("auth", "can-i", *refused))[:2] == (1, "no\n")
    assert await admin("auth", "can-i", "*", "*") == "yes\n"
    assert await admin("auth", "can-i", "list", "pods", "--as", "joe", "--as-group", "devs") == "yes\n"
    assert (await admin.run("auth", "can-i", "list", "pods", "--as", "joe"))[:2] == (1, "no\n")


async def test_what_i_may_is_listed(jane: Kubectl) -> None:
    rows = [line.split() for line in (await jane("auth", "can-i", "--list")).splitlines()]
    assert ["configmaps", "[]", "[]", "[get", "list", "watch]"] in rows


async def test_who_am_i(jane: Kubectl, admin: Kubectl) -> None:
    shown = await jane("auth", "whoami")
    assert "jane" in shown
    assert "[devs system:authenticated]" in shown
    assert "system:masters" in await admin("auth", "whoami")


async def test_who_may_not_is_told(jane: Kubectl) -> None:
    assert await jane.fails("get", "secrets") == (
        'Error from server (Forbidden): secrets is forbidden: User "jane" cannot list resource "secrets" in '
        'API group "" in the namespace "default"\n'
    )


async def test_the_default_roles_are_listed(admin: Kubectl) -> None:
    assert {"clusterrole.rbac.authorization.k8s.io/cluster-admin"} <= set(
        (await admin("get", "clusterroles", "-o", "name")).splitlines()
    )
    assert "global-default" in await admin("get", "flowschemas")
