"""The work queue of the controllers: what changed is looked at again, after the write that changed it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..statuses import Refused
from ..storage import Change
from .garbage import GarbageCollector
from .kubelet import Kubelet
from .namespace import NamespaceController

if TYPE_CHECKING:
    from ..state import ApiState

__all__ = ["CONTROLLERS", "Controller", "Controllers"]


class Controller(Protocol):
    """One controller: which keys a change makes it look at, and what it does about one.

    `sync` may be called for a key that needs nothing, and looks at what is there by then.
    """

    def concerns(self, storage: tuple[str, str], change: Change, /) -> Iterable[Hashable]: ...

    def sync(self, key: Any, /) -> None: ...

    def forget(self) -> None: ...


CONTROLLERS: Final[dict[str, Callable[[ApiState], Controller]]] = {
    "garbage-collector": GarbageCollector,
    "namespace": NamespaceController,
    "kubelet": Kubelet,
}
"""The controllers there are, by the name under which they are switched on."""


class Controllers:
    """The controllers that run in one state.

    They work in the step of the write that concerns them, each key once and in order, so that a test that
    deleted an owner finds its dependents gone. A key that could not be synced because a write failed stays
    queued until the next write.

    Args:
        enabled: all of `CONTROLLERS` (True), none (False), or those named. Raises `ValueError` for others.
    """

    def __init__(self, state: ApiState, enabled: bool | Iterable[str]) -> None:
        names = (CONTROLLERS if enabled else ()) if isinstance(enabled, bool) else tuple(enabled)
        if unknown := [name for name in names if name not in CONTROLLERS]:
            raise ValueError(f"there is no controller {unknown[0]!r}: there are {', '.join(CONTROLLERS)}")
        self._running = [CONTROLLERS[name](state) for name in names]
        self._state = state
        self._queue: dict[tuple[Controller, Hashable], None] = {}
        self._held = 0

    def changed(self, storage: tuple[str, str], change: Change) -> None:
        """Take notice of *change*, and do what it calls for, unless held."""
        for controller in self._running:
            for key in controller.concerns(storage, change):
                self._queue[controller, key] = None
        self._work()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is done until the end of the block: a write of several versions is one."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        self._work()

    def resync(self) -> None:
        """Begin anew from the objects there are, as after a restart: what is marked is looked at again."""
        self._queue.clear()
        for controller in self._running:
            controller.forget()
        with self.held():
            for storage, collection in self._state.collections().items():
                for stored in collection:
                    if stored.marked:
                        self.changed(storage, Change("MODIFIED", stored.version, stored, stored))

    def _work(self) -> None:
        if self._held:
            return
        self._held += 1
        try:
            while self._queue:
                controller, key = work = next(iter(self._queue))
                del self._queue[work]
                try:
                    controller.sync(key)
                except Refused:
                    pass  # as by `default`, which is never let go; a real controller would ask for ever
                except BaseException:
                    self._queue[work] = None
                    raise
        finally:
            self._held -= 1
