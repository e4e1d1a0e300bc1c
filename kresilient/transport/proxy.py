"""Which proxy leads to a server: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, read as client-go reads them.

The rules are those of Go's `golang.org/x/net/http/httpproxy`, so that a pod set up for kubectl or a Go
controller behaves the same here: the upper-case name wins, an empty value is as good as none, and `localhost`
and loopback addresses are never proxied.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from ..api.errors import ConfigError

__all__ = ["bypasses_proxy", "check_proxy_url", "proxy_from_environment", "redacted"]


def proxy_from_environment(server: str, environ: Mapping[str, str]) -> str | None:
    """The proxy URL for *server*, or None to connect directly.

    Raises `ConfigError` for a variable that holds no usable proxy URL.
    """
    url = urlsplit(server)
    name = "HTTPS_PROXY" if url.scheme == "https" else "HTTP_PROXY"
    proxy = environ.get(name) or environ.get(name.lower())
    if not proxy:
        return None
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    if bypasses_proxy(host, port, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
        return None
    return check_proxy_url(proxy if "://" in proxy else f"http://{proxy}", f"the variable {name}")


def check_proxy_url(proxy: str, source: str) -> str:
    """*proxy*, if it is one that can be used; else a `ConfigError` that names its *source*."""
    try:
        url = urlsplit(proxy)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    else:
        if usable and url.scheme == "https":
            raise ConfigError(
                f"{source} is {redacted(proxy)!r}: an https:// proxy is not supported (it would be shown the"
                " cluster's client certificate, and be trusted by the cluster's CA); write http://host:port,"
                " through which TLS to the cluster goes untouched"
            )
    if not usable:
        raise ConfigError(
            f"{source} is {redacted(proxy)!r}: a proxy is written http://host:port (SOCKS is not supported)"
        )
    return proxy


def redacted(url: str) -> str:
    """*url* without its user name and password, for messages."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def bypasses_proxy(host: str, port: int, no_proxy: str) -> bool:
    """Whether *no_proxy* (comma-separated) takes *host* and *port* off the proxy.

    An entry is `*`, an address, a network (`10.0.0.0/8`), a domain (itself and all below it), or one with a
    leading `.` or `*.` (only what is below it); each but a network may carry a `:port`.
    """
    host = host.lower().rstrip(".")
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(
        _matches(entry, host, address, port) for entry in no_proxy.lower().replace(" ", ",").split(",")
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _matches(entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
    if not entry or entry == "*":
        return entry == "*"
    if "/" in entry:
        try:
            return address is not None and address in ip_network(entry, strict=False)
        except ValueError:
            return False
    if _address(entry) is None:
        name, colon, wanted = entry.rpartition(":")
        if colon and wanted.isdigit():
            if int(wanted) != port:
                return False
            entry = name
    literal = _address(entry)
    if literal is not None or address is not None:
        return literal == address
    entry = entry.removeprefix("*").rstrip(".")
    if entry.startswith("."):
        return len(entry) > 1 and host.endswith(entry)
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))
