"""Credentials for whoever a test has in mind: kubeconfigs and ways in by user and groups."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import kresilient as kr
from kresilient.testing.server import FakeApiServer, MemoryApiServer

pytestmark = pytest.mark.asyncio

WHO = "authentication.k8s.io/v1/selfsubjectreviews"


async def who(client: kr.Client) -> tuple[str, list[str]]:
    """Whom the server takes the client for."""
    info = (await client.create(WHO, {"metadata": {}}))["status"]["userInfo"]
    return info["username"], info["groups"]


@pytest.mark.parametrize(
    "options",
    [{}, {"token": "secret"}, {"tls": True}, {"client_certificates": True}, {"authorization": "rbac"}],
    ids=lambda options: " ".join(options),
)
async def test_a_kubeconfig_is_of_whom_it_was_asked_for(options: dict[str, object]) -> None:
    async with FakeApiServer(**options) as server:
        async with kr.connect(kubeconfig=server.kubeconfig(user="agent", groups=["nodes"])) as client:
            assert await who(client) == ("agent", ["nodes", "system:authenticated"])
        async with kr.connect(kubeconfig=server.kubeconfig()) as client:
            assert (await who(client))[0] == "admin"


async def test_roles_decide_what_a_user_may_do() -> None:
    async with FakeApiServer(authorization="rbac") as server:
        server.create(
            "rbac.authorization.k8s.io/v1/clusterrolebindings",
            {
                "metadata": {"name": "viewers"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "viewers"}],
            },
        )
        kubeconfig = server.kubeconfig(user="jane", groups=["viewers"])
        async with kr.connect(kubeconfig=kubeconfig) as client:
            assert [one async for one in client.list("v1/configmaps", namespace="default")] == []
            with pytest.raises(kr.Forbidden, match='User "jane" cannot create resource "configmaps"'):
                await client.create("v1/configmaps", {"metadata": {"name": "x"}}, namespace="default")


async def test_an_open_server_stays_open() -> None:
    server = MemoryApiServer()
    async with kr.connect(server.transport(), qps=None) as admin:
        async with kr.connect(server.transport(user="agent"), qps=None) as agent:
            assert await who(agent) == ("agent", ["system:authenticated"])
            assert (await who(admin))[0] == "admin"
        async with kr.connect(server.transport(), qps=None) as another:
            assert (await who(another))[0] == "admin"
    assert server.token is None


async def test_the_same_user_has_the_same_token_and_other_groups_another() -> None:
    access = MemoryApiServer().access
    token = access.token_of("agent", groups=["a"])
    assert access.token_of("agent", groups=["a"]) == token
    assert access.token_of("agent", groups=["b"]) != token
    access.revoke(token)
    fresh = access.token_of("agent", groups=["a"])
    assert fresh != token, "what was revoked stays so"
    found = access.user_of_token(fresh)
    assert found is not None
    assert found.groups == ("a", "system:authenticated")


async def test_a_service_account_is_in_the_groups_of_its_kind() -> None:
    server = MemoryApiServer()
    async with kr.connect(server.transport(user="system:serviceaccount:shop:till"), qps=None) as client:
        assert await who(client) == (
            "system:serviceaccount:shop:till",
            ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
        )


async def test_what_contradicts_itself_is_refused() -> None:
    server = FakeApiServer(token="secret")
    with pytest.raises(ValueError, match="give it or the user, not both"):
        server.kubeconfig(token="secret", user="agent")
    with pytest.raises(ValueError, match="say which, with user="):
        server.kubeconfig(groups=["nodes"])
    with pytest.raises(ValueError, match="accept it first"):
        server.kubeconfig(token="other")


async def test_a_kubeconfig_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    async with FakeApiServer() as server:
        path = server.kubeconfig_file(tmp_path / "kubeconfig", user="agent")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with kr.connect(kubeconfig=path) as client:
            assert (await who(client))[0] == "agent"
