"""The functions that Kubernetes adds to CEL: lists, sets, regular expressions, URLs, addresses, quantities.

As `k8s.io/apiserver/pkg/cel/library` has them. Values with types of their own (a URL, an address, a quantity)
are maps with one key here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

from ..types.quantity import value as amount_of
from .findings import findings
from .formats import format_check
from .patterns import PatternFault, UnknownPattern

__all__ = ["functions"]

Function = Callable[..., Any]

_URL, _IP, _CIDR, _QUANTITY = ("kubernetes URL", "kubernetes IP", "kubernetes CIDR", "kubernetes Quantity")
"""The one key of a value that has a type of its own."""


def functions(cel: Any) -> list[Any]:
    """The declarations of every function, for the module *cel* of the runtime."""
    types = {"a": cel.Type.DYN, "s": cel.Type.STRING, "l": cel.Type.LIST, "i": cel.Type.INT}
    results = {"b": cel.Type.BOOL, "f": cel.Type.DOUBLE, **types}
    declared: dict[str, list[Any]] = {}
    for name, signature, function in _FUNCTIONS:
        shape, _, result = signature.partition(">")
        member = shape.startswith(".")
        parameters = [types[one] for one in shape.removeprefix(".")]
        overload = cel.Overload(f"{name}_{signature}", results[result], parameters, member, function)
        declared.setdefault(name, []).append(overload)
    return [cel.FunctionDecl(name, overloads) for name, overloads in declared.items()]


# --- lists, sets and texts ---------------------------------------------------------------------------


def _place(items: Sequence[Any], item: Any) -> int:
    return items.index(item) if item in items else -1


def _last_place(items: Sequence[Any], item: Any) -> int:
    return len(items) - 1 - _place(items[::-1], item) if item in items else -1


def _extreme(choose: Function) -> Function:
    def chosen(items: Sequence[Any]) -> Any:
        if not items:
            raise ValueError(f"{choose.__name__} called on empty list")
        return choose(items)

    return chosen


def _contains(items: Sequence[Any], wanted: Sequence[Any]) -> bool:
    return all(one in items for one in wanted)


def _search(text: str, pattern: str) -> list[str]:
    try:
        return findings(pattern, text)
    except (PatternFault, UnknownPattern) as fault:
        raise ValueError(f"Illegal regex: {fault}") from None


# --- addresses ---------------------------------------------------------------------------------------


def _url(text: str) -> dict[str, str]:
    if not _is_url(text):
        raise ValueError(f"URL parse error during conversion from string: {text}")
    return {_URL: text}


def _is_url(text: str) -> bool:
    check = format_check("uri")
    return check is not None and check(text)


def _part(name: str) -> Function:
    def part(url: dict[str, str]) -> Any:
        parts = urlsplit(url[_URL])
        if name == "host":
            return parts.netloc.rpartition("@")[2]
        if name == "port":
            return "" if parts.port is None else str(parts.port)
        return getattr(parts, name) or ""

    return part


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if "%" in text or text.startswith("::ffff:"):
        raise ValueError(f"IP Address {text!r} parse error during conversion from string")
    return ipaddress.ip_address(text)


def _is(parse: Function) -> Function:
    def check(*given: Any) -> bool:
        try:
            parse(*given)
        except ValueError:
            return False
        return True

    return check


def _ip(text: str) -> dict[str, str]:
    return {_IP: str(_address(text))}


def _of_ip(ask: Callable[[Any], Any]) -> Function:
    return lambda ip: ask(_address(ip[_IP]))


def _global_unicast(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local)


def _cidr(text: str) -> dict[str, str]:
    if "/" not in text:
        raise ValueError(f"network address parse error during conversion from string: {text!r}")
    ipaddress.ip_network(text, strict=False)
    return {_CIDR: text}


def _network(cidr: dict[str, str]) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(cidr[_CIDR], strict=False)


def _holds(cidr: dict[str, str], inner: Any) -> bool:
    if isinstance(inner, dict):
        inner = inner.get(_IP) or inner[_CIDR]
    net, other = _network(cidr), ipaddress.ip_network(inner, strict=False)
    return net.version == other.version and other.subnet_of(net)  # type: ignore[arg-type]


# --- quantities --------------------------------------------------------------------------------------


def _quantity(text: str) -> dict[str, str]:
    return {_QUANTITY: format(amount_of(text).normalize(), "f")}  # equal where the numbers are


def _amount(value: Any) -> Decimal:
    return amount_of(value[_QUANTITY] if isinstance(value, dict) else value)


def _compared(one: Any, other: Any) -> int:
    first, second = _amount(one), _amount(other)
    return (first > second) - (first < second)


def _whole(value: Any) -> int:
    amount = _amount(value)
    if amount != int(amount) or not -(2**63) <= amount < 2**63:
        raise ValueError("cannot convert value to integer")
    return int(amount)


def _sum_of(sign: int) -> Function:
    def added(one: Any, other: Any) -> dict[str, str]:
        return _quantity(format(_amount(one) + sign * _amount(other), "f"))

    return added


_FUNCTIONS: Final[tuple[tuple[str, str, Function], ...]] = (
    ("isSorted", ".l>b", lambda items: all(a <= b for a, b in pairwise(items))),
    ("sum", ".l>a", sum),
    ("min", ".l>a", _extreme(min)),
    ("max", ".l>a", _extreme(max)),
    ("indexOf", ".la>i", _place),
    ("lastIndexOf", ".la>i", _last_place),
    ("sets.contains", "ll>b", _contains),
    ("sets.equivalent", "ll>b", lambda a, b: _contains(a, b) and _contains(b, a)),
    ("sets.intersects", "ll>b", lambda a, b: any(one in a for one in b)),
    ("find", ".ss>s", lambda text, pattern: next(iter(_search(text, pattern)), "")),
    ("findAll", ".ss>l", _search),
    ("findAll", ".ssi>l", lambda text, pattern, most: _search(text, pattern)[: most if most >= 0 else None]),
    ("isURL", "s>b", _is_url),
    ("url", "s>a", _url),
    ("getScheme", ".a>s", _part("scheme")),
    ("getHost", ".a>s", _part("host")),
    ("getHostname", ".a>s", _part("hostname")),
    ("getPort", ".a>s", _part("port")),
    ("getEscapedPath", ".a>s", _part("path")),
    ("isIP", "s>b", _is(_address)),
    ("ip", "s>a", _ip),
    ("ip.isCanonical", "s>b", lambda text: str(_address(text)) == text),
    ("family", ".a>i", _of_ip(lambda ip: ip.version)),
    ("isUnspecified", ".a>b", _of_ip(lambda ip: ip.is_unspecified)),
    ("isLoopback", ".a>b", _of_ip(lambda ip: ip.is_loopback)),
    ("isGlobalUnicast", ".a>b", _of_ip(_global_unicast)),
    ("isCIDR", "s>b", _is(_cidr)),
    ("cidr", "s>a", _cidr),
    ("containsIP", ".aa>b", _holds),
    ("containsCIDR", ".aa>b", _holds),
    ("prefixLength", ".a>i", lambda cidr: _network(cidr).prefixlen),
    ("isQuantity", "s>b", _is(_quantity)),
    ("quantity", "s>a", _quantity),
    ("isGreaterThan", ".aa>b", lambda a, b: _compared(a, b) > 0),
    ("isLessThan", ".aa>b", lambda a, b: _compared(a, b) < 0),
    ("compareTo", ".aa>i", _compared),
    ("isInteger", ".a>b", _is(_whole)),
    ("asInteger", ".a>i", _whole),
    ("asApproximateFloat", ".a>f", lambda value: float(_amount(value))),
    ("sign", ".a>i", lambda value: _compared(value, "0")),
    ("add", ".aa>a", _sum_of(1)),
    ("sub", ".aa>a", _sum_of(-1)),
)
"""Each function: its name, its parameters and result (`.` before those of a method), and what it does.

Letters stand for types: `a` anything, `s` string, `l` list, `i` int, `b` bool, `f` double.
"""
