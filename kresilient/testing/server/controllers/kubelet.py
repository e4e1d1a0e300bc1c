"""The kubelet, where pods end: each as if its containers stopped as soon as they are asked to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..delete_options import DeleteOptions
from ..deletion import PODS
from ..storage import Change

if TYPE_CHECKING:
    from ..state import ApiState

__all__ = ["Kubelet"]


class Kubelet:
    """Ends the pods that are bound to a node (whether or not there is a Node) and marked, with all the grace
    they still have: the last delete, with a grace of 0 seconds, is the kubelet's."""

    def __init__(self, state: ApiState) -> None:
        self._state = state

    def concerns(self, storage: tuple[str, str], change: Change) -> Iterable[str]:
        ends = storage == PODS and change.type != "DELETED" and change.new.node and change.new.marked
        return (change.new.key,) if ends else ()

    def sync(self, key: str) -> None:
        resource = self._state.resources.parse("v1/pods")
        stored = self._state.collection(resource).objects.get(key)
        if stored is None or not stored.node or not stored.marked:
            return
        if stored.decode()["metadata"].get("deletionGracePeriodSeconds"):
            self._state.delete(resource, key, DeleteOptions(grace=0, uid=stored.uid))

    def forget(self) -> None:
        """It keeps nothing."""
