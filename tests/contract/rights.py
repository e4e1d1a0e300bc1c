"""Gives rights to users that nobody is, and asks what they may."""

from __future__ import annotations

from typing import Any

from .api import Api, eventually
from .client import Client

__all__ = ["AUTHENTICATION", "AUTHORIZATION", "RBAC", "granted", "may", "review", "rule", "settled"]

RBAC = "rbac.authorization.k8s.io"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"


async def review(client: Client, path: str, **spec: Any) -> dict[str, Any]:
    """The status of a review of *spec*."""
    body: dict[str, Any] = (await client.post(path, {"spec": spec})).ok(201)
    status: dict[str, Any] = body["status"]
    return status


async def may(client: Client, user: str, groups: tuple[str, ...] = (), **attributes: str) -> bool:
    """Whether a SubjectAccessReview allows *user* what *attributes* say."""
    path = f"{AUTHORIZATION}/subjectaccessreviews"
    spec = {"user": user, "groups": list(groups), "resourceAttributes": attributes}
    allowed: bool = (await review(client, path, **spec))["allowed"]
    return allowed


def rule(*verbs: str, resources: tuple[str, ...] = ("configmaps",), **more: Any) -> dict[str, Any]:
    """A rule of a role, on configmaps if nothing else is said."""
    return {"apiGroups": [""], "resources": list(resources), "verbs": list(verbs), **more}


async def granted(api: Api, user: str, *rules: dict[str, Any]) -> None:
    """Give *user* a role with *rules* in the namespace of the run."""
    role = await api.create(f"{RBAC}/v1/roles", {"rules": list(rules)})
    binding = {
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }
    await api.create(f"{RBAC}/v1/rolebindings", binding)


async def settled(
    api: Api, user: str, groups: tuple[str, ...] = (), *, allowed: bool = True, **attributes: str
) -> bool:
    """Whether *user* is allowed *attributes* in the namespace, once the server has taken in the roles."""
    attributes["namespace"] = api.namespace
    return await eventually(lambda: may(api, user, groups, **attributes), lambda found: found == allowed)
