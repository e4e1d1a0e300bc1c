"""From what a generated API method asks of its REST client to a request for the door."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from kubernetes_asyncio.client.exceptions import ApiValueError

from ...transport.base import Request
from ..request_info import RequestInfo
from .timeouts import CALL_SECONDS, LIST_SECONDS, Timeouts

__all__ = ["Call"]

_METHODS: Final = ("GET", "HEAD", "DELETE", "POST", "PUT", "PATCH", "OPTIONS")
_IN_A_PATH: Final = "/%:@!$&'()*+,;=~"
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Call:
    """One call, ready for the door.

    Attributes:
        info: what it means.
        request: what is sent.
        timeouts: its limits.
        repeatable: a precondition in its body makes a repeat of this write safe.
        changes: what it is answered with is stored: a write of one object, and no dry run.
    """

    info: RequestInfo
    request: Request
    timeouts: Timeouts
    repeatable: bool
    changes: bool

    @classmethod
    def of(
        cls,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | Sequence[tuple[str, Any]] | None,
        headers: Mapping[str, Any] | None,
        body: Any,
        post_params: Sequence[tuple[str, Any]] | None,
        timeouts: Timeouts,
    ) -> Call:
        """The call that a method of a generated API asks for; *path* may have a query of its own.

        Raises `ApiValueError` for what no plain exchange can carry (WebSockets, multipart forms).
        """
        method = method.upper()
        if method not in _METHODS:
            raise ApiValueError(f"the method is one of {', '.join(_METHODS)}, not {method!r}")
        path, _, asked = path.partition("?")
        path = "/" + quote(path, safe=_IN_A_PATH).lstrip("/")
        given = query.items() if isinstance(query, Mapping) else query or ()
        pairs = (*parse_qsl(asked, keep_blank_values=True), *((str(n), str(v)) for n, v in given))
        info = RequestInfo.of(method, path, pairs)
        if info.websocket:
            raise ApiValueError(
                f"{info.resource} speaks WebSocket, which cannot pass the door: make this call with a"
                " kubernetes_asyncio.stream.WsApiClient (its requests are not paced), and every other"
                " with this client"
            )
        sent = {str(name): str(value) for name, value in (headers or {}).items()}
        kind = next((value for name, value in sent.items() if name.lower() == "content-type"), "")
        data = None
        read = method in ("GET", "HEAD")
        if not read:
            data = _encoded(body, kind or "application/json", post_params)
        if data is None:
            sent = {name: value for name, value in sent.items() if name.lower() != "content-type"}
        usual = LIST_SECONDS if info.verb in ("list", "deletecollection") else CALL_SECONDS
        answer_within = timeouts.read
        if answer_within is None and info.verb == "watch":
            answer_within = timeouts.total or CALL_SECONDS  # a log's headers come with its first line
        request = Request(
            method,
            path,
            pairs,
            sent,
            data,
            verb=info.verb,
            resource=str(info.resource) if info.resource is not None else "",
            streaming=info.long_running and read,
            timeout=timeouts.total if info.long_running else timeouts.of_a_try(usual),
            stall=timeouts.read,
            answer_within=answer_within,
            connect_within=timeouts.connect,
            any_body=not info.document,
        )
        return cls(info, request, timeouts, _repeatable(method, body), _changes(info.verb, pairs, body))


def _changes(verb: str, query: Sequence[tuple[str, str]], body: Any) -> bool:
    if verb not in ("create", "update", "patch", "delete") or any(name == "dryRun" for name, _ in query):
        return False
    if verb != "delete" or body is None:
        return True
    return isinstance(body, Mapping) and not body.get("dryRun")


def _encoded(body: Any, content_type: str, post_params: Sequence[tuple[str, Any]] | None) -> bytes | None:
    """The body's bytes, by the rules of `kubernetes_asyncio.client.rest`."""
    if post_params and body:
        raise ApiValueError("body parameter cannot be used with post_params parameter.")
    if "json" in content_type.lower() or content_type == "application/apply-patch+yaml":
        return None if body is None else json.dumps(body).encode()
    if content_type == _FORM:
        return urlencode(post_params or ()).encode()
    if content_type == "multipart/form-data":
        raise ApiValueError("no Kubernetes API takes a multipart form, and this client sends none")
    if body is None or isinstance(body, bytes):
        return body
    raise ApiValueError(f"a body of {content_type} is given as bytes, not as {type(body).__name__}")


def _repeatable(method: str, body: Any) -> bool:
    """Whether a precondition makes a repeat of this write harmless."""
    if method == "DELETE":
        return isinstance(body, Mapping) and bool(body.get("preconditions"))
    if method == "PATCH" and isinstance(body, list):
        tests = [step for step in body if isinstance(step, Mapping) and step.get("op") == "test"]
        return any(step.get("path") == "/metadata/resourceVersion" and step.get("value") for step in tests)
    if method in ("PUT", "PATCH") and isinstance(body, Mapping):
        meta = body.get("metadata")
        return isinstance(meta, Mapping) and bool(meta.get("resourceVersion"))
    return False
