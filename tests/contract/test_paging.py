"""Lists in pages: one moment, cut by a limit, read on with a token."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from .api import Api
from .client import collection, names

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


async def test_a_list_comes_in_pages(api: Api) -> None:
    """Recorded: 05 page 1"""
    selector, made = await api.labelled(7)
    query: dict[str, Any] = {"labelSelector": selector, "limit": 3}
    found, sizes, versions = [], [], set()
    while True:
        body = (await api.get(api.path(CONFIGMAPS), **query)).ok(200)
        found += names(body)
        sizes.append(len(body["items"]))
        versions.add(body["metadata"]["resourceVersion"])
        if not (token := body["metadata"].get("continue")):
            break
        query["continue"] = token
    assert sizes == [3, 3, 1]
    assert found == [one["metadata"]["name"] for one in made]
    assert len(versions) == 1


async def test_all_pages_are_of_one_moment(api: Api) -> None:
    """API concepts: Retrieving large results sets in chunks"""
    selector, made = await api.labelled(4)
    first = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, limit=2)).ok()
    (await api.delete(api.path(CONFIGMAPS, made[2]["metadata"]["name"]))).ok()
    (await api.patch(api.path(CONFIGMAPS, made[3]["metadata"]["name"]), {"data": {"k": "v"}})).ok()
    rest = {"continue": first["metadata"]["continue"], "labelSelector": selector, "limit": 10}
    second = (await api.get(api.path(CONFIGMAPS), **rest)).ok(200)
    assert [one["metadata"]["resourceVersion"] for one in second["items"]] == [
        one["metadata"]["resourceVersion"] for one in made[2:]
    ]


async def test_a_last_page_that_is_full_has_no_token(api: Api) -> None:
    """API concepts: Retrieving large results sets in chunks"""
    selector, _ = await api.labelled(2)
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, limit=2)).ok()
    assert not body["metadata"].get("continue")


async def test_a_page_says_how_many_remain(api: Api) -> None:
    """Recorded: 05 page without selector has remainingItemCount"""
    await api.labelled(4)
    total = len((await api.get(api.path(CONFIGMAPS))).ok()["items"])
    body = (await api.get(api.path(CONFIGMAPS), limit=3)).ok()
    assert body["metadata"]["remainingItemCount"] == total - 3


async def test_a_page_of_a_selection_does_not(api: Api) -> None:
    """Recorded: 05 page 1"""
    selector, _ = await api.labelled(4)
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, limit=3)).ok()
    assert "remainingItemCount" not in body["metadata"]


async def test_a_limit_means_nothing_at_version_0(api: Api) -> None:
    """Recorded: 05 limit with rv 0"""
    selector, made = await api.labelled(4)
    # the cache may lag behind on a real server: a list of that version brings it up
    version = made[-1]["metadata"]["resourceVersion"]
    (await api.get(api.path(CONFIGMAPS), resourceVersion=version)).ok()
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, limit=3, resourceVersion=0)).ok()
    assert len(body["items"]) == 4
    assert not body["metadata"].get("continue")


async def test_a_limit_below_0_is_none(api: Api) -> None:
    """Recorded: 05 bad limit"""
    selector, _ = await api.labelled(2)
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, limit=-1)).ok(200)
    assert len(body["items"]) == 2


async def test_a_token_has_its_own_version(api: Api) -> None:
    """Recorded: 05 continue with resourceVersion"""
    selector, made = await api.labelled(3)
    first = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, limit=2)).ok()
    version = made[-1]["metadata"]["resourceVersion"]
    query = {"continue": first["metadata"]["continue"], "resourceVersion": version}
    answer = await api.get(api.path(CONFIGMAPS), labelSelector=selector, limit=2, **query)
    answer.refused(400, "BadRequest", "specifying resource version is not allowed when using continue")


async def test_a_token_is_base64_without_padding(api: Api) -> None:
    """Source: apiserver/pkg/storage/continue.go"""
    selector, _ = await api.labelled(2)
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, limit=1)).ok()
    token = body["metadata"]["continue"]
    assert b'"v":"meta.k8s.io/v1"' in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


async def test_pages_of_the_cluster_go_on_across_namespaces(api: Api) -> None:
    """API concepts: Retrieving large results sets in chunks"""
    selector, made = await api.labelled(2)
    other = (await api.create("v1/namespaces", at="/api/v1/namespaces"))["metadata"]["name"]
    labels = made[0]["metadata"]["labels"]
    there = collection(CONFIGMAPS, other)
    made += [await api.create(CONFIGMAPS, {"metadata": {"labels": labels}}, at=there) for _ in range(2)]
    query: dict[str, Any] = {"labelSelector": selector, "limit": 1}
    found = []
    while True:
        body = (await api.get(collection(CONFIGMAPS), **query)).ok()
        found += [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in body["items"]]
        if not (token := body["metadata"].get("continue")):
            break
        query["continue"] = token
    assert found == sorted((one["metadata"]["namespace"], one["metadata"]["name"]) for one in made)
