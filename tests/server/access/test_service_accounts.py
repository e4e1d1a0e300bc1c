"""Tokens of ServiceAccounts, as `kubectl create token` and a kubelet ask for them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from kresilient.testing.server import FakeApiServer, MemoryApiServer

from ..asked import Asked, asked
from ..kubectl import Kubectl
from .conftest import grant, rule

TOKENS = "/api/v1/namespaces/default/serviceaccounts/bot/token"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
ME = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
START = 1_795_285_079.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> MemoryApiServer:
    server = MemoryApiServer(authorization="rbac", now=clock)
    server.create("v1/serviceaccounts", {"metadata": {"name": "bot"}})
    return server


async def request(server: MemoryApiServer, **spec: Any) -> Asked:
    body = {"spec": spec}
    return await asked(server, TOKENS, method="POST", body=body, authorization=f"Bearer {server.token}")


async def issued(server: MemoryApiServer, **spec: Any) -> str:
    answer = await request(server, **spec)
    assert answer.status == 201, answer.text
    token: str = answer.json["status"]["token"]
    return token


async def test_a_token_is_of_its_account_with_its_groups_and_rights(server: MemoryApiServer) -> None:
    token = await issued(server)
    account = server.get("v1/serviceaccounts", "default/bot")
    assert account is not None
    info = (await asked(server, ME, method="POST", body={}, authorization=f"Bearer {token}")).json["status"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert info["userInfo"] == {
        "username": "system:serviceaccount:default:bot",
        "uid": account["metadata"]["uid"],
        "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": [f"JTI={claims['jti']}"]},
    }
    assert (await asked(server, CONFIGMAPS, authorization=f"Bearer {token}")).status == 403
    grant(server, rule("list"), to=("ServiceAccount", "bot"))
    assert (await asked(server, CONFIGMAPS, authorization=f"Bearer {token}")).status == 200


async def test_the_answer_says_for_whom_and_how_long(server: MemoryApiServer) -> None:
    answer = (await request(server, expirationSeconds=600)).json
    token = answer["status"].pop("token")
    assert answer == {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": "bot", "namespace": "default", "creationTimestamp": "2026-11-21T18:17:59Z"},
        "spec": {
            "audiences": ["https://kubernetes.default.svc"],
            "expirationSeconds": 600,
            "boundObjectRef": None,
        },
        "status": {"expirationTimestamp": "2026-11-21T18:27:59Z"},
    }
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["sub"], claims["exp"]) == ("system:serviceaccount:default:bot", int(START) + 600)
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "bot"


async def good(server: MemoryApiServer, token: str) -> bool:
    """Whether *token* lets in."""
    status = (await asked(server, CONFIGMAPS, authorization=f"Bearer {token}")).status
    assert status in (401, 403)
    return status == 403


async def test_a_token_expires(server: MemoryApiServer, clock: Clock) -> None:
    token = await issued(server, expirationSeconds=600)
    clock.now += 599
    assert await good(server, token)
    clock.now += 1
    assert not await good(server, token)


async def test_a_token_ends_with_its_account_also_if_that_is_made_anew(server: MemoryApiServer) -> None:
    token = await issued(server)
    server.delete("v1/serviceaccounts", "default/bot")
    assert not await good(server, token)
    server.create("v1/serviceaccounts", {"metadata": {"name": "bot"}})
    assert not await good(server, token)


async def test_a_token_ends_with_the_pod_that_it_is_bound_to(server: MemoryApiServer) -> None:
    server.create("v1/pods", {"metadata": {"name": "p"}, "spec": {"serviceAccountName": "bot"}})
    token = await issued(server, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p"})
    info = (await asked(server, ME, method="POST", body={}, authorization=f"Bearer {token}")).json["status"]
    assert info["userInfo"]["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
    server.delete("v1/pods", "default/p")
    assert not await good(server, token)


async def test_a_token_for_somebody_else_does_not_let_in_but_is_reviewed(server: MemoryApiServer) -> None:
    token = await issued(server, audiences=["vault"])
    assert not await good(server, token)
    admin = {"authorization": f"Bearer {server.token}"}
    for audiences, authenticated in ((["vault", "x"], True), ([], None)):
        body = {"spec": {"token": token, "audiences": audiences}}
        status = (await asked(server, REVIEWS, method="POST", body=body, **admin)).json["status"]
        assert status.get("authenticated") is authenticated
        assert status.get("audiences") == (["vault"] if authenticated else None)


async def test_a_token_that_was_tampered_with_or_is_of_another_server_is_not_good(
    server: MemoryApiServer, clock: Clock
) -> None:
    header, payload, signature = (await issued(server)).split(".")
    other = MemoryApiServer(authorization="rbac", now=clock, state=server.state)
    assert await good(server, f"{header}.{payload}.{signature}")
    assert not await good(other, f"{header}.{payload}.{signature}")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["sub"] = "system:serviceaccount:default:root"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    for token in (f"{header}.{forged}.{signature}", f"{header}.{forged}.", "..", "a.b.ç", header):
        assert not await good(server, token)


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**32 + 1}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"boundObjectRef": {"kind": "Pod", "name": "none"}}, 404, 'pods "none" not found'),
        ({"boundObjectRef": {"kind": "ConfigMap", "name": "x"}}, 400, "cannot bind token to object of type"),
        (
            {"boundObjectRef": {"kind": "Pod", "name": "other"}},
            400,
            'cannot bind token for serviceaccount "bot" to pod running with serviceaccount "default"',
        ),
        (
            {"boundObjectRef": {"kind": "Secret", "name": "s", "uid": "u"}},
            409,
            "does not match the UID in record",
        ),
    ],
)
async def test_a_token_that_cannot_be_is_refused(
    server: MemoryApiServer, spec: dict[str, Any], code: int, message: str
) -> None:
    server.create("v1/pods", {"metadata": {"name": "other"}})
    server.create("v1/secrets", {"metadata": {"name": "s"}})
    refused = await request(server, **spec)
    assert (refused.status, message in refused.json["message"]) == (code, True), refused.text


async def test_an_account_that_is_not_there_has_no_token(server: MemoryApiServer) -> None:
    server.delete("v1/serviceaccounts", "default/bot")
    assert (await request(server)).json["message"] == 'serviceaccounts "bot" not found'


async def test_kubectl_creates_a_token(tmp_path: Any) -> None:
    async with FakeApiServer() as server:
        server.create("v1/serviceaccounts", {"metadata": {"name": "bot"}})
        token = (await Kubectl(server, tmp_path)("create", "token", "bot")).strip()
        user = server.access.user_of_token(token)
        assert user is not None
        assert user.name == "system:serviceaccount:default:bot"
