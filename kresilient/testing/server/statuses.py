"""What the server says when it refuses: `Status` bodies in kube-apiserver's own words.

The texts follow answers recorded from kube-apiserver 1.36 and `k8s.io/apimachinery/pkg/api/errors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import wire
from .go_words import quote

if TYPE_CHECKING:
    from .kinds import ApiResource

__all__ = ["Cause", "Refused", "VersionTooLarge", "success"]

Cause = tuple[str, str, str]
"""One cause: (reason, message, field)."""


class Refused(Exception):
    """A request that the API server answers with a failure: an HTTP code and a Status.

    `plain` is the body of the few answers that are text and no Status. `headers` go out with it.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        continue_token: str = "",
        headers: Mapping[str, str] | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.continue_token = continue_token
        self.headers = dict(headers or {})
        self.plain = plain

    def status(self) -> dict[str, Any]:
        """The Status object, its fields in the server's order."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = dict(self.details)
        status["code"] = self.code
        return status

    def body(self) -> bytes:
        """The bytes of the answer."""
        return f"{self.message}\n".encode() if self.plain else wire.encode(self.status()) + b"\n"


class VersionTooLarge(Refused):
    """The 504 for a *version* that the server has not reached; a real one waits 3 s before it says so."""

    def __init__(self, version: int, current: int) -> None:
        super().__init__(
            504,
            "Timeout",
            f"Timeout: Too large resource version: {version}, current: {current}",
            details={
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            },
            headers={"Retry-After": "1"},
        )
        self.version = version


def success(*, details: Mapping[str, Any] | None = None, code: int | None = None) -> dict[str, Any]:
    """The Status of something that was done and has no object to show."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details is not None:
        status["details"] = dict(details)
    if code is not None:
        status["code"] = code
    return status


def about(resource: ApiResource, name: str = "", *, kind: str = "", **more: Any) -> dict[str, Any]:
    """The `details` of a Status about *name*: name, group and kind, whichever are not empty."""
    details = {"name": name, "group": resource.storage[0], "kind": kind or resource.plural}
    return {key: value for key, value in details.items() if value} | more


# --- by code -----------------------------------------------------------------------------------------


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def unauthorized() -> Refused:
    return Refused(401, "Unauthorized", "Unauthorized")


def forbidden(
    user: str,
    verb: str,
    resource: ApiResource,
    *,
    namespace: str | None,
    name: str = "",
    subresource: str = "",
) -> Refused:
    """What RBAC answers where no rule allows the request."""
    full = f"{resource.plural}/{subresource}" if subresource else resource.plural
    asked = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    subject = f"{asked} {quote(name)}" if name else asked
    where = f"in the namespace {quote(namespace)}" if namespace else "at the cluster scope"
    return Refused(
        403,
        "Forbidden",
        f"{subject} is forbidden: User {quote(user)} cannot {verb} resource {quote(full)} "
        f"in API group {quote(resource.group)} {where}",
        details=about(resource, name, group=resource.group),
    )


def forbidden_path(user: str, verb: str, path: str) -> Refused:
    message = f"forbidden: User {quote(user)} cannot {verb} path {quote(path)}"
    return Refused(403, "Forbidden", message, details={})


def forbidden_because(resource: ApiResource, name: str, why: str) -> Refused:
    """What admission answers, or a rule that is no right."""
    return Refused(
        403,
        "Forbidden",
        f"{resource.qualified} {quote(name)} is forbidden: {why}",
        details=about(resource, name),
    )


def namespace_terminating(resource: ApiResource, name: str, namespace: str) -> Refused:
    return Refused(
        403,
        "Forbidden",
        f"{resource.qualified} {quote(name)} is forbidden: unable to create new content in namespace "
        f"{namespace} because it is being terminated",
        details=about(
            resource,
            name,
            causes=[
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {namespace} is being terminated",
                    "field": "metadata.namespace",
                }
            ],
        ),
    )


def not_found(resource: ApiResource, name: str) -> Refused:
    return Refused(
        404, "NotFound", f"{resource.qualified} {quote(name)} not found", details=about(resource, name)
    )


def unknown_resource() -> Refused:
    return Refused(404, "NotFound", "the server could not find the requested resource", details={})


def unknown_path() -> Refused:
    return Refused(
        404,
        "NotFound",
        "404 page not found",
        headers={"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"},
        plain=True,
    )


def method_not_allowed() -> Refused:
    message = "the server does not allow this method on the requested resource"
    return Refused(405, "MethodNotAllowed", message, details={})


def terminating(resource: ApiResource) -> Refused:
    """A create of an object whose definition is being deleted."""
    message = "create not allowed while custom resource definition is terminating"
    return Refused(405, "MethodNotAllowed", message, details=about(resource))


def not_watchable(resource: ApiResource) -> Refused:
    return Refused(
        405,
        "MethodNotAllowed",
        f"watch is not supported on resources of kind {quote(resource.plural)}",
        details={"kind": resource.plural},
    )


