"""What the admission plug-ins that every server runs do to a new object of a built-in kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from kresilient.testing.server.statuses import Refused, about

if TYPE_CHECKING:
    from kresilient.testing.server.kinds import ApiResource

__all__ = ["Lookup", "admit"]

Lookup = Callable[[str, str], Mapping[str, Any] | None]
"""The object of a resource (`"v1/namespaces"`) under a key, or None."""

_NOT_READY: Final = "node.kubernetes.io/not-ready"
_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_SYSTEM_CLASSES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def admit(resource: ApiResource, obj: dict[str, Any], lookup: Lookup) -> None:
    """Change *obj*, in place, as `DefaultTolerationSeconds` and `Priority` do. Raises `Refused` (403)."""
    if resource.storage == ("", "pods"):
        spec = obj.setdefault("spec", {})
        _tolerate_lost_nodes(spec)
        _prioritize(resource, obj, spec, lookup)


def _tolerate_lost_nodes(spec: dict[str, Any]) -> None:
    """For five minutes, where the pod says nothing of it."""
    held = spec.get("tolerations") or []
    missing = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in (_NOT_READY, _UNREACHABLE)
        if not any(_tolerates(one, key) for one in held)
    ]
    if missing:
        spec["tolerations"] = [*held, *missing]


def _tolerates(toleration: Mapping[str, Any], key: str) -> bool:
    return toleration.get("key") in (None, "", key) and toleration.get("effect") in (None, "", "NoExecute")


def _prioritize(resource: ApiResource, obj: Mapping[str, Any], spec: dict[str, Any], lookup: Lookup) -> None:
    name = spec.get("priorityClassName") or ""
    if name in _SYSTEM_CLASSES:
        found: Mapping[str, Any] | None = {"value": _SYSTEM_CLASSES[name]}
    elif name:
        found = lookup("scheduling.k8s.io/v1/priorityclasses", name)
    else:
        found = {"value": 0}
    if found is None:
        pod = obj["metadata"].get("name") or ""
        raise Refused(
            403,
            "Forbidden",
            f'pods "{pod}" is forbidden: no PriorityClass with name {name} was found',
            details=about(resource, pod),
        )
    spec["priority"] = found.get("value", 0)
    spec.setdefault("preemptionPolicy", found.get("preemptionPolicy") or "PreemptLowerPriority")
