"""Every error the library raises, under one root.

A message names the verb, the resource, the server's reason and what to do next. An `ApiError` carries the
`Status` that the server answered (API conventions, "Response Status Kind").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

__all__ = [
    "AlreadyExists",
    "ApiError",
    "BadRequest",
    "ConfigError",
    "Conflict",
    "ConnectFailed",
    "ConnectionLost",
    "CostlyListRefused",
    "CredentialsError",
    "Expired",
    "FlowTimeout",
    "Forbidden",
    "Invalid",
    "InvalidName",
    "KresilientError",
    "LifecycleError",
    "MethodNotAllowed",
    "NotAKubernetesAnswer",
    "NotFound",
    "NotSyncedError",
    "OutcomeUnknown",
    "PoisonObject",
    "SelectorError",
    "ServerUnavailable",
    "StaleError",
    "Status",
    "StatusCause",
    "StatusDetails",
    "SyncError",
    "TooManyRequests",
    "TransportError",
    "Unauthorized",
    "WireError",
    "api_error",
]


class KresilientError(Exception):
    """The root of every error of this library.

    `brief` is the message for logs and events: it has no word of a body that is no Status, and none of what
    a program or a hook printed, since either may hold a secret. The message itself quotes their beginnings.

    `attempts` is how often the request was sent, and `elapsed` the seconds from the call to this error, its
    waits included; 1 and 0 for an error that is no request's.
    """

    def __init__(self, message: str = "", *, brief: str | None = None) -> None:
        super().__init__(message)
        self.brief = message if brief is None else brief
        self.attempts = 1
        self.elapsed = 0.0


# --- what the caller handed in -----------------------------------------------------------------------


class ConfigError(KresilientError, ValueError):
    """A setting, a kubeconfig or a credential source cannot be used as it stands."""


class InvalidName(KresilientError, ValueError):
    """A resource, namespace, name or key that no API path can carry."""


class SelectorError(KresilientError, ValueError):
    """A selector that does not parse, or that cannot be matched here. It never means "everything"."""


class LifecycleError(KresilientError, RuntimeError):
    """Used before start, after close, from another event loop, or after a fork."""


# --- the network -------------------------------------------------------------------------------------


class TransportError(KresilientError, OSError):
    """No usable answer came back.

    Attributes:
        sent: False where certainly nothing reached the server.
        permanent: it will fail again until somebody changes a setting, a file or a program.
        overdue: the answer had not begun within the request's `answer_within`.
        local: the reason is on this side (no connection free, a time limit of the request's own, closed), so
            it says nothing of the server.
        dropped: a new connection was accepted, and closed or reset before any byte of an answer.
    """

    sent: bool = True

    def __init__(
        self,
        message: str,
        *,
        sent: bool | None = None,
        permanent: bool = False,
        overdue: bool = False,
        local: bool = False,
        dropped: bool = False,
        brief: str | None = None,
    ) -> None:
        super().__init__(message, brief=brief)
        self.local = local
        self.dropped = dropped
        if sent is not None:
            self.sent = sent
        self.permanent = permanent
        self.overdue = overdue


class ConnectFailed(TransportError):
    """No connection could be made (refused, unresolved, TLS): nothing was sent."""

    sent = False


class ConnectionLost(TransportError):
    """The connection ended, or stayed silent too long, after the request may have arrived."""


class CredentialsError(TransportError):
    """No credentials could be had (a token file, an exec plug-in, an identity provider): nothing was sent."""

    sent = False


# --- what came back is not what was asked for ----------------------------------------------------------


class WireError(KresilientError, ValueError):
    """Bytes that are not the JSON that was due: junk, cut off, or above a bound."""


class NotAKubernetesAnswer(WireError):
    """A success status whose body is no Kubernetes object: HTML from a proxy, an empty body, a Status."""


class PoisonObject(KresilientError, ValueError):
    """An object that does not decode. It was set aside; the rest of its list or stream went on."""


# --- what the server said ------------------------------------------------------------------------------


class StatusCause(msgspec.Struct, frozen=True, omit_defaults=True):
    """One cause in a Status: the field it concerns, why, and in which words."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What a Status is about, and how long to wait before asking again."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: list[StatusCause] | None = None
    retry_after_seconds: float | None = None


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """The `Status` object of a failed (or bodiless) request."""

    kind: str = "Status"
    api_version: str = "v1"
    status: str = ""
    message: str = ""
    reason: str = ""
    details: StatusDetails | None = None
    code: int = 0

    @property
    def causes(self) -> tuple[StatusCause, ...]:
        return tuple(self.details.causes or ()) if self.details is not None else ()

    def has_cause(self, reason: str) -> bool:
        """Whether one of the causes has this reason, for example `ResourceVersionTooLarge`."""
        return any(cause.reason == reason for cause in self.causes)


class ApiError(KresilientError):
    """The server answered with a failure.

    `status` is its Status (made up from the HTTP status where the body was none; `status_sent` tells),
    `code` the HTTP status (of a watch's ERROR event, the Status's own), `retry_after` the seconds it asked to
    wait. `headers` and `body` are those of the HTTP answer (the body's first MiB), empty where the error came
    as an event of a watch.
    """

    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""

    def __init__(
        self,
        message: str,
        *,
        status: Status,
        retry_after: float | None = None,
        status_sent: bool = True,
        brief: str | None = None,
    ) -> None:
        super().__init__(message, brief=brief)
        self.status = status
        self.retry_after = retry_after
        self.status_sent = status_sent

    @property
    def code(self) -> int:
        return self.status.code

    @property
    def reason(self) -> str:
        return self.status.reason


class BadRequest(ApiError):
    """400: the server could not understand the request."""


class Unauthorized(ApiError):
    """401: no credentials, or ones that the server does not accept (nor fresh ones, where there were any)."""


class Forbidden(ApiError):
    """403: known, but not allowed (RBAC or an admission plug-in)."""


class NotFound(ApiError):
    """404: no such object, or no such resource."""


class MethodNotAllowed(ApiError):
    """405: the resource does not have this verb."""


class Conflict(ApiError):
    """409: the object changed in between, or a precondition failed. Read it again, then write."""


class AlreadyExists(Conflict):
    """409 with reason AlreadyExists: an object of this name is there."""


class Expired(ApiError):
    """410: the resource version or the page token is older than the server's history."""


class Invalid(ApiError):
    """422: understood, but the object or the options break a rule; see `status.causes`."""


class TooManyRequests(ApiError):
    """429: the server (or a PodDisruptionBudget, for an eviction) asks to come back later."""


class ServerUnavailable(ApiError):
    """5xx: the server, or something before it, could not answer."""


class OutcomeUnknown(KresilientError):
    """A write was sent and its answer was lost: it may or may not have happened. Read before repeating."""


# --- the cache -----------------------------------------------------------------------------------------


class SyncError(KresilientError, TimeoutError):
    """An informer did not sync in time, or cannot; the message has the last reason, `__cause__` the error."""


class NotSyncedError(KresilientError, LookupError):
    """Read before the first list was complete: the cache does not know yet, so it does not answer."""


class StaleError(KresilientError, LookupError):
    """The cache is older than is allowed, or could not be shown not to be.

    `age` is in seconds, infinite where it is not known: of the last proof for a read with a bound, of the
    last contact where an outage lasts longer than the cache may serve.
    """

    def __init__(self, message: str = "", *, age: float = math.inf) -> None:
        super().__init__(message)
        self.age = age


class FlowTimeout(KresilientError, TimeoutError):
    """A request was not admitted before its deadline; nothing was sent.

    Attributes:
        lane: where it waited, or would have had to.
        queued: how many requests were before it.
        expected: seconds until its turn, by what was known then.
    """

    def __init__(self, message: str, *, lane: str = "", queued: int = 0, expected: float = 0.0) -> None:
        super().__init__(message)
        self.lane, self.queued, self.expected = lane, queued, expected


class CostlyListRefused(KresilientError, RuntimeError):
    """A list of everything that is repeated at short intervals, in a client that is strict: keep an informer
    instead. Nothing was sent."""


_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}