def not_acceptable() -> Refused:
    return Refused(
        406,
        "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf, application/json;stream=watch, "
        "application/vnd.kubernetes.protobuf;stream=watch",
        details={},
    )


def already_exists(resource: ApiResource, name: str) -> Refused:
    return Refused(
        409,
        "AlreadyExists",
        f"{resource.qualified} {quote(name)} already exists",
        details=about(resource, name),
    )


def conflict(
    resource: ApiResource, name: str, why: str = "", *, kind: str = "", qualified: str = ""
) -> Refused:
    """An optimistic lock or a precondition that failed; details name *kind* where given, else the plural."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    subject = qualified or resource.qualified
    return Refused(
        409,
        "Conflict",
        f"Operation cannot be fulfilled on {subject} {quote(name)}: {why}",
        details=about(resource, name, kind=kind),
    )


def expired(message: str, *, continue_token: str = "") -> Refused:
    return Refused(410, "Expired", message, continue_token=continue_token)


def unlistable() -> Refused:
    """The 410 of a list at a version that is gone."""
    return expired("The resourceVersion for the provided list is too old.")


def too_old(version: int, oldest: int) -> Refused:
    """The 410 of a watch that asks for events which are gone."""
    return expired(f"too old resource version: {version} ({oldest})")


def too_large(why: str = "limit is 3145728") -> Refused:
    return Refused(413, "RequestEntityTooLarge", f"Request entity too large: {why}")


def unsupported_media_type(accepted: Sequence[str]) -> Refused:
    message = "the body of the request was in an unknown format - accepted media types include: "
    return Refused(415, "UnsupportedMediaType", message + ", ".join(accepted))


def invalid(resource: ApiResource, name: str, *causes: Cause, kind: str = "") -> Refused:
    """An object that breaks a rule. Named is its kind, or what *kind* says."""
    kind = kind or resource.kind
    group = resource.storage[0]
    qualified = f"{kind}.{group}" if group else kind
    details = {key: value for key, value in (("name", name), ("group", group)) if value}
    return _invalid(qualified, name, {**details, "kind": kind}, causes)


def invalid_options(options: str, *causes: Cause) -> Refused:
    """Query parameters that break a rule; *options* is `ListOptions`, `CreateOptions`, …"""
    return _invalid(f"{options}.meta.k8s.io", "", {"group": "meta.k8s.io", "kind": options}, causes)


def _invalid(kind: str, name: str, details: dict[str, Any], causes: Sequence[Cause]) -> Refused:
    texts = list(dict.fromkeys(f"{field}: {message}" for _, message, field in causes))
    said = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details["causes"] = [{"reason": r, "message": m, "field": f} for r, m, f in causes]
    return Refused(422, "Invalid", f"{kind} {quote(name)} is invalid: {said}", details=details)


def unprocessable() -> Refused:
    """A JSON patch whose operations do not apply."""
    return Refused(
        422, "Invalid", "the server rejected our request due to an error in our request", details={}
    )


def unpatchable(patched: str, why: str) -> Refused:
    """A patch whose result, the text *patched*, cannot be read."""
    message = f"Invalid value: {quote(patched)}: {why}"
    details = {"causes": [{"reason": "FieldValueInvalid", "message": message, "field": "patch"}]}
    return Refused(422, "Invalid", f' "" is invalid: patch: {message}', details=details)


def too_many_requests() -> Refused:
    """What API Priority and Fairness answers: text, no Status."""
    return Refused(
        429,
        "TooManyRequests",
        "Too many requests, please try again later.",
        headers={
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
            "Retry-After": "1",
        },
        plain=True,
    )


def internal(message: str) -> Refused:
    """A failure that the server does not classify: no reason, code 500."""
    return Refused(500, "", message)


def internal_error(message: str) -> Refused:
    """A failure that the server knows as its own."""
    said = f"Internal error occurred: {message}"
    return Refused(500, "InternalError", said, details={"causes": [{"message": message}]})


def not_emulated(what: str) -> Refused:
    """What only this server says: *what* the real one has and this one leaves out."""
    return Refused(501, "NotImplemented", f"the fake API server does not emulate {what}", details={})


def version_too_large(asked: int, current: int) -> VersionTooLarge:
    return VersionTooLarge(asked, current)


_GENERIC = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "the server does not allow access to the requested resource"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    409: ("Conflict", "the server reported a conflict"),
    410: ("Expired", "The resourceVersion for the provided list is too old."),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    500: ("InternalError", "an error on the server has prevented the request from succeeding"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted"),
}


def generic(code: int) -> Refused:
    """A failure known only by its HTTP *code*, as `NewGenericServerResponse` words it."""
    if code == 429:
        return too_many_requests()
    reason, message = _GENERIC.get(code, ("", "unknown"))
    return Refused(code, reason, message, details={})
