"""Volumes, claims on them, and what provides them."""

from __future__ import annotations

from typing import Any

from .filling import fill, part

__all__ = ["claim", "csi_driver", "storage_class", "volume"]

Object = dict[str, Any]


def claim(obj: Object) -> None:
    fill(part(obj, "spec"), volumeMode="Filesystem")
    fill(part(obj, "status"), phase="Pending")


def volume(obj: Object) -> None:
    spec = part(obj, "spec")
    fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    if isinstance(spec.get("hostPath"), dict):
        spec["hostPath"].setdefault("type", "")


def storage_class(obj: Object) -> None:
    fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def csi_driver(obj: Object) -> None:
    fill(
        part(obj, "spec"),
        attachRequired=True,
        podInfoOnMount=False,
        storageCapacity=False,
        fsGroupPolicy="ReadWriteOnceWithFSType",
        requiresRepublish=False,
        seLinuxMount=False,
    )
    spec = obj["spec"]
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]
