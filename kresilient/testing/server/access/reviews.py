"""The reviews: who somebody is and what they may do, asked of the server as objects that are not stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .. import causes
from ..go_words import quote
from ..kinds import ApiResource
from ..objects import empty_object, ordered, read_object, timestamp
from ..ownership import managed as ownership
from ..ownership.fieldset import FieldSet
from ..ownership.managed import Manager, Managers
from ..state import ApiState
from ..statuses import Cause, bad_request, invalid
from ..users import User
from ..writing import Write
from .access import Access
from .attributes import Attributes
from .rbac import Rule
from .service_accounts import AUDIENCE

__all__ = ["REVIEWS", "Reviews"]

REVIEWS: Final = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
"""The groups whose resources are reviews."""

_OWN: Final = (
    "name",
    "generateName",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "resourceVersion",
)


class Reviews:
    """Answers reviews with what *access* decides."""

    def __init__(self, state: ApiState, access: Access) -> None:
        self._state = state
        self._access = access

    def answer(
        self, resource: ApiResource, body: Mapping[str, Any], user: User, *, namespace: str, write: Write
    ) -> dict[str, Any]:
        """The review *body* of *user* with its status. Raises `Refused`: 400, or 422 for a spec that asks
        for nothing."""
        asked = read_object(resource, body, write)
        spec = asked.get("spec") or {}
        match resource.plural:
            case "selfsubjectreviews":
                made = {"creationTimestamp": timestamp(self._state.now())}
                return _shown(resource, {"metadata": made, "status": {"userInfo": user.info()}})
            case "selfsubjectrulesreviews":
                # Neither the spec nor the metadata of what was asked come back.
                return _shown(resource, {"status": self._rules(user, str(spec.get("namespace") or ""))})
            case "tokenreviews":
                status = self._token(spec)
            case "localsubjectaccessreviews":
                status = self._local(resource, asked, spec, namespace)
            case "selfsubjectaccessreviews":
                status = self._access_review(resource, asked, user)
            case _:
                status = self._access_review(resource, asked, None)
        metadata = {**(asked.get("metadata") or {}), "managedFields": self._managed(resource, asked, write)}
        return _shown(resource, {**asked, "metadata": metadata, "status": status})

    def _token(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        token = spec.get("token")
        if not token:
            raise bad_request("token is required for TokenReview in authentication")
        found = self._access.review_token(str(token), spec.get("audiences") or [AUDIENCE])
        if found is None:
            return {"user": {}, "error": "invalid bearer token"}
        user, audiences = found
        return {"authenticated": True, "user": user.info(), "audiences": audiences}

    def _access_review(
        self, resource: ApiResource, asked: Mapping[str, Any], user: User | None
    ) -> dict[str, Any]:
        found: list[Cause] = []
        spec = asked.get("spec") or {}
        on_resource, on_path = (spec.get(f"{kind}Attributes") for kind in ("resource", "nonResource"))
        if on_resource is not None and on_path is not None:
            said = f"{_found(on_path)}: cannot be specified in combination with resourceAttributes"
            found.append(("FieldValueInvalid", said, "spec.nonResourceAttributes"))
        if on_resource is None and on_path is None:
            said = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            found.append(("FieldValueInvalid", f'Invalid value: "null": {said}', "spec.resourceAttributes"))
        if user is None and not spec.get("user") and not spec.get("groups"):
            said = 'Invalid value: "": at least one of user or group must be specified'
            found.append(("FieldValueInvalid", said, "spec.user"))
        for kind in ("field", "label"):
            place, selector = (
                f"spec.resourceAttributes.{kind}Selector",
                (on_resource or {}).get(f"{kind}Selector"),
            )
            found += [] if selector is None else _selector_faults(place, selector)
        if named := _called(asked.get("metadata") or {}, resource):
            found.append(("FieldValueInvalid", f"Invalid value: {named}", "metadata"))
        if found:
            raise invalid(resource, "", *found)
        if user is None:
            extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
            groups = tuple(spec.get("groups") or ())
            user = User(spec.get("user") or "", spec.get("uid") or "", groups, extra)
        decision = self._access.authorizer.decide(user, Attributes.reviewed(spec))
        return {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})

    def _local(
        self, resource: ApiResource, asked: Mapping[str, Any], spec: Mapping[str, Any], namespace: str
    ) -> dict[str, Any]:
        named = (asked.get("metadata") or {}).get("namespace") or namespace
        if named != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if spec.get("nonResourceAttributes") is not None:
            said = f"{_found(spec['nonResourceAttributes'])}: disallowed on this kind of request"
            raise invalid(resource, "", ("FieldValueInvalid", said, "spec.nonResourceAttributes"))
        if (spec.get("resourceAttributes") or {}).get("namespace", "") != namespace:
            raise bad_request(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
        return self._access_review(resource, asked, None)

    def _rules(self, user: User, namespace: str) -> dict[str, Any]:
        if not namespace:
            raise bad_request("no namespace on request")
        found = self._access.authorizer.rules(user, namespace)
        status: dict[str, Any] = {
            "resourceRules": [_on_resources(rule) for rule in found.rules if rule.resources],
            "nonResourceRules": [_on_paths(rule) for rule in found.rules if rule.non_resource_urls],
            "incomplete": False,
        }
        if found.faults:
            faults = found.faults
            status["evaluationError"] = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        return status

    def _managed(self, resource: ApiResource, asked: Mapping[str, Any], write: Write) -> list[dict[str, Any]]:
        return ownership.updated(
            resource.type,
            empty_object(resource),
            asked,
            Managers(),
            manager=Manager(write.manager, "Update", resource.api_version),
            ignored=FieldSet(),
            time=timestamp(self._state.now()),
        ).written()


def _found(attributes: Mapping[str, Any]) -> str:
    """The attributes of a path as Go prints them in a fault."""
    path, verb = (quote(attributes.get(key, "")) for key in ("path", "verb"))
    return f"Invalid value: authorization.NonResourceAttributes{{Path:{path}, Verb:{verb}}}"


def _called(metadata: Mapping[str, Any], resource: ApiResource) -> str:
    """What is wrong with the *metadata* of a review, which has no name of its own; empty where nothing is.

    Of the Go struct that the server prints it has the beginning.
    """
    if not any(metadata.get(field) for field in _OWN):
        return ""
    but = " except for namespace" if resource.namespaced else ""
    return f"v1.ObjectMeta{{Name:{quote(str(metadata.get('name') or ''))}, ...}}: must be empty{but}"


def _selector_faults(place: str, selector: Mapping[str, Any]) -> Iterator[Cause]:
    """What `validateFieldSelectorAttributes` and its twin find; an operator may be one of a later version."""
    raw, requirements = selector.get("rawSelector"), selector.get("requirements") or []
    if raw and requirements:
        said = "may not specified at the same time as requirements"
        yield causes.invalid_value(f"{place}.rawSelector", raw, said)
    if not raw and not requirements:
        said = f"when {place} is specified, requirements or rawSelector is required"
        yield causes.required(f"{place}.requirements", said)
    for number, one in enumerate(requirements):
        where, operator = f"{place}.requirements[{number}].values", one.get("operator")
        if operator in ("In", "NotIn") and not one.get("values"):
            yield causes.required(where, "must be specified when `operator` is 'In' or 'NotIn'")
        if operator in ("Exists", "DoesNotExist") and one.get("values"):
            said = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield causes.forbidden(where, said)


def _on_resources(rule: Rule) -> dict[str, Any]:
    shown = {
        "verbs": rule.verbs,
        "apiGroups": rule.api_groups,
        "resources": rule.resources,
        "resourceNames": rule.resource_names,
    }
    return {key: list(value) for key, value in shown.items() if value}


def _on_paths(rule: Rule) -> dict[str, Any]:
    return {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.non_resource_urls)}


def _shown(resource: ApiResource, obj: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in ordered(resource, obj).items() if key not in ("kind", "apiVersion")}
    return {"kind": resource.kind, "apiVersion": resource.api_version} | rest
