"""Volumes, claims on them, and classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kresilient.testing.server.causes import forbidden, invalid_value, required, unsupported
from kresilient.testing.server.statuses import Cause
from kresilient.testing.server.types.quantity import value as amount

__all__ = ["changed_claim", "changed_class", "claim", "storage_class", "volume"]

Object = Mapping[str, Any]

_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def claim(obj: Object) -> Iterator[Cause]:
    """The rules of a claim."""
    spec = obj.get("spec") or {}
    yield from _access_modes(spec, "spec", "at least 1 access mode is required")
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        yield required("spec.resources[storage]")
    elif amount(storage) <= 0:
        yield invalid_value("spec.resources[storage]", storage, "must be greater than zero")


def volume(obj: Object) -> Iterator[Cause]:
    """The rules of a volume."""
    spec = obj.get("spec") or {}
    yield from _access_modes(spec, "spec", "")
    if "storage" not in (spec.get("capacity") or {}):
        if not spec.get("capacity"):
            yield required("spec.capacity")
        yield unsupported("spec.capacity", list(spec.get("capacity") or {}), ["storage"])
    common = {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
    if not any(value is not None for name, value in spec.items() if name not in common):
        yield required("spec", "must specify a volume type")


def _access_modes(spec: Object, at: str, why: str) -> Iterator[Cause]:
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(f"{at}.accessModes", why)
    for one in modes:
        if one not in _MODES:
            yield unsupported(f"{at}.accessModes", one, _MODES)


def changed_claim(old: Object, new: Object) -> Iterator[Cause]:
    """A bound claim may grow; the rest of its spec is set once."""
    before, after = dict(old.get("spec") or {}), dict(new.get("spec") or {})
    held = before.pop("resources", None) or {}
    wanted = after.pop("resources", None) or {}
    if not before.get("volumeName"):
        before.pop("volumeName", None)
        after.pop("volumeName", None)
    if before != after:
        yield forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
            "bound claims\n",
        )
    size, asked = (((one.get("requests") or {}).get("storage")) for one in (held, wanted))
    if size is not None and asked is not None and amount(asked) < amount(size):
        yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def storage_class(obj: Object) -> Iterator[Cause]:
    """The rules of a storage class."""
    if not obj.get("provisioner"):
        yield required("provisioner")
    if obj.get("reclaimPolicy") not in ("Delete", "Retain"):
        yield unsupported("reclaimPolicy", obj.get("reclaimPolicy") or "", ["Delete", "Retain"])


def changed_class(old: Object, new: Object) -> Iterator[Cause]:
    """A class means the same for as long as it is there."""
    if (old.get("parameters") or {}) != (new.get("parameters") or {}):
        yield forbidden("parameters", "updates to parameters are forbidden.")
    if old.get("provisioner") != new.get("provisioner"):
        yield forbidden("provisioner", "updates to provisioner are forbidden.")
    for field in ("reclaimPolicy", "volumeBindingMode"):
        if old.get(field) != new.get(field):
            yield invalid_value(field, new.get(field), "field is immutable")
