"""Reviews say what the server would decide; what was recorded of them is replayed in tests/contract."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

from ..asked import asked
from .conftest import Ask, bind, grant, rule

AUTHENTICATION = "/apis/authentication.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
LIST = {"verb": "list", "resource": "configmaps", "namespace": "default"}


async def status(ask: Ask, path: str, **spec: Any) -> dict[str, Any]:
    answer = await ask(path, method="POST", body={"spec": spec})
    assert answer.status == 201, answer.text
    found: dict[str, Any] = answer.json["status"]
    return found


async def test_an_access_review_is_what_the_request_would_meet(
    server: MemoryApiServer, as_admin: Ask, as_jane: Ask
) -> None:
    path, mine = f"{AUTHORIZATION}/subjectaccessreviews", f"{AUTHORIZATION}/selfsubjectaccessreviews"
    asking: dict[str, Any] = {"user": "jane", "resourceAttributes": LIST}
    assert await status(as_admin, path, **asking) == {"allowed": False}
    grant(server, rule("list"))
    reason = 'RBAC: allowed by RoleBinding "r/default" of Role "r" to User "jane"'
    assert await status(as_admin, path, **asking) == {"allowed": True, "reason": reason}
    assert await status(as_jane, mine, resourceAttributes=LIST) == {"allowed": True, "reason": reason}
    other = LIST | {"namespace": "other"}
    assert await status(as_jane, mine, resourceAttributes=other) == {"allowed": False}


async def test_groups_and_paths_are_reviewed(server: MemoryApiServer, as_admin: Ask) -> None:
    path = f"{AUTHORIZATION}/subjectaccessreviews"
    metrics = {"verb": "get", "path": "/metrics"}
    found = await status(as_admin, path, groups=["system:monitoring"], nonResourceAttributes=metrics)
    assert found["reason"] == (
        'RBAC: allowed by ClusterRoleBinding "system:monitoring" of ClusterRole "system:monitoring" to Group '
        '"system:monitoring"'
    )
    assert not (await status(as_admin, path, user="x", nonResourceAttributes=metrics))["allowed"]


async def test_a_broken_binding_is_the_reason(server: MemoryApiServer, as_admin: Ask) -> None:
    bind(server, "Role", "lost")
    found = await status(
        as_admin, f"{AUTHORIZATION}/subjectaccessreviews", user="jane", resourceAttributes=LIST
    )
    lost = 'role.rbac.authorization.k8s.io "lost" not found'
    assert found == {"allowed": False, "reason": f"RBAC: {lost}"}


async def test_the_rules_of_a_user_are_those_of_the_cluster_and_of_the_namespace(
    server: MemoryApiServer, as_jane: Ask
) -> None:
    grant(server, rule("list", "get", names=("a",)))
    bind(server, "Role", "lost")
    path = f"{AUTHORIZATION}/selfsubjectrulesreviews"
    found = await status(as_jane, path, namespace="default")
    assert {
        "verbs": ["list", "get"],
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["a"],
    } in found["resourceRules"]
    assert found["evaluationError"] == 'role.rbac.authorization.k8s.io "lost" not found'
    elsewhere = await status(as_jane, path, namespace="other")
    assert len(elsewhere["resourceRules"]) == len(found["resourceRules"]) - 1


async def test_where_everybody_may_everything_the_rules_say_so() -> None:
    server = MemoryApiServer()

    async def ask(path: str, **options: Any) -> Any:
        return await asked(server, path, **options)

    found = await status(ask, f"{AUTHORIZATION}/selfsubjectrulesreviews", namespace="default")
    assert found == {
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": False,
    }


async def test_a_token_is_reviewed_for_an_audience(as_admin: Ask) -> None:
    path = f"{AUTHENTICATION}/tokenreviews"
    mine, other = "https://kubernetes.default.svc", "vault"
    good = await status(as_admin, path, token="jane-token", audiences=[mine, other])
    assert (good["authenticated"], good["user"]["username"], good["audiences"]) == (True, "jane", [mine])
    assert not (await status(as_admin, path, token="jane-token", audiences=[other])).get("authenticated")


async def test_who_i_am_is_answered_with_a_time_and_no_spec(as_jane: Ask) -> None:
    answer = await as_jane(f"{AUTHENTICATION}/selfsubjectreviews", method="POST", body={})
    assert answer.json.keys() == {"kind", "apiVersion", "metadata", "status"}
    assert answer.json["metadata"].keys() == {"creationTimestamp"}
    assert answer.json["status"]["userInfo"] == {
        "username": "jane",
        "uid": "u-1",
        "groups": ["devs", "system:authenticated"],
    }


LOCAL = f"{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews"


@pytest.mark.parametrize(
    ("path", "spec", "code", "message"),
    [
        (
            f"{AUTHORIZATION}/subjectaccessreviews",
            {"resourceAttributes": LIST},
            422,
            'SubjectAccessReview.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": at least '
            "one of user or group must be specified",
        ),
        (
            f"{AUTHORIZATION}/selfsubjectaccessreviews",
            {},
            422,
            'spec.resourceAttributes: Invalid value: "null": exactly one of nonResourceAttributes or '
            "resourceAttributes must be specified",
        ),
        (
            f"{AUTHORIZATION}/selfsubjectaccessreviews",
            {"resourceAttributes": LIST, "nonResourceAttributes": {"verb": "get", "path": "/x"}},
            422,
            'spec.nonResourceAttributes: Invalid value: authorization.NonResourceAttributes{Path:"/x", '
            'Verb:"get"}: cannot be specified in combination with resourceAttributes',
        ),
        (f"{AUTHORIZATION}/selfsubjectrulesreviews", {}, 400, "no namespace on request"),
        (f"{AUTHENTICATION}/tokenreviews", {}, 400, "token is required for TokenReview in authentication"),
        (
            LOCAL,
            {"user": "x", "resourceAttributes": LIST | {"namespace": "other"}},
            400,
            "spec.resourceAttributes.namespace must match namespace: default",
        ),
        (
            LOCAL,
            {"user": "x", "nonResourceAttributes": {"verb": "get", "path": "/x"}},
            422,
            "disallowed on this kind of request",
        ),
    ],
)
async def test_a_review_that_asks_for_nothing_is_refused(
    as_admin: Ask, path: str, spec: dict[str, Any], code: int, message: str
) -> None:
    refused = await as_admin(path, method="POST", body={"spec": spec})
    assert refused.status == code
    assert message in refused.json["message"]


async def test_a_local_review_is_of_its_namespace(server: MemoryApiServer, as_admin: Ask) -> None:
    grant(server, rule("list"))
    assert (await status(as_admin, LOCAL, user="jane", resourceAttributes=LIST))["allowed"]


ATTRIBUTES = "spec.resourceAttributes"


@pytest.mark.parametrize(
    ("selectors", "said"),
    [
        (
            {"fieldSelector": {}},
            f"{ATTRIBUTES}.fieldSelector.requirements: Required value: when {ATTRIBUTES}.fieldSelector is "
            "specified, requirements or rawSelector is required",
        ),
        (
            {"labelSelector": {"rawSelector": "a", "requirements": [{"key": "a", "operator": "Exists"}]}},
            f'{ATTRIBUTES}.labelSelector.rawSelector: Invalid value: "a": may not specified at the same time '
            "as requirements",
        ),
        (
            {"fieldSelector": {"requirements": [{"key": "a", "operator": "In"}]}},
            f"{ATTRIBUTES}.fieldSelector.requirements[0].values: Required value: must be specified when "
            "`operator` is 'In' or 'NotIn'",
        ),
        (
            {"labelSelector": {"requirements": [{"key": "a", "operator": "Exists", "values": ["b"]}]}},
            f"{ATTRIBUTES}.labelSelector.requirements[0].values: Forbidden: may not be specified when "
            "`operator` is 'Exists' or 'DoesNotExist'",
        ),
    ],
)
async def test_a_review_with_selectors_that_say_nothing_is_refused(
    as_jane: Ask, selectors: dict[str, Any], said: str
) -> None:
    spec = {"resourceAttributes": {"verb": "list", "resource": "pods", **selectors}}
    path = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    answer = await as_jane(path, method="POST", body={"spec": spec})
    assert answer.status == 422
    assert answer.json["message"] == f'SelfSubjectAccessReview.authorization.k8s.io "" is invalid: {said}'


async def test_selectors_of_a_review_are_taken_and_roles_do_not_look_at_them(
    server: MemoryApiServer, as_jane: Ask
) -> None:
    grant(server, rule("list"))
    requirements = [{"key": "a", "operator": "Later", "values": ["b"]}]
    found = await status(
        as_jane,
        f"{AUTHORIZATION}/selfsubjectaccessreviews",
        resourceAttributes={
            "verb": "list",
            "resource": "configmaps",
            "namespace": "default",
            "fieldSelector": {"rawSelector": "metadata.name=a"},
            "labelSelector": {"requirements": requirements},
        },
    )
    assert found["allowed"]


@pytest.mark.parametrize("path", [f"{AUTHORIZATION}/subjectaccessreviews", LOCAL])
async def test_a_review_has_no_name(as_admin: Ask, path: str) -> None:
    attributes = {"verb": "get", "resource": "pods", "namespace": "default"}
    body = {"metadata": {"name": "mine"}, "spec": {"user": "jane", "resourceAttributes": attributes}}
    answer = await as_admin(path, method="POST", body=body)
    (cause,) = answer.json["details"]["causes"]
    assert (answer.status, cause["field"]) == (422, "metadata")
    assert cause["message"].endswith(
        "must be empty except for namespace" if path == LOCAL else "must be empty"
    )
