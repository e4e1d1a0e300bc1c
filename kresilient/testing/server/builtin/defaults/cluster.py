"""What belongs to the cluster: namespaces, secrets, definitions, roles, autoscalers, webhooks, limits."""

from __future__ import annotations

import base64
from typing import Any, Final

from .filling import each, fill, part

__all__ = [
    "api_service",
    "autoscaler",
    "definition",
    "limit_range",
    "mutating_webhooks",
    "namespace",
    "old_autoscaler",
    "priority_class",
    "role_binding",
    "secret",
    "webhooks",
]

Object = dict[str, Any]

_RBAC: Final = "rbac.authorization.k8s.io"


def namespace(obj: Object) -> None:
    metadata = part(obj, "metadata")
    if metadata.get("name"):
        labels = metadata.get("labels") or {}
        metadata["labels"] = {**labels, "kubernetes.io/metadata.name": metadata["name"]}


def secret(obj: Object) -> None:
    strings = obj.pop("stringData", None)
    if strings:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in strings.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    fill(obj, type="Opaque")


def definition(obj: Object) -> None:
    spec = part(obj, "spec")
    names = part(spec, "names")
    if names.get("kind"):
        fill(names, singular=names["kind"].lower(), listKind=f"{names['kind']}List")
    fill(part(spec, "conversion"), strategy="None")
    status = part(obj, "status")
    if not status.get("storedVersions"):
        status["storedVersions"] = [one.get("name") for one in each(spec, "versions") if one.get("storage")]


def role_binding(obj: Object) -> None:
    reference = obj.get("roleRef")
    if isinstance(reference, dict):
        fill(reference, apiGroup=_RBAC)
    for subject in each(obj, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            fill(subject, apiGroup=_RBAC)


def priority_class(obj: Object) -> None:
    fill(obj, preemptionPolicy="PreemptLowerPriority")


def autoscaler(obj: Object) -> None:
    spec = part(obj, "spec")
    fill(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if isinstance(behavior, dict):
        up = [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ]
        _scaling(part(behavior, "scaleUp"), up, stabilization=0)
        _scaling(part(behavior, "scaleDown"), [{"type": "Percent", "value": 100, "periodSeconds": 15}], None)


def old_autoscaler(obj: Object) -> None:
    fill(part(obj, "spec"), minReplicas=1)


def _scaling(rules: Object, policies: list[Object], stabilization: int | None) -> None:
    fill(rules, selectPolicy="Max")
    if stabilization is not None:
        fill(rules, stabilizationWindowSeconds=stabilization)
    if rules.get("policies") is None:
        rules["policies"] = policies


def webhooks(obj: Object) -> None:
    for hook in each(obj, "webhooks"):
        fill(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
        for name in ("namespaceSelector", "objectSelector"):
            if hook.get(name) is None:
                hook[name] = {}
        service = (hook.get("clientConfig") or {}).get("service")
        if isinstance(service, dict):
            fill(service, port=443)
        for rule in each(hook, "rules"):
            fill(rule, scope="*")


def mutating_webhooks(obj: Object) -> None:
    webhooks(obj)
    for hook in each(obj, "webhooks"):
        fill(hook, reinvocationPolicy="Never")


def limit_range(obj: Object) -> None:
    for item in each(part(obj, "spec"), "limits"):
        if item.get("type") != "Container":
            continue
        item["default"] = {**(item.get("max") or {}), **(item.get("default") or {})}
        item["defaultRequest"] = {
            **(item.get("min") or {}),
            **item["default"],
            **(item.get("defaultRequest") or {}),
        }


def api_service(obj: Object) -> None:
    service = part(obj, "spec").get("service")
    if isinstance(service, dict):
        fill(service, port=443)
