"""What priority and fairness take a request for, and who has to wait."""

from __future__ import annotations

import asyncio

import pytest

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.access import Attributes
from kresilient.testing.server.access.priority import Flow, Flows
from kresilient.testing.server.requests import Call, RequestInfo
from kresilient.testing.server.users import AUTHENTICATED, MASTERS, UNAUTHENTICATED, User

from ..asked import asked

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
ACCOUNT = ("system:serviceaccounts", AUTHENTICATED)


@pytest.mark.parametrize(
    ("user", "groups", "method", "path", "schema", "level"),
    [
        ("admin", (MASTERS, AUTHENTICATED), "GET", CONFIGMAPS, "exempt", "exempt"),
        ("jane", (AUTHENTICATED,), "GET", CONFIGMAPS, "global-default", "global-default"),
        ("x", (UNAUTHENTICATED,), "GET", "/version", "global-default", "global-default"),
        ("x", (UNAUTHENTICATED,), "GET", "/healthz", "probes", "exempt"),
        ("system:node:n", ("system:nodes", AUTHENTICATED), "GET", CONFIGMAPS, "system-nodes", "system"),
        (
            "system:node:n",
            ("system:nodes",),
            "PATCH",
            "/api/v1/nodes/n/status",
            "system-node-high",
            "node-high",
        ),
        ("system:node:n", ("system:nodes",), "PUT", LEASE, "system-node-high", "node-high"),
        (
            "system:kube-scheduler",
            (AUTHENTICATED,),
            "PUT",
            LEASE,
            "system-leader-election",
            "leader-election",
        ),
        ("system:kube-scheduler", (AUTHENTICATED,), "GET", CONFIGMAPS, "kube-scheduler", "workload-high"),
        (
            "system:serviceaccount:kube-system:c",
            ACCOUNT,
            "PUT",
            LEASE,
            "system-leader-election",
            "leader-election",
        ),
        (
            "system:serviceaccount:kube-system:c",
            ACCOUNT,
            "DELETE",
            CONFIGMAPS,
            "kube-system-service-accounts",
            "workload-high",
        ),
        ("system:serviceaccount:default:c", ACCOUNT, "PUT", LEASE, "service-accounts", "workload-low"),
        ("whoever", (), "GET", CONFIGMAPS, "catch-all", "catch-all"),
    ],
)
def test_a_request_has_the_flow_schema_of_its_user_and_its_resource(
    user: str, groups: tuple[str, ...], method: str, path: str, schema: str, level: str
) -> None:
    asked_for = Attributes.of(RequestInfo.of(Call(method, path, {}, {})))
    flows = Flows(MemoryApiServer().state)
    assert flows.of(User(user, groups=groups), asked_for) == Flow(schema, level)


async def test_answers_name_the_flow_schema_and_the_level_by_uid() -> None:
    server = MemoryApiServer(authorization="rbac")
    server.access.accept("j", user="jane")
    group = "flowcontrol.apiserver.k8s.io/v1"
    for token, name in ((server.token, "exempt"), ("j", "global-default")):
        headers = (await asked(server, CONFIGMAPS, authorization=f"Bearer {token}")).headers
        for header, plural in (
            ("Flowschema", "flowschemas"),
            ("Prioritylevel", "prioritylevelconfigurations"),
        ):
            stored = server.get(f"{group}/{plural}", name)
            assert stored is not None
            assert headers[f"X-Kubernetes-Pf-{header}-Uid"] == stored["metadata"]["uid"]
    refused = await asked(server, CONFIGMAPS, authorization="Bearer bad")
    assert not [name for name in refused.headers if name.startswith("X-Kubernetes-Pf")]


@pytest.mark.looptime
async def test_reading_and_writing_have_limits_of_their_own() -> None:
    server = MemoryApiServer(max_inflight=2, max_mutating_inflight=1)
    server.faults.next("*").times(3).delay(5.0)
    body = {"metadata": {"name": "a"}}
    waiting = [
        asyncio.create_task(asked(server, CONFIGMAPS)),
        asyncio.create_task(asked(server, CONFIGMAPS)),
        asyncio.create_task(asked(server, CONFIGMAPS, method="POST", body=body)),
    ]
    await server.requests.wait_for(3)
    assert server.inflight == 3
    for refused in (await asked(server, CONFIGMAPS), await asked(server, CONFIGMAPS, method="DELETE")):
        assert (refused.status, refused.text) == (429, "Too many requests, please try again later.\n")
        assert refused.headers["Retry-After"] == "1"
        assert "X-Kubernetes-Pf-Prioritylevel-Uid" in refused.headers
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200, 201]
    assert server.inflight == 0


@pytest.mark.looptime
async def test_the_masters_are_never_made_to_wait() -> None:
    server = MemoryApiServer(max_inflight=1, authorization="rbac")
    server.faults.next("list").delay(5.0)
    headers = {"authorization": f"Bearer {server.token}"}
    first = asyncio.create_task(asked(server, CONFIGMAPS, **headers))
    await server.requests.wait_for(1)
    assert (await asked(server, CONFIGMAPS, **headers)).status == 200
    assert (await asked(server, CONFIGMAPS)).status == 429
    assert (await first).status == 200


async def test_who_may_not_act_as_somebody_else_is_told_so_before_anybody_waits() -> None:
    server = MemoryApiServer(authorization="rbac", max_inflight=0)
    server.access.accept("jane-token", user="jane")
    jane = {"authorization": "Bearer jane-token"}
    assert (await asked(server, CONFIGMAPS, **jane)).status == 429
    refused = await asked(server, CONFIGMAPS, impersonate_user="joe", **jane)
    assert (refused.status, "X-Kubernetes-Pf-Flowschema-Uid" in refused.headers) == (403, False)
