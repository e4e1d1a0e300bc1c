"""Waiting for what a server holds, for who watches it, and for its rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kresilient.api.resources import Resource

from .activity import Activity
from .broadcast import Broadcast
from .state import ApiState
from .storage import Stored
from .tracker import ObjectTracker

__all__ = ["AwaitableTracker"]


class AwaitableTracker(ObjectTracker):
    """An object tracker that can be waited for. `activity` is what still has to be done."""

    def __init__(self, state: ApiState) -> None:
        super().__init__(state)
        self.activity = Activity()
        self._watching: list[tuple[str, int, asyncio.Future[None]]] = []
        self._changed = Broadcast()
        state.on_watches = self._watches_changed
        state.on_objects = self._objects_changed

    async def settled(self, *, quiet: float = 0.0, timeout: float = 10.0) -> None:
        """Wait until the server has nothing left to do.

        It has not while a request other than a watch runs, or while a watch has not sent all that concerns
        it. Sent over HTTP is what the operating system has taken, in memory what the client has read. Not
        waited for are bookmarks, and what a fault holds for ever: more never comes of it. A server that
        does not run has settled.

        It says nothing of the client: what was sent may not have been read, and a request that the client is
        about to make is not known yet. For what a controller *does*, wait for the object that it writes
        (`wait_for`); for "and it does no more", ask for a *quiet* time, which costs nothing in virtual time.

        Args:
            quiet: seconds for which the server must stay so: no request comes, no watch is told anything.
            timeout: seconds after which to raise `TimeoutError`, which says what is still served.
        """
        await self.activity.settled(quiet=quiet, timeout=timeout)

    async def wait_for(
        self,
        resource: str | Resource,
        key: str,
        condition: Callable[[dict[str, Any]], object] | None = None,
        *,
        timeout: float = 10.0,
    ) -> dict[str, Any]:
        """Wait until the object under *key* is there and *condition* of it is true; returns it.

        It is looked at once for each state in which the object is found, so a state that is gone at once may
        be missed. What *condition* raises is raised. Raises `TimeoutError` after *timeout* seconds, with the
        object as it is then.
        """
        found = self.state.resource(resource)
        seen: Stored | None = None
        try:
            async with asyncio.timeout(timeout) as limit:
                while True:
                    stored = self.state.collection(found).objects.get(key)
                    if stored is not None and stored is not seen:
                        shown = self._shown(resource, stored)
                        if condition is None or condition(shown):
                            return shown
                    seen = stored
                    await self._changed.wait()
        except TimeoutError:
            if not limit.expired():  # the condition's own
                raise
            now = "is not there" if seen is None else f"is {_short(seen.item)}"
            raise TimeoutError(f"{resource} {key} {now} after {timeout:g} s") from None

    async def wait_gone(self, resource: str | Resource, key: str, *, timeout: float = 10.0) -> None:
        """Wait until there is no object under *key*. Raises `TimeoutError` as `wait_for` does."""
        found = self.state.resource(resource)
        try:
            async with asyncio.timeout(timeout):
                while key in self.state.collection(found).objects:
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{resource} {key} is still there after {timeout:g} s") from None

    async def watchers(self, resource: str | Resource, n: int = 1, *, timeout: float = 10.0) -> None:
        """Wait until at least *n* watches of *resource* run; with 0, until none does.

        Raises `TimeoutError` after *timeout* seconds, saying how many there are.
        """
        name = str(self.state.resource(resource))
        done = asyncio.get_running_loop().create_future()
        entry = (name, n, done)
        self._watching.append(entry)
        self._watches_changed()
        try:
            async with asyncio.timeout(timeout):
                await done
        except TimeoutError:
            running = self.watch_count(resource)
            raise TimeoutError(f"{running} of {n} watches of {name} ran after {timeout} s") from None
        finally:
            self._watching.remove(entry)

    def watch_count(self, resource: str | Resource) -> int:
        """How many watches of *resource* run now; one that was ended is none, even if it was not left yet."""
        found = self.state.resource(resource)
        return sum(state.watchers(found).running for state in self.states)

    def _objects_changed(self) -> None:
        self._changed.tell()

    def _watches_changed(self) -> None:
        for name, n, done in self._watching:
            running = self.watch_count(name)
            if not done.done() and (running >= n if n else running == 0):
                done.set_result(None)


def _short(item: bytes) -> str:
    text = item.decode("utf-8", "replace")
    return text if len(text) <= 500 else f"{text[:500]}…"
