"""Credentials, and reviews of what they are worth."""

from __future__ import annotations

import pytest

from .api import Api
from .rights import AUTHENTICATION, AUTHORIZATION, may, review

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


# --- credentials -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("roles")
async def test_whoever_has_no_credentials_is_anonymous(api: Api) -> None:
    """Recorded: 07 no credentials"""
    answer = await api.unidentified().get(api.path(CONFIGMAPS))
    if answer.status == 401:
        pytest.skip("the cluster lets nobody in anonymously")
    status = answer.refused(
        403,
        "Forbidden",
        'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" '
        f'in the namespace "{api.namespace}"',
    )
    assert status["details"] == {"kind": "configmaps"}


async def test_a_token_that_is_not_known_is_unauthorized(api: Api) -> None:
    """Recorded: 07 bad token"""
    client = api.unidentified(authorization="Bearer not-a-token")
    (await client.get(api.path(CONFIGMAPS))).refused(401, "Unauthorized", "Unauthorized")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version"])
async def test_health_and_version_are_for_everybody(api: Api, path: str) -> None:
    """Kubernetes documentation: Using RBAC Authorization, system:public-info-viewer"""
    answer = await api.unidentified().get(path)
    if answer.status == 401:
        pytest.skip("the cluster lets nobody in anonymously")
    assert answer.status == 200


@pytest.mark.usefixtures("roles")
async def test_discovery_is_not_for_the_anonymous(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, system:discovery"""
    answer = await api.unidentified().get("/api")
    if answer.status == 401:
        pytest.skip("the cluster lets nobody in anonymously")
    answer.refused(403, "Forbidden", 'forbidden: User "system:anonymous" cannot get path "/api"')


async def test_everybody_may_ask_who_he_is(api: Api) -> None:
    """KEP-3325: self subject attributes review"""
    body = (await api.post(f"{AUTHENTICATION}/selfsubjectreviews", {})).ok(201)
    user = body["status"]["userInfo"]
    assert user["username"]
    assert "system:authenticated" in user["groups"]


# --- reviews -----------------------------------------------------------------------------------------------


async def test_a_review_of_a_token_that_is_not_known_says_so(api: Api) -> None:
    """Recorded: 07 TokenReview, bad"""
    status = await review(api, f"{AUTHENTICATION}/tokenreviews", token="not-a-token")
    assert not status.get("authenticated")
    assert status["user"] == {}


async def test_a_review_of_my_own_token_knows_me(api: Api) -> None:
    """Recorded: 07 TokenReview, good"""
    token = api.cluster.authorization.removeprefix("Bearer ")
    if not token:
        pytest.skip("the kubeconfig has no token")
    me = (await api.post(f"{AUTHENTICATION}/selfsubjectreviews", {})).ok(201)["status"]["userInfo"]
    status = await review(api, f"{AUTHENTICATION}/tokenreviews", token=token)
    assert status["authenticated"] is True
    assert status["user"]["username"] == me["username"]
    assert "system:authenticated" in status["user"]["groups"]


async def test_a_review_is_not_kept(api: Api) -> None:
    """API conventions: Verbs on Resources, non-persistent resources"""
    path = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    body = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    made = (await api.post(path, body)).ok(201)
    assert not {"uid", "name", "resourceVersion"} & made["metadata"].keys()
    assert (await api.get(path)).status == 405


async def test_a_review_of_my_own_access_allows_what_i_may(api: Api) -> None:
    """Recorded: 07 SelfSubjectAccessReview"""
    path = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    attributes = {"verb": "create", "resource": "configmaps", "namespace": api.namespace}
    assert (await review(api, path, resourceAttributes=attributes))["allowed"] is True


@pytest.mark.usefixtures("roles")
async def test_a_review_of_the_access_of_a_stranger_denies_it(api: Api) -> None:
    """Recorded: 07 SubjectAccessReview, denied"""
    assert not await may(api, api.name(), verb="list", resource="pods", namespace=api.namespace)


async def test_the_masters_may_everything(api: Api) -> None:
    """Kubernetes documentation: Using RBAC Authorization, system:masters"""
    assert await may(api, api.name(), ("system:masters",), verb="delete", group="x.example.com", resource="y")


async def test_a_review_of_access_needs_a_user_or_a_group(api: Api) -> None:
    """Source: pkg/apis/authorization/validation/validation.go"""
    path = f"{AUTHORIZATION}/subjectaccessreviews"
    body = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    status = (await api.post(path, body)).refused(422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.user"]


async def test_a_review_of_access_is_of_a_resource_or_a_path(api: Api) -> None:
    """Source: pkg/apis/authorization/validation/validation.go"""
    path = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    (await api.post(path, {"spec": {}})).refused(422, "Invalid")


async def test_a_local_review_is_of_its_own_namespace(api: Api) -> None:
    """Source: pkg/apis/authorization/validation/validation.go"""
    path = api.path("authorization.k8s.io/v1/localsubjectaccessreviews")
    attributes = {"verb": "get", "resource": "pods", "namespace": "other"}
    answer = await api.post(path, {"spec": {"user": "u", "resourceAttributes": attributes}})
    assert answer.status in (400, 422), answer.text
