"""A request as it comes over HTTP: its body, and what its headers and its query say."""

from __future__ import annotations

from typing import Final

from aiohttp import HttpVersion11, web

from ..certificates import certified
from ..requests import Call

__all__ = ["ExpectationFailed", "call_of"]

_BODY_LIMIT: Final = 3 * 1024 * 1024 + 1


async def call_of(request: web.BaseRequest) -> Call:
    """What is asked. Raises `ExpectationFailed`, or `web.RequestPayloadError` for a body that is none."""
    body = await _body(request)
    return Call(
        request.method,
        request.rel_url.raw_path,
        _first_values(request),
        {name.lower(): _text(value) for name, value in request.headers.items()},
        body,
        _repeated(request),
        certified(request.transport),
        request.remote or "",
    )


class ExpectationFailed(Exception):
    """The client expects what the server does not do."""


async def _body(request: web.BaseRequest) -> bytes:
    """The request's body, cut above what the server takes.

    A client that waits to be told to send it is told so, as `net/http` does: from HTTP/1.1 on, where there is
    a body. Raises `ExpectationFailed`, or `web.RequestPayloadError` for a body that is none.
    """
    expected = request.headers.get("Expect", "")
    continues = "100-continue" in (one.strip().lower() for one in expected.split(","))
    if expected and not continues:
        raise ExpectationFailed
    if not request.can_read_body:
        return b""
    if continues and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer itself has gone out
    pieces: list[bytes] = []
    size = 0
    while size < _BODY_LIMIT and (piece := await request.content.readany()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _first_values(request: web.BaseRequest) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in request.query.items():
        values.setdefault(name, value)
    return values


def _repeated(request: web.BaseRequest) -> dict[str, list[str]]:
    headers = request.headers
    if len(headers) == len(set(headers)):
        return {}
    values = {name.lower(): [_text(one) for one in headers.getall(name)] for name in headers}
    return {name: several for name, several in values.items() if len(several) > 1}


def _text(value: str) -> str:
    """A header's value without the half surrogates that stand for bytes which are no UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
