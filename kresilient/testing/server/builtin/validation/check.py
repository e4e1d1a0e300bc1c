"""The way in: which rules an object of which kind has to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from kresilient.testing.server.statuses import Cause, invalid

from . import config, pods

if TYPE_CHECKING:
    from kresilient.testing.server.kinds import ApiResource

__all__ = ["check_new", "check_update"]

Object = Mapping[str, Any]

_NEW: Final[dict[tuple[str, str], Callable[[Object], Iterator[Cause]]]] = {
    ("", "configmaps"): config.config_map,
    ("", "pods"): pods.new_pod,
    ("", "secrets"): config.secret,
}
_CHANGED: Final[dict[tuple[str, str], Callable[[Object, Object], Iterator[Cause]]]] = {
    ("", "configmaps"): config.changed_config_map,
    ("", "pods"): pods.changed_pod,
    ("", "secrets"): config.changed_secret,
}


def check_new(resource: ApiResource, obj: Object) -> None:
    """Raises `Refused` (422) where *obj* breaks a rule of its kind; it names every one."""
    rules = _NEW.get(resource.storage)
    if rules is not None and (causes := list(rules(obj))):
        raise invalid(resource, obj["metadata"]["name"], *causes)


def check_update(resource: ApiResource, old: Object, new: Object, *, subresource: str) -> None:
    """Raises `Refused` (422) where *new* breaks a rule of its kind, or changes what may not change."""
    if subresource not in ("", "scale"):
        return
    rules = _CHANGED.get(resource.storage)
    if rules is not None and (causes := list(rules(old, new))):
        raise invalid(resource, new["metadata"]["name"], *causes)
