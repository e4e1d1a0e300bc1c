"""Roles and bindings: what they allow, and to whom."""

from __future__ import annotations

import pytest

from .api import Api
from .rights import RBAC, granted, rule, settled

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


async def test_a_star_is_everything(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, referring to resources"""
    user = api.name()
    await granted(api, user, {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
    assert await settled(api, user, verb="frob", group="x.example.com", resource="y", subresource="z")


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
