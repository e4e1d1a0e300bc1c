"""`pods/eviction`: a delete that asks the pod's PodDisruptionBudget first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kresilient.api.errors import SelectorError
from kresilient.api.label_selectors import LabelSelector

from .binding import with_condition
from .delete_options import DeleteOptions, read_delete_options
from .deletion import check_preconditions
from .kinds import ApiResource
from .objects import timestamp
from .statuses import Refused, bad_request, forbidden_because, success
from .storage import Stored

if TYPE_CHECKING:
    from .state import ApiState

__all__ = ["evict"]

_MOST_DISRUPTED: Final = 2000
_CAUSE: Final = "DisruptionBudget"
_ALLOWED: Final = "DisruptionAllowed"


def evict(state: ApiState, key: str, eviction: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
    """Evict the pod *key*; returns the Status of the answer, whose HTTP code is 201 in every case.

    A pod that does not run, or has ended, needs no budget, and neither does one that is not ready where its
    budget says so or is met without it. Raises `Refused`: 404, 400, 409 for a precondition, and 429 where the
    budget allows no disruption.
    """
    resource = state.resources.parse("v1/pods")
    metadata = eviction.get("metadata") or {}
    name = key.rpartition("/")[2]
    if metadata.get("name") != name:
        raise bad_request("name in URL does not match name in Eviction object")
    options = _options(eviction, dry_run)
    pod = state.whole(resource, key)
    obj = pod.decode()
    phase = (obj.get("status") or {}).get("phase")
    if phase not in ("Succeeded", "Failed", "Pending") and not pod.marked:
        budgets = _budgets(state, pod)
        if len(budgets) > 1:
            # The real server answers 201 too, with this in the body.
            return {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": "This pod has more than one PodDisruptionBudget, which the eviction subresource "
                "does not support.",
                "code": 500,
            }
        for budget in budgets:
            _ask(state, budget, obj, dry_run=options.dry_run)
    _delete(state, resource, pod, options)
    return success(code=201)


def _options(eviction: Mapping[str, Any], dry_run: bool) -> DeleteOptions:
    """The delete options of *eviction*; a dry run may be asked for in them, in the request or in both."""
    given = eviction.get("deleteOptions")
    options = read_delete_options(given) if isinstance(given, dict) else DeleteOptions()
    return replace(options, dry_run=options.dry_run or dry_run)


def _delete(state: ApiState, resource: ApiResource, pod: Stored, options: DeleteOptions) -> None:
    """Say in the pod why it goes, and delete it."""
    check_preconditions(resource, pod, options)
    if not options.dry_run:
        obj = pod.decode()
        condition = {
            "type": "DisruptionTarget",
            "observedGeneration": obj["metadata"].get("generation"),
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        condition = {name: value for name, value in condition.items() if value is not None}
        obj["status"] = with_condition(obj.get("status") or {}, condition, state.now())
        state.write(resource, pod, obj)
        options = replace(options, version=None)  # it was met, and has just been outdated here
    state.delete(resource, pod.key, options)


# --- budgets -----------------------------------------------------------------------------------------


def _budgets(state: ApiState, pod: Stored) -> list[Stored]:
    """The budgets that select *pod*; one whose selector is empty or bad selects nothing."""
    collection = state.collection(state.resources.parse("policy/v1/poddisruptionbudgets"))
    start, end = collection.keys_in(pod.namespace)
    return [
        stored
        for stored in map(collection.objects.__getitem__, collection.keys[start:end])
        if not stored.poison and _selects(stored, pod)
    ]


def _selects(budget: Stored, pod: Stored) -> bool:
    try:
        selector = LabelSelector.parse((budget.get("spec") or {}).get("selector") or {})
    except SelectorError:
        return False
    return not selector.empty and selector.matches(pod.labels)


def _ask(state: ApiState, budget: Stored, pod: Mapping[str, Any], *, dry_run: bool) -> None:
    """Take one disruption from *budget* where the pod needs it. Raises `Refused`: 429, 403."""
    obj = budget.decode()
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if not _ready(pod) and (
        spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow" or (healthy >= desired and desired > 0)
    ):
        return
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        raise _too_many(f"The disruption budget {budget.name} is still being processed by the server.", 10)
    resource = state.resources.parse("policy/v1/poddisruptionbudgets")
    allowed, disrupted = status.get("disruptionsAllowed", 0), status.get("disruptedPods") or {}
    if allowed < 0:
        raise _forbidden(resource, budget.name, "pdb disruptions allowed is negative")
    if len(disrupted) > _MOST_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise _forbidden(resource, budget.name, why)
    if allowed == 0:
        raise _too_many(_denied(budget.name, status))
    if dry_run:
        return
    name = pod["metadata"]["name"]
    status = {**status, "disruptionsAllowed": allowed - 1}
    status["disruptedPods"] = dict(sorted({**disrupted, name: timestamp(state.now())}.items()))
    if allowed == 1:
        status["conditions"] = _insufficient(status, timestamp(state.now()))
    order = ("observedGeneration", "disruptedPods", "disruptionsAllowed")
    obj["status"] = {field: status[field] for field in order if field in status} | status
    state.write(resource, budget, obj)


def _ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _denied(name: str, status: Mapping[str, Any]) -> str:
    """Why a budget without disruptions left says no."""
    conditions: list[dict[str, Any]] = status.get("conditions") or []
    condition = next((one for one in conditions if one.get("type") == _ALLOWED), {})
    said = condition.get("message") if condition.get("status") == "False" else ""
    reason = condition.get("reason", "")
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    denied = f"The disruption budget {name} does not allow evicting pods currently"
    if said and reason == "SyncFailed":
        return f"{denied} because it failed sync: {said}"
    if healthy <= desired:
        return f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
    return f"{denied} ({reason}): {said}" if said else denied


def _insufficient(status: Mapping[str, Any], now: str) -> list[dict[str, Any]]:
    """The conditions of a budget that has just given its last disruption away."""
    conditions = [dict(one) for one in status.get("conditions") or []]
    old = next((one for one in conditions if one.get("type") == _ALLOWED), None)
    changed = old is None or old.get("status") != "False"
    new = {
        "type": _ALLOWED,
        "status": "False",
        "observedGeneration": status.get("observedGeneration", 0),
        "lastTransitionTime": now if old is None or changed else old["lastTransitionTime"],
        "reason": "InsufficientPods",
        "message": "",
    }
    if not new["observedGeneration"]:
        del new["observedGeneration"]
    return [new if one is old else one for one in conditions] if old is not None else [*conditions, new]


def _too_many(cause: str, retry_after: int = 0) -> Refused:
    details: dict[str, Any] = {"causes": [{"reason": _CAUSE, "message": cause}]}
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    return Refused(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
        details=details,
        headers={"Retry-After": str(retry_after)} if retry_after else {},
    )


def _forbidden(resource: ApiResource, name: str, why: str) -> Refused:
    return forbidden_because(replace(resource, plural="poddisruptionbudget"), name, why)
