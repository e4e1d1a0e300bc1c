"""What a sentence about a fault is called with, checked when it is said and not when a request meets it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from .. import wire

__all__ = [
    "Body",
    "checked_body",
    "checked_call",
    "checked_chance",
    "checked_count",
    "checked_headers",
    "checked_seconds",
    "checked_status",
]

Body = bytes | str | Mapping[str, Any]
"""Of an answer: bytes, text, or an object that is sent as JSON."""

_BODILESS: Final = frozenset({204, 205, 304})
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def checked_count(what: str, n: int, *, least: int = 1) -> int:
    """A whole number. Raises `ValueError` below *least*, `TypeError` for what is none."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"{what} is a whole number, not {n!r}")
    if n < least:
        raise ValueError(f"{what} is {n}, and has to be {least} at least")
    return n


def checked_seconds(what: str, seconds: float, *, some: bool = False) -> float:
    """Seconds of loop time; more than none where *some* are needed. Raises `ValueError`."""
    if not math.isfinite(seconds) or seconds < 0 or (some and seconds == 0):
        least = "more than 0" if some else "0 or more"
        raise ValueError(f"{what}: {seconds:g} is no time: give {least} seconds")
    return seconds


def checked_chance(probability: float) -> float:
    """A probability. Raises `ValueError`."""
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"a chance is between 0 and 1, not {probability:g}")
    return probability


def checked_status(code: int, *, body: bool | None = None) -> int:
    """The status of a whole answer: 1xx only announce one, and a client would wait for it.

    Args:
        body: whether there is one; None where a body of the server's own is sent.

    Raises `ValueError` also for a body that this status cannot have, and for none where one is needed.
    """
    checked_count("an HTTP status", code)
    if not 200 <= code <= 999:
        raise ValueError(f"{code} is no HTTP status of an answer: those are 200 to 999")
    if body and code in _BODILESS:
        raise ValueError(f"an answer with status {code} has no body")
    if body is None and code < 400 and code not in _BODILESS:
        raise ValueError(f"status {code} is no failure, so there is no Status for it: give a body")
    return code


def checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers that can be sent.

    Raises `ValueError` for one that would break the answer, `TypeError` for one that is no text.
    """
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"a header is text, not {name!r}: {value!r}")
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"no header can be named {name!r}")
        if _UNSENDABLE.search(value):
            raise ValueError(f"the header {name} cannot be {value!r}: a control character ends it")
    return dict(headers or {})


def checked_body(body: Body) -> bytes:
    """The bytes of *body*. Raises `TypeError` for what is none."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, Mapping):
        return wire.encode(body)
    raise TypeError(f"a body is bytes, text or an object, not {body!r}")


def checked_call(what: str, function: object) -> None:
    """Raises `TypeError` for a *function* that cannot be called."""
    if not callable(function):
        raise TypeError(f"{what} takes a function of the request, not {function!r}")
