"""Lists: their order, their versions, and what they refuse."""

from __future__ import annotations

import pytest

from .api import Api
from .client import collection, names

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


async def test_a_list_names_its_kind_and_its_version(api: Api) -> None:
    """Recorded: 05 by label"""
    selector, made = await api.labelled(2)
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector)).ok(200)
    assert list(body) == ["kind", "apiVersion", "metadata", "items"]
    assert (body["kind"], body["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(body["metadata"]["resourceVersion"]) >= int(made[-1]["metadata"]["resourceVersion"])


async def test_the_items_of_a_list_do_not_name_their_kind(api: Api) -> None:
    """Recorded: 05 by label"""
    selector, made = await api.labelled(1)
    (item,) = (await api.get(api.path(CONFIGMAPS), labelSelector=selector)).ok()["items"]
    assert item == {key: value for key, value in made[0].items() if key not in ("kind", "apiVersion")}


async def test_a_list_is_in_the_order_of_names(api: Api) -> None:
    """Recorded: 05 by label"""
    selector, made = await api.labelled(5)
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector)).ok()
    assert names(body) == [one["metadata"]["name"] for one in made]


async def test_a_list_of_the_cluster_has_every_namespace(api: Api) -> None:
    """API concepts: Resource URIs"""
    selector, made = await api.labelled(2)
    body = (await api.get(collection(CONFIGMAPS), labelSelector=selector)).ok()
    assert names(body) == [one["metadata"]["name"] for one in made]


async def test_an_empty_list_has_items(api: Api) -> None:
    """Recorded: 05 list in a missing namespace"""
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=f"app={api.name()}")).ok()
    assert body["items"] == []


async def test_a_namespace_that_does_not_exist_is_empty(api: Api) -> None:
    """Recorded: 05 list in a missing namespace"""
    assert (await api.get(f"/api/v1/namespaces/{api.name()}/configmaps")).ok(200)["items"] == []


async def test_a_list_shows_what_was_just_written(api: Api) -> None:
    """API concepts: Resource versions, most recent"""
    selector, made = await api.labelled(1)
    path = api.path(CONFIGMAPS, made[0]["metadata"]["name"])
    for value in "abc":
        changed = (await api.patch(path, {"data": {"k": value}})).ok()
        (item,) = (await api.get(api.path(CONFIGMAPS), labelSelector=selector)).ok()["items"]
        assert item["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


# --- versions ----------------------------------------------------------------------------------------------


async def test_a_list_at_0_is_of_any_version(api: Api) -> None:
    """Recorded: 05 rv 0"""
    body = (await api.get(api.path(CONFIGMAPS), resourceVersion=0)).ok(200)
    assert int(body["metadata"]["resourceVersion"]) > 0


async def test_a_list_may_ask_for_a_version_or_newer(api: Api) -> None:
    """Recorded: 05 not older than"""
    selector, made = await api.labelled(2)
    version = made[-1]["metadata"]["resourceVersion"]
    match = {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, **match)).ok(200)
    assert int(body["metadata"]["resourceVersion"]) >= int(version)
    assert len(body["items"]) == 2


async def test_a_version_without_a_match_means_that_or_newer(api: Api) -> None:
    """API concepts: Resource versions, semantics for list"""
    selector, made = await api.labelled(2)
    version = made[0]["metadata"]["resourceVersion"]
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, resourceVersion=version)).ok(200)
    assert int(body["metadata"]["resourceVersion"]) >= int(version)


async def test_a_list_may_ask_for_exactly_one_version(api: Api) -> None:
    """Recorded: 05 exact"""
    selector, made = await api.labelled(3)
    version = made[1]["metadata"]["resourceVersion"]
    (await api.delete(api.path(CONFIGMAPS, made[0]["metadata"]["name"]))).ok()
    match = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, **match)).ok(200)
    by_version = sorted(made, key=lambda one: int(one["metadata"]["resourceVersion"]))[:2]
    assert body["metadata"]["resourceVersion"] == version
    assert names(body) == sorted(one["metadata"]["name"] for one in by_version)


async def test_a_version_with_a_limit_means_exactly_that(api: Api) -> None:
    """API concepts: Resource versions, semantics for list"""
    selector, made = await api.labelled(2)
    version = made[0]["metadata"]["resourceVersion"]
    query = {"labelSelector": selector, "resourceVersion": version, "limit": 10}
    body = (await api.get(api.path(CONFIGMAPS), **query)).ok(200)
    assert (body["metadata"]["resourceVersion"], len(body["items"])) == (version, 1)


async def test_a_version_that_is_forgotten_has_expired(api: Api) -> None:
    """Recorded: 05 exact and very old"""
    match = {"resourceVersion": "1", "resourceVersionMatch": "Exact"}
    (await api.get(api.path(CONFIGMAPS), **match)).refused(
        410, "Expired", "The resourceVersion for the provided list is too old."
    )


async def test_a_version_that_is_to_come_is_waited_for_and_then_too_large(api: Api) -> None:
    """Recorded: 05 future version"""
    answer = await api.get(api.path(CONFIGMAPS), resourceVersion=999999999999)
    status = answer.refused(504, "Timeout")
    assert status["message"].startswith("Timeout: Too large resource version: 999999999999, current: ")
    assert status["details"] == {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (
            {"resourceVersion": "abc"},
            400,
            'invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing '
            '"abc": invalid syntax',
        ),
        (
            {"resourceVersionMatch": "Exact"},
            422,
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is '
            "forbidden unless resourceVersion is provided",
        ),
        (
            {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
            422,
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch '
            '"exact" is forbidden for resourceVersion "0"',
        ),
        (
            {"resourceVersion": "1", "resourceVersionMatch": "Roughly"},
            422,
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Roughly": '
            'supported values: "Exact", "NotOlderThan", ""',
        ),
        (
            {"sendInitialEvents": "true"},
            422,
            'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is '
            "forbidden for list",
        ),
        (
            {"continue": "abc"},
            400,
            "invalid continue token: continue key is not valid: invalid character 'i' looking for beginning "
            "of value",
        ),
    ],
    ids=[
        "version that is no number",
        "match without version",
        "exactly any version",
        "unknown match",
        "initial events of a list",
        "token that is none",
    ],
)
async def test_a_list_refuses(api: Api, query: dict[str, str], status: int, message: str) -> None:
    """Recorded: 05 bad version"""
    reason = "Invalid" if status == 422 else "BadRequest"
    (await api.get(api.path(CONFIGMAPS), **query)).refused(status, reason, message)
