"""Roles and bindings: what they allow, and to whom."""

from __future__ import annotations

import pytest

from .api import Api
from .client import collection
from .rights import AUTHORIZATION, RBAC, granted, may, review, rule, settled

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("roles")]

CONFIGMAPS = "v1/configmaps"


async def test_a_role_allows_what_it_names_and_nothing_else(api: Api) -> None:
    """Recorded: 07 now allowed to list"""
    user = api.name()
    await granted(api, user, rule("list", "watch"))
    assert await settled(api, user, verb="list", resource="configmaps")
    for other in (
        {"verb": "get", "resource": "configmaps"},
        {"verb": "list", "resource": "secrets"},
        {"verb": "list", "resource": "configmaps", "group": "apps"},
        {"verb": "list", "resource": "configmaps", "subresource": "status"},
    ):
        assert not await may(api, user, namespace=api.namespace, **other)
    assert not await may(api, user, namespace="default", verb="list", resource="configmaps")
    assert not await may(api, user, verb="list", resource="configmaps")


async def test_a_role_may_name_objects(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, referring to resources"""
    user = api.name()
    await granted(api, user, rule("get", resourceNames=["one"]))
    assert await settled(api, user, verb="get", resource="configmaps", name="one")
    assert not await may(api, user, namespace=api.namespace, verb="get", resource="configmaps", name="two")
    assert not await may(api, user, namespace=api.namespace, verb="get", resource="configmaps")


async def test_a_role_may_name_subresources(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, referring to resources"""
    user = api.name()
    await granted(api, user, rule("get", resources=("pods/status",)))
    assert await settled(api, user, verb="get", resource="pods", subresource="status")
    assert not await may(api, user, namespace=api.namespace, verb="get", resource="pods")


async def test_a_star_is_everything(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, referring to resources"""
    user = api.name()
    await granted(api, user, {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
    assert await settled(api, user, verb="frob", group="x.example.com", resource="y", subresource="z")


async def test_a_binding_that_is_gone_allows_nothing(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization"""
    user = api.name()
    await granted(api, user, rule("list"))
    assert await settled(api, user, verb="list", resource="configmaps")
    binding = api.made[-1]
    (await api.delete(binding)).ok()
    assert not await settled(api, user, allowed=False, verb="list", resource="configmaps")


async def test_a_cluster_role_is_bound_in_a_namespace(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, RoleBinding and ClusterRoleBinding"""
    user = api.name()
    role = await api.create(
        f"{RBAC}/v1/clusterroles", {"rules": [rule("list")]}, at=collection(f"{RBAC}/v1/clusterroles")
    )
    binding = {
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }
    await api.create(f"{RBAC}/v1/rolebindings", binding)
    assert await settled(api, user, verb="list", resource="configmaps")
    assert not await may(api, user, namespace="default", verb="list", resource="configmaps")


async def test_a_cluster_binding_is_of_all_namespaces(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, RoleBinding and ClusterRoleBinding"""
    user = api.name()
    rules = [rule("list"), {"nonResourceURLs": ["/x/*"], "verbs": ["get"]}]
    role = await api.create(
        f"{RBAC}/v1/clusterroles", {"rules": rules}, at=collection(f"{RBAC}/v1/clusterroles")
    )
    binding = {
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }
    await api.create(
        f"{RBAC}/v1/clusterrolebindings", binding, at=collection(f"{RBAC}/v1/clusterrolebindings")
    )
    assert await settled(api, user, verb="list", resource="configmaps")
    assert await may(api, user, namespace="default", verb="list", resource="configmaps")
    assert await may(api, user, verb="list", resource="configmaps")
    path = f"{AUTHORIZATION}/subjectaccessreviews"
    for asked, allowed in (("/x/y", True), ("/y", False)):
        attributes = {"verb": "get", "path": asked}
        status = await review(api, path, user=user, nonResourceAttributes=attributes)
        assert status["allowed"] is allowed


async def test_a_role_is_given_to_a_group(api: Api) -> None:
    """Recorded: 07 binding"""
    group = api.name()
    role = await api.create(f"{RBAC}/v1/roles", {"rules": [rule("list")]})
    binding = {
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
    }
    await api.create(f"{RBAC}/v1/rolebindings", binding)
    assert await settled(api, "anybody", (group,), verb="list", resource="configmaps")
    assert not await may(api, "anybody", namespace=api.namespace, verb="list", resource="configmaps")


async def test_a_role_is_given_to_a_service_account(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, referring to subjects"""
    account = (await api.create("v1/serviceaccounts"))["metadata"]["name"]
    role = await api.create(f"{RBAC}/v1/roles", {"rules": [rule("list")]})
    binding = {
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": api.namespace}],
    }
    await api.create(f"{RBAC}/v1/rolebindings", binding)
    user = f"system:serviceaccount:{api.namespace}:{account}"
    assert await settled(api, user, verb="list", resource="configmaps")


async def test_a_binding_keeps_its_role(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, RoleBinding and ClusterRoleBinding"""
    ref = {"apiGroup": RBAC, "kind": "Role", "name": "a"}
    made = await api.create(f"{RBAC}/v1/rolebindings", {"roleRef": ref, "subjects": []})
    path = api.path(f"{RBAC}/v1/rolebindings", made["metadata"]["name"])
    status = (await api.patch(path, {"roleRef": {"name": "b"}})).refused(422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == ["roleRef"]
    assert status["message"].endswith("cannot change roleRef")
