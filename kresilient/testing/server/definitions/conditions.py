"""The conditions of a definition, and the names that it is given among the others of its group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ..causes import quoted
from ..objects import timestamp

__all__ = ["APPROVED", "NAMES", "approval", "is_true", "named", "protected", "with_condition"]

NAMES: Final = ("plural", "singular", "shortNames", "kind", "listKind", "categories")

APPROVED: Final = "api-approved.kubernetes.io"
_NAMED: Final = ("plural", "singular", "shortNames", "kind", "listKind")
_SEE: Final = "see https://github.com/kubernetes/enhancements/pull/1111"


def with_condition(
    status: Mapping[str, Any], kind: str, value: str, reason: str, message: str, now: float
) -> dict[str, Any]:
    """*status* with the condition *kind* set; its time changes only when its value does."""
    conditions = [dict(one) for one in status.get("conditions") or ()]
    found = next((one for one in conditions if one.get("type") == kind), None)
    if found is None:
        found = {"type": kind, "status": "", "lastTransitionTime": None}
        conditions.append(found)
    if found["status"] != value or not found.get("lastTransitionTime"):
        found["lastTransitionTime"] = timestamp(now)
    found |= {"status": value, "reason": reason, "message": message}
    return {**status, "conditions": conditions}


def is_true(obj: Mapping[str, Any], kind: str) -> bool:
    """Whether the condition *kind* of a definition is `True`."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)


def named(obj: Mapping[str, Any], others: Iterable[Mapping[str, Any]], now: float) -> dict[str, Any]:
    """The status of a definition once its names were looked at: it gets those that no other has.

    *others* are the accepted names of the other definitions of its group. As the naming controller does,
    `NamesAccepted` tells of the last conflict, and a definition that was established once stays so.
    """
    resources: set[str] = set()
    kinds: set[str] = set()
    for one in others:
        resources |= {one.get("plural") or "", one.get("singular") or "", *(one.get("shortNames") or ())}
        kinds |= {one.get("kind") or "", one.get("listKind") or ""}
    status = dict(obj.get("status") or {})
    wanted, accepted = obj["spec"]["names"], dict(status.get("acceptedNames") or {})
    conflict: tuple[str, str] | None = None
    for field, taken in zip(_NAMED, (resources, resources, resources, kinds, kinds), strict=True):
        asked, held = wanted.get(field), accepted.get(field)
        new = asked if field == "shortNames" else [asked]
        owned = (held or []) if field == "shortNames" else [held]
        clashes = [one for one in new or () if one not in owned and one in taken]
        if clashes:
            said = [f"{quoted(one)} is already in use" for one in clashes]
            message = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
            conflict = (f"{field[0].upper()}{field[1:]}Conflict", message)
        else:
            accepted[field] = asked
    accepted["categories"] = wanted.get("categories")
    status["acceptedNames"] = {
        name: accepted.get(name) or "" for name in NAMES if accepted.get(name) or name in ("plural", "kind")
    }
    if conflict is None:
        status = with_condition(status, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)
    else:
        status = with_condition(status, "NamesAccepted", "False", *conflict, now)
    if is_true(obj, "Established"):
        return status
    if conflict is None:
        said_ = ("False", "Installing", "the initial names have been accepted")
    else:
        said_ = ("False", "NotAccepted", "not all names are accepted")
    return with_condition(status, "Established", *said_, now)


# --- groups of the Kubernetes project ----------------------------------------------------------------


def protected(group: str) -> bool:
    """Whether *group* belongs to the Kubernetes project, which has to approve its APIs."""
    return any(group == one or group.endswith(f".{one}") for one in ("k8s.io", "kubernetes.io"))


def approval(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """The state of the approval of an API, `missing`, `bypassed`, `approved` or `invalid`, and why."""
    said = (metadata.get("annotations") or {}).get(APPROVED) or ""
    if not said:
        return "missing", f'protected groups must have approval annotation "{APPROVED}", {_SEE}'
    if said.startswith("unapproved"):
        return "bypassed", f"not approved: {quoted(said)}"
    try:
        parts = urlsplit(said)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme and parts.netloc:
        return "approved", f"approved in {said}"
    return "invalid", (
        f'protected groups must have approval annotation "{APPROVED}" with either a URL or a reason starting '
        f'with "unapproved", {_SEE}'
    )
