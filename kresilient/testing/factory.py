"""Servers for one test: made as it asks, and closed when it ends."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, overload

from .server import FakeApiServer, MemoryApiServer
from .server.server import ApiServer

__all__ = ["ApiServerFactory", "check_options"]

_OWN = ("memory", "objects", "manifests")


class ApiServerFactory:
    """Starts API servers and closes them all: `server = await apiserver_factory(tls=True)`.

    `servers` are those that were started, oldest first. Paths of manifests are relative to *directory*.
    """

    def __init__(self, directory: Path = Path()) -> None:
        self.servers: list[FakeApiServer | MemoryApiServer] = []
        self._directory = directory

    @overload
    async def __call__(
        self,
        *,
        memory: Literal[False] = False,
        objects: Iterable[Mapping[str, Any]] = (),
        manifests: Iterable[str | Path] = (),
        **options: Any,
    ) -> FakeApiServer: ...
    @overload
    async def __call__(
        self,
        *,
        memory: Literal[True],
        objects: Iterable[Mapping[str, Any]] = (),
        manifests: Iterable[str | Path] = (),
        **options: Any,
    ) -> MemoryApiServer: ...
    async def __call__(
        self,
        *,
        memory: bool = False,
        objects: Iterable[Mapping[str, Any]] = (),
        manifests: Iterable[str | Path] = (),
        **options: Any,
    ) -> FakeApiServer | MemoryApiServer:
        """A server that runs, with these objects in it.

        Args:
            memory: one without a socket, which also runs in virtual time (`MemoryApiServer`).
            objects: what is there from the start, in plain data; see `ApiServer.add`.
            manifests: files of such objects; see `ApiServer.load`.
            options: those of `FakeApiServer`, or of `MemoryApiServer`.

        Raises `TypeError` for an option there is not, `ValueError` for an object that a server would refuse,
        `OSError`. Cancelled, or when it raises: nothing is left running.
        """
        check_options({"memory": memory, **options})
        server: FakeApiServer | MemoryApiServer
        server = MemoryApiServer(**options) if memory else FakeApiServer(**options)
        try:
            server.load(*(self._directory / path for path in manifests))
            server.add(*objects)
            if isinstance(server, FakeApiServer):
                await server.start()
        except BaseException:
            await server.close()
            raise
        self.servers.append(server)
        return server

    async def close(self) -> None:
        """Close every server, the newest first. Idempotent."""
        while self.servers:
            await self.servers[-1].close()
            self.servers.pop()


def check_options(options: Mapping[str, Any]) -> None:
    """Raises `TypeError` for an option that no server takes, or none that is without a socket."""
    anywhere = _parameters(ApiServer)
    over_http = _parameters(FakeApiServer)
    for name in options:
        if name in (*_OWN, *anywhere):
            continue
        if name not in over_http:
            known = [*_OWN, *anywhere, *over_http]
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise TypeError(f"an API server takes no option {name!r}: {hint}")
        if options.get("memory"):
            raise TypeError(
                f"a server in memory has no socket, and so takes no {name!r}: leave out one of them"
            )


def _parameters(server: type) -> list[str]:
    kinds = (inspect.Parameter.KEYWORD_ONLY,)
    return [one.name for one in inspect.signature(server).parameters.values() if one.kind in kinds]
