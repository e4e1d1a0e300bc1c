"""Who a request is of: tokens, certificates, nobody, and acting as somebody else."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kresilient.testing.server import FakeApiServer, MemoryApiServer
from kresilient.testing.server.requests import Call

from ..asked import asked
from .conftest import Ask, grant, rule

ME = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


async def who(server: MemoryApiServer, **headers: str) -> dict[str, Any]:
    answer = await asked(server, ME, method="POST", body={}, **headers)
    assert answer.status == 201, answer.text
    info: dict[str, Any] = answer.json["status"]["userInfo"]
    return info


async def test_a_token_is_of_a_user_with_all_that_is_known_of_him() -> None:
    server = MemoryApiServer()
    server.access.accept("t", user="jane", uid="u-1", groups=["devs"], extra={"scopes": ["a", "b"]})
    assert await who(server, authorization="Bearer t") == {
        "username": "jane",
        "uid": "u-1",
        "groups": ["devs", "system:authenticated"],
        "extra": {"scopes": ["a", "b"]},
    }


async def test_a_server_that_asks_for_nothing_takes_everybody_for_the_admin() -> None:
    server = MemoryApiServer()
    assert server.token is None
    for headers in ({}, {"authorization": "Bearer whatever"}):
        assert (await who(server, **headers))["username"] == "admin"


async def test_a_server_with_roles_has_an_admin_and_lets_nobody_else_in() -> None:
    server = MemoryApiServer(authorization="rbac")
    assert await who(server, authorization=f"Bearer {server.token}") == {
        "username": "admin",
        "groups": ["system:masters", "system:authenticated"],
    }
    assert (await asked(server, CONFIGMAPS)).status == 403
    assert (await asked(server, "/version")).status == 200
    assert (await asked(server, CONFIGMAPS, authorization="Bearer x")).status == 401


async def test_the_token_of_the_server_is_the_admins_newest() -> None:
    server = MemoryApiServer(token=["one", "two"])
    server.access.accept("three", user="jane")
    assert server.token == "two"
    server.access.revoke("two")
    assert server.token == "one"
    assert (await asked(server, CONFIGMAPS, authorization="Bearer two")).status == 401
    server.access.replace("four", user="jane")
    assert server.token == "four"
    assert (await asked(server, CONFIGMAPS, authorization="Bearer one")).status == 401


async def test_a_request_knows_its_user_from_when_it_came() -> None:
    server = MemoryApiServer(token="t")
    server.access.accept("j", user="jane", groups=["devs"])
    await asked(server, CONFIGMAPS, authorization="Bearer j")
    await asked(server, CONFIGMAPS)
    await asked(server, CONFIGMAPS, authorization="Bearer bad")
    assert [record.user for record in server.requests] == ["jane", "system:anonymous", ""]
    assert server.requests.where(user="jane")[0].groups == ("devs", "system:authenticated")


# --- certificates ------------------------------------------------------------------------------------


def trusting(server: FakeApiServer, path: Path, certificate: tuple[bytes, bytes] | None) -> ssl.SSLContext:
    assert server.ca_pem is not None
    context = ssl.create_default_context(cadata=server.ca_pem.decode())
    if certificate is not None:
        path.write_bytes(b"".join(certificate))
        context.load_cert_chain(path)
    return context


async def whose(server: FakeApiServer, path: Path, certificate: tuple[bytes, bytes] | None) -> dict[str, Any]:
    context = trusting(server, path, certificate)
    async with (
        aiohttp.ClientSession() as http,
        http.post(server.url + ME, json={}, ssl=context) as response,
    ):
        answer: dict[str, Any] = await response.json()
    return answer


@pytest.mark.parametrize("insist", [False, True])
async def test_a_certificate_names_a_user_and_his_groups(tmp_path: Path, insist: bool) -> None:
    async with FakeApiServer(tls=True, client_certificates=insist, authorization="rbac") as server:
        certificate = server.client_certificate("jane", groups=["devs", "ops"])
        info = (await whose(server, tmp_path / "jane.pem", certificate))["status"]["userInfo"]
        assert (info["username"], info["groups"]) == ("jane", ["devs", "ops", "system:authenticated"])
        (credential,) = info["extra"]["authentication.kubernetes.io/credential-id"]
        assert credential.startswith("X509SHA256=")
        admin = await whose(server, tmp_path / "admin.pem", server.client_certificate())
        assert admin["status"]["userInfo"]["groups"] == ["system:masters", "system:authenticated"]


async def test_without_a_certificate_a_server_that_does_not_insist_goes_on(tmp_path: Path) -> None:
    async with FakeApiServer(tls=True, token="t") as server:
        answer = await whose(server, tmp_path / "none.pem", None)
        assert (answer["code"], "system:anonymous" in answer["message"]) == (403, True)
    async with FakeApiServer(client_certificates=True) as server:
        with pytest.raises(aiohttp.ClientError):
            await whose(server, tmp_path / "none.pem", None)


async def test_a_kubeconfig_is_of_whom_it_is_asked_for() -> None:
    async with FakeApiServer(tls=True, client_certificates=True, token="t") as server:
        server.access.accept("j", user="jane", groups=["devs"])
        user = server.kubeconfig(token="j")["users"][0]["user"]
        assert user["token"] == "j"
        assert (
            user["client-certificate-data"]
            != server.kubeconfig()["users"][0]["user"]["client-certificate-data"]
        )
        with pytest.raises(ValueError, match="accept it first"):
            server.kubeconfig(token="nobody's")


def test_a_server_without_tls_has_no_certificates() -> None:
    with pytest.raises(ValueError, match="pass tls=True"):
        FakeApiServer().client_certificate("jane")


# --- acting as somebody else -------------------------------------------------------------------------


async def test_whoever_may_impersonate_has_the_others_rights_alone(
    server: MemoryApiServer, as_admin: Ask
) -> None:
    grant(server, rule("list"), to=("Group", "ops"))
    as_nobody = await as_admin(CONFIGMAPS, impersonate_user="joe")
    assert 'User "joe" cannot list' in as_nobody.json["message"]
    assert (await as_admin(CONFIGMAPS, impersonate_user="joe", impersonate_group="ops")).status == 200
    last = server.requests.where()[-1]
    assert last.impersonator is not None
    assert (last.user, last.impersonator.name) == ("joe", "admin")


@pytest.mark.parametrize(
    ("headers", "groups"),
    [
        ({"user": "joe"}, ["system:authenticated"]),
        ({"user": "joe", "group": "ops"}, ["ops", "system:authenticated"]),
        ({"user": "joe", "group": "system:unauthenticated"}, ["system:unauthenticated"]),
        ({"user": "system:anonymous"}, ["system:unauthenticated"]),
        (
            {"user": "system:serviceaccount:ns:bot"},
            ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"],
        ),
        ({"user": "system:serviceaccount:ns:bot", "group": "ops"}, ["ops", "system:authenticated"]),
    ],
)
def test_an_impersonated_user_is_in_the_groups_he_would_be_in(
    server: MemoryApiServer, headers: dict[str, str], groups: list[str]
) -> None:
    named = {f"impersonate-{key}": value for key, value in headers.items()}
    caller = server.access.identify(Call("GET", "/", {}, {"authorization": f"Bearer {server.token}"} | named))
    assert caller.user is not None
    assert list(caller.user.groups) == groups


def test_uid_extra_and_several_groups_are_impersonated(server: MemoryApiServer) -> None:
    headers = {
        "authorization": f"Bearer {server.token}",
        "impersonate-user": "joe",
        "impersonate-uid": "u-2",
        "impersonate-group": "ops",
        "impersonate-extra-scopes%2fa": "read",
    }
    repeated = {"impersonate-group": ["devs", "ops"]}
    user = server.access.identify(Call("GET", "/", {}, headers, repeated=repeated)).user
    assert user is not None
    assert (user.uid, user.groups) == ("u-2", ("devs", "ops", "system:authenticated"))
    assert user.extra == {"scopes/a": ("read",)}


@pytest.mark.parametrize(
    ("headers", "may", "message"),
    [
        ({}, rule("get"), 'users "joe" is forbidden: User "jane" cannot impersonate resource "users" in API'),
        (
            {"impersonate_group": "ops"},
            rule("impersonate", resources="users"),
            'groups "ops" is forbidden: User "jane" cannot impersonate resource "groups" in API group ""',
        ),
        (
            {"impersonate_uid": "u"},
            rule("impersonate", resources="users"),
            'uids.authentication.k8s.io "u" is forbidden: User "jane" cannot impersonate resource "uids"',
        ),
        (
            {"impersonate_extra_scopes": "read"},
            rule("impersonate", resources="users"),
            'userextras.authentication.k8s.io "read" is forbidden: User "jane" cannot impersonate resource '
            '"userextras/scopes" in API group "authentication.k8s.io" at the cluster scope',
        ),
    ],
)
async def test_each_part_of_a_user_needs_a_right_of_its_own(
    server: MemoryApiServer, as_jane: Ask, headers: dict[str, str], may: dict[str, Any], message: str
) -> None:
    grant(server, may, namespace="")
    refused = await as_jane(CONFIGMAPS, impersonate_user="joe", **headers)
    assert refused.status == 403
    assert message in refused.json["message"]
    assert server.requests.where()[-1].user == "jane"


async def test_a_group_without_a_user_is_a_bad_request(as_admin: Ask) -> None:
    refused = await as_admin(CONFIGMAPS, impersonate_group="ops")
    assert (refused.status, refused.json["message"]) == (
        400,
        "requested [{Group  ops    }] without impersonating a user",
    )


async def test_headers_that_come_twice_reach_the_server_over_http() -> None:
    async with (
        FakeApiServer() as server,
        aiohttp.ClientSession() as http,
        http.post(
            server.url + ME,
            json={},
            headers=[("Impersonate-User", "joe"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")],
        ) as response,
    ):
        info = (await response.json())["status"]["userInfo"]
    assert info["groups"] == ["a", "b", "system:authenticated"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/version", 200), ("/readyz", 200), ("/readyz/ping", 403), ("/versions", 403), ("/metrics", 403)],
)
async def test_who_shows_nothing_sees_that_the_server_is_there_and_no_more(path: str, status: int) -> None:
    assert (await asked(MemoryApiServer(token="t"), path)).status == status
