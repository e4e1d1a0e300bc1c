"""The paths that name no resource: discovery, OpenAPI, version and health."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import statuses
from .discovery import VERSION, Discovery
from .documents import Document
from .health import CHECKS, health
from .kinds import Registry
from .openapi.publisher import OpenApi
from .requests import Call, RequestInfo

__all__ = ["Paths"]


class Paths:
    """What is served beside the resources of *registry*; *now* is the wall clock in seconds."""

    def __init__(self, registry: Registry, now: Callable[[], float]) -> None:
        self._registry = registry
        self._discovery = Discovery(registry)
        self._openapi = OpenApi(registry, now)

    def document(self, call: Call, info: RequestInfo, address: str) -> Document:
        """What is served under the path of *call*, by a server at *address* (`host:port`).

        Raises `Refused`: 404 where nothing is, 405 for a method that reads nothing, 406 where the client
        accepts nothing there is.
        """
        if call.method not in ("GET", "HEAD"):
            there = self.has("/" + info.path.strip("/"))
            raise statuses.method_not_allowed() if there else self.nothing_at(info.path)
        accept = call.headers.get("accept", "")
        match info.path.strip("/").split("/"):
            case _ if "//" in info.path:  # the server takes paths as they are, and redirects nobody
                raise self.nothing_at(info.path)
            case [""]:
                return Document.json({"paths": sorted(self._paths())})
            case ["version"]:
                return Document.json(VERSION)
            case ["healthz" | "livez" | "readyz" as root, *check]:
                return health(root, "/".join(check), call.query)
            case ["api"]:
                return self._discovery.versions(accept, address)
            case ["apis"]:
                return self._discovery.groups(accept)
            case ["api", version] if self._registry.of("", version):
                return self._discovery.resources(accept, "", version)
            case ["apis", group] if group in self._registry.groups():
                return self._discovery.group(accept, group)
            case ["apis", group, version] if self._registry.of(group, version):
                return self._discovery.resources(accept, group, version)
            case ["openid", "v1", "jwks"] | [".well-known", "openid-configuration"]:
                raise statuses.not_emulated(
                    "the keys of service account tokens: they are signed with HS256; check one by TokenReview"
                )
            case ["flagz" | "statusz"]:
                raise statuses.not_emulated("the pages about its process: /version says what it is")
            case ["metrics", "slis"]:
                raise statuses.not_emulated("measures of its health checks: ask for /readyz?verbose")
            case ["openapi", "v2"]:
                return self._openapi.version_2(accept)
            case ["openapi", "v3"]:
                return self._openapi.root(accept)
            case ["openapi", "v3", "api", version]:
                return self._openapi.version_3(accept, "", version, call.query.get("hash", ""))
            case ["openapi", "v3", "apis", group, version]:
                return self._openapi.version_3(accept, group, version, call.query.get("hash", ""))
        raise self.nothing_at(info.path)

    def nothing_at(self, path: str) -> statuses.Refused:
        """The 404 of *path*: a Status where the router of the built-in groups is asked, and a page's where
        nobody is."""
        root, _, rest = path.removeprefix("/").partition("/")
        group = rest.partition("/")[0]
        if rest and (root == "api" or (root == "apis" and group and self._registry.builtin(group))):
            return statuses.unknown_resource()
        return statuses.unknown_path()

    def has(self, path: str) -> bool:
        """Whether something is served under *path*, written as `/` lists it, or it is one of the checks."""
        root, _, check = path.removeprefix("/").partition("/")
        if check and check in CHECKS.get(root, ()):
            return True
        return path == "/" or path in self._paths()

    def _paths(self) -> Iterator[str]:
        yield from ("/api", "/apis", "/healthz", "/livez", "/metrics", "/readyz", "/version")
        yield from ("/openapi/v2", "/openapi/v3")
        for group, versions in self._registry.groups().items():
            base = f"/apis/{group}" if group else "/api"
            if group:
                yield base
            for version in versions:
                yield f"{base}/{version}"
                yield f"/openapi/v3{base}/{version}"
