"""aiohttp's and OpenSSL's errors in the library's words: what failed, why, and what to do about it.

No message carries a header, a body, a token or the password of a proxy.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl

import aiohttp

from ..api.errors import ConnectFailed, ConnectionLost, TransportError
from .base import Request
from .config import ClusterConfig
from .proxy import redacted

__all__ = ["connection_dropped", "exchange_failed", "read_failed"]

_NAME_MISMATCH = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_UNTRUSTED = {
    2,
    18,
    19,
    20,
    21,
}  # no issuer certificate, self-signed, self-signed in chain, no local issuer, …
_DATES = {9, 10}  # not yet valid, expired
_PROXY_REFUSALS = {400, 401, 403, 405, 407}  # of a CONNECT; a 5xx is about the server behind it


def exchange_failed(
    error: BaseException,
    request: Request,
    config: ClusterConfig,
    *,
    sent: bool,
    timeout: str,
    local: bool = False,
) -> TransportError:
    """The error for a request that got no answer. *timeout* says what was waited for, where that ran out;
    *local*, that it was no wait for the server, or a shorter one than usual."""
    what = request.what
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ConnectFailed(
            f"{what}: the proxy {redacted(config.proxy or '')} refused to connect to {config.server}:"
            f" {error.status} {error.message}; check its credentials and rules, or name the host in NO_PROXY",
            permanent=error.status in _PROXY_REFUSALS,
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return ConnectFailed(
            f"{what}: cannot connect to the proxy {redacted(config.proxy or '')}: {_cause(error.os_error)};"
            " check the proxy setting, or put the host into NO_PROXY"
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        text, permanent = _certificate(error.certificate_error, config)
        return ConnectFailed(f"{what}: {text}", permanent=permanent)
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return ConnectFailed(f"{what}: {_handshake(error, config)}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ConnectFailed(
            f"{what}: the host of {config.server} cannot be resolved: {_cause(error.os_error)};"
            " check the server's URL and the name service"
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectFailed(
            f"{what}: cannot connect to {config.server}: {_cause(error.os_error)};"
            " check that the URL is right and that the server runs"
        )
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)) and not sent:
        return ConnectFailed(f"{what}: {timeout}; nothing was sent to {config.server}", local=local)
    if not sent:
        return ConnectFailed(f"{what}: cannot send to {config.server}: {_cause(error)}")
    return read_failed(error, request, config, timeout=timeout)


def connection_dropped(error: BaseException) -> bool:
    """Whether *error* is that of a connection which the other side closed or reset, and no time limit."""
    return isinstance(error, (aiohttp.ServerDisconnectedError, OSError)) and not isinstance(
        error, TimeoutError
    )


def read_failed(
    error: BaseException, request: Request, config: ClusterConfig, *, timeout: str
) -> ConnectionLost:
    """The error for an answer that stopped, or never came, after the request was sent."""
    what = request.what
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return ConnectionLost(f"{what}: {timeout} from {config.server}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return ConnectionLost(f"{what}: the answer of {config.server} was cut off before its end")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return ConnectionLost(f"{what}: {config.server} closed the connection without an answer")
    if isinstance(error, aiohttp.ClientResponseError):
        return ConnectionLost(
            f"{what}: {config.server} answered what is no HTTP; check that the URL names an API server"
        )
    return ConnectionLost(f"{what}: the connection to {config.server} was lost: {_cause(error)}")


def _certificate(error: Exception, config: ClusterConfig) -> tuple[str, bool]:
    """What is wrong with the server's certificate, and whether it certainly stays so by itself."""
    code = getattr(error, "verify_code", 0)
    reason = getattr(error, "verify_message", "") or str(error)
    text = f"the certificate of {config.server} is not accepted: {reason.rstrip('.')}"
    if code in _NAME_MISMATCH:
        return f"{text}; set tls_server_name to a name in the certificate, or correct the server's URL", True
    if code in _UNTRUSTED:
        return f"{text}; set ca_file (or ca_data) to the CA that signed it", True
    if code in _DATES:
        return f"{text}; renew it, or correct the clock", False
    return text, False


def _handshake(error: aiohttp.ClientConnectorSSLError, config: ClusterConfig) -> str:
    cause = _cause(error.os_error)
    text = f"the TLS handshake with {config.server} failed: {cause}"
    if any(word in cause for word in ("wrong version", "record layer", "http request", "unexpected eof")):
        return f"{text}; is it served without TLS? Then write http:// in the server's URL"
    if "alert" in cause or "certificate required" in cause:
        return f"{text}; the server refused this client: check its client certificate"
    return text


def _cause(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) or "[SSL" in str(error):
        text = getattr(error, "reason", None) or str(error)
        text = str(text).replace("_", " ").lower()
        return f"{text}; check the client certificate" if "alert" in text and "certif" in text else text
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if (
            error.errno is not None
            and error.errno in errno.errorcode
            and not isinstance(error, socket.gaierror)
        ):
            text = os.strerror(error.errno)  # asyncio puts "Connect call failed" and the address there
        return text[:1].lower() + text[1:]
    return str(error) or type(error).__name__
