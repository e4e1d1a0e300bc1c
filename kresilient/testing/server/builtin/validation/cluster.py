"""Roles and bindings, leases, events, budgets, autoscalers, priorities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kresilient.testing.server.causes import forbidden, invalid_value, required, unsupported
from kresilient.testing.server.statuses import Cause

from .names import dns_subdomain, path_segment
from .workloads import selector_faults

__all__ = [
    "autoscaler",
    "changed_binding",
    "changed_priority_class",
    "disruption_budget",
    "event",
    "lease",
    "new_event",
    "priority_class",
    "role",
    "role_binding",
]

Object = Mapping[str, Any]

_RBAC: Final = "rbac.authorization.k8s.io"


def role(obj: Object) -> Iterator[Cause]:
    """The rules of a role."""
    for place, rule in enumerate(obj.get("rules") or ()):
        at = f"rules[{place}]"
        if not rule.get("verbs"):
            yield required(f"{at}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if obj["metadata"].get("namespace"):
                said = "namespaced rules cannot apply to non-resource URLs"
                yield invalid_value(f"{at}.nonResourceURLs", rule["nonResourceURLs"], said)
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                said = "rules cannot apply to both regular resources and non-resource URLs"
                yield invalid_value(f"{at}.nonResourceURLs", rule["nonResourceURLs"], said)
            continue
        if not rule.get("apiGroups"):
            yield required(f"{at}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{at}.resources", "resource rules must supply at least one resource")


def role_binding(obj: Object) -> Iterator[Cause]:
    """The rules of a binding of a role."""
    reference = obj.get("roleRef") or {}
    if reference.get("apiGroup") != _RBAC:
        yield unsupported("roleRef.apiGroup", reference.get("apiGroup") or "", [_RBAC])
    kinds = ["Role", "ClusterRole"] if obj["metadata"].get("namespace") else ["ClusterRole"]
    if reference.get("kind") not in kinds:
        yield unsupported("roleRef.kind", reference.get("kind") or "", kinds)
    if not reference.get("name"):
        yield required("roleRef.name")
    for fault in path_segment(reference.get("name") or ""):
        yield invalid_value("roleRef.name", reference["name"], fault)
    for place, subject in enumerate(obj.get("subjects") or ()):
        at = f"subjects[{place}]"
        name = subject.get("name") or ""
        if not name:
            yield required(f"{at}.name")
        match subject.get("kind"):
            case "ServiceAccount":
                if name:
                    yield from (invalid_value(f"{at}.name", name, fault) for fault in dns_subdomain(name))
                if subject.get("apiGroup"):
                    yield unsupported(f"{at}.apiGroup", subject["apiGroup"], [""])
                if not subject.get("namespace") and not obj["metadata"].get("namespace"):
                    yield required(f"{at}.namespace")
            case "User" | "Group" as kind:
                if not name:
                    yield invalid_value(f"{at}.name", "", f"{kind.lower()} name cannot be empty")
                if subject.get("apiGroup") != _RBAC:
                    yield unsupported(f"{at}.apiGroup", subject.get("apiGroup") or "", [_RBAC])
            case other:
                yield unsupported(f"{at}.kind", other or "", ["ServiceAccount", "User", "Group"])


def changed_binding(old: Object, new: Object) -> Iterator[Cause]:
    """What a binding binds is set once."""
    if old.get("roleRef") != new.get("roleRef"):
        yield invalid_value("roleRef", new.get("roleRef"), "cannot change roleRef")


def lease(obj: Object) -> Iterator[Cause]:
    """The rules of a lease."""
    spec = obj.get("spec") or {}
    if (duration := spec.get("leaseDurationSeconds")) is not None and duration <= 0:
        yield invalid_value("spec.leaseDurationSeconds", duration, "must be greater than 0")
    if (changes := spec.get("leaseTransitions")) is not None and changes < 0:
        yield invalid_value("spec.leaseTransitions", changes, "must be greater than or equal to 0")


def event(obj: Object) -> Iterator[Cause]:
    """The rules of an event as the core group has it."""
    involved = (obj.get("involvedObject") or {}).get("namespace") or ""
    namespace = obj["metadata"].get("namespace") or ""
    if involved != namespace and not (involved == "" and namespace == "default"):
        said = "does not match event.namespace"
        yield invalid_value("involvedObject.namespace", involved, said)


def new_event(obj: Object) -> Iterator[Cause]:
    """The rules of an event as `events.k8s.io` has it."""
    involved = (obj.get("regarding") or {}).get("namespace") or ""
    namespace = obj["metadata"].get("namespace") or ""
    if involved != namespace and not (involved == "" and namespace == "default"):
        yield invalid_value("involvedObject.namespace", involved, "does not match event.namespace")
    if obj.get("eventTime") is None:
        yield required("eventTime")
    if obj.get("type") not in ("Normal", "Warning"):
        yield invalid_value("type", "", "has invalid value: " + str(obj.get("type") or ""))
    for field, limit in (
        ("reportingController", 0),
        ("reportingInstance", 128),
        ("action", 128),
        ("reason", 128),
    ):
        text = obj.get(field) or ""
        if not text:
            yield required(field)
        elif limit and len(text) > limit:
            yield invalid_value(field, "", f"can have at most {limit} characters")
    if len(obj.get("note") or "") > 1024:
        yield invalid_value("message", "", "can have at most 1024 characters")


def disruption_budget(obj: Object) -> Iterator[Cause]:
    """The rules of a disruption budget."""
    spec = obj.get("spec") or {}
    low, high = spec.get("minAvailable"), spec.get("maxUnavailable")
    if low is not None and high is not None:
        said = "minAvailable and maxUnavailable cannot be both set"
        yield invalid_value("spec", {key: spec[key] for key in ("minAvailable", "maxUnavailable")}, said)
    for field, value in (("minAvailable", low), ("maxUnavailable", high)):
        if isinstance(value, int) and value < 0:
            yield invalid_value(f"spec.{field}", value, "must be greater than or equal to 0")
        elif isinstance(value, str) and not (value.endswith("%") and value[:-1].isdecimal()):
            said = (
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
            )
            said += "'93%', regex used for validation is '[0-9]+%')"
            yield invalid_value(f"spec.{field}", value, said)
    yield from selector_faults(spec.get("selector") or {}, "spec.selector")


def autoscaler(obj: Object) -> Iterator[Cause]:
    """The rules of a horizontal pod autoscaler."""
    spec = obj.get("spec") or {}
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < 1:
        yield invalid_value("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        yield invalid_value("spec.maxReplicas", high, "must be greater than 0")
    if low is not None and high < low:
        yield invalid_value("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    for field in ("kind", "name"):
        if not (spec.get("scaleTargetRef") or {}).get(field):
            yield required(f"spec.scaleTargetRef.{field}")


def priority_class(obj: Object) -> Iterator[Cause]:
    """The rules of a priority class."""
    name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
    if name.startswith("system-"):
        yield forbidden(
            "metadata.name", "priority class names with 'system-' prefix are reserved for system use only"
        )
    elif value > 1_000_000_000:
        yield forbidden("value", "maximum allowed value of a user defined priority is 1000000000")


def changed_priority_class(old: Object, new: Object) -> Iterator[Cause]:
    """A class keeps its value."""
    if (old.get("value") or 0) != (new.get("value") or 0):
        yield forbidden("value", "may not be changed in an update.")
    if old.get("preemptionPolicy") != new.get("preemptionPolicy"):
        yield invalid_value("preemptionPolicy", new.get("preemptionPolicy"), "field is immutable")
