"""Reads of one object: by an informer that knows it, else by the server, once for all who ask at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from . import verbs
from .api.errors import (
    ApiError,
    ConfigError,
    KresilientError,
    NotSyncedError,
    PoisonObject,
    StaleError,
    Status,
    StatusDetails,
    api_error,
)
from .api.objects import KubeObject
from .api.resources import Key, Resource, split_key
from .api.views import View
from .cache.lookup import Known, look_up
from .cache.shared import SharedInformer, Spawn
from .decoding import object_read
from .flow.answers import Answer
from .flow.door import Door
from .flow.lanes import lane_of
from .flow.single_flight import Sending, SingleFlight
from .transport.base import Request

__all__ = ["CacheUse", "ObjectReads"]

CacheUse = Literal["bypass", "prefer", "only"]
"""Whether an informer may answer a read: never, where it knows, or nobody else."""


class ObjectReads:
    """Reads objects.

    Args:
        caches: those of a resource that informers hold now.
        door: the way to the server; raises where the client cannot be used.
        spawn: starts a task that somebody owns, for what several share.
    """

    def __init__(
        self,
        caches: Callable[[Resource], tuple[SharedInformer, ...]],
        door: Callable[[], Door],
        spawn: Spawn,
    ) -> None:
        self._caches = caches
        self._door = door
        self._flights: SingleFlight[Answer] = SingleFlight(spawn)

    async def get(self, where: Resource, key: Key, view: type[View] | None, cache: CacheUse) -> KubeObject:
        """The object under *key*, whole, or with at least what *view* needs. Raises as `Client.get` says."""
        request = verbs.get(where, key)
        if cache not in get_args(CacheUse):
            raise ConfigError(f"{request.what}: cache= is one of {get_args(CacheUse)}, not {cache!r}")
        if cache != "bypass":
            known = self._known(where, key, view)
            if isinstance(known, Known):
                if known.object is None:
                    raise _absent(request, where, key, known)
                return known.object
            if cache == "only":
                raise known
        return object_read(await self._live(request), where)

    async def _live(self, request: Request) -> Answer:
        async def call(sending: Sending) -> Answer:
            return await self._door().call(request, probing=True, sending=sending)

        same = (request.path, request.query, tuple(request.headers.items()))
        return await self._flights.call(same, call, lane=lane_of(request))

    def _known(self, where: Resource, key: Key, view: type[View] | None) -> Known | KresilientError:
        """What an informer knows of *key*, or why none does."""
        reasons: list[KresilientError] = []
        for shared in self._caches(where):
            try:
                return look_up(shared, key, view=view)
            except (PoisonObject, NotSyncedError, StaleError, ConfigError) as error:
                reasons.append(error)
        for kind in (PoisonObject, NotSyncedError, StaleError):
            if (telling := next((one for one in reasons if isinstance(one, kind)), None)) is not None:
                return telling
        why = "; ".join(map(str, reasons)) or f"this client has no informer of {where}"
        return ConfigError(
            f'{key} of {where} cannot be read with cache="only": {why}. Keep an informer that holds it whole '
            f'and without a selector, or read it with cache="prefer"'
        )


def _absent(request: Request, where: Resource, key: Key, known: Known) -> ApiError:
    """What the server answers to a read of what is not there, said by a cache."""
    _, name = split_key(key)
    qualified = f"{where.plural}.{where.group}" if where.group else where.plural
    status = Status(
        status="Failure",
        message=f'{qualified} "{name}" not found (by the informer of {known.name}, at {known.version})',
        reason="NotFound",
        details=StatusDetails(name=name, group=where.group, kind=where.plural),
        code=404,
    )
    error = api_error(404, status, what=request.what)
    error.status_sent = False
    return error
