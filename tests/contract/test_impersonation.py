"""Acting as somebody else, and how one who may not is refused."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api
from .client import collection
from .rights import AUTHENTICATION, AUTHORIZATION, RBAC, granted, review, rule, settled

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("roles")]

CONFIGMAPS = "v1/configmaps"


async def test_whoever_may_impersonate_is_the_other(api: Api) -> None:
    """Recorded: 07 impersonation"""
    user = api.name()
    answer = await api.named(impersonate_user=user).get(api.path(CONFIGMAPS))
    answer.refused(
        403,
        "Forbidden",
        f'configmaps is forbidden: User "{user}" cannot list resource "configmaps" in API group "" in the '
        f'namespace "{api.namespace}"',
    )


async def test_an_impersonated_user_is_authenticated_and_in_the_groups_given(api: Api) -> None:
    """Kubernetes documentation: Authenticating, User impersonation"""
    user = api.name()
    client = api.named(impersonate_user=user, impersonate_group="agents")
    info = (await client.post(f"{AUTHENTICATION}/selfsubjectreviews", {})).ok(201)["status"]["userInfo"]
    assert info["username"] == user
    assert set(info["groups"]) == {"agents", "system:authenticated"}


async def test_a_group_is_not_impersonated_without_a_user(api: Api) -> None:
    """Source: apiserver/pkg/endpoints/filters/impersonation/impersonation.go"""
    answer = await api.named(impersonate_group="agents").get(api.path(CONFIGMAPS))
    assert answer.status in (400, 500)
    assert "without impersonating a user" in answer.text


async def test_whoever_is_not_allowed_to_impersonate_does_not(api: Api) -> None:
    """Kubernetes documentation: Authenticating, User impersonation"""
    client = api.unidentified(impersonate_user="somebody")
    answer = await client.get(api.path(CONFIGMAPS))
    if answer.status == 401:
        pytest.skip("the cluster lets nobody in anonymously")
    status = answer.refused(403, "Forbidden")
    assert 'cannot impersonate resource "users"' in status["message"]


@pytest.mark.parametrize(
    ("verb", "method", "name", "body"),
    [
        ("list", "GET", "", None),
        ("get", "GET", "x", None),
        ("create", "POST", "", {"metadata": {"name": "x"}}),
        ("update", "PUT", "x", {"metadata": {"name": "x"}}),
        ("delete", "DELETE", "x", None),
        ("deletecollection", "DELETE", "", None),
    ],
)
async def test_a_refusal_names_the_user_the_verb_and_the_resource(
    api: Api, verb: str, method: str, name: str, body: Any
) -> None:
    """Recorded: 07 forbidden get"""
    user = api.name()
    client = api.named(impersonate_user=user)
    status = (await client.send(method, api.path(CONFIGMAPS, name), body)).refused(403, "Forbidden")
    about = f'configmaps "{name}"' if name else "configmaps"
    assert status["message"] == (
        f'{about} is forbidden: User "{user}" cannot {verb} resource "configmaps" in API group "" in the '
        f'namespace "{api.namespace}"'
    )
    assert status["details"] == ({"name": name} if name else {}) | {"kind": "configmaps"}


async def test_a_refusal_of_the_cluster_says_so(api: Api) -> None:
    """Recorded: 07 forbidden at cluster scope"""
    user = api.name()
    (await api.named(impersonate_user=user).get(collection("v1/pods"))).refused(
        403,
        "Forbidden",
        f'pods is forbidden: User "{user}" cannot list resource "pods" in API group "" at the cluster scope',
    )


async def test_a_refusal_names_the_group_and_the_subresource(api: Api) -> None:
    """Source: apiserver/pkg/endpoints/handlers/responsewriters/errors.go"""
    user = api.name()
    path = api.path("apps/v1/deployments", "x", "scale")
    status = (await api.named(impersonate_user=user).get(path)).refused(
        403,
        "Forbidden",
        f'deployments.apps "x" is forbidden: User "{user}" cannot get resource "deployments/scale" in API '
        f'group "apps" in the namespace "{api.namespace}"',
    )
    assert status["details"] == {"name": "x", "group": "apps", "kind": "deployments"}


async def test_a_watch_is_a_right_of_its_own(api: Api) -> None:
    """Recorded: 07 forbidden watch"""
    user = api.name()
    await granted(api, user, rule("list"))
    assert await settled(api, user, verb="list", resource="configmaps")
    client = api.named(impersonate_user=user)
    (await client.get(api.path(CONFIGMAPS))).ok(200)
    status = (await client.get(api.path(CONFIGMAPS), watch=1)).refused(403, "Forbidden")
    assert f'User "{user}" cannot watch resource "configmaps"' in status["message"]


async def test_a_user_is_told_his_rules(api: Api) -> None:
    """Recorded: 07 SelfSubjectRulesReview"""
    user = api.name()
    await granted(api, user, rule("list", "watch"))
    assert await settled(api, user, verb="list", resource="configmaps")
    client = api.named(impersonate_user=user)
    path = f"{AUTHORIZATION}/selfsubjectrulesreviews"
    status = await review(client, path, namespace=api.namespace)
    mine = {"verbs": ["list", "watch"], "apiGroups": [""], "resources": ["configmaps"]}
    assert mine in status["resourceRules"]
    assert status["incomplete"] is False


async def test_nobody_gives_more_than_he_has(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, privilege escalation prevention"""
    user = api.name()
    roles = {"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["create"]}
    await granted(api, user, roles, rule("get"))
    assert await settled(api, user, verb="create", group=RBAC, resource="roles")
    client = api.named(impersonate_user=user)
    path = api.path(f"{RBAC}/v1/roles")
    name = api.name()
    body = {"metadata": {"name": name}, "rules": [rule("delete")]}
    status = (await client.post(path, body)).refused(403, "Forbidden")
    assert "is attempting to grant RBAC permissions not currently held" in status["message"]
    body = {"metadata": {"name": name}, "rules": [rule("get")]}
    (await client.post(path, body)).ok(201)
    api.made.append(f"{path}/{name}")
