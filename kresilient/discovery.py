"""From what a user names to the resource that is meant: a name, a View, or a kind that the server knows."""

from __future__ import annotations

import asyncio

import msgspec
from cachetools import TTLCache

from .api.errors import ConfigError, NotFound, WireError, wrong_type
from .api.resources import BUILTIN, Resource, path_segment
from .api.views import View, resource_of
from .flow.door import Door
from .transport.base import Request

__all__ = ["Discovery", "ResourceName", "named"]

ResourceName = str | Resource

_AGE = 600.0


class _ApiResource(msgspec.Struct):
    name: str
    kind: str
    namespaced: bool = False


class _ApiResourceList(msgspec.Struct):
    resources: list[_ApiResource] = []


_decoder = msgspec.json.Decoder(_ApiResourceList)
_BUILTIN_KINDS = {
    (group, version, kind): (plural, namespaced)
    for (group, version, plural), (kind, namespaced) in BUILTIN.items()
}


def named(resource: ResourceName | type[View]) -> tuple[Resource, type[View] | None]:
    """The resource that *resource* names without a kind, and the view that it is, if it is one.

    Raises `InvalidName`, `ConfigError` for a View that names none, and `TypeError`.
    """
    if isinstance(resource, type):
        if not issubclass(resource, View):
            raise wrong_type("a resource", "a name, a Resource or a View", resource)
        return resource_of(resource), resource
    return Resource.parse(resource), None


class Discovery:
    """Answers from the table of built-in kinds, else from the server; what it said is kept for 10 minutes."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._known: TTLCache[str, tuple[float, list[_ApiResource]]] = TTLCache(256, _AGE, timer=_loop_time)
        self._asking: dict[str, asyncio.Lock] = {}

    async def resolve(
        self, resource: ResourceName | type[View], kind: str
    ) -> tuple[Resource, type[View] | None]:
        """What *resource* names, where *kind* is given as a group and version; raises as both ways do."""
        if not kind:
            return named(resource)
        if not isinstance(resource, str):
            raise wrong_type(
                "resource, where kind= is given,", 'a group and version such as "apps/v1"', resource
            )
        return await self.resource(resource, kind), None

    async def resource(self, group_version: str, kind: str) -> Resource:
        """The resource that serves *kind* of *group_version* (`"v1"`, `"apps/v1"`), with its scope.

        Raises `ConfigError` where the server does not know the kind, and what the door raises. Concurrent
        questions about one group share a request.
        """
        group, _, version = group_version.rpartition("/")
        if (builtin := _BUILTIN_KINDS.get((group, version, kind))) is not None:
            return Resource(group, version, builtin[0], "", kind, builtin[1])
        # A kind that came after the last answer is worth one more question.
        for since in (float("-inf"), _loop_time()):
            for found in await self._group(group, version, since=since):
                if found.kind == kind and "/" not in found.name:
                    return Resource(group, version, found.name, "", kind, found.namespaced)
        raise ConfigError(
            f"the server has no kind {kind!r} in {group_version}: is its CustomResourceDefinition installed?"
        )

    async def _group(self, group: str, version: str, *, since: float) -> list[_ApiResource]:
        """What is served in *group* and *version*, by an answer asked for no earlier than *since*."""
        path = f"/apis/{path_segment(group, 'group')}" if group else "/api"
        path = f"{path}/{path_segment(version, 'version')}"
        async with self._asking.setdefault(path, asyncio.Lock()):
            asked, known = self._known.get(path, (float("-inf"), None))
            if known is None or asked < since:
                asked = _loop_time()
                request = Request("GET", path, headers={"Accept": "application/json"}, resource="discovery")
                try:
                    answer = await self._door.call(request, probing=True)
                    known = _decoder.decode(answer.body).resources
                except NotFound:
                    known = []
                except msgspec.DecodeError as error:
                    raise WireError(f"{request.what}: not a list of resources: {error}") from error
                self._known[path] = asked, known
            return known


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
