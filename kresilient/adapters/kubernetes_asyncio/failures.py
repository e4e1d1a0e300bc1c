"""The door's errors as the ones that `kubernetes_asyncio` code catches.

An answer that is a failure is an `ApiException`; where no answer came, it is what aiohttp raises. A write
whose outcome is unknown is one of these two, as it would be without this library, and an `OutcomeUnknown`
besides. Each has the library's own error as its cause, or in a note.
"""

from __future__ import annotations

import json
from errno import ECONNREFUSED
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from kubernetes_asyncio.client.exceptions import ApiException
from multidict import CIMultiDict, CIMultiDictProxy

from ...api.errors import (
    ApiError,
    ConnectionLost,
    CredentialsError,
    KresilientError,
    OutcomeUnknown,
    TransportError,
    WireError,
)
from .heads import headers_of, reason_of

__all__ = [
    "AnswerFailed",
    "AnswerLost",
    "AnswerOverdue",
    "AnswerUnusable",
    "AnsweredInDoubt",
    "overdue",
    "translated",
]

_NO_HEADERS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


class AnswerFailed(ApiException):
    """The server answered with a failure: status, reason, body and headers as it sent them.

    `attempts` is how often it was asked; `__cause__` is the typed `kresilient.ApiError`.
    """

    def __init__(self, error: ApiError) -> None:
        super().__init__(http_resp=_response_of(error))
        self.attempts = error.attempts


class AnswerUnusable(ApiException):
    """A success whose body is no Kubernetes object, such as a proxy's page, or above the bound.

    `status` is 0, `reason` says what came, and `body` is a Status with it.
    """

    def __init__(self, error: KresilientError) -> None:
        super().__init__(http_resp=_made_up(error))


class AnsweredInDoubt(ApiException, OutcomeUnknown):
    """A write was answered by a failure that does not say whether it was carried out: read before repeating.

    As `AnswerFailed` where the server's answer was one, else as `AnswerUnusable`.
    """

    def __init__(self, error: OutcomeUnknown) -> None:
        last = error.__cause__
        OutcomeUnknown.__init__(self, str(error), brief=error.brief)
        ApiException.__init__(
            self, http_resp=_response_of(last) if isinstance(last, ApiError) else _made_up(error)
        )
        self.attempts: int = getattr(last, "attempts", 1)


class AnswerLost(OutcomeUnknown, aiohttp.ServerDisconnectedError):
    """A write was sent and its answer was lost: it may or may not have happened. Read before repeating."""


class AnswerOverdue(OutcomeUnknown, aiohttp.SocketTimeoutError):
    """A write was not answered in time: it may or may not have happened. Read before repeating."""


def translated(error: KresilientError, *, server: str = "") -> BaseException:
    """What existing code expects to be raised in the place of *error*, met on the way to *server*.

    What only this library knows (`LifecycleError`, `FlowTimeout`, which is a `TimeoutError`, `ConfigError`)
    stays as it is.
    """
    match error:
        case OutcomeUnknown():
            return _in_doubt(error)
        case ApiError():
            return _caused(AnswerFailed(error), error)
        case WireError():
            return _caused(AnswerUnusable(error), error)
        case CredentialsError():  # the error of the user's own hook, if it was one
            return error.__cause__ or error
        case TransportError():
            return _of_aiohttp(error, server)
    return error


def overdue(what: str, seconds: float, *, write: bool) -> BaseException:
    """The error of a call that had not ended by itself when its `_request_timeout` was over."""
    message = f"{what}: not done within {seconds:g} s, its waits for admission and between tries included"
    if write:
        return AnswerOverdue(f"{message}; it may or may not have been carried out: read before repeating")
    return aiohttp.SocketTimeoutError(message)


def _in_doubt(error: OutcomeUnknown) -> BaseException:
    last = error.__cause__
    if not isinstance(last, TransportError):
        return _caused(AnsweredInDoubt(error), last)
    kind = AnswerOverdue if _timed_out(last) else AnswerLost
    return _caused(kind(str(error), brief=error.brief), last)


def _of_aiohttp(error: TransportError, server: str) -> BaseException:
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientError):
        for note in (str(error), *getattr(error, "__notes__", ())):
            cause.add_note(note)
        return cause
    made: BaseException
    if _timed_out(error):
        made = (aiohttp.SocketTimeoutError if error.sent else aiohttp.ConnectionTimeoutError)(str(error))
    elif isinstance(cause, OSError):
        made = aiohttp.ClientOSError(*cause.args)
        made.add_note(str(error))
    elif isinstance(error, ConnectionLost):
        made = aiohttp.ServerDisconnectedError(str(error))
    else:  # no connection was tried: it is known to be refused
        url = urlsplit(server)
        place: Any = SimpleNamespace(host=url.hostname, port=url.port, ssl=True)
        made = aiohttp.ClientConnectorError(place, ConnectionRefusedError(ECONNREFUSED, str(error)))
    return _caused(made, error)


def _timed_out(error: TransportError) -> bool:
    return error.overdue or isinstance(error.__cause__, TimeoutError)


def _caused(made: BaseException, cause: BaseException | None) -> BaseException:
    made.__cause__ = cause
    for note in getattr(cause, "__notes__", ()):
        made.add_note(note)
    return made


def _response_of(error: ApiError) -> Any:
    """What an `ApiException` takes its fields from."""
    body = error.body.decode("utf-8", "replace").encode()  # the generated client decodes it strictly
    return SimpleNamespace(
        status=error.code,
        reason=reason_of(error.code),
        data=body,
        getheaders=lambda: headers_of(error.headers),
    )


def _made_up(error: KresilientError) -> Any:
    """The same where no answer of the server can be shown: code that reads the body finds a Status."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.brief,
        "reason": type(error).__name__,
        "code": 0,
    }
    return SimpleNamespace(
        status=0, reason=str(error), data=json.dumps(status).encode(), getheaders=lambda: _NO_HEADERS
    )
