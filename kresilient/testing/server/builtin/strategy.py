"""What the server sets itself when an object of a built-in kind is stored, whatever a client says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kresilient.testing.server.kinds import ApiResource

__all__ = [
    "METADATA",
    "annotations_count",
    "created_by_update",
    "keeps_status",
    "prepare_change",
    "prepare_new",
    "status_keeps",
]

Object = dict[str, Any]

_KEEPS_STATUS: Final = frozenset({("", "nodes")})


_CREATED_BY_UPDATE: Final = frozenset(
    {
        ("", "endpoints"),
        ("", "events"),
        ("", "limitranges"),
        ("", "services"),
        ("coordination.k8s.io", "leases"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("rbac.authorization.k8s.io", "roles"),
    }
)


def created_by_update(resource: ApiResource) -> bool:
    """Whether an update creates what is missing (`AllowCreateOnUpdate` of the kind's strategy)."""
    return resource.storage in _CREATED_BY_UPDATE


METADATA: Final = ("labels", "annotations", "finalizers", "ownerReferences")
"""What of the metadata is a client's to change."""
_STATUS_KEEPS: Final = {
    ("", "pods"): ("ownerReferences",),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): METADATA,
    ("apps", "deployments"): ("labels",),
    ("networking.k8s.io", "servicecidrs"): METADATA,
    ("storage.k8s.io", "volumeattachments"): METADATA,
}
_GROUPS_KEEPING_METADATA: Final = frozenset(
    {
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "certificates.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "resource.k8s.io",
    }
)


def status_keeps(resource: ApiResource, subresource: str) -> tuple[str, ...]:
    """Which of `METADATA` a write to the status leaves as it was (`PrepareForUpdate` of each kind's status
    strategy): all of a custom resource, little or nothing of most others."""
    if resource.custom or subresource != "status" or resource.group in _GROUPS_KEEPING_METADATA:
        return METADATA
    return _STATUS_KEEPS.get(resource.storage, ())


