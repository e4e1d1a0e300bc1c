"""Acting as somebody else, and how one who may not is refused."""

from __future__ import annotations

import pytest

from .api import Api
from .rights import AUTHENTICATION

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


async def test_an_impersonated_user_is_authenticated_and_in_the_groups_given(api: Api) -> None:
    """Kubernetes documentation: Authenticating, User impersonation"""
    user = api.name()
    client = api.named(impersonate_user=user, impersonate_group="agents")
    info = (await client.post(f"{AUTHENTICATION}/selfsubjectreviews", {})).ok(201)["status"]["userInfo"]
    assert info["username"] == user
    assert set(info["groups"]) == {"agents", "system:authenticated"}


async def test_whoever_is_not_allowed_to_impersonate_does_not(api: Api) -> None:
    """Kubernetes documentation: Authenticating, User impersonation"""
    client = api.unidentified(impersonate_user="somebody")
    answer = await client.get(api.path(CONFIGMAPS))
    if answer.status == 401:
        pytest.skip("the cluster lets nobody in anonymously")
    status = answer.refused(403, "Forbidden")
    assert 'cannot impersonate resource "users"' in status["message"]
