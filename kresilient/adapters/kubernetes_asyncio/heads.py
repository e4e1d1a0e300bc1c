"""Reason phrases and headers as aiohttp has them, whatever the transport was."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

__all__ = ["headers_of", "reason_of"]

# Go's words (net/http), which Python has changed in places, and between versions.
_REASONS: Final = {
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
    416: "Requested Range Not Satisfiable",
    418: "I'm a teapot",
    422: "Unprocessable Entity",
}


def reason_of(status: int) -> str:
    """The reason phrase that an API server sends with *status*."""
    try:
        return _REASONS.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return ""


def headers_of(headers: Mapping[str, str]) -> CIMultiDictProxy[str]:
    """*headers*, looked up without regard to case."""
    if isinstance(headers, CIMultiDictProxy):
        return headers
    return CIMultiDictProxy(CIMultiDict(headers.items()))
