"""The `Table` form that kubectl asks for: columns and cells instead of objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from . import wire
from .forms import Form, metadata_of
from .kinds import ApiResource
from .storage import Stored

__all__ = ["TableForm", "human_duration"]

Object = dict[str, Any]
Column = tuple[dict[str, Any], Callable[[Object, float], Any]]
"""How a column is declared, and its cell for an object at a wall-clock time."""

_NAME_TEXT: Final = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources "
    "may allow a client to request the generation of an appropriate name automatically. Name is primarily "
    "intended for creation idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_AGE_TEXT: Final = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not "
    "guaranteed to be set in happens-before order across separate operations. Clients may not set this "
    "value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for "
    "lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


class TableForm(Form):
    """Rows of cells. *include* says what each row carries: `Metadata`, `Object` or `None`."""

    begins = True
    _header = b'{"kind":"Table","apiVersion":"meta.k8s.io/v1"'

    def __init__(self, resource: ApiResource, *, now: float, include: str = "Metadata") -> None:
        super().__init__(resource)
        self.name = f"table {resource.api_version} {include}"
        self._now = now
        self._include = include
        self._columns = _columns(resource)
        self._declared = wire.encode([declared for declared, _ in self._columns])

    @property
    def header(self) -> bytes:
        return self._header + b","

    def more(self, stored: Stored) -> bytes:
        """Columns are declared once in a watch."""
        head = self._header + b',"metadata":' + wire.encode({"resourceVersion": str(stored.version)})
        return head + b',"columnDefinitions":null,"rows":[' + self._item(stored) + b"]}"

    def one(self, stored: Stored) -> bytes:
        head, tail = self._around({"resourceVersion": str(stored.version)})
        return head + self._item(stored) + tail.rstrip()

    def _around(self, metadata: dict[str, Any]) -> tuple[bytes, bytes]:
        head = self._header + b',"metadata":' + wire.encode(metadata) + b',"columnDefinitions":'
        return head + self._declared + b',"rows":[', b"]}\n"

    def _item(self, stored: Stored) -> bytes:
        stored = self.resource.seen(stored)
        try:
            obj = stored.decode()
            cells = [cell(obj, self._now) for _, cell in self._columns]
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
            cells = [stored.name, *["<invalid>"] * (len(self._columns) - 1)]
        if self._include == "None":
            shown = b"null"
        elif self._include == "Object":
            shown = stored.full(self.resource.header)
        else:
            kind = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'
            shown = kind + metadata_of(stored, self.resource) + b"}"
        return b'{"cells":' + wire.encode(cells) + b',"object":' + shown + b"}"


# --- columns -----------------------------------------------------------------------------------------


def _column(name: str, cell: Callable[[Object, float], Any], text: str = "", **more: Any) -> Column:
    declared = {"name": name, "type": "string", "format": "", "description": text, "priority": 0}
    return declared | more, cell


def _columns(resource: ApiResource) -> Sequence[Column]:
    name = _column("Name", lambda obj, now: obj["metadata"]["name"], _NAME_TEXT, format="name")
    age = _column("Age", _age, _AGE_TEXT)
    if resource.custom and resource.columns:
        return (name, *map(_printer_column, resource.columns))
    return (name, *_BY_RESOURCE.get(resource.storage, ()), age, *_WIDE.get(resource.storage, ()))


def _printer_column(declared: Mapping[str, Any]) -> Column:
    path = declared["jsonPath"]
    text = declared.get("description") or f"Custom resource definition column (in JSONPath format): {path}"

    def cell(obj: Object, now: float) -> Any:
        value = _at(obj, path.lstrip("."))
        if declared["type"] == "date" and isinstance(value, str):
            return _since(value, now)
        return value

    more = {key: declared[key] for key in ("type", "format", "priority") if key in declared}
    return _column(declared["name"], cell, text, **more)


def _at(obj: Any, path: str) -> Any:
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    return obj


def _age(obj: Object, now: float) -> str:
    return _since(obj["metadata"].get("creationTimestamp") or "", now)


def _since(text: str, now: float) -> str:
    try:
        then = datetime.fromisoformat(text).timestamp()
    except ValueError:
        return "<unknown>"
    return human_duration(now - then)


def human_duration(seconds: float) -> str:
    """As `duration.HumanDuration` writes it: 3s, 2m5s, 3h12m, 4d."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 120:
        return f"{max(whole, 0)}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours, rest = divmod(minutes, 60)
    if hours < 8:
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days, rest = divmod(hours, 24)
    if days < 8:
        return f"{days}d{rest}h" if rest else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"


