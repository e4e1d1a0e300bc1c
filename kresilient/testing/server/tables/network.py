"""The kinds of `networking.k8s.io` and `discovery.k8s.io` in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .core import load_balancer
from .printer import AGE, NAME, NONE, Object, Printer, age, at, column, format_selector, name_of, some

__all__ = ["PRINTERS"]

_UNSET: Final = "<unset>"


def _ingress(obj: Object, now: float) -> list[Any]:
    return [
        name_of(obj),
        at(obj, "spec.ingressClassName", NONE),
        _hosts(obj),
        load_balancer(obj),
        "80, 443" if at(obj, "spec.tls", ()) else "80",
        age(obj, now),
    ]


def _hosts(ingress: Object) -> str:
    """Up to three hosts; once there are three, what is more is counted in rules."""
    rules: Sequence[Object] = at(ingress, "spec.rules", ())
    hosts: list[str] = []
    for rule in rules:
        if len(hosts) == 3:
            return f"{','.join(hosts)} + {len(rules) - 3} more..."
        hosts += [rule["host"]] if rule.get("host") else []
    return ",".join(hosts) or "*"


def _ingress_class(obj: Object, now: float) -> list[Any]:
    given, shown = at(obj, "spec.parameters"), NONE
    if given is not None:
        group = given.get("apiGroup")
        kind = given.get("kind") if group is None else f"{given.get('kind')}.{group}"
        shown = f"{kind}/{given.get('name')}"
    return [name_of(obj), at(obj, "spec.controller", ""), shown, age(obj, now)]


def _address(obj: Object, now: float) -> list[Any]:
    parent, shown = at(obj, "spec.parentRef"), NONE
    if parent is not None:
        group, plural = at(parent, "group", ""), at(parent, "resource", "")
        qualified = f"{plural}.{group}" if group else plural
        where = [at(parent, "namespace")] if at(parent, "namespace") else []
        shown = "/".join([qualified.lower(), *where, at(parent, "name", "")])
    return [name_of(obj), shown, age(obj, now)]


def _slice(obj: Object, now: float) -> list[Any]:
    ports = [_port(one) for one in at(obj, "ports", ())]
    addresses = [each for one in at(obj, "endpoints", ()) for each in at(one, "addresses", ())]
    return [
        name_of(obj),
        at(obj, "addressType", ""),
        some(ports, most=3, empty=_UNSET),
        some(addresses, most=3, empty=_UNSET),
        age(obj, now),
    ]


def _port(port: Object) -> str:
    number, name = port.get("port"), port.get("name")
    return str(number) if number is not None else "*" if name is None else str(name)


PRINTERS: Final = {
    ("networking.k8s.io", "ingresses"): Printer(
        (
            NAME,
            column("Class", "The ingress class that serves it."),
            column("Hosts", "The hosts whose requests it takes."),
            column("Address", "Where its load balancer listens."),
            column("Ports", "The ports that it opens."),
            AGE,
        ),
        _ingress,
    ),
    ("networking.k8s.io", "ingressclasses"): Printer(
        (
            NAME,
            column("Controller", "The controller that serves the class."),
            column("Parameters", "The object that holds more parameters."),
            AGE,
        ),
        _ingress_class,
    ),
    ("networking.k8s.io", "networkpolicies"): Printer(
        (NAME, column("Pod-Selector", "The pods that it is for."), AGE),
        lambda obj, now: [name_of(obj), format_selector(at(obj, "spec.podSelector")), age(obj, now)],
    ),
    ("networking.k8s.io", "servicecidrs"): Printer(
        (NAME, column("CIDRs", "The ranges that services get their addresses from."), AGE),
        lambda obj, now: [name_of(obj), ",".join(at(obj, "spec.cidrs", ())), age(obj, now)],
    ),
    ("networking.k8s.io", "ipaddresses"): Printer(
        (NAME, column("ParentRef", "The object that has the address.")), _address
    ),
    ("discovery.k8s.io", "endpointslices"): Printer(
        (
            NAME,
            column("AddressType", "Of what kind its addresses are."),
            column("Ports", "The ports of each endpoint."),
            column("Endpoints", "The addresses of its endpoints."),
            AGE,
        ),
        _slice,
    ),
}
"""Printers by group and plural."""
