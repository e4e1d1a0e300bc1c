"""What an answer is, by its head: a success, a failure with its error, or none of an API server at all."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from ..api.errors import ApiError, KresilientError, NotAKubernetesAnswer, TransportError, api_error
from ..transport.base import Request, Response

__all__ = ["MAX_RETRY_AFTER", "Answer", "check_head", "in_short", "object_due", "parse_retry_after"]

MAX_RETRY_AFTER: Final = 600.0
"""Seconds: no server can send a client away for longer by one answer."""

_ERROR_BODY: Final = 1 << 20
_ERROR_READ_SECONDS: Final = 10.0
_QUOTED: Final = 120


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful unary answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def check_head(request: Request, response: Response, *, wall: Callable[[], float]) -> None:
    """Raise what the status and the content type of *response* call for.

    *wall*: seconds since the epoch, for a Retry-After that is a date. Raises the typed `ApiError` of a
    failure, and `NotAKubernetesAnswer` for a success that is no JSON where an object is due.
    """
    status = response.status
    if not 200 <= status < 300:
        asked = parse_retry_after(response.headers.get("Retry-After"), wall=wall)
        body = await _excerpt(response, _ERROR_BODY)
        kind = response.headers.get("Content-Type")
        error = api_error(status, body, what=request.what, retry_after=asked, content_type=kind)
        error.retry_after = _bounded(error.retry_after)
        error.headers, error.body = response.headers, body
        raise error
    if object_due(request, status) and not _is_json(response.headers.get("Content-Type")):
        kind = response.headers.get("Content-Type") or "no content type"
        start = (await _excerpt(response, _QUOTED)).decode("utf-8", "replace")
        raise NotAKubernetesAnswer(
            f"{request.what}: {status} with {kind!r} instead of JSON, starting {start!r}; "
            "check the server's address, and look for a proxy or a login page before it",
            brief=f"{request.what}: {status} with {kind!r} instead of JSON",
        )


def parse_retry_after(value: str | None, *, wall: Callable[[], float]) -> float | None:
    """The seconds that a Retry-After header asks for: a number of them, or an HTTP-date (RFC 9110, 10.2.3).

    None where it is absent, garbage, zero or past; at most `MAX_RETRY_AFTER`.
    """
    if value is None:
        return None
    text = value.strip()[:64]
    try:
        return _bounded(float(text))
    except ValueError:
        pass
    try:
        return _bounded(parsedate_to_datetime(text).timestamp() - wall())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _bounded(seconds: float | None) -> float | None:
    if seconds is None or math.isnan(seconds) or seconds <= 0:
        return None
    return min(seconds, MAX_RETRY_AFTER)


async def _excerpt(response: Response, limit: int) -> bytes:
    """The start of a body that only serves a message: its loss must not hide the status."""
    try:
        async with asyncio.timeout(_ERROR_READ_SECONDS):
            return await response.read(limit)
    except (TransportError, TimeoutError):
        return b""


def _is_json(content_type: str | None) -> bool:
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def object_due(request: Request, status: int) -> bool:
    """Whether the body of a success has to be JSON: not so for logs, metrics or health checks, whose
    `Accept` asks for something else."""
    if request.any_body or request.method == "HEAD" or status == 204:
        return False
    accept = next((value for name, value in request.headers.items() if name.lower() == "accept"), "")
    return not accept or "json" in accept.lower()


def in_short(error: Exception) -> str:
    """*error* for events and logs: its kind and reason, never words that may quote a body."""
    if isinstance(error, ApiError):
        return f"{error.code} {error.reason or type(error).__name__}"
    return error.brief if isinstance(error, KresilientError) else type(error).__name__