_ADVICE: dict[type[ApiError], str] = {
    Unauthorized: "check the credentials: these are wrong or have expired",
    Forbidden: "grant the verb to this user, for example with a Role and a RoleBinding",
    Conflict: "read the object again, then repeat the write",
    Expired: "list again without a resource version or page token",
}


class _Kind(msgspec.Struct):
    kind: Literal["Status"]


_kind_decoder = msgspec.json.Decoder(_Kind)
_status_decoder = msgspec.json.Decoder(Status, strict=False)


def parse_status(body: bytes) -> Status | None:
    """The Status in *body*, or None where it is none (HTML, plain text, another object, a proxy's JSON)."""
    try:
        _kind_decoder.decode(body)
        status = _status_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return status if status.status or status.code else None


def api_error(
    code: int,
    body: bytes | Status,
    *,
    what: str,
    retry_after: float | None = None,
    content_type: str | None = None,
) -> ApiError:
    """The typed error for a failed answer.

    *body* is an HTTP answer's, whose status *code* then is the code; or the Status of a watch's ERROR event,
    whose own code counts before *code*. *what* names the request ("list v1/pods"). A body that is no Status
    is quoted, shortened, in the message, and told of by *content_type* and size in `brief`; `retry_after` is
    the larger of the header's (given) and the Status's own.
    """
    brief = None
    if isinstance(body, Status):
        status, sent = body, True
        code = status.code or code
    else:
        parsed = parse_status(body)
        sent = parsed is not None
        if parsed is None:
            text = bytes(body[:200]).decode("utf-8", "replace").strip()
            parsed = Status(status="Failure", message=text, code=code)
            brief = (
                f"{what}: {code} without a Status ({content_type or 'no content type'}, {len(body)} bytes)"
            )
        status = parsed
    if status.code != code:
        status = msgspec.structs.replace(status, code=code)
    hint = status.details.retry_after_seconds if status.details is not None else None
    if hint is not None:
        retry_after = max(hint, retry_after or 0.0)
    kind = _BY_CODE.get(status.code, ServerUnavailable if status.code >= 500 else ApiError)
    if kind is Conflict and status.reason == "AlreadyExists":
        kind = AlreadyExists
    elif status.reason == "Expired" or status.reason == "Gone":
        kind = Expired
    message = f"{what}: {status.code} {status.reason}".rstrip()
    if status.message:
        message += f": {status.message}"
    if advice := _ADVICE.get(kind):
        message += f"; {advice}"
    return kind(message, status=status, retry_after=retry_after, status_sent=sent, brief=brief)


def wrong_type(what: str, expected: str, got: Any) -> TypeError:
    """A TypeError in the library's words."""
    return TypeError(f"{what} must be {expected}, not {type(got).__name__}")
