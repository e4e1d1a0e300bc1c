"""Credentials: what a request carries to prove who sends it.

A source of credentials is asked before every request, so that one that changes (a rotated file, an expired
token) is never used for longer than it lasts. When the server answers 401 it is asked once more with
`refresh=True`. Impersonation is no credential and lives in the `ClusterConfig`.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from ..api.errors import ConfigError, CredentialsError

__all__ = [
    "Anonymous",
    "Authenticator",
    "BasicAuth",
    "BearerToken",
    "ClientCertificate",
    "Credentials",
    "Identity",
    "SingleFlight",
    "TokenFile",
    "bearer",
]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A client certificate and its key, each as a PEM file (read again when it changes) or as PEM data.

    The key may stand in the certificate's file or data.
    """

    cert_file: str | None = None
    key_file: str | None = None
    cert_data: bytes | None = field(default=None, repr=False)
    key_data: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.cert_file is not None and self.cert_data is not None:
            raise ConfigError("a client certificate was given both as a file and as data: give one of them")
        if self.key_file is not None and self.key_data is not None:
            raise ConfigError("a client key was given both as a file and as data: give one of them")
        if self.cert_file is None and self.cert_data is None:
            raise ConfigError("a client key was given without its certificate: give client_cert_file too")
        for path, what in ((self.cert_file, "client certificate"), (self.key_file, "client key")):
            if path is not None and not Path(path).is_file():
                raise ConfigError(f"the {what} file {path} does not exist")
        if self.cert_data is not None and b"-----BEGIN CERTIFICATE-----" not in self.cert_data:
            raise ConfigError("the client certificate data is not PEM (no BEGIN CERTIFICATE line)")
        if self.key_data is not None and b"PRIVATE KEY-----" not in self.key_data:
            raise ConfigError("the client key data is not PEM (no BEGIN PRIVATE KEY line)")


@runtime_checkable
class Credentials(Protocol):
    """A source of credentials. Its repr never shows a secret."""

    @property
    def client_certificate(self) -> ClientCertificate | None:
        """The certificate to present, as of the last call of `headers`."""

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        """The headers that authenticate a request; with *refresh*, ones got anew.

        Raises `CredentialsError` where none can be had. Cancelled: nothing is left running.
        """


def bearer(token: str, source: str) -> dict[str, str]:
    """The Authorization header for *token*; *source* names where it came from in the error for a bad one."""
    token = token.strip()
    if not token:
        raise CredentialsError(f"{source} is empty: a bearer token was due")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialsError(f"{source} holds no bearer token: it contains spaces or control characters")
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No header; perhaps a client certificate, which then is the whole credential."""

    client_certificate: ClientCertificate | None = None

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        return {}


class BearerToken:
    """A token that never changes."""

    def __init__(self, token: str, *, client_certificate: ClientCertificate | None = None) -> None:
        self.client_certificate = client_certificate
        try:
            self._headers = bearer(token, "the token")
        except CredentialsError as error:
            raise ConfigError(str(error)) from None

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        return self._headers

    def __repr__(self) -> str:
        return "BearerToken(…)"


class BasicAuth:
    """User name and password (RFC 7617). API servers dropped it in 1.19; proxies before them use it."""

    def __init__(
        self, username: str, password: str, *, client_certificate: ClientCertificate | None = None
    ) -> None:
        if ":" in username:
            raise ConfigError(f"the user name {username!r} contains a colon: basic authentication has none")
        self.client_certificate = client_certificate
        self._username = username
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {pair}"}

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        return self._headers

    def __repr__(self) -> str:
        return f"BasicAuth({self._username!r}, …)"


_STAT_EVERY = 1.0
_MAX_AGE = 60.0  # client-go's period for a token file
_MAX_TOKEN_BYTES = 1 << 20


class TokenFile:
    """A token in a file that somebody rotates, such as a projected service account token.

    The file is looked at no more than once a second and read again when it changed, and every 60 s whether
    it seems to have or not. While it cannot be read, the last good token is used and one warning is logged.
    """

    def __init__(self, path: str | Path, *, client_certificate: ClientCertificate | None = None) -> None:
        self.client_certificate = client_certificate
        self.path = Path(path)
        self._headers: Mapping[str, str] = {}
        self._stamp: tuple[int, int, int] | None = None
        self._checked = self._read_at = float("-inf")
        self._warned = False

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        now = asyncio.get_running_loop().time()
        if refresh or now - self._checked >= _STAT_EVERY:
            self._checked = now
            try:
                self._look(now, refresh)
                self._warned = False
            except (OSError, CredentialsError) as error:
                if not self._headers:
                    raise CredentialsError(f"the token file {self.path} cannot be used: {error}") from error
                if not self._warned:
                    self._warned = True
                    _log.warning(
                        "the token file %s cannot be read (%s): the last good token stays in use",
                        self.path,
                        error,
                    )
        return self._headers

    def _look(self, now: float, refresh: bool) -> None:
        stat = self.path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if refresh or stamp != self._stamp or now - self._read_at >= _MAX_AGE:
            with self.path.open("rb") as file:
                text = file.read(_MAX_TOKEN_BYTES).decode("utf-8", "replace")
            self._headers = bearer(text, f"the token file {self.path}")
            self._stamp, self._read_at = stamp, now

    def __repr__(self) -> str:
        return f"TokenFile({str(self.path)!r})"


class SingleFlight(Generic[_T]):
    """Lets any number of callers wait for one run of the same work.

    A cancelled caller leaves the others waiting; when the last one is cancelled, so is the work.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[_T] | None = None
        self._waiting = 0

    async def __call__(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        loop = asyncio.get_running_loop()
        task = self._task
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._task = loop.create_task(work())
            self._waiting = 0
        self._waiting += 1
        try:
            return await asyncio.shield(task)
        finally:
            if self._task is task:
                self._waiting -= 1
                if not self._waiting:
                    self._task = None
                    task.cancel()


class Identity(NamedTuple):
    """What one request is sent as."""

    headers: Mapping[str, str]
    client_certificate: ClientCertificate | None


class Authenticator:
    """Asks a source of credentials on behalf of many requests at once.

    However many requests are refused with the same credentials, they are refreshed once. Where the fresh ones
    are refused as well, the next refresh waits: `pause` seconds if the last one changed nothing, else
    `interval`; until then the refusal is handed on.
    """

    def __init__(self, credentials: Credentials, *, interval: float = 1.0, pause: float = 10.0) -> None:
        self._credentials = credentials
        self._interval = interval
        self._pause = pause
        self._refresh = SingleFlight[Identity]()
        self._not_before = float("-inf")

    async def identity(self) -> Identity:
        """What a request is to be sent as now."""
        headers = await self._credentials.headers()
        return Identity(headers, self._credentials.client_certificate)

    async def refreshed(self, refused: Identity) -> Identity:
        """What to send instead of *refused*, to which the server said 401; *refused* where there is nothing.

        Raises `CredentialsError`. Cancelled: a refresh goes on while others wait for it.
        """
        current = await self.identity()
        if current != refused:
            return current
        if asyncio.get_running_loop().time() < self._not_before:
            return refused
        return await self._refresh(lambda: self._force(refused))

    async def _force(self, refused: Identity) -> Identity:
        headers = await self._credentials.headers(refresh=True)
        fresh = Identity(headers, self._credentials.client_certificate)
        wait = self._pause if fresh == refused else self._interval
        self._not_before = asyncio.get_running_loop().time() + wait
        return fresh
