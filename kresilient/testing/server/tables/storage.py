"""The kinds of `storage.k8s.io` and `resource.k8s.io` in a table."""

from __future__ import annotations

from typing import Any, Final

from .printer import AGE, NAME, NONE, Object, Printer, age, at, column, name_of

__all__ = ["PRINTERS"]

_DEFAULT: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


def _class(obj: Object, now: float) -> list[Any]:
    annotations = at(obj, "metadata.annotations", {})
    default = any(annotations.get(one) == "true" for one in _DEFAULT)
    return [
        f"{name_of(obj)} (default)" if default else name_of(obj),
        at(obj, "provisioner", ""),
        at(obj, "reclaimPolicy", "Delete"),
        at(obj, "volumeBindingMode", "Immediate"),
        at(obj, "allowVolumeExpansion", False),
        age(obj, now),
    ]


def _driver(obj: Object, now: float) -> list[Any]:
    requests = at(obj, "spec.tokenRequests")
    audiences = "<unset>" if requests is None else ",".join(at(one, "audience", "") for one in requests)
    return [
        name_of(obj),
        at(obj, "spec.attachRequired", True),
        at(obj, "spec.podInfoOnMount", False),
        at(obj, "spec.storageCapacity", False),
        audiences,
        at(obj, "spec.requiresRepublish", False),
        ",".join(at(obj, "spec.volumeLifecycleModes", ())) or NONE,
        age(obj, now),
    ]


def _attachment(obj: Object, now: float) -> list[Any]:
    return [
        name_of(obj),
        at(obj, "spec.attacher", ""),
        at(obj, "spec.source.persistentVolumeName", ""),
        at(obj, "spec.nodeName", ""),
        at(obj, "status.attached", False),
        age(obj, now),
    ]


def _claim(obj: Object, now: float) -> list[Any]:
    deleted = at(obj, "metadata.deletionTimestamp") is not None
    states = ["deleted"] if deleted else []
    if at(obj, "status.allocation") is not None:
        states.append("allocated")
        if at(obj, "status.reservedFor", ()):
            states.append("reserved")
    elif not deleted:
        states.append("pending")
    return [name_of(obj), ",".join(states), age(obj, now)]


def _slice(obj: Object, now: float) -> list[Any]:
    spec = at(obj, "spec", {})
    return [
        name_of(obj),
        at(spec, "nodeName", ""),
        at(spec, "driver", ""),
        at(spec, "pool.name", ""),
        age(obj, now),
    ]


def _aged(obj: Object, now: float) -> list[Any]:
    return [name_of(obj), age(obj, now)]


PRINTERS: Final = {
    ("storage.k8s.io", "storageclasses"): Printer(
        (
            NAME,
            column("Provisioner", "What makes volumes of the class."),
            column("ReclaimPolicy", "What becomes of a volume without its claim."),
            column("VolumeBindingMode", "When a claim gets its volume."),
            column("AllowVolumeExpansion", "Whether a volume can be enlarged."),
            AGE,
        ),
        _class,
    ),
    ("storage.k8s.io", "csidrivers"): Printer(
        (
            NAME,
            column("AttachRequired", "Whether volumes are attached before they are mounted.", "boolean"),
            column("PodInfoOnMount", "Whether a mount is told of its pod.", "boolean"),
            column("StorageCapacity", "Whether the capacity left is published.", "boolean"),
            column("TokenRequests", "The audiences of the tokens that it is given."),
            column("RequiresRepublish", "Whether volumes are published again and again.", "boolean"),
            column("Modes", "The kinds of volumes that it has."),
            AGE,
        ),
        _driver,
    ),
    ("storage.k8s.io", "csinodes"): Printer(
        (NAME, column("Drivers", "How many drivers the node has.", "integer"), AGE),
        lambda obj, now: [name_of(obj), len(at(obj, "spec.drivers", ())), age(obj, now)],
    ),
    ("storage.k8s.io", "csistoragecapacities"): Printer(
        (
            NAME,
            column("StorageClassName", "The storage class that it is about."),
            column("Capacity", "What is left."),
        ),
        lambda obj, now: [name_of(obj), at(obj, "storageClassName", ""), at(obj, "capacity", "<unset>")],
    ),
    ("storage.k8s.io", "volumeattachments"): Printer(
        (
            NAME,
            column("Attacher", "The driver that attaches it.", form="name"),
            column("PV", "The volume."),
            column("Node", "The node that it is attached to."),
            column("Attached", "Whether it is attached.", "boolean"),
            AGE,
        ),
        _attachment,
    ),
    ("storage.k8s.io", "volumeattributesclasses"): Printer(
        (NAME, column("DriverName", "The driver that knows the attributes."), AGE),
        lambda obj, now: [name_of(obj), at(obj, "driverName", ""), age(obj, now)],
    ),
    ("resource.k8s.io", "deviceclasses"): Printer((NAME, AGE), _aged),
    ("resource.k8s.io", "resourceclaims"): Printer(
        (NAME, column("State", "Whether it is pending, allocated, reserved or deleted."), AGE), _claim
    ),
    ("resource.k8s.io", "resourceclaimtemplates"): Printer((NAME, AGE), _aged),
    ("resource.k8s.io", "resourceslices"): Printer(
        (
            NAME,
            column("Node", "The node that has the devices."),
            column("Driver", "The driver that published them."),
            column("Pool", "The pool that they belong to."),
            AGE,
        ),
        _slice,
    ),
}
"""Printers by group and plural."""
