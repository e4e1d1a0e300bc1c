"""Services, endpoints, ingresses and network policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kresilient.testing.server.causes import duplicate, forbidden, invalid_value, required, unsupported
from kresilient.testing.server.statuses import Cause

from .metadata import label_faults
from .names import dns_label, dns_subdomain, port_name, port_number
from .workloads import selector_faults

__all__ = ["changed_service", "ingress", "network_policy", "service"]

Object = Mapping[str, Any]

_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITIES: Final = ("ClientIP", "None")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")


def service(obj: Object) -> Iterator[Cause]:
    """The rules of a service."""
    spec = obj.get("spec") or {}
    kind, ports = spec.get("type") or "", spec.get("ports") or ()
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        yield required("spec.ports")
    if kind == "LoadBalancer" and headless:
        yield invalid_value(
            "spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services"
        )
    if kind == "ExternalName":
        if not spec.get("externalName"):
            yield required("spec.externalName")
        else:
            name = spec["externalName"].removesuffix(".")
            yield from (invalid_value("spec.externalName", name, fault) for fault in dns_subdomain(name))
        if spec.get("clusterIP"):
            yield forbidden("spec.clusterIPs[0]", "may not be set for ExternalName services")
    names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    for place, port in enumerate(ports):
        at = f"spec.ports[{place}]"
        yield from _port(port, at, many=len(ports) > 1, names=names)
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            yield duplicate(at, {"port": port.get("port"), "protocol": port.get("protocol")})
        seen.add(key)
    yield from label_faults(spec.get("selector") or {}, "spec.selector")
    if spec.get("sessionAffinity") not in _AFFINITIES:
        yield unsupported("spec.sessionAffinity", spec.get("sessionAffinity") or "", _AFFINITIES)
    if kind not in _TYPES:
        yield unsupported("spec.type", kind, _TYPES)


def _port(port: Object, at: str, *, many: bool, names: set[str]) -> Iterator[Cause]:
    name = port.get("name") or ""
    if many and not name:
        yield required(f"{at}.name")
    elif name:
        yield from (invalid_value(f"{at}.name", name, fault) for fault in dns_label(name))
        if name in names:
            yield duplicate(f"{at}.name", name)
        names.add(name)
    number = port.get("port") or 0
    yield from (invalid_value(f"{at}.port", number, fault) for fault in port_number(number))
    if port.get("protocol") not in _PROTOCOLS:
        yield unsupported(f"{at}.protocol", port.get("protocol") or "", _PROTOCOLS)
    target = port.get("targetPort")
    if isinstance(target, int):
        yield from (invalid_value(f"{at}.targetPort", target, fault) for fault in port_number(target))
    elif target:
        yield from (invalid_value(f"{at}.targetPort", target, fault) for fault in port_name(target))


def changed_service(old: Object, new: Object) -> Iterator[Cause]:
    """A service keeps its address, but for one that becomes or was an external name."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if "ExternalName" in (before.get("type"), after.get("type")):
        return
    held, wanted = before.get("clusterIPs") or [], after.get("clusterIPs") or []
    if held and wanted and held[0] != wanted[0]:
        yield invalid_value("spec.clusterIPs[0]", wanted, "may not change once set")
    elif before.get("clusterIP") and before["clusterIP"] != after.get("clusterIP"):
        yield invalid_value("spec.clusterIP", after.get("clusterIP") or "", "field is immutable")


def ingress(obj: Object) -> Iterator[Cause]:
    """The rules of an ingress."""
    spec = obj.get("spec") or {}
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        said = "either `defaultBackend` or `rules` must be specified"
        yield invalid_value("spec", [], said)
    if spec.get("defaultBackend") is not None:
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    for place, rule in enumerate(spec.get("rules") or ()):
        host = rule.get("host") or ""
        if host:
            bare = host.removeprefix("*.")
            yield from (
                invalid_value(f"spec.rules[{place}].host", host, fault) for fault in dns_subdomain(bare)
            )
        http = rule.get("http")
        if http is None:
            continue
        at = f"spec.rules[{place}].http.paths"
        if not http.get("paths"):
            yield required(at)
        for number, path in enumerate(http.get("paths") or ()):
            yield from _path(path, f"{at}[{number}]")


def _path(path: Object, at: str) -> Iterator[Cause]:
    kind, text = path.get("pathType"), path.get("path") or ""
    if kind is None:
        yield required(f"{at}.pathType", "pathType must be specified")
    elif kind not in _PATH_TYPES:
        yield unsupported(f"{at}.pathType", kind, _PATH_TYPES)
    elif kind in ("Exact", "Prefix") and not text.startswith("/"):
        yield invalid_value(f"{at}.path", text, "must be an absolute path")
    yield from _backend(path.get("backend") or {}, f"{at}.backend")


def _backend(backend: Object, at: str) -> Iterator[Cause]:
    target, resource = backend.get("service"), backend.get("resource")
    if target is None and resource is None:
        yield required(at, "port name or number is required")
    elif target is not None and resource is not None:
        yield invalid_value(at, "", "cannot set both resource and service backends")
    elif target is not None:
        if not target.get("name"):
            yield required(f"{at}.service.name")
        port = target.get("port") or {}
        if port.get("name") and port.get("number"):
            yield invalid_value(f"{at}.service.port", "", "cannot set both port name & port number")
        elif not port.get("name") and not port.get("number"):
            yield required(f"{at}.service.port", "port name or number is required")


def network_policy(obj: Object) -> Iterator[Cause]:
    """The rules of a network policy."""
    spec = obj.get("spec") or {}
    yield from selector_faults(spec.get("podSelector") or {}, "spec.podSelector")
    types = spec.get("policyTypes") or []
    if len(types) > 2:
        yield invalid_value("spec.policyTypes", types, "may not specify more than two policyTypes")
    for place, one in enumerate(types):
        if one not in ("Ingress", "Egress"):
            yield unsupported(f"spec.policyTypes[{place}]", one, ["Egress", "Ingress"])
