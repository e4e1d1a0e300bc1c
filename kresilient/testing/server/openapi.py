"""As much of `/openapi/v3` as lets kubectl leave validation to the server: no schemas."""

from __future__ import annotations

from typing import Any, Final

from .kinds import ApiResource, Registry
from .statuses import unknown_path

__all__ = ["openapi_document", "openapi_root"]

_FIELD_VALIDATION: Final = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}


def openapi_root(registry: Registry) -> dict[str, Any]:
    """`/openapi/v3`: where the document of each group and version is."""
    paths = [
        f"apis/{group}/{version}" if group else f"api/{version}"
        for group, versions in registry.groups().items()
        for version in versions
    ]
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in paths}}


def openapi_document(registry: Registry, group: str, version: str) -> dict[str, Any]:
    """The document of one group and version. Raises `Refused` (404) where nothing is served there."""
    found = registry.of(group, version)
    if not found:
        raise unknown_path()
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": {resource.resource.collection_path(): _operations(resource) for resource in found},
    }


def _operations(resource: ApiResource) -> dict[str, Any]:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    operation = {
        "parameters": [_FIELD_VALIDATION],
        "responses": {},
        "x-kubernetes-group-version-kind": kind,
    }
    return {"post": operation, "patch": operation}
