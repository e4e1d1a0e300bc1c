"""Evictions: the budget is asked first, then the pod is deleted."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

from ..asked import Asked
from .cluster import PODS, asked, bound, change, delete, events, refused

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

WEB = {"app": "web"}
BUDGETS = "policy/v1/poddisruptionbudgets"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def budget(
    server: MemoryApiServer,
    allowed: int,
    *,
    name: str = "b",
    selector: Any = None,
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> None:
    """A budget that its controller has looked at."""
    server.create(
        BUDGETS,
        {
            "metadata": {"name": name},
            "spec": {"minAvailable": 1, "selector": selector or {"matchLabels": WEB}, **(spec or {})},
            "status": {
                "observedGeneration": 1,
                "disruptionsAllowed": allowed,
                "currentHealthy": 2,
                "desiredHealthy": 2,
                "expectedPods": 3,
                **status,
            },
        },
    )


def status(server: MemoryApiServer, name: str = "b") -> dict[str, Any]:
    found = server.get(BUDGETS, f"default/{name}")
    assert found is not None
    return dict(found["status"])


def unready(server: MemoryApiServer) -> None:
    bound(server, labels=WEB)
    server.patch("v1/pods", "default/p", {"status": {"conditions": []}})


async def evict(server: MemoryApiServer, name: str = "p", query: str = "", **more: Any) -> Asked:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **more}
    return await asked(server, f"{PODS}/{name}/eviction{query}", method="POST", body=body)


def left(server: MemoryApiServer) -> bool:
    return server.get("v1/pods", "default/p") is not None


# --- the delete --------------------------------------------------------------------------------------


async def test_an_eviction_says_why_and_deletes(bare: MemoryApiServer) -> None:
    bound(bare)
    version = bare.state.version
    answer = await evict(bare)
    expected = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    assert (answer.status, answer.json) == (201, expected)
    said, marked = await events(bare, PODS, version)
    condition = said["object"]["status"]["conditions"][-1]
    assert condition == {
        "type": "DisruptionTarget",
        "observedGeneration": 1,
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": condition["lastTransitionTime"],
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    assert marked["object"]["metadata"]["deletionGracePeriodSeconds"] == 30


async def test_the_options_of_the_delete_are_in_the_eviction(bare: MemoryApiServer) -> None:
    bound(bare)
    stale = await evict(bare, deleteOptions={"preconditions": {"uid": "other"}})
    assert refused(stale)[:2] == (409, "Conflict")
    await evict(bare, deleteOptions={"gracePeriodSeconds": 0})
    assert not left(bare)


@pytest.mark.parametrize(
    ("query", "more"), [("?dryRun=All", {}), ("", {"deleteOptions": {"dryRun": ["All"]}})]
)
async def test_a_dry_run_takes_nothing_from_the_budget(
    bare: MemoryApiServer, query: str, more: dict[str, Any]
) -> None:
    bound(bare, labels=WEB)
    budget(bare, 1)
    version = bare.state.version
    assert (await evict(bare, query=query, **more)).status == 201
    assert bare.state.version == version


async def test_the_first_version_of_evictions_is_accepted(bare: MemoryApiServer) -> None:
    bound(bare)
    assert (await evict(bare, apiVersion="policy/v1beta1")).status == 201


async def test_an_eviction_names_its_pod(bare: MemoryApiServer) -> None:
    bound(bare)
    answer = await evict(bare, metadata={"name": "q"})
    said = "name in URL does not match name in Eviction object"
    assert refused(answer) == (400, "BadRequest", said)
    assert refused(await evict(bare, "nobody")) == (404, "NotFound", 'pods "nobody" not found')


# --- the budget --------------------------------------------------------------------------------------


async def test_an_eviction_takes_one_disruption(bare: MemoryApiServer) -> None:
    bound(bare, labels=WEB)
    budget(bare, 2)
    await evict(bare)
    after = status(bare)
    assert after["disruptionsAllowed"] == 1
    assert list(after["disruptedPods"]) == ["p"]
    assert "conditions" not in after


async def test_the_last_disruption_says_that_it_was_the_last(bare: MemoryApiServer) -> None:
    bound(bare, labels=WEB)
    budget(bare, 1)
    await evict(bare)
    after = status(bare)
    (condition,) = after["conditions"]
    assert after["disruptionsAllowed"] == 0
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "DisruptionAllowed",
        "False",
        "InsufficientPods",
    )


async def test_a_budget_without_disruptions_refuses(bare: MemoryApiServer) -> None:
    bound(bare, labels=WEB)
    budget(bare, 0)
    answer = await evict(bare)
    assert refused(answer) == (429, "TooManyRequests", REFUSED)
    cause = {
        "reason": "DisruptionBudget",
        "message": "The disruption budget b needs 2 healthy pods and has 2 currently",
    }
    assert answer.json["details"] == {"causes": [cause]}
    assert "Retry-After" not in answer.headers
    assert left(bare)
    assert status(bare)["disruptionsAllowed"] == 0


async def test_a_budget_that_nobody_has_looked_at_says_when_to_ask_again(bare: MemoryApiServer) -> None:
    bound(bare, labels=WEB)
    budget(bare, 5, observedGeneration=0)
    answer = await evict(bare)
    assert refused(answer) == (429, "TooManyRequests", REFUSED)
    assert answer.json["details"] == {
        "causes": [
            {
                "reason": "DisruptionBudget",
                "message": "The disruption budget b is still being processed by the server.",
            }
        ],
        "retryAfterSeconds": 10,
    }
    assert answer.headers["Retry-After"] == "10"


@pytest.mark.parametrize(
    ("condition", "healthy", "said"),
    [
        (
            {"reason": "SyncFailed", "message": "no scale"},
            9,
            "does not allow evicting pods currently because it failed sync: no scale",
        ),
        ({"reason": "Other", "message": "why"}, 9, "does not allow evicting pods currently (Other): why"),
        ({"reason": "Other", "message": ""}, 9, "does not allow evicting pods currently"),
        ({"reason": "Other", "message": "why"}, 1, "needs 2 healthy pods and has 1 currently"),
    ],
)
async def test_the_cause_is_the_one_the_budget_knows(
    bare: MemoryApiServer, condition: dict[str, str], healthy: int, said: str
) -> None:
    bound(bare, labels=WEB)
    known = {
        "type": "DisruptionAllowed",
        "status": "False",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        **condition,
    }
    budget(bare, 0, conditions=[known], currentHealthy=healthy)
    (cause,) = (await evict(bare)).json["details"]["causes"]
    assert cause["message"] == f"The disruption budget b {said}"


async def test_a_budget_that_counts_below_zero_is_forbidden(bare: MemoryApiServer) -> None:
    bound(bare, labels=WEB)
    budget(bare, -1)
    answer = await evict(bare)
    said = 'poddisruptionbudget.policy "b" is forbidden: pdb disruptions allowed is negative'
    assert refused(answer) == (403, "Forbidden", said)


async def test_two_budgets_refuse_in_the_body_alone(bare: MemoryApiServer) -> None:
    bound(bare, labels=WEB)
    budget(bare, 5)
    budget(bare, 5, name="c")
    answer = await evict(bare)
    assert (answer.status, answer.json["status"], answer.json["code"]) == (201, "Failure", 500)
    assert answer.json["message"] == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )
    assert left(bare)


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"matchLabels": {"app": "db"}},
        {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]},
    ],
)
async def test_a_budget_for_others_is_not_asked(bare: MemoryApiServer, selector: dict[str, Any]) -> None:
    bound(bare, labels=WEB)
    budget(bare, 0, selector=selector or {"matchLabels": {}})
    assert (await evict(bare)).json["status"] == "Success"


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
async def test_a_pod_that_does_not_run_needs_no_budget(bare: MemoryApiServer, phase: str) -> None:
    bound(bare, labels=WEB)
    bare.patch("v1/pods", "default/p", {"status": {"phase": phase}})
    budget(bare, 0)
    assert (await evict(bare)).status == 201
    assert status(bare)["disruptionsAllowed"] == 0


async def test_a_pod_that_ends_already_needs_no_budget(bare: MemoryApiServer) -> None:
    bound(bare, labels=WEB)
    budget(bare, 0)
    await delete(bare, f"{PODS}/p")
    assert (await evict(bare)).status == 201


@pytest.mark.parametrize(
    ("policy", "healthy", "code"),
    [("AlwaysAllow", 0, 201), ("IfHealthyBudget", 2, 201), ("IfHealthyBudget", 1, 429), (None, 2, 201)],
)
async def test_a_pod_that_is_not_ready_goes_by_the_policy(
    bare: MemoryApiServer, policy: str | None, healthy: int, code: int
) -> None:
    unready(bare)
    spec = {"unhealthyPodEvictionPolicy": policy} if policy else {}
    budget(bare, 0, spec=spec, currentHealthy=healthy)
    assert (await evict(bare)).status == code


async def test_an_evicted_pod_goes_where_there_is_a_kubelet(server: MemoryApiServer) -> None:
    bound(server, labels=WEB)
    budget(server, 1)
    assert (await evict(server)).status == 201
    assert not left(server)
    assert refused(await change(server, f"{PODS}/p", {}))[0] == 404
