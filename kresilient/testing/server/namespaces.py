"""Namespaces: what they let in, and how the server itself begins their end.

It marks a namespace and closes it. What is in it is deleted by the namespace controller, which then takes its
finalizer (`spec.finalizers`) away, through the `finalize` subresource; with that the namespace is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .delete_options import DeleteOptions
from .deletion import Deleted, delete, policed
from .kinds import ApiResource
from .objects import timestamp
from .statuses import conflict, forbidden_because, namespace_terminating, not_found
from .storage import Stored

if TYPE_CHECKING:
    from .state import ApiState

__all__ = ["IMMORTAL", "NAMESPACES", "admit", "delete_namespace"]

NAMESPACES: Final = ("", "namespaces")
IMMORTAL: Final = ("default", "kube-public", "kube-system")
"""Those that the `NamespaceLifecycle` admission never lets go."""


def admit(
    state: ApiState, resource: ApiResource, namespace: str, obj: Mapping[str, Any], *, strict: bool
) -> None:
    """Whether *namespace* takes *obj* in, a new object or one made for a subresource.

    Raises `Refused`: 404 where there is no such namespace and the server is *strict*, 403 where it ends.
    """
    if not resource.namespaced:
        return
    namespaces = state.resources.parse("v1/namespaces")
    found = state.collection(namespaces).objects.get(namespace)
    if found is None:
        if strict:
            raise not_found(namespaces, namespace)
    elif found.marked:
        metadata = obj.get("metadata") or {}
        name = metadata.get("name") or metadata.get("generateName") or "Unknown"
        raise namespace_terminating(resource, str(name), namespace)


def delete_namespace(state: ApiState, resource: ApiResource, key: str, options: DeleteOptions) -> Deleted:
    """Let the namespace *key* begin to end, or end where nothing holds it.

    Raises `Refused`: 404, 409 for a precondition, 403 for those in `IMMORTAL`.
    """
    old = state.get(resource, key)
    if old.poison:
        return delete(state, resource, key, options)
    _check_preconditions(resource, old, options)
    if key in IMMORTAL:
        raise forbidden_because(resource, key, "this namespace may not be deleted")
    obj = old.decode()
    metadata = obj["metadata"]
    if metadata.get("deletionTimestamp") is None:
        metadata["deletionTimestamp"] = timestamp(state.now())
        metadata["finalizers"] = policed(resource, metadata.get("finalizers") or [], options)
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        return Deleted(state.write(resource, old, obj, dry_run=options.dry_run), False)
    if (obj.get("spec") or {}).get("finalizers"):
        return Deleted(old, False)
    return delete(state, resource, key, options)


def _check_preconditions(resource: ApiResource, old: Stored, options: DeleteOptions) -> None:
    for what, wanted, found in (
        ("UID", options.uid, old.uid),
        ("ResourceVersion", options.version, str(old.version)),
    ):
        if wanted is not None and wanted != found:
            why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            raise conflict(resource, old.name, why)
