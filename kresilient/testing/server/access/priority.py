"""API Priority and Fairness: which flow schema and priority level a request belongs to.

Requests are told apart as the server does by default; nothing is queued, and FlowSchemas that a client
writes are stored but not asked. Source: `k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ..objects import timestamp
from ..state import ApiState
from ..users import AUTHENTICATED, MASTERS, UNAUTHENTICATED, User, service_account_of
from ..writing import Write
from .attributes import Attributes

__all__ = ["EXEMPT", "Flow", "Flows", "bootstrap_flows"]

GROUP: Final = "flowcontrol.apiserver.k8s.io"
EXEMPT: Final = "exempt"
"""The priority level of those that never wait."""
_MADE_UP: Final = uuid.UUID("6f1a2c1e-5b0e-4a57-9d0e-2f9c8a4b7e31")


@dataclass(frozen=True, slots=True)
class Flow:
    """What a request was taken for, by name."""

    schema: str
    level: str


@dataclass(frozen=True, slots=True)
class _OnResources:
    verbs: tuple[str, ...] = ("*",)
    groups: tuple[str, ...] = ("*",)
    resources: tuple[str, ...] = ("*",)
    cluster: bool = True

    def matches(self, asked: Attributes) -> bool:
        return (
            ("*" in self.verbs or asked.verb in self.verbs)
            and ("*" in self.groups or asked.group in self.groups)
            and ("*" in self.resources or asked.full in self.resources)
            and (self.cluster or bool(asked.namespace))
        )

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "verbs": list(self.verbs),
            "apiGroups": list(self.groups),
            "resources": list(self.resources),
        }
        return shown | ({"clusterScope": True} if self.cluster else {}) | {"namespaces": ["*"]}


_EVERYTHING: Final = (_OnResources(),)
_EVERYBODY: Final = (UNAUTHENTICATED, AUTHENTICATED)
_LOCK_VERBS: Final = ("get", "create", "update")


@dataclass(frozen=True, slots=True)
class _Schema:
    """A FlowSchema. *accounts* are ServiceAccounts of kube-system, `*` for all; *paths* are got."""

    name: str
    level: str
    precedence: int
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    resources: tuple[_OnResources, ...] = _EVERYTHING
    paths: tuple[str, ...] = ("*",)
    by: str = "ByUser"

    def is_of(self, name: str, groups: tuple[str, ...]) -> bool:
        """Whether it is about this user."""
        if name in self.users or not set(groups).isdisjoint(self.groups):
            return True
        account = service_account_of(name) if self.accounts else None
        if account is None or account[0] != "kube-system":
            return False
        return "*" in self.accounts or account[1] in self.accounts

    def matches(self, asked: Attributes) -> bool:
        if asked.resource:
            return any(rule.matches(asked) for rule in self.resources)
        if "*" in self.paths:
            return True
        return asked.verb == "get" and asked.path in self.paths


_SCHEMAS: Final = (
    _Schema("exempt", EXEMPT, 1, (MASTERS,), by=""),
    _Schema("probes", EXEMPT, 2, _EVERYBODY, resources=(), paths=("/healthz", "/readyz", "/livez"), by=""),
    _Schema(
        "system-leader-election",
        "leader-election",
        100,
        users=("system:kube-controller-manager", "system:kube-scheduler"),
        accounts=("*",),
        resources=(_OnResources(_LOCK_VERBS, ("coordination.k8s.io",), ("leases",), cluster=False),),
        paths=(),
    ),
    _Schema(
        "endpoint-controller",
        "workload-high",
        150,
        users=("system:kube-controller-manager",),
        accounts=("endpoint-controller", "endpointslicemirroring-controller"),
        resources=(_OnResources(_LOCK_VERBS, ("",), ("endpoints",), cluster=False),),
        paths=(),
    ),
    _Schema(
        "workload-leader-election",
        "leader-election",
        200,
        accounts=("*",),
        resources=(
            _OnResources(_LOCK_VERBS, ("",), ("endpoints", "configmaps"), cluster=False),
            _OnResources(_LOCK_VERBS, ("coordination.k8s.io",), ("leases",), cluster=False),
        ),
        paths=(),
    ),
    _Schema(
        "system-node-high",
        "node-high",
        400,
        ("system:nodes",),
        resources=(
            _OnResources(groups=("",), resources=("nodes", "nodes/status")),
            _OnResources(groups=("coordination.k8s.io",), resources=("leases",), cluster=False),
        ),
        paths=(),
    ),
    _Schema("system-nodes", "system", 500, ("system:nodes",)),
    _Schema(
        "kube-controller-manager",
        "workload-high",
        800,
        users=("system:kube-controller-manager",),
        by="ByNamespace",
    ),
    _Schema("kube-scheduler", "workload-high", 800, users=("system:kube-scheduler",), by="ByNamespace"),
    _Schema("kube-system-service-accounts", "workload-high", 900, accounts=("*",), by="ByNamespace"),
    _Schema("service-accounts", "workload-low", 9000, ("system:serviceaccounts",)),
    _Schema("global-default", "global-default", 9900, _EVERYBODY),
    _Schema("catch-all", "catch-all", 10000, _EVERYBODY),
)
"""By precedence."""

_LEVELS: Final[dict[str, tuple[int, int, tuple[int, int, int] | None]]] = {
    "exempt": (0, 0, None),
    "catch-all": (5, 0, None),
    "system": (30, 33, (64, 6, 50)),
    "node-high": (40, 25, (64, 6, 50)),
    "leader-election": (10, 0, (16, 4, 50)),
    "workload-high": (40, 50, (128, 6, 50)),
    "workload-low": (100, 90, (128, 6, 50)),
    "global-default": (20, 50, (128, 6, 50)),
}
"""Name: shares, percent that others may borrow, and queues, hand size, and length of a queue."""


@lru_cache(maxsize=1024)
def _schemas_of(name: str, groups: tuple[str, ...]) -> tuple[_Schema, ...]:
    return tuple(schema for schema in _SCHEMAS if schema.is_of(name, groups))


class Flows:
    """Tells requests apart. The uids are those of the objects in *state*, made up where it has none."""

    def __init__(self, state: ApiState) -> None:
        self._state = state
        self._resources = [
            state.resource(f"{GROUP}/v1/{plural}")
            for plural in ("flowschemas", "prioritylevelconfigurations")
        ]

    def of(self, user: User, asked: Attributes) -> Flow:
        """What *asked* by *user* is taken for."""
        found = (schema for schema in _schemas_of(user.name, user.groups) if schema.matches(asked))
        schema = next(found, _SCHEMAS[-1])
        return Flow(schema.name, schema.level)

    def headers(self, flow: Flow) -> dict[str, str]:
        """What every answer to such a request says of it."""
        schema, level = (
            self._uid(resource.plural, name, self._state.collection(resource).objects.get(name))
            for resource, name in zip(self._resources, (flow.schema, flow.level), strict=True)
        )
        return {"X-Kubernetes-Pf-Flowschema-Uid": schema, "X-Kubernetes-Pf-Prioritylevel-Uid": level}

    def _uid(self, plural: str, name: str, stored: Any) -> str:
        return _made_up(plural, name) if stored is None else str(stored.uid)


@lru_cache(maxsize=64)
def _made_up(plural: str, name: str) -> str:
    return str(uuid.uuid5(_MADE_UP, f"{plural}/{name}"))


# --- as objects --------------------------------------------------------------------------------------


def bootstrap_flows(state: ApiState) -> None:
    """Create the default flow schemas and priority levels that *state* lacks."""
    for plural, objects in (("prioritylevelconfigurations", _levels()), ("flowschemas", _shown(state.now()))):
        resource = state.resource(f"{GROUP}/v1/{plural}")
        for obj in objects:
            if obj["metadata"]["name"] not in state.collection(resource).objects:
                state.create(
                    resource,
                    obj,
                    write=Write(manager="api-priority-and-fairness-config-producer-v1", trusted=True),
                )


def _metadata(name: str) -> dict[str, Any]:
    return {"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}}


def _levels() -> Iterator[dict[str, Any]]:
    for name, (shares, lendable, queuing) in _LEVELS.items():
        of_all = {"nominalConcurrencyShares": shares, "lendablePercent": lendable}
        if name == EXEMPT:
            yield {"metadata": _metadata(name), "spec": {"type": "Exempt", "exempt": of_all}}
            continue
        response: dict[str, Any] = {"type": "Reject"}
        if queuing is not None:
            names = ("queues", "handSize", "queueLengthLimit")
            response = {"type": "Queue", "queuing": dict(zip(names, queuing, strict=True))}
        limited = {"nominalConcurrencyShares": shares, "limitResponse": response, "lendablePercent": lendable}
        yield {"metadata": _metadata(name), "spec": {"type": "Limited", "limited": limited}}


def _shown(now: float) -> Iterator[dict[str, Any]]:
    for schema in _SCHEMAS:
        spec: dict[str, Any] = {
            "priorityLevelConfiguration": {"name": schema.level},
            "matchingPrecedence": schema.precedence,
            "rules": [_rules(schema)],
        }
        if schema.by:
            spec["distinguisherMethod"] = {"type": schema.by}
        said = f'the PriorityLevelConfiguration object named "{schema.level}" and it exists'
        dangling = {
            "type": "Dangling",
            "status": "False",
            "lastTransitionTime": timestamp(now),
            "reason": "Found",
            "message": f"This FlowSchema references {said}",
        }
        yield {"metadata": _metadata(schema.name), "spec": spec, "status": {"conditions": [dangling]}}


def _rules(schema: _Schema) -> dict[str, Any]:
    rules: dict[str, Any] = {"subjects": list(_subjects(schema))}
    if schema.resources:
        rules["resourceRules"] = [rule.shown() for rule in schema.resources]
    if schema.paths:
        verbs = ["*"] if "*" in schema.paths else ["get"]
        rules["nonResourceRules"] = [{"verbs": verbs, "nonResourceURLs": list(schema.paths)}]
    return rules


def _subjects(schema: _Schema) -> Iterable[dict[str, Any]]:
    yield from ({"kind": "User", "user": {"name": name}} for name in schema.users)
    yield from ({"kind": "Group", "group": {"name": name}} for name in schema.groups)
    for name in schema.accounts:
        yield {"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}}
