"""The paths that name no resource: discovery, OpenAPI, version and health."""

from __future__ import annotations

from collections.abc import Iterator

from . import statuses
from .discovery import VERSION, Discovery
from .documents import Document
from .health import health
from .kinds import Registry
from .openapi import openapi_document, openapi_root
from .requests import Call, RequestInfo

__all__ = ["Paths"]


class Paths:
    """What is served beside the resources of *registry*."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._discovery = Discovery(registry)

    def document(self, call: Call, info: RequestInfo, address: str) -> Document:
        """What is served under the path of *call*, by a server at *address* (`host:port`).

        Raises `Refused`: 404 where nothing is, 405 for a method that reads nothing, 406 where the client
        accepts nothing there is.
        """
        if call.method not in ("GET", "HEAD"):
            raise statuses.method_not_allowed()
        accept = call.headers.get("accept", "")
        match [part for part in info.path.split("/") if part]:
            case []:
                return Document.json({"paths": sorted(self._paths())})
            case ["version"]:
                return Document.json(VERSION)
            case ["healthz" | "livez" | "readyz" as root, *check]:
                return health(root, "/".join(check), call.query)
            case ["api"]:
                return self._discovery.versions(accept, address)
            case ["apis"]:
                return self._discovery.groups(accept)
            case ["api", version]:
                return self._discovery.resources(accept, "", version)
            case ["apis", group]:
                return self._discovery.group(accept, group)
            case ["apis", group, version]:
                return self._discovery.resources(accept, group, version)
            case ["openapi", "v3"]:
                return Document.json(openapi_root(self._registry))
            case ["openapi", "v3", "api", version]:
                return Document.json(openapi_document(self._registry, "", version))
            case ["openapi", "v3", "apis", group, version]:
                return Document.json(openapi_document(self._registry, group, version))
        raise statuses.unknown_path()

    def _paths(self) -> Iterator[str]:
        yield from ("/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v3", "/readyz", "/version")
        for group, versions in self._registry.groups().items():
            base = f"/apis/{group}" if group else "/api"
            if group:
                yield base
            for version in versions:
                yield f"{base}/{version}"
                yield f"/openapi/v3{base}/{version}"
