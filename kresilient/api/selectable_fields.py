"""Which fields of a resource can be selected, and what they are worth where they are absent.

The table follows kube-apiserver's field-label conversions (`AddFieldLabelConversionFunc`) and the values of
its `ToSelectableFields`; it knows the server's derived values and defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from .resources import BUILTIN, Resource

__all__ = ["METADATA", "FieldGetter", "Selectable", "field_getter", "fields_of"]


class Selectable(Protocol):
    """What a field matcher reads: an object's top level, such as a dict of it or a `KubeObject`."""

    def get(self, key: str, /) -> Any:
        """The top-level field *key*, or None."""


FieldGetter = Callable[[Selectable], str]


def field_getter(path: str, default: str = "") -> FieldGetter:
    """A getter of the scalar at *path*; *default* where it is absent, empty or no scalar."""
    first, *rest = path.split(".")

    def get(obj: Selectable) -> str:
        value = obj.get(first)
        for name in rest:
            value = value.get(name) if isinstance(value, Mapping) else None
        match value:
            case str():
                return value or default
            case bool():
                return "true" if value else "false"
            case int():
                return str(value)
        return default

    return get


def _first(*getters: FieldGetter) -> FieldGetter:
    """A getter of the first value that is not empty."""
    return lambda obj: next(filter(None, (getter(obj) for getter in getters)), "")


def _first_pod_ip(obj: Selectable) -> str:
    status = obj.get("status")
    ips = status.get("podIPs") if isinstance(status, Mapping) else None
    first = ips[0] if isinstance(ips, Sequence) and ips and not isinstance(ips, str) else None
    ip = first.get("ip") if isinstance(first, Mapping) else None
    return ip if isinstance(ip, str) else ""


METADATA: Final[dict[str, FieldGetter]] = {
    "metadata.name": field_getter("metadata.name"),
    "metadata.namespace": field_getter("metadata.namespace"),
}
_NAME_ONLY: Final[dict[str, FieldGetter]] = {"metadata.name": METADATA["metadata.name"]}

_REFUSED: Final = "field label not supported: {}"
_REFUSED_GENERIC: Final = '"{}" is not a known field selector: only "metadata.name", "metadata.namespace"'
_REFUSED_OTHERWISE: Final[dict[tuple[str, str], str]] = {
    ("batch", "jobs"): 'field label "{}" not supported for batchv1.Job',
    ("resource.k8s.io", "resourceslices"): (
        "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}"
    ),
}

_REFERENCE: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

# By group and plural: what `AddFieldLabelConversionFunc` accepts, with the value of `ToSelectableFields`.
_FIELDS: Final[dict[tuple[str, str], dict[str, FieldGetter]]] = {
    ("", "pods"): {
        **METADATA,
        "spec.nodeName": field_getter("spec.nodeName"),
        "spec.host": field_getter("spec.nodeName"),  # the name that clients older than v1 use
        "spec.restartPolicy": field_getter("spec.restartPolicy", "Always"),
        "spec.schedulerName": field_getter("spec.schedulerName", "default-scheduler"),
        # An admission plug-in, no default, fills it in: mirror pods of static pods go without.
        "spec.serviceAccountName": _first(
            field_getter("spec.serviceAccountName"), field_getter("spec.serviceAccount")
        ),
        "spec.hostNetwork": field_getter("spec.hostNetwork", "false"),
        "status.phase": field_getter("status.phase"),
        "status.podIP": _first(field_getter("status.podIP"), _first_pod_ip),
        "status.podIPs": lambda obj: "",  # accepted by the server, which has no value for it
        "status.nominatedNodeName": field_getter("status.nominatedNodeName"),
    },
    ("", "nodes"): {**_NAME_ONLY, "spec.unschedulable": field_getter("spec.unschedulable", "false")},
    ("", "namespaces"): {**_NAME_ONLY, "status.phase": field_getter("status.phase", "Active")},
    ("", "secrets"): {**METADATA, "type": field_getter("type", "Opaque")},
    ("", "services"): {
        **METADATA,
        "spec.clusterIP": field_getter("spec.clusterIP"),
        "spec.type": field_getter("spec.type", "ClusterIP"),
    },
    ("", "replicationcontrollers"): {**METADATA, "status.replicas": field_getter("status.replicas", "0")},
    ("", "events"): {
        **METADATA,
        **{f"involvedObject.{name}": field_getter(f"involvedObject.{name}") for name in _REFERENCE},
        "reason": field_getter("reason"),
        "reportingComponent": field_getter("reportingComponent"),
        "source": _first(field_getter("source.component"), field_getter("reportingComponent")),
        "type": field_getter("type"),
    },
    ("events.k8s.io", "events"): {
        **METADATA,
        **{f"regarding.{name}": field_getter(f"regarding.{name}") for name in _REFERENCE},
        "reason": field_getter("reason"),
        "reportingController": field_getter("reportingController"),
        "type": field_getter("type"),
    },
    ("apps", "replicasets"): {**METADATA, "status.replicas": field_getter("status.replicas", "0")},
    ("batch", "jobs"): {**METADATA, "status.successful": field_getter("status.succeeded", "0")},
    ("certificates.k8s.io", "certificatesigningrequests"): {
        **_NAME_ONLY,
        "spec.signerName": field_getter("spec.signerName"),
    },
    ("certificates.k8s.io", "clustertrustbundles"): {
        **_NAME_ONLY,
        "spec.signerName": field_getter("spec.signerName"),
    },
    ("certificates.k8s.io", "podcertificaterequests"): {
        **_NAME_ONLY,
        "spec.signerName": field_getter("spec.signerName"),
        "spec.podName": field_getter("spec.podName"),
        "spec.nodeName": field_getter("spec.nodeName"),
    },
    ("resource.k8s.io", "resourceslices"): {
        **_NAME_ONLY,
        "spec.nodeName": field_getter("spec.nodeName"),
        "spec.driver": field_getter("spec.driver"),
    },
}


def fields_of(resource: Resource) -> tuple[Mapping[str, FieldGetter], str]:
    """The fields of *resource* with their getters, and how its server refuses any other."""
    place = (resource.group, resource.plural)
    if place in _FIELDS:
        return _FIELDS[place], _REFUSED_OTHERWISE.get(place, _REFUSED)
    if (resource.group, resource.version, resource.plural) in BUILTIN:
        return METADATA, _REFUSED_GENERIC
    return _NAME_ONLY if resource.namespaced is False else METADATA, _REFUSED
