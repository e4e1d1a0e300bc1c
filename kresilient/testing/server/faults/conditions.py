"""What befalls the whole server: it is out of reach, dies, loses its history, its clock is off."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .arguments import checked_seconds

if TYPE_CHECKING:
    from ..server import ApiServer

__all__ = ["Conditions"]

_MOST_SKEW: Final = 1000 * 365.25 * 86400.0
"""Seconds."""


class Conditions:
    """What can be done to a server as a whole. It owns the tasks that undo it later."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: list[BaseException] = []

    # --- out of reach ------------------------------------------------------------------------------------

    def refuse_connections(self, *, seconds: float | None = None) -> None:
        """Let every attempt to connect be refused from now on.

        Requests that run go on, watches too; connections that are idle are closed. Over HTTP the port stays
        the server's own, with nobody listening.

        Args:
            seconds: of loop time after which connections are accepted again; None for not until
                `accept_connections`, or a restart.
        """
        if seconds is not None:
            checked_seconds("refuse_connections", seconds, some=True)
        self._server._refuse()
        if seconds is not None:
            self.spawn(self._accept_after(seconds))

    async def accept_connections(self) -> None:
        """Accept connections again. Nothing where the server does so, or does not run."""
        await self._server._accept()

    async def _accept_after(self, seconds: float) -> None:
        epoch = self._server.epoch
        await asyncio.sleep(seconds)
        if self._server.epoch is epoch:  # another life of the server has its own conditions
            await self._server._accept()

    # --- death -------------------------------------------------------------------------------------------

    async def kill(self) -> None:
        """End it as the kernel does when memory runs out: connections are reset, nothing is said. `restart`
        or `server.start` brings it back."""
        await self._server.kill()

    async def restart(self, *, history: bool = True, down: float = 0.0) -> None:
        """Kill the server and start it again after *down* seconds of loop time; see its own `restart`."""
        checked_seconds("restart: down", down)
        await self._server.restart(history=history, down=down)

    # --- history -----------------------------------------------------------------------------------------

    def compact(self) -> None:
        """Forget the history now: older versions answer 410, older page tokens have expired."""
        self._server.compact()

    def rewind(self, version: int) -> None:
        """Go back to *version* (a former `server.state.version`), as an etcd restored from a backup does:
        what was written since never happened, and versions are given out again. Every watch ends."""
        self._server.rewind(version)

    def restore(self, snapshot: str | Path) -> None:
        """Hold what *snapshot* says and nothing else; see `ApiServer.restore`."""
        self._server.restore(snapshot)

    # --- what it believes --------------------------------------------------------------------------------

    def skew_clock(self, seconds: float) -> None:
        """Let the server's wall clock be off by *seconds*, ahead where positive; 0 puts it right.

        Its timestamps and `Date` headers show it. Durations, such as those of watches, do not change.

        Raises `ValueError` for more than a thousand years, for which there are no timestamps.
        """
        if not abs(seconds) <= _MOST_SKEW:
            raise ValueError(f"a clock cannot be off by {seconds:g} seconds: a thousand years are the most")
        for state in self._server.states:
            state.skew = seconds

    def revoke_token(self, token: str | None = None) -> None:
        """No longer accept *token*, by default the newest: 401 from now on. Requests that run go on.

        Raises `ValueError` for one that never was good, and where no token is needed, so that none could be
        revoked.
        """
        revoked = token if token is not None else self._server.token
        if revoked is None:
            raise ValueError("this server lets everybody in: give it a token (token=...) to revoke one")
        if not self._server.access.revoke(revoked):
            raise ValueError(
                "this token never was good, so that revoking it changes nothing: "
                "server.access.token_of(user) gives one that is"
            )

    def is_good(self, token: str) -> bool:
        """Whether *token* is accepted now."""
        return self._server.access.user_of_token(token) is not None

    # --- tasks -------------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* beside, until the server is closed; `close` raises what it raised."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed.append(error)

    async def close(self) -> None:
        """Stop what runs beside. Raises what failed there, once: several failures as a group. Idempotent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        failed, self._failed = self._failed, []
        if len(failed) > 1:
            raise BaseExceptionGroup("what was to happen to the server failed", failed)
        if failed:
            raise failed[0]
