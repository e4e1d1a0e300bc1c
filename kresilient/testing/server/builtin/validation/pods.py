"""Pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kresilient.testing.server.statuses import Cause

__all__ = ["changed_pod", "new_pod"]

_MAY_CHANGE: Final = frozenset(
    {"containers", "initContainers", "activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"}
)
_ONLY_THESE: Final = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
    "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)\n"
)


def new_pod(obj: Mapping[str, Any]) -> Iterator[Cause]:
    """The rules of a pod."""
    yield from pod_spec(obj.get("spec") or {}, "spec")


def pod_spec(spec: Mapping[str, Any], at: str) -> Iterator[Cause]:
    """The rules of a pod's spec, wherever it stands."""
    if not spec.get("containers"):
        yield ("FieldValueRequired", "Required value", f"{at}.containers")


def changed_pod(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    """What may not change in a pod that exists."""
    if _frozen(old.get("spec") or {}) != _frozen(new.get("spec") or {}):
        yield ("FieldValueForbidden", _ONLY_THESE, "spec")


def _frozen(spec: Mapping[str, Any]) -> dict[str, Any]:
    frozen: dict[str, Any] = {name: value for name, value in spec.items() if name not in _MAY_CHANGE}
    for name in ("containers", "initContainers"):
        frozen[name] = [
            {key: value for key, value in one.items() if key != "image"} for one in spec.get(name) or ()
        ]
    return frozen
