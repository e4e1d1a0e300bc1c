"""Pods, and the templates of pods in other kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kresilient.testing.server.causes import duplicate, forbidden, invalid_value, required, unsupported
from kresilient.testing.server.statuses import Cause
from kresilient.testing.server.types.equality import same
from kresilient.testing.server.types.quantity import value as amount
from kresilient.testing.server.types.schema import builtin_types

from .metadata import annotation_faults, label_faults
from .names import dns_label, dns_subdomain, environment_name, port_name, port_number

__all__ = ["changed_pod", "new_pod", "pod_template"]

Object = Mapping[str, Any]

_MAY_CHANGE: Final = frozenset(
    {"containers", "initContainers", "activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"}
)
_ONLY_THESE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
    "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)\n"
)
_RESTARTS: Final = ("Always", "OnFailure", "Never")
_DNS_POLICIES: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PULLS: Final = ("Always", "IfNotPresent", "Never")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_OPERATORS: Final = ("Equal", "Exists")
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def new_pod(obj: Object) -> Iterator[Cause]:
    """The rules of a pod."""
    yield from pod_spec(obj.get("spec") or {}, "spec")


def pod_template(template: Object, at: str) -> Iterator[Cause]:
    """The rules of a template of pods."""
    meta = template.get("metadata") or {}
    yield from label_faults(meta.get("labels") or {}, f"{at}.labels")
    yield from annotation_faults(meta.get("annotations") or {}, f"{at}.annotations")
    yield from pod_spec(template.get("spec") or {}, f"{at}.spec")


def pod_spec(spec: Object, at: str) -> Iterator[Cause]:
    """The rules of a pod's spec, wherever it stands."""
    volumes: set[str] = set()
    for place, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(volume, f"{at}.volumes[{place}]", volumes)
    names: set[str] = set()
    containers = spec.get("containers") or ()
    if not containers:
        yield required(f"{at}.containers")
    host_ports: set[tuple[Any, ...]] = set()
    for place, container in enumerate(containers):
        yield from _container(container, f"{at}.containers[{place}]", names, volumes, host_ports)
    for place, container in enumerate(spec.get("initContainers") or ()):
        yield from _container(container, f"{at}.initContainers[{place}]", names, volumes, set())
    yield from _one_of(spec, "restartPolicy", _RESTARTS, at)
    yield from _one_of(spec, "dnsPolicy", _DNS_POLICIES, at)
    for name in ("terminationGracePeriodSeconds",):
        if (spec.get(name) or 0) < 0:
            yield invalid_value(f"{at}.{name}", spec[name], "must be greater than or equal to 0")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        said = f"must be between 1 and {2**31 - 1}, inclusive"
        yield invalid_value(f"{at}.activeDeadlineSeconds", deadline, said)
    for name, rule in (
        ("serviceAccountName", dns_subdomain),
        ("nodeName", dns_subdomain),
        ("priorityClassName", dns_subdomain),
        ("runtimeClassName", dns_subdomain),
        ("hostname", dns_label),
        ("subdomain", dns_label),
    ):
        text = spec.get(name) or ""
        if text:
            yield from (invalid_value(f"{at}.{name}", text, fault) for fault in rule(text))
    yield from label_faults(spec.get("nodeSelector") or {}, f"{at}.nodeSelector")
    for place, one in enumerate(spec.get("tolerations") or ()):
        yield from _toleration(one, f"{at}.tolerations[{place}]")


def _one_of(obj: Object, name: str, allowed: Iterable[str], at: str) -> Iterator[Cause]:
    value = obj.get(name) or ""
    if not value:
        yield required(f"{at}.{name}")
    elif value not in allowed:
        yield unsupported(f"{at}.{name}", value, allowed)


