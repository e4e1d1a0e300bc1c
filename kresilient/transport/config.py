"""How to reach one cluster: the address, what to trust, and as whom."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from .._version import __version__
from ..api.errors import ConfigError
from .auth import Anonymous, Credentials
from .proxy import check_proxy_url, redacted

__all__ = ["ClusterConfig", "Impersonation", "default_user_agent"]

_TOKEN_PUNCTUATION = "!#$&'*+-.^_`|~"  # noqa: S105  # RFC 9110 "token", but for the percent sign


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Act as somebody else, where RBAC grants the verb `impersonate` (user, groups, uid, extra)."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str | None = None
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.user:
            raise ConfigError("impersonation needs a user: groups, uid and extra only go with one")
        for name, value in self.headers():
            if any(ord(char) < 0x20 or char == "\x7f" for char in value):
                raise ConfigError(f"the value of {name} contains a control character: {value!r}")

    def headers(self) -> Iterator[tuple[str, str]]:
        """The `Impersonate-…` headers; a name may come more than once."""
        yield "Impersonate-User", self.user
        if self.uid is not None:
            yield "Impersonate-Uid", self.uid
        for group in self.groups:
            yield "Impersonate-Group", group
        for key, values in self.extra.items():
            for value in values:
                yield f"Impersonate-Extra-{quote(key, safe=_TOKEN_PUNCTUATION)}", value


def default_user_agent() -> str:
    """`kresilient/VERSION (python/3.x; platform) PROGRAM`, so that audit logs tell who it was."""
    python = f"python/{sys.version_info.major}.{sys.version_info.minor}"
    program = Path(sys.argv[0] if sys.argv and sys.argv[0] else "").name.removesuffix(".py")
    if program == "__main__":
        program = Path(sys.argv[0]).parent.name
    agent = f"kresilient/{__version__} ({python}; {platform.system().lower() or 'unknown'})"
    return f"{agent} {quote(program, safe=_TOKEN_PUNCTUATION)}" if program not in ("", "-c", "-m") else agent


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClusterConfig:
    """How to reach one cluster. Its repr shows no secret.

    Attributes:
        server: the base URL, with a path where the API stands below one (`https://host/k8s/clusters/c-1`).
        ca_file: PEM file of the authorities that may sign the server's certificate; read again as it changes.
        ca_data: the same as PEM data. Neither: the system's authorities.
        insecure_skip_tls_verify: accept any certificate. The connection can then be intercepted.
        tls_server_name: the name to expect in the certificate, where it differs from the host of `server`.
        proxy: URL of an HTTP proxy; None connects directly.
        proxy_headers: headers for the proxy alone.
        namespace: the default namespace.
        credentials: who the client is.
        impersonate: whom to act as.
        user_agent: the `User-Agent` header.
        headers: more headers for every request.
        compression: whether to ask for gzip bodies (never for a watch).
        verify_strict: ask for the certificate extensions of RFC 5280 that Python checks since 3.13. Off, as
            in client-go: the certificates of many clusters do not have them.
        source: where this came from, for messages.

    Raises:
        ConfigError: a value cannot be used, or contradicts another.
    """

    server: str
    ca_file: str | None = None
    ca_data: bytes | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy: str | None = None
    proxy_headers: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "default"
    credentials: Credentials = field(default_factory=Anonymous)
    impersonate: Impersonation | None = None
    user_agent: str = field(default_factory=default_user_agent)
    headers: Mapping[str, str] = field(default_factory=dict)
    compression: bool = True
    verify_strict: bool = False
    source: str = "arguments"

    def __post_init__(self) -> None:
        object.__setattr__(self, "server", _checked_url(self.server))
        if self.proxy is not None:
            check_proxy_url(self.proxy, "the proxy")
        if self.ca_file is not None and self.ca_data is not None:
            raise ConfigError("the CA was given both as a file and as data: give ca_file or ca_data")
        if self.insecure_skip_tls_verify and (self.ca_file is not None or self.ca_data is not None):
            raise ConfigError("insecure_skip_tls_verify contradicts a CA: leave one of them out")
        data, where = self.ca_data, "the CA data"
        if self.ca_file is not None:
            where = f"the CA file {self.ca_file}"
            try:
                data = Path(self.ca_file).read_bytes()
            except OSError as error:
                raise ConfigError(f"{where} cannot be read: {error.strerror or error}") from error
        if data is not None and b"-----BEGIN " not in data:
            raise ConfigError(f"{where} is not PEM (no BEGIN CERTIFICATE line)")
        if not self.namespace:
            raise ConfigError("the default namespace is empty")
        if any(ord(char) < 0x20 for char in self.user_agent):
            raise ConfigError("the user agent contains a control character")

    def __repr__(self) -> str:
        trust = (
            "none"
            if self.insecure_skip_tls_verify
            else self.ca_file or ("data" if self.ca_data is not None else "system")
        )
        proxy = redacted(self.proxy) if self.proxy else None
        return (
            f"ClusterConfig(server={self.server!r}, ca={trust}, proxy={proxy!r},"
            f" namespace={self.namespace!r}, credentials={self.credentials!r}, source={self.source!r})"
        )


def _checked_url(server: str) -> str:
    if not isinstance(server, str) or not server.strip():
        raise ConfigError("the server is empty: write https://host:port")
    server = server.strip()
    try:
        url = urlsplit(server)
        port = url.port
    except ValueError as error:
        raise ConfigError(
            f"the server {redacted(server)!r} is no URL ({error}): write https://host:port"
        ) from error
    if url.scheme not in ("http", "https"):
        raise ConfigError(f"the server {redacted(server)!r} has no usable scheme: write https://host:port")
    if not url.hostname or port == 0:
        raise ConfigError(f"the server {redacted(server)!r} names no host and port: write https://host:port")
    if url.username is not None or url.password is not None:
        raise ConfigError(
            f"the server {redacted(server)!r} was given with a user name: pass username, password"
        )
    if url.query or url.fragment or "?" in server or "#" in server:
        raise ConfigError(f"the server {redacted(server)!r} has a query or a fragment: leave them out")
    if any(char.isspace() or ord(char) < 0x20 for char in server):
        raise ConfigError(f"the server {redacted(server)!r} contains a space or a control character")
    return server.rstrip("/")