def annotations_count(resource: ApiResource, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the metadata *new* raises the generation: a Deployment hands its annotations down."""
    return resource.storage == ("apps", "deployments") and (old.get("annotations") or {}) != (
        new.get("annotations") or {}
    )


def keeps_status(resource: ApiResource) -> bool:
    """Whether a create may bring a status along: a kubelet registers its node with one."""
    return resource.storage in _KEEPS_STATUS


def prepare_new(resource: ApiResource, obj: Object, *, serial: int) -> None:
    """Complete *obj*, in place, as it is about to be created; it has its name and uid.

    *serial* is a number that no other object gets, from which addresses are taken.
    """
    prepare = _NEW.get(resource.storage)
    if prepare is not None:
        prepare(obj, serial)


def prepare_change(resource: ApiResource, old: Mapping[str, Any], new: Object) -> None:
    """Keep in *new*, in place, what a write over *old* may not touch or may leave out."""
    prepare = _CHANGED.get(resource.storage)
    if prepare is not None:
        prepare(old, new)


# --- creation ----------------------------------------------------------------------------------------


def _pod(obj: Object, serial: int) -> None:
    status = {"phase": "Pending"} | (obj.get("status") or {})
    status.setdefault("qosClass", quality_of_service(obj.get("spec") or {}))
    obj["status"] = status


def quality_of_service(spec: Mapping[str, Any]) -> str:
    """A pod's class: `Guaranteed`, `Burstable` or `BestEffort`, by what its containers ask for."""
    requests: dict[str, set[str]] = {}
    limits: dict[str, set[str]] = {}
    guaranteed = True
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for container in containers:
        resources = container.get("resources") or {}
        own = resources.get("limits") or {}
        for kept, given in ((requests, resources.get("requests") or {}), (limits, own)):
            for name, amount in given.items():
                if name in ("cpu", "memory") and amount not in ("0", 0):
                    kept.setdefault(name, set()).add(str(amount))
        if not {"cpu", "memory"} <= own.keys() or any(
            own.get(name) != one for name, one in (resources.get("requests") or {}).items()
        ):
            guaranteed = False
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _namespace(obj: Object, serial: int) -> None:
    spec = obj.get("spec") or {}
    finalizers = [one for one in spec.get("finalizers") or () if one != "kubernetes"]
    obj["spec"] = {**spec, "finalizers": [*finalizers, "kubernetes"]}
    obj["status"] = {"phase": "Active"} | (obj.get("status") or {})


def _service(obj: Object, serial: int) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("type") == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = f"10.{96 + (serial >> 16) % 16}.{(serial >> 8) % 256}.{serial % 256}"
    if not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv6" if ":" in spec["clusterIP"] else "IPv4"]
    if not spec.get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = "SingleStack"
    _node_ports(spec, serial)


def _node_ports(spec: Object, serial: int) -> None:
    wanted = spec.get("type") == "NodePort" or (
        spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False
    )
    for place, port in enumerate(spec.get("ports") or ()):
        if wanted and not port.get("nodePort"):
            port["nodePort"] = 30_000 + (serial + place) % 2_768


def _job(obj: Object, serial: int) -> None:
    spec, metadata = obj.setdefault("spec", {}), obj["metadata"]
    if spec.get("manualSelector"):
        return
    uid, name = metadata["uid"], metadata["name"]
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    template["labels"] = {
        **(template.get("labels") or {}),
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    if spec.get("selector") is None:
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def _pending(obj: Object, serial: int) -> None:
    obj["status"] = {"phase": "Pending"} | (obj.get("status") or {})


def _definition(obj: Object, serial: int) -> None:
    stored = [one["name"] for one in (obj.get("spec") or {}).get("versions") or () if one.get("storage")]
    obj["status"] = {"storedVersions": stored} | (obj.get("status") or {})


_NEW: Final[dict[tuple[str, str], Callable[[Object, int], None]]] = {
    ("", "namespaces"): _namespace,
    ("", "persistentvolumeclaims"): _pending,
    ("", "persistentvolumes"): _pending,
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("batch", "jobs"): _job,
}

# --- change ------------------------------------------------------------------------------------------


def _changed_namespace(old: Mapping[str, Any], new: Object) -> None:
    finalizers = (old.get("spec") or {}).get("finalizers")
    new["spec"] = {**(new.get("spec") or {}), "finalizers": finalizers}


def _changed_secret(old: Mapping[str, Any], new: Object) -> None:
    if not new.get("type"):
        new["type"] = old.get("type", "Opaque")


def _changed_service(old: Mapping[str, Any], new: Object) -> None:
    before, spec = old.get("spec") or {}, new.setdefault("spec", {})
    if spec.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        _service(new, int(old["metadata"]["resourceVersion"]))
        return
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if not spec.get(name) and before.get(name):
            spec[name] = before[name]
    held = {_port_key(port): port.get("nodePort") for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        kept = held.get(_port_key(port))
        if kept and spec.get("type") in ("NodePort", "LoadBalancer") and not port.get("nodePort"):
            port["nodePort"] = kept
    _node_ports(spec, int(old["metadata"]["resourceVersion"]))


def _port_key(port: Mapping[str, Any]) -> tuple[Any, Any]:
    return port.get("protocol"), port.get("port")


def _changed_job(old: Mapping[str, Any], new: Object) -> None:
    spec, before = new.setdefault("spec", {}), old.get("spec") or {}
    if spec.get("selector") is None:
        spec["selector"] = before.get("selector")


_CHANGED: Final[dict[tuple[str, str], Callable[[Mapping[str, Any], Object], None]]] = {
    ("", "namespaces"): _changed_namespace,
    ("", "secrets"): _changed_secret,
    ("", "services"): _changed_service,
    ("batch", "jobs"): _changed_job,
}
