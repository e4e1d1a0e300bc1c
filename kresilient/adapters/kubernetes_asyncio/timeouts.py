"""`_request_timeout` in all its forms, and what bounds a call that brings none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from kubernetes_asyncio.client.exceptions import ApiValueError

__all__ = ["CALL_SECONDS", "LIST_SECONDS", "Timeouts"]

CALL_SECONDS: Final = 65.0
"""Seconds for one try of a call that brings no timeout: a little more than the 60 s after which an API server
answers by itself that it took too long (`--request-timeout`)."""

LIST_SECONDS: Final = 120.0
"""The same for lists and deletes of a collection, whose bodies may be large."""

_GRACE: Final = 0.1  # seconds, for the try under way to end by its own timeout, which knows what was sent


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The limits of one call, in seconds; None for none.

    Attributes:
        total: for all of it: admission, every try, and the body, also of a stream.
        connect: for a connection.
        read: of silence, before the answer and within its body.
    """

    total: float | None = None
    connect: float | None = None
    read: float | None = None

    @classmethod
    def of(cls, given: Any) -> Timeouts:
        """What *given* says: a number (all of it), a pair (connection, read), or an `aiohttp.ClientTimeout`.

        Raises `ApiValueError` for anything else.
        """
        if not given:
            return cls()
        if isinstance(given, (int, float)):
            return cls(total=given)
        if isinstance(given, (tuple, list)) and len(given) == 2:
            return cls(connect=given[0] or None, read=given[1] or None)
        if isinstance(given, aiohttp.ClientTimeout):
            connect = given.connect or given.sock_connect or None
            return cls(total=given.total or None, connect=connect, read=given.sock_read or None)
        raise ApiValueError(
            f"_request_timeout is a number of seconds, a pair of them (connection, read) or an"
            f" aiohttp.ClientTimeout, not {given!r}"
        )

    def of_a_try(self, usual: float) -> float:
        """Seconds for one try of a call that may else last *usual* seconds."""
        if self.total is not None:
            return self.total
        return usual + (self.connect or 0.0) + (self.read or 0.0)

    @asynccontextmanager
    async def bounding(self) -> AsyncIterator[asyncio.Timeout]:
        """Ends what is within by `TimeoutError` once the total is over."""
        async with asyncio.timeout(None if self.total is None else self.total + _GRACE) as limit:
            yield limit
