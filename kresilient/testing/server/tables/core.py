"""The kinds of the core group in a table, pods apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .pods import PODS
from .printer import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    Object,
    Printer,
    age,
    at,
    column,
    containers,
    format_labels,
    name_of,
    since,
    some,
)

__all__ = ["CONTAINERS", "IMAGES", "PRINTERS", "REPLICAS", "SELECTOR", "load_balancer"]

_UNSET: Final = "<unset>"
CONTAINERS: Final = column("Containers", "The names of the containers in the template.", wide=True)
IMAGES: Final = column("Images", "The images of the containers in the template.", wide=True)
SELECTOR: Final = column("Selector", "Which pods belong to it.", wide=True)


# --- nodes and namespaces ----------------------------------------------------------------------------

_ROLE: Final = "node-role.kubernetes.io/"


def _node(obj: Object, now: float) -> list[Any]:
    ready = [one for one in at(obj, "status.conditions", ()) if one.get("type") == "Ready"]
    shown = ["Unknown" if not ready else "Ready" if ready[-1].get("status") == "True" else "NotReady"]
    if at(obj, "spec.unschedulable"):
        shown.append("SchedulingDisabled")
    info = at(obj, "status.nodeInfo", {})
    return [
        name_of(obj),
        ",".join(shown),
        ",".join(sorted(set(_roles(at(obj, "metadata.labels", {}))))) or NONE,
        age(obj, now),
        at(info, "kubeletVersion", ""),
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        at(info, "osImage", UNKNOWN),
        at(info, "kernelVersion", UNKNOWN),
        at(info, "containerRuntimeVersion", UNKNOWN),
    ]


def _roles(labels: Mapping[str, str]) -> Iterable[str]:
    for key, value in labels.items():
        if key.startswith(_ROLE) and key != _ROLE:
            yield key.removeprefix(_ROLE)
        elif key == "kubernetes.io/role" and value:
            yield value


def _address(node: Object, kind: str) -> str:
    found = (one for one in at(node, "status.addresses", ()) if one.get("type") == kind)
    return str(next((at(one, "address", "") for one in found), NONE))


def _namespace(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), at(obj, "status.phase", ""), age(obj, now)]


# --- services and endpoints --------------------------------------------------------------------------


def _service(obj: Object, now: float) -> list[Any]:
    addresses = at(obj, "spec.clusterIPs", ())
    ports = ",".join(map(_port, at(obj, "spec.ports", ())))
    return [
        name_of(obj),
        at(obj, "spec.type", ""),
        addresses[0] if addresses else NONE,
        _external(obj),
        ports or NONE,
        age(obj, now),
        format_labels(at(obj, "spec.selector")),
    ]


def _port(port: Object) -> str:
    node_port = at(port, "nodePort", 0)
    number = f"{port.get('port')}:{node_port}" if node_port else f"{port.get('port')}"
    return f"{number}/{at(port, 'protocol', '')}"


def _external(service: Object) -> str:
    addresses: Sequence[str] = at(service, "spec.externalIPs", ())
    match at(service, "spec.type"):
        case "ClusterIP" | "NodePort":
            return ",".join(addresses) or NONE
        case "LoadBalancer":
            given = load_balancer(service)
            return ",".join([*([given] if given else []), *addresses]) or "<pending>"
        case "ExternalName":
            return str(at(service, "spec.externalName", ""))
    return UNKNOWN


def load_balancer(obj: Object) -> str:
    """The addresses that a load balancer has been given."""
    points = at(obj, "status.loadBalancer.ingress", ())
    return ",".join(sorted({at(one, "ip") or at(one, "hostname") or "" for one in points} - {""}))


def _endpoints(obj: Object, now: float) -> list[Any]:
    found = []
    for subset in at(obj, "subsets", ()):
        addresses = [at(one, "ip", "") for one in at(subset, "addresses", ())]
        ports = at(subset, "ports", ())
        found += [_host_port(ip, port.get("port")) for port in ports for ip in addresses]
        found += addresses if not ports else []
    shown = some(found, most=3) if at(obj, "subsets") else NONE
    return [name_of(obj), shown, age(obj, now)]


def _host_port(address: str, port: Any) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


# --- volumes -----------------------------------------------------------------------------------------

_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _volume(obj: Object, now: float) -> list[Any]:
    claim = at(obj, "spec.claimRef")
    return [
        name_of(obj),
        at(obj, "spec.capacity.storage", "0"),
        _modes(at(obj, "spec.accessModes", ())),
        at(obj, "spec.persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        "" if claim is None else f"{at(claim, 'namespace', '')}/{at(claim, 'name', '')}",
        _storage_class(obj),
        at(obj, "spec.volumeAttributesClassName", _UNSET),
        at(obj, "status.reason", ""),
        age(obj, now),
        at(obj, "spec.volumeMode", _UNSET),
    ]


def _claim(obj: Object, now: float) -> list[Any]:
    bound = at(obj, "spec.volumeName", "")
    return [
        name_of(obj),
        _phase(obj),
        bound,
        at(obj, "status.capacity.storage", "0") if bound else "",
        _modes(at(obj, "status.accessModes", ())) if bound else "",
        _storage_class(obj),
        at(obj, "spec.volumeAttributesClassName", _UNSET),
        age(obj, now),
        at(obj, "spec.volumeMode", _UNSET),
    ]


def _modes(modes: Sequence[str]) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in modes)


def _phase(obj: Object) -> str:
    terminating = at(obj, "metadata.deletionTimestamp")
    return "Terminating" if terminating else str(at(obj, "status.phase", ""))


def _storage_class(obj: Object) -> str:
    annotations = at(obj, "metadata.annotations", {})
    named = annotations.get("volume.beta.kubernetes.io/storage-class")
    return str(at(obj, "spec.storageClassName", "") if named is None else named)


# --- events ------------------------------------------------------------------------------------------


def _event(obj: Object, now: float) -> list[Any]:
    """An event of either group: `events.k8s.io` has other names for the same fields."""
    happened = since(at(obj, "eventTime"), now)
    first = at(obj, "firstTimestamp") or at(obj, "deprecatedFirstTimestamp")
    first_seen = since(first, now) if first else happened
    last = at(obj, "lastTimestamp") or at(obj, "deprecatedLastTimestamp")
    last_seen = since(last, now) if last else first_seen
    count = at(obj, "count", 0) or at(obj, "deprecatedCount", 0) or 1
    series = at(obj, "series")
    if series is not None:
        last_seen, count = since(at(series, "lastObservedTime"), now), at(series, "count", 0)
    about = at(obj, "involvedObject") or at(obj, "regarding", {})
    source = at(obj, "source") or at(obj, "deprecatedSource", {})
    component = at(source, "component") or at(obj, "reportingComponent") or at(obj, "reportingController", "")
    host = at(source, "host") or at(obj, "reportingInstance", "")
    kind, name = str(at(about, "kind", "")).lower(), at(about, "name", "")
    return [
        last_seen,
        at(obj, "type", ""),
        at(obj, "reason", ""),
        f"{kind}/{name}" if name else kind,
        at(about, "fieldPath", ""),
        f"{component}, {host}" if host else component,
        str(at(obj, "message") or at(obj, "note", "")).strip(),
        first_seen,
        count,
        name_of(obj),
    ]


EVENTS: Final = Printer(
    (
        column("Last Seen", "The time since it was last observed."),
        column("Type", "Normal or Warning."),
        column("Reason", "Why it was reported, in one word."),
        column("Object", "What it is about."),
        column("Subobject", "The part of the object that it is about.", wide=True),
        column("Source", "Who reported it.", wide=True),
        column("Message", "What happened."),
        column("First Seen", "The time since it was first observed.", wide=True),
        column("Count", "How often it was observed.", wide=True),
        column("Name", NAME["description"], form="name", wide=True),
    ),
    _event,
)


# --- the rest ----------------------------------------------------------------------------------------


def _controller(obj: Object, now: float) -> list[Any]:
    names, images = containers(at(obj, "spec.template"))
    return [
        name_of(obj),
        at(obj, "spec.replicas", 0),
        at(obj, "status.replicas", 0),
        at(obj, "status.readyReplicas", 0),
        age(obj, now),
        names,
        images,
        format_labels(at(obj, "spec.selector")),
    ]


def _quota(obj: Object, now: float) -> list[Any]:
    requests: list[str] = []
    limits: list[str] = []
    used = at(obj, "status.used", {})
    for name, hard in sorted(at(obj, "status.hard", {}).items()):
        one = f"{name}: {used.get(name, '0')}/{hard}"
        (limits if name.startswith("limits.") else requests).append(one)
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age(obj, now)]


def _component(obj: Object, now: float) -> list[Any]:
    found = next((one for one in at(obj, "conditions", ()) if one.get("type") == "Healthy"), None)
    if found is None:
        return [name_of(obj), "Unknown", "", ""]
    status = "Healthy" if found.get("status") == "True" else "Unhealthy"
    return [name_of(obj), status, at(found, "message", ""), at(found, "error", "")]


def _data(obj: Object) -> int:
    return len(at(obj, "data", ())) + len(at(obj, "binaryData", ()))


REPLICAS: Final = (
    column("Desired", "How many replicas are wanted.", "integer"),
    column("Current", "How many replicas there are.", "integer"),
    column("Ready", "How many replicas are ready.", "integer"),
)
PRINTERS: Final = {
    ("", "pods"): PODS,
    ("", "podtemplates"): Printer(
        (
            NAME,
            column("Containers", CONTAINERS["description"]),
            column("Images", IMAGES["description"]),
            column("Pod Labels", "The labels of the template."),
        ),
        lambda obj, now: [
            name_of(obj),
            *containers(at(obj, "template")),
            format_labels(at(obj, "template.metadata.labels")),
        ],
    ),
    ("", "nodes"): Printer(
        (
            NAME,
            column("Status", "Whether the node is ready, and whether pods may be put on it."),
            column("Roles", "The roles that its labels name."),
            AGE,
            column("Version", "The version of its kubelet."),
            column("Internal-IP", "Its address inside of the cluster.", wide=True),
            column("External-IP", "Its address outside of the cluster.", wide=True),
            column("OS-Image", "Its operating system.", wide=True),
            column("Kernel-Version", "Its kernel.", wide=True),
            column("Container-Runtime", "What runs its containers.", wide=True),
        ),
        _node,
    ),
    ("", "namespaces"): Printer(
        (NAME, column("Status", "Active, or Terminating once it is being deleted."), AGE), _namespace
    ),
    ("", "services"): Printer(
        (
            NAME,
            column("Type", "How the service is exposed."),
            column("Cluster-IP", "Its address inside of the cluster."),
            column("External-IP", "Its addresses outside of the cluster."),
            column("Port(s)", "Its ports, with their node ports."),
            AGE,
            SELECTOR,
        ),
        _service,
    ),
    ("", "endpoints"): Printer((NAME, column("Endpoints", "The addresses that are ready."), AGE), _endpoints),
    ("", "configmaps"): Printer(
        (NAME, column("Data", "How many entries it has."), AGE),
        lambda obj, now: [name_of(obj), _data(obj), age(obj, now)],
    ),
    ("", "secrets"): Printer(
        (NAME, column("Type", "What the secret is for."), column("Data", "How many entries it has."), AGE),
        lambda obj, now: [name_of(obj), at(obj, "type", ""), len(at(obj, "data", ())), age(obj, now)],
    ),
    ("", "serviceaccounts"): Printer((NAME, AGE), lambda obj, now: [name_of(obj), age(obj, now)]),
    ("", "persistentvolumes"): Printer(
        (
            NAME,
            column("Capacity", "The volume's size."),
            column("Access Modes", "How the volume can be mounted."),
            column("Reclaim Policy", "What becomes of the volume without its claim."),
            column("Status", "Whether it is available, bound or released."),
            column("Claim", "The claim that it is bound to."),
            column("StorageClass", "Its storage class."),
            column("VolumeAttributesClass", "Its class of volume attributes."),
            column("Reason", "Why it is in this state."),
            AGE,
            column("VolumeMode", "Whether it holds a file system or is a block device.", wide=True),
        ),
        _volume,
    ),
    ("", "persistentvolumeclaims"): Printer(
        (
            NAME,
            column("Status", "Whether it is pending, bound or lost."),
            column("Volume", "The volume that it is bound to."),
            column("Capacity", "The volume's size."),
            column("Access Modes", "How the volume can be mounted."),
            column("StorageClass", "Its storage class."),
            column("VolumeAttributesClass", "Its class of volume attributes."),
            AGE,
            column("VolumeMode", "Whether it holds a file system or is a block device.", wide=True),
        ),
        _claim,
    ),
    ("", "componentstatuses"): Printer(
        (
            NAME,
            column("Status", "Whether the component is healthy."),
            column("Message", "What it says of its health."),
            column("Error", "What is wrong with it."),
        ),
        _component,
    ),
    ("", "events"): EVENTS,
    ("events.k8s.io", "events"): EVENTS,
    ("", "replicationcontrollers"): Printer(
        (NAME, *REPLICAS, AGE, CONTAINERS, IMAGES, SELECTOR), _controller
    ),
    ("", "resourcequotas"): Printer(
        (
            NAME,
            column("Request", "What is used of each quota, and how much may be."),
            column("Limit", "The same of the quotas of limits."),
            AGE,
        ),
        _quota,
    ),
}
"""Printers by group and plural."""