def _container(
    container: Object, at: str, names: set[str], volumes: set[str], host_ports: set[tuple[Any, ...]]
) -> Iterator[Cause]:
    name = container.get("name") or ""
    if not name:
        yield required(f"{at}.name")
    else:
        yield from (invalid_value(f"{at}.name", name, fault) for fault in dns_label(name))
        if name in names:
            yield duplicate(f"{at}.name", name)
        names.add(name)
    image = container.get("image") or ""
    if not image:
        yield required(f"{at}.image")
    elif image != image.strip():
        yield invalid_value(f"{at}.image", image, "must not have leading or trailing whitespace")
    yield from _ports(container.get("ports") or (), f"{at}.ports", host_ports)
    for place, variable in enumerate(container.get("env") or ()):
        yield from _variable(variable, f"{at}.env[{place}]")
    paths: set[str] = set()
    for place, mount in enumerate(container.get("volumeMounts") or ()):
        here, path = f"{at}.volumeMounts[{place}]", mount.get("mountPath") or ""
        if not mount.get("name"):
            yield required(f"{here}.name")
        elif mount["name"] not in volumes:
            yield ("FieldValueNotFound", f'Not found: "{mount["name"]}"', f"{here}.name")
        if not path:
            yield required(f"{here}.mountPath")
        if path in paths:
            yield invalid_value(f"{here}.mountPath", path, "must be unique")
        paths.add(path)
    yield from _one_of(container, "imagePullPolicy", _PULLS, at)
    yield from _resources(container.get("resources") or {}, f"{at}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe):
            yield from _probe(container[probe], f"{at}.{probe}")


def _ports(ports: Iterable[Object], at: str, host_ports: set[tuple[Any, ...]]) -> Iterator[Cause]:
    names: set[str] = set()
    for place, port in enumerate(ports):
        here = f"{at}[{place}]"
        name, number = port.get("name") or "", port.get("containerPort") or 0
        if name:
            faults = list(port_name(name))
            yield from (invalid_value(f"{here}.name", name, fault) for fault in faults)
            if not faults and name in names:
                yield duplicate(f"{here}.name", name)
            names.add(name)
        if not number:
            yield required(f"{here}.containerPort")
        else:
            yield from (
                invalid_value(f"{here}.containerPort", number, fault) for fault in port_number(number)
            )
        if host := port.get("hostPort"):
            yield from (invalid_value(f"{here}.hostPort", host, fault) for fault in port_number(host))
            key = (port.get("protocol"), port.get("hostIP") or "", host)
            if key in host_ports:
                yield duplicate(f"{here}.hostPort", "/".join(map(str, key)))
            host_ports.add(key)
        yield from _one_of(port, "protocol", _PROTOCOLS, here)


def _variable(variable: Object, at: str) -> Iterator[Cause]:
    name, source = variable.get("name") or "", variable.get("valueFrom")
    if not name:
        yield required(f"{at}.name")
    else:
        yield from (invalid_value(f"{at}.name", name, fault) for fault in environment_name(name))
    if source is None:
        return
    given = [key for key, value in source.items() if value is not None]
    if not given:
        said = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
            "`fileKeyRef`"
        )
        yield invalid_value(f"{at}.valueFrom", "", said)
    elif variable.get("value"):
        yield invalid_value(f"{at}.valueFrom", "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield invalid_value(f"{at}.valueFrom", "", "may not have more than one field specified at a time")


def _resources(resources: Object, at: str) -> Iterator[Cause]:
    limits = resources.get("limits") or {}
    for kind in ("limits", "requests"):
        for name, text in (resources.get(kind) or {}).items():
            if amount(text) < 0:
                said = "must be greater than or equal to 0"
                yield invalid_value(f"{at}.{kind}[{name}]", text, said)
    for name, text in (resources.get("requests") or {}).items():
        limit = limits.get(name)
        if limit is not None and amount(text) > amount(limit):
            said = f"must be less than or equal to {name} limit of {limit}"
            yield invalid_value(f"{at}.requests", text, said)


_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")


def _probe(probe: Object, at: str) -> Iterator[Cause]:
    given = [name for name in _HANDLERS if probe.get(name) is not None]
    if not given:
        yield required(at, "must specify a handler type")
    for name in given[1:]:
        yield forbidden(f"{at}.{name}", "may not specify more than 1 handler type")
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold"):
        if (probe.get(name) or 0) < 0:
            yield invalid_value(f"{at}.{name}", probe[name], "must be greater than or equal to 0")
    if at.endswith(("livenessProbe", "startupProbe")) and probe.get("successThreshold") != 1:
        yield invalid_value(f"{at}.successThreshold", probe.get("successThreshold"), "must be 1")


def _toleration(one: Object, at: str) -> Iterator[Cause]:
    operator, effect = one.get("operator") or "Equal", one.get("effect") or ""
    if one.get("key"):
        yield from label_faults({one["key"]: ""}, f"{at}.key")
    elif operator != "Exists":
        said = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid_value(f"{at}.operator", operator, said)
    if one.get("tolerationSeconds") is not None and effect != "NoExecute":
        said = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid_value(f"{at}.effect", effect, said)
    if operator not in _OPERATORS:
        yield unsupported(f"{at}.operator", operator, _OPERATORS)
    elif operator == "Exists" and one.get("value"):
        yield invalid_value(f"{at}.operator", one["value"], "value must be empty when `operator` is 'Exists'")
    if effect and effect not in _EFFECTS:
        yield unsupported(f"{at}.effect", effect, _EFFECTS)


def _volume(volume: Object, at: str, names: set[str]) -> Iterator[Cause]:
    name = volume.get("name") or ""
    if not name:
        yield required(f"{at}.name")
    else:
        yield from (invalid_value(f"{at}.name", name, fault) for fault in dns_label(name))
        if name in names:
            yield duplicate(f"{at}.name", name)
        names.add(name)
    sources = [key for key, value in volume.items() if key != "name" and value is not None]
    for extra in sources[1:]:
        yield forbidden(f"{at}.{extra}", "may not specify more than 1 volume type")
    for kind, field in (
        ("secret", "secretName"),
        ("configMap", "name"),
        ("persistentVolumeClaim", "claimName"),
    ):
        if volume.get(kind) is not None and not volume[kind].get(field):
            yield required(f"{at}.{kind}.{field}")


# --- change ------------------------------------------------------------------------------------------


def changed_pod(old: Object, new: Object) -> Iterator[Cause]:
    """What may not change in a pod that exists."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    for field in ("containers", "initContainers"):
        if len(before.get(field) or ()) != len(after.get(field) or ()):
            yield forbidden("spec", "pod updates may not add or remove containers")
            return
    held, wanted = before.get("activeDeadlineSeconds"), after.get("activeDeadlineSeconds")
    if held is not None and (wanted is None or wanted > held):
        said = (
            "must be less than or equal to previous value"
            if wanted is not None
            else "must not update from a positive integer to nil value"
        )
        yield invalid_value("spec.activeDeadlineSeconds", wanted, said)
    kept = before.get("tolerations") or []
    if any(one not in (after.get("tolerations") or []) for one in kept):
        yield forbidden(
            "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"
        )
    if not same(builtin_types()["io.k8s.api.core.v1.PodSpec"], _frozen(before), _frozen(after)):
        yield forbidden("spec", _ONLY_THESE)


def _frozen(spec: Object) -> dict[str, Any]:
    frozen: dict[str, Any] = {name: value for name, value in spec.items() if name not in _MAY_CHANGE}
    for name in ("containers", "initContainers"):
        frozen[name] = [
            {key: value for key, value in one.items() if key != "image"} for one in spec.get(name) or ()
        ]
    return frozen
