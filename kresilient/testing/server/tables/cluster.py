"""The kinds that govern a cluster in a table: access, admission, certificates, priorities, fairness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .printer import AGE, NAME, NONE, Object, Printer, age, at, column, human_duration, name_of

__all__ = ["PRINTERS"]

_UNSET: Final = "<unset>"


# --- access ------------------------------------------------------------------------------------------


def _binding(obj: Object, now: float) -> list[Any]:
    role, subjects = at(obj, "roleRef", {}), at(obj, "subjects", ())
    accounts = [one for one in subjects if one.get("kind") == "ServiceAccount"]
    return [
        name_of(obj),
        f"{at(role, 'kind', '')}/{at(role, 'name', '')}",
        age(obj, now),
        _named(subjects, "User"),
        _named(subjects, "Group"),
        ", ".join(f"{at(one, 'namespace', '')}/{at(one, 'name', '')}" for one in accounts),
    ]


def _named(subjects: Sequence[Object], kind: str) -> str:
    return ", ".join(at(one, "name", "") for one in subjects if one.get("kind") == kind)


BINDING: Final = Printer(
    (
        NAME,
        column("Role", "The role that is granted."),
        AGE,
        column("Users", "The users that have it.", wide=True),
        column("Groups", "The groups that have it.", wide=True),
        column("ServiceAccounts", "The service accounts that have it.", wide=True),
    ),
    _binding,
)


# --- certificates ------------------------------------------------------------------------------------


def _signing_request(obj: Object, now: float) -> list[Any]:
    lasts = at(obj, "spec.expirationSeconds")
    return [
        name_of(obj),
        age(obj, now),
        at(obj, "spec.signerName", NONE),
        at(obj, "spec.username", ""),
        NONE if lasts is None else human_duration(lasts),
        _condition(obj),
    ]


def _condition(request: Object) -> str:
    said = {one.get("type") for one in at(request, "status.conditions", ())}
    shown = ["Denied" if "Denied" in said else "Approved" if "Approved" in said else "Pending"]
    if "Failed" in said:
        shown.append("Failed")
    if at(request, "status.certificate"):
        shown.append("Issued")
    return ",".join(shown)


# --- admission ---------------------------------------------------------------------------------------


def _webhooks(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), len(at(obj, "webhooks", ())), age(obj, now)]


def _policy(obj: Object, now: float) -> list[Any]:
    kind = at(obj, "spec.paramKind")
    shown = _UNSET if kind is None else f"{at(kind, 'apiVersion', '')}/{at(kind, 'kind', '')}"
    rules = at(obj, "spec.validations", ()) or at(obj, "spec.mutations", ())
    return [name_of(obj), len(rules), shown, age(obj, now)]


def _policy_binding(obj: Object, now: float) -> list[Any]:
    given, shown = at(obj, "spec.paramRef"), _UNSET
    if at(given, "name"):
        shown = f"{at(given, 'namespace', '*')}/{given['name']}"
    elif at(given, "selector") is not None:
        shown = _go_text(given["selector"])
    return [name_of(obj), at(obj, "spec.policyName", ""), shown, age(obj, now)]


def _go_text(selector: Object) -> str:
    """A `LabelSelector` as its Go type writes itself."""
    labels = "".join(f"{key}: {value}," for key, value in sorted(at(selector, "matchLabels", {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{at(one, 'key', '')},Operator:{at(one, 'operator', '')},"
        f"Values:[{' '.join(at(one, 'values', ()))}],}},"
        for one in at(selector, "matchExpressions", ())
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


WEBHOOKS: Final = Printer((NAME, column("Webhooks", "How many webhooks it has.", "integer"), AGE), _webhooks)
POLICY_BINDING: Final = Printer(
    (
        NAME,
        column("PolicyName", "The policy that it puts to work."),
        column("ParamRef", "The object that holds the policy's parameters."),
        AGE,
    ),
    _policy_binding,
)
PARAMETERS: Final = column("ParamKind", "The kind of the policy's parameters.")


# --- aggregation and fairness ------------------------------------------------------------------------


def _service(obj: Object, now: float) -> list[Any]:
    served = at(obj, "spec.service")
    by = "Local" if served is None else f"{at(served, 'namespace', '')}/{at(served, 'name', '')}"
    found = [one for one in at(obj, "status.conditions", ()) if one.get("type") == "Available"]
    shown = "Unknown"
    if found:
        shown, reason = str(found[0].get("status")), at(found[0], "reason")
        if shown != "True" and reason:
            shown = f"{shown} ({reason})"
    return [name_of(obj), by, shown, age(obj, now)]


def _flow(obj: Object, now: float) -> list[Any]:
    dangling = [one for one in at(obj, "status.conditions", ()) if one.get("type") == "Dangling"]
    return [
        name_of(obj),
        at(obj, "spec.priorityLevelConfiguration.name", ""),
        at(obj, "spec.matchingPrecedence", 0),
        at(obj, "spec.distinguisherMethod.type", NONE),
        age(obj, now),
        dangling[0].get("status") if dangling else "?",
    ]


def _level(obj: Object, now: float) -> list[Any]:
    shares: Any = NONE
    queues: list[Any] = [NONE, NONE, NONE]
    if at(obj, "spec.limited") is not None:
        shares = at(obj, "spec.limited.nominalConcurrencyShares")
        queuing = at(obj, "spec.limited.limitResponse.queuing")
        if queuing is not None:
            queues = [at(queuing, one, 0) for one in ("queues", "handSize", "queueLengthLimit")]
    return [name_of(obj), at(obj, "spec.type", ""), shares, *queues, age(obj, now)]


PRINTERS: Final = {
    ("rbac.authorization.k8s.io", "rolebindings"): BINDING,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): BINDING,
    ("certificates.k8s.io", "certificatesigningrequests"): Printer(
        (
            NAME,
            AGE,
            column("SignerName", "Who is asked to sign."),
            column("Requestor", "Who asked."),
            column("RequestedDuration", "For how long the certificate is to hold."),
            column("Condition", "Whether it is pending, approved, denied, failed or issued."),
        ),
        _signing_request,
    ),
    ("coordination.k8s.io", "leases"): Printer(
        (NAME, column("Holder", "Who holds the lease."), AGE),
        lambda obj, now: [name_of(obj), at(obj, "spec.holderIdentity", ""), age(obj, now)],
    ),
    ("scheduling.k8s.io", "priorityclasses"): Printer(
        (
            NAME,
            column("Value", "The priority of its pods.", "integer"),
            column("Global-Default", "Whether pods have it that name no class.", "boolean"),
            AGE,
            column("PreemptionPolicy", "Whether its pods may evict others."),
        ),
        lambda obj, now: [
            name_of(obj),
            at(obj, "value", 0),
            at(obj, "globalDefault", False),
            age(obj, now),
            at(obj, "preemptionPolicy", ""),
        ],
    ),
    ("node.k8s.io", "runtimeclasses"): Printer(
        (NAME, column("Handler", "The configuration of the container runtime."), AGE),
        lambda obj, now: [name_of(obj), at(obj, "handler", ""), age(obj, now)],
    ),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): WEBHOOKS,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): WEBHOOKS,
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): Printer(
        (NAME, column("Validations", "How many rules it has.", "integer"), PARAMETERS, AGE), _policy
    ),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): Printer(
        (NAME, column("Mutations", "How many rules it has.", "integer"), PARAMETERS, AGE), _policy
    ),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): POLICY_BINDING,
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): POLICY_BINDING,
    ("apiregistration.k8s.io", "apiservices"): Printer(
        (
            NAME,
            column("Service", "The service that serves it."),
            column("Available", "Whether it is served."),
            AGE,
        ),
        _service,
    ),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): Printer(
        (
            NAME,
            column("PriorityLevel", "The priority level of its requests."),
            column("MatchingPrecedence", "The lowest of the schemas that match a request decides."),
            column("DistinguisherMethod", "How its requests are put into flows."),
            AGE,
            column("MissingPL", "Whether its priority level is missing."),
        ),
        _flow,
        order=lambda obj: (at(obj, "spec.matchingPrecedence", 0), name_of(obj)),
    ),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): Printer(
        (
            NAME,
            column("Type", "Whether its requests are limited."),
            column("NominalConcurrencyShares", "Its share of the requests that run at once."),
            column("Queues", "How many queues it has."),
            column("HandSize", "How many queues a flow is dealt."),
            column("QueueLengthLimit", "How many requests may wait in a queue."),
            AGE,
        ),
        _level,
    ),
}
"""Printers by group and plural."""
