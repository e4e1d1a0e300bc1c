"""What roles and bindings allow, asked on each request of the objects that are there then."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer, Refused
from kresilient.testing.server.access import Attributes
from kresilient.testing.server.requests import Call, RequestInfo

from ..asked import Asked
from .conftest import GROUP, Ask, bind, grant, rule


def may(server: MemoryApiServer, verb: str, path: str, *, token: str = "jane-token") -> bool:
    """Whether the user of *token* may; *path* may have a query."""
    user = server.access.user_of_token(token)
    assert user is not None
    path, _, query = path.partition("?")
    method = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}.get(verb, "GET")
    named = dict(part.split("=", 1) for part in query.split("&") if part)
    if verb == "watch":
        named["watch"] = "1"
    info = RequestInfo.of(Call(method, path, named, {}))
    assert info.verb == verb or not info.plural, f"{path} is a {info.verb}"
    return server.access.authorizer.decide(user, Attributes.of(info)).allowed


CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize(
    ("granted", "verb", "path", "allowed"),
    [
        (rule("list"), "list", CONFIGMAPS, True),
        (rule("list"), "watch", CONFIGMAPS, False),
        (rule("list"), "list", "/api/v1/configmaps", False),
        (rule("list"), "list", "/api/v1/namespaces/other/configmaps", False),
        (rule("list"), "list", "/api/v1/namespaces/default/secrets", False),
        (rule("*"), "delete", f"{CONFIGMAPS}/a", True),
        (rule("list", groups="*"), "list", CONFIGMAPS, True),
        (rule("list", groups="apps"), "list", CONFIGMAPS, False),
        (rule("list", resources="*"), "list", CONFIGMAPS, True),
        (rule("get", resources="pods"), "get", "/api/v1/namespaces/default/pods/a/status", False),
        (rule("get", resources="pods/status"), "get", "/api/v1/namespaces/default/pods/a/status", True),
        (rule("get", resources="*/status"), "get", "/api/v1/namespaces/default/pods/a/status", True),
        (rule("get", resources="*/status"), "get", "/api/v1/namespaces/default/pods/a", False),
        (rule("get", resources="*"), "get", "/api/v1/namespaces/default/pods/a/status", True),
        (rule("get", resources="pods/*"), "get", "/api/v1/namespaces/default/pods/a/status", False),
        (rule("get", names=("a",)), "get", f"{CONFIGMAPS}/a", True),
        (rule("get", names=("a",)), "get", f"{CONFIGMAPS}/b", False),
        (rule("list", names=("a",)), "list", CONFIGMAPS, False),
        (rule("list", names=("a",)), "list", f"{CONFIGMAPS}?fieldSelector=metadata.name=a", True),
        (rule("watch", names=("a",)), "watch", f"{CONFIGMAPS}?fieldSelector=metadata.name=b", False),
        (rule("create", names=("a",)), "create", CONFIGMAPS, False),
        (rule("get", resources="namespaces"), "get", "/api/v1/namespaces/default", True),
        (rule("get", resources="namespaces"), "get", "/api/v1/namespaces/other", False),
    ],
)
def test_a_role_allows_what_its_rules_name(
    server: MemoryApiServer, granted: dict[str, Any], verb: str, path: str, allowed: bool
) -> None:
    assert not may(server, verb, path)
    grant(server, granted)
    assert may(server, verb, path) is allowed


@pytest.mark.parametrize(
    ("urls", "path", "allowed"),
    [
        (["/metrics"], "/metrics", True),
        (["/metrics"], "/metrics/slis", False),
        (["/metrics/*"], "/metrics/slis", True),
        (["/metrics/*"], "/metrics", False),
        (["/met*"], "/metrics", True),
        (["*"], "/anything", True),
    ],
)
def test_a_cluster_role_allows_paths(
    server: MemoryApiServer, urls: list[str], path: str, allowed: bool
) -> None:
    grant(server, {"verbs": ["get"], "nonResourceURLs": urls}, namespace="")
    assert may(server, "get", path) is allowed


def test_paths_are_not_granted_in_a_namespace(server: MemoryApiServer) -> None:
    bind(server, "ClusterRole", "cluster-admin", namespace="default")
    assert may(server, "delete", f"{CONFIGMAPS}/a")
    assert not may(server, "get", "/metrics")
    assert not may(server, "list", "/api/v1/configmaps")


@pytest.mark.parametrize("to", [("User", "jane"), ("Group", "devs"), ("Group", "system:authenticated")])
def test_a_cluster_binding_is_of_every_namespace(server: MemoryApiServer, to: tuple[str, str]) -> None:
    grant(server, rule("list"), namespace="", to=to)
    for path in (CONFIGMAPS, "/api/v1/namespaces/other/configmaps", "/api/v1/configmaps"):
        assert may(server, "list", path)


def test_a_service_account_is_a_subject(server: MemoryApiServer) -> None:
    server.access.accept("bot", user="system:serviceaccount:default:bot", groups=["system:serviceaccounts"])
    grant(server, rule("list"), to=("ServiceAccount", "bot"))
    assert may(server, "list", CONFIGMAPS, token="bot")
    assert not may(server, "list", CONFIGMAPS)


def test_what_is_taken_back_is_no_longer_allowed(server: MemoryApiServer) -> None:
    grant(server, rule("list"))
    assert may(server, "list", CONFIGMAPS)
    server.patch(f"{GROUP}/v1/roles", "default/r", {"rules": [rule("get")]})
    assert not may(server, "list", CONFIGMAPS)
    assert may(server, "get", f"{CONFIGMAPS}/a")
    server.delete(f"{GROUP}/v1/rolebindings", "default/r")
    assert not may(server, "get", f"{CONFIGMAPS}/a")


def test_an_aggregated_role_has_the_rules_of_those_it_selects(server: MemoryApiServer) -> None:
    bind(server, "ClusterRole", "view")
    widgets = "/apis/example.com/v1/namespaces/default/widgets"
    assert may(server, "list", CONFIGMAPS)
    assert not may(server, "list", "/api/v1/namespaces/default/secrets")
    assert not may(server, "list", widgets)
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    server.create(
        f"{GROUP}/v1/clusterroles",
        {
            "metadata": {"name": "widgets-view", "labels": labels},
            "rules": [rule("list", resources="widgets", groups="example.com")],
        },
    )
    assert may(server, "list", widgets)


def test_edit_is_part_of_admin_and_view_of_edit(server: MemoryApiServer) -> None:
    bind(server, "ClusterRole", "admin")
    assert may(server, "list", CONFIGMAPS)
    assert may(server, "create", CONFIGMAPS)
    assert may(server, "create", f"/apis/{GROUP}/v1/namespaces/default/roles")
    assert not may(server, "create", "/api/v1/nodes")


def test_roles_that_aggregate_each_other_end(server: MemoryApiServer) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        selector = {"matchExpressions": [{"key": other, "operator": "Exists"}]}
        server.create(
            f"{GROUP}/v1/clusterroles",
            {
                "metadata": {"name": name, "labels": {name: ""}},
                "aggregationRule": {"clusterRoleSelectors": [selector]},
                "rules": None,
            },
        )
    bind(server, "ClusterRole", "a")
    assert not may(server, "list", CONFIGMAPS)


async def test_a_binding_to_a_role_that_is_missing_is_named_in_the_refusal(
    server: MemoryApiServer, as_jane: Ask
) -> None:
    bind(server, "ClusterRole", "lost")
    refused = await as_jane(CONFIGMAPS)
    assert refused.status == 403
    assert refused.json["message"].endswith(
        'in the namespace "default": RBAC: clusterrole.rbac.authorization.k8s.io "lost" not found'
    )


def test_an_object_that_cannot_be_read_grants_nothing(server: MemoryApiServer) -> None:
    grant(server, rule("list"))
    server.state.put_raw(f"{GROUP}/v1/roles", "default/r", b"{")
    assert not may(server, "list", CONFIGMAPS)


async def test_the_masters_are_not_asked(server: MemoryApiServer, as_admin: Ask) -> None:
    for binding in server.objects(f"{GROUP}/v1/clusterrolebindings"):
        server.delete(f"{GROUP}/v1/clusterrolebindings", binding)
    assert (await as_admin(CONFIGMAPS)).status == 200


def test_an_unknown_way_of_deciding_is_refused() -> None:
    with pytest.raises(ValueError, match='"authenticated" or "rbac", not \'abac\''):
        MemoryApiServer(authorization="abac")


async def test_the_default_roles_come_back_with_a_state_and_keep_what_a_test_changed(
    server: MemoryApiServer,
) -> None:
    before = server.objects(f"{GROUP}/v1/clusterroles")
    server.patch(f"{GROUP}/v1/clusterroles", "view", {"metadata": {"labels": {"mine": "yes"}}})
    server.delete(f"{GROUP}/v1/clusterroles", "edit")
    again = MemoryApiServer(authorization="rbac", state=server.state).objects(f"{GROUP}/v1/clusterroles")
    assert again.keys() == before.keys()
    assert again["view"]["metadata"]["labels"]["mine"] == "yes"


# --- what is created in passing ----------------------------------------------------------------------


LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
APPLY = "application/apply-patch+yaml"


@pytest.mark.parametrize(
    ("method", "query", "media_type"), [("PUT", "", ""), ("PATCH", "?fieldManager=m", APPLY)]
)
async def test_an_update_or_an_apply_that_creates_needs_the_right_to_create_too(
    server: MemoryApiServer, as_jane: Ask, method: str, query: str, media_type: str
) -> None:
    leases = "coordination.k8s.io"
    grant(server, rule("update", "patch", resources="leases", groups=leases))
    body = {"apiVersion": f"{leases}/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}

    async def write(name: str) -> Asked:
        named = {**body, "metadata": {"name": name}}
        return await as_jane(f"{LEASES}/{name}{query}", method=method, body=named, content_type=media_type)

    refused = await write("l")
    assert (refused.status, refused.json["reason"]) == (403, "Forbidden")
    assert refused.json["message"] == 'leases.coordination.k8s.io "l" is forbidden: '
    assert server.objects(f"{leases}/v1/leases") == {}
    server.create(f"{leases}/v1/leases", {"metadata": {"name": "there"}})
    assert (await write("there")).status == 200, "what is there is only updated"
    grant(server, rule("create", resources="leases", groups=leases), name="creates")
    assert (await write("l")).status == 201


# --- nobody gives what he has not got ----------------------------------------------------------------


ROLES = f"/apis/{GROUP}/v1/namespaces/default/roles"
BINDINGS = f"/apis/{GROUP}/v1/namespaces/default/rolebindings"
WRITES_ROLES = rule("create", "update", "patch", resources="roles rolebindings", groups=GROUP)


async def test_nobody_writes_a_role_that_grants_more_than_he_has(
    server: MemoryApiServer, as_jane: Ask
) -> None:
    grant(server, WRITES_ROLES, rule("get"))
    wanted = rule("get", "delete", "list")
    refused = await as_jane(ROLES, method="POST", body={"metadata": {"name": "more"}, "rules": [wanted]})
    assert (refused.status, refused.json["message"]) == (
        403,
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "jane" (groups=["devs" '
        '"system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["configmaps"], Verbs:["delete" "list"]}',
    )
    body = {"metadata": {"name": "more"}, "rules": [rule("get", names=("a",))]}
    assert (await as_jane(ROLES, method="POST", body=body)).status == 201
    patch = {"rules": [wanted]}
    merge = "application/merge-patch+json"
    assert (await as_jane(f"{ROLES}/more", method="PATCH", body=patch, content_type=merge)).status == 403
    patch = {"metadata": {"labels": {"a": "b"}}}
    assert (await as_jane(f"{ROLES}/more", method="PATCH", body=patch, content_type=merge)).status == 200


async def test_whoever_may_escalate_writes_any_role(server: MemoryApiServer, as_jane: Ask) -> None:
    grant(server, WRITES_ROLES, rule("escalate", resources="roles", groups=GROUP))
    body = {"metadata": {"name": "more"}, "rules": [rule("*")]}
    assert (await as_jane(ROLES, method="POST", body=body)).status == 201


@pytest.mark.parametrize(
    ("also", "status"), [((), 403), ((rule("bind", resources="clusterroles", groups=GROUP),), 201)]
)
async def test_nobody_binds_a_role_that_grants_more_than_he_has_but_who_may_bind_it(
    server: MemoryApiServer, as_jane: Ask, also: tuple[dict[str, Any], ...], status: int
) -> None:
    grant(server, WRITES_ROLES, *also)
    ref = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "view"}
    body = {"metadata": {"name": "b"}, "subjects": [{"kind": "User", "name": "x"}], "roleRef": ref}
    assert (await as_jane(BINDINGS, method="POST", body=body)).status == status


async def test_only_who_may_everything_aggregates(server: MemoryApiServer, as_jane: Ask) -> None:
    grant(server, rule("create", resources="clusterroles", groups=GROUP), namespace="")
    selector = {"matchLabels": {"a": "b"}}
    body = {
        "metadata": {"name": "a"},
        "aggregationRule": {"clusterRoleSelectors": [selector]},
        "rules": None,
    }
    path = f"/apis/{GROUP}/v1/clusterroles"
    refused = await as_jane(path, method="POST", body=body)
    assert "must have cluster-admin privileges to use the aggregationRule" in refused.json["message"]
    bind(server, "ClusterRole", "cluster-admin", namespace="", name="jane")
    assert (await as_jane(path, method="POST", body=body)).status == 201


def test_a_test_writes_any_role_at_once() -> None:
    server = MemoryApiServer(authorization="rbac")
    with pytest.raises(Refused):
        server.create(f"{GROUP}/v1/clusterroles", {"metadata": {"name": "view"}})
    grant(server, rule("*"))
    assert "default/r" in server.objects(f"{GROUP}/v1/roles")
