"""What deleting a definition does at first: it is marked, and what it defines begins to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..delete_options import DeleteOptions
from ..deletion import Deleted, check_preconditions, delete
from ..kinds import ApiResource
from ..objects import timestamp

if TYPE_CHECKING:
    from ..state import ApiState

__all__ = ["delete_definition"]


def delete_definition(state: ApiState, resource: ApiResource, key: str, options: DeleteOptions) -> Deleted:
    """Let the definition *key* begin to end, and all that it defines; see `ApiState.delete`."""
    old = state.get(resource, key)
    if old.poison:
        return delete(state, resource, key, options)
    check_preconditions(resource, old, options)
    obj = old.decode()
    obj["metadata"].setdefault("deletionTimestamp", timestamp(state.now()))
    if options.dry_run:
        return Deleted(state.write(resource, old, obj, dry_run=True), False)
    return Deleted(state.definitions.delete(old, obj), False)