def _statuses(obj: Object) -> list[Object]:
    return (obj.get("status") or {}).get("containerStatuses") or []


def _ready(obj: Object, now: float) -> str:
    ready = sum(bool(one.get("ready")) for one in _statuses(obj))
    return f"{ready}/{len((obj.get('spec') or {}).get('containers') or [])}"


def _pod_status(obj: Object, now: float) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = obj.get("status") or {}
    for one in _statuses(obj):
        for state in ("waiting", "terminated"):
            reason = ((one.get("state") or {}).get(state) or {}).get("reason")
            if reason:
                return str(reason)
    return str(status.get("reason") or status.get("phase") or "Unknown")


def _restarts(obj: Object, now: float) -> str:
    return str(sum(one.get("restartCount") or 0 for one in _statuses(obj)))


def _or_none(path: str) -> Callable[[Object, float], Any]:
    return lambda obj, now: _at(obj, path) or "<none>"


def _node_status(obj: Object, now: float) -> str:
    conditions = (obj.get("status") or {}).get("conditions") or []
    ready = next((one for one in conditions if one.get("type") == "Ready"), None)
    shown = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if (obj.get("spec") or {}).get("unschedulable"):
        shown.append("SchedulingDisabled")
    return ",".join(shown)


def _roles(obj: Object, now: float) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def _of_replicas(obj: Object, now: float) -> str:
    return f"{_at(obj, 'status.readyReplicas') or 0}/{_at(obj, 'spec.replicas') or 0}"


def _service_ports(obj: Object, now: float) -> str:
    ports = (obj.get("spec") or {}).get("ports") or []
    return ",".join(f"{one.get('port')}/{one.get('protocol', 'TCP')}" for one in ports) or "<none>"


_INTEGER: Final = {"type": "integer"}
_BY_RESOURCE: Final[dict[tuple[str, str], Sequence[Column]]] = {
    ("", "pods"): (
        _column("Ready", _ready, "The aggregate readiness state of this pod for accepting traffic."),
        _column("Status", _pod_status, "The aggregate status of the containers in this pod."),
        _column(
            "Restarts",
            _restarts,
            "The number of times the containers in this pod have been restarted and when the last container "
            "in this pod has restarted.",
        ),
    ),
    ("", "nodes"): (
        _column("Status", _node_status, "The status of the node"),
        _column("Roles", _roles, "The roles of the node"),
    ),
    ("", "namespaces"): (_column("Status", _or_none("status.phase"), "The status of the namespace"),),
    ("", "configmaps"): (
        _column(
            "Data",
            lambda obj, now: len(obj.get("data") or {}) + len(obj.get("binaryData") or {}),
            "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', "
            "'_' or '.'. Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored "
            "in Data must not overlap with the keys in the BinaryData field, this is enforced during "
            "validation process.",
        ),
    ),
    ("", "secrets"): (
        _column("Type", _or_none("type"), "Used to facilitate programmatic handling of secret data."),
        _column("Data", lambda obj, now: len(obj.get("data") or {}), "Data contains the secret data."),
    ),
    ("", "services"): (
        _column("Type", lambda obj, now: _at(obj, "spec.type") or "ClusterIP", "How the service is exposed."),
        _column("Cluster-IP", _or_none("spec.clusterIP"), "The IP address of the service."),
        _column("External-IP", lambda obj, now: "<none>", "Addresses outside of the cluster."),
        _column("Port(s)", _service_ports, "The ports of the service."),
    ),
    ("apps", "deployments"): (
        _column("Ready", _of_replicas, "Number of the pod with ready state"),
        _column(
            "Up-to-date", lambda obj, now: _at(obj, "status.updatedReplicas") or 0, "Updated pods", **_INTEGER
        ),
        _column(
            "Available", lambda obj, now: _at(obj, "status.availableReplicas") or 0, "Available", **_INTEGER
        ),
    ),
    ("coordination.k8s.io", "leases"): (
        _column("Holder", lambda obj, now: _at(obj, "spec.holderIdentity") or "", "The holder of the lease."),
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): (
        _column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp"), type="date"),
    ),
}
_WIDE: Final[dict[tuple[str, str], Sequence[Column]]] = {
    ("", "pods"): (
        _column("IP", _or_none("status.podIP"), "podIP address allocated to the pod.", priority=1),
        _column("Node", _or_none("spec.nodeName"), "The node this pod is scheduled on.", priority=1),
        _column(
            "Nominated Node", _or_none("status.nominatedNodeName"), "Set when it preempts others.", priority=1
        ),
        _column(
            "Readiness Gates", lambda obj, now: "<none>", "Conditions beyond its containers'.", priority=1
        ),
    ),
}
