"""The operations on a resource, under the paths of its collection, its objects and its subresources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ..kinds import ApiResource
from ..subresources import CONNECTS, Subresource
from .dialect import Dialect, Schema
from .schemas import Schemas

__all__ = ["operations"]

_WRITING: Final = {"dryRun": "string", "fieldManager": "string", "fieldValidation": "string"}
_READING: Final = {
    "allowWatchBookmarks": "boolean",
    "continue": "string",
    "fieldSelector": "string",
    "labelSelector": "string",
    "limit": "integer",
    "resourceVersion": "string",
    "resourceVersionMatch": "string",
    "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer",
}
_DELETING: Final = {
    "dryRun": "string",
    "gracePeriodSeconds": "integer",
    "ignoreStoreReadErrorWithClusterBreakingPotential": "boolean",
    "orphanDependents": "boolean",
    "propagationPolicy": "string",
}
_QUERIES: Final[Mapping[str, Mapping[str, str]]] = {
    "list": {**_READING, "watch": "boolean"},
    "get": {},
    "create": _WRITING,
    "update": _WRITING,
    "patch": {**_WRITING, "force": "boolean"},
    "delete": _DELETING,
    "deletecollection": _DELETING | _READING,
}
_ACTIONS: Final = {
    "list": ("get", "list", "list"),
    "get": ("get", "get", "read"),
    "create": ("post", "post", "create"),
    "update": ("put", "put", "replace"),
    "patch": ("patch", "patch", "patch"),
    "delete": ("delete", "delete", "delete"),
    "deletecollection": ("delete", "deletecollection", "delete"),
}
"""Verb: HTTP method, `x-kubernetes-action`, and how its `operationId` begins."""
_JSON_PATCHES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
)
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"
_ON_COLLECTION: Final = ("list", "create", "deletecollection")


def operations(resource: ApiResource, dialect: Dialect, schemas: Schemas) -> Iterator[tuple[str, Schema]]:
    """Each path of *resource* and what can be done there."""
    writer = _Writer(resource, dialect, schemas)
    inside = "namespaces/{namespace}/" if resource.namespaced else ""
    everywhere, collection = f"{writer.base}/{resource.plural}", f"{writer.base}/{inside}{resource.plural}"
    yield collection, writer.item([verb for verb in _ON_COLLECTION if verb in resource.verbs])
    if resource.namespaced and "list" in resource.verbs:
        yield everywhere, writer.item(["list"], everywhere=True)
    on_object = [verb for verb in _ACTIONS if verb in resource.verbs and verb not in _ON_COLLECTION]
    if on_object:
        yield f"{collection}/{{name}}", writer.item(on_object, name=True)
    for one in resource.subresources:
        yield f"{collection}/{{name}}/{one.name}", writer.below(one)


class _Writer:
    """Writes the operations on one resource."""

    def __init__(self, resource: ApiResource, dialect: Dialect, schemas: Schemas) -> None:
        self._resource = resource
        self._dialect = dialect
        self._schemas = schemas
        group = resource.group.removesuffix(".k8s.io") or "core"
        self._tag = f"{group.replace('.', '_')}_{resource.version}"
        self._prefix = "".join(part.capitalize() for part in [*group.split("."), resource.version])
        self.base = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"

    def item(self, verbs: Sequence[str], *, name: bool = False, everywhere: bool = False) -> Schema:
        """What can be done under one path; *everywhere* is that of a list over all namespaces."""
        resource = self._resource
        place = (resource.group, resource.version, resource.kind)
        shown: Schema = {}
        for verb in verbs:
            method, action, begin = _ACTIONS[verb]
            whose = resource.kind if everywhere or not resource.namespaced else f"Namespaced{resource.kind}"
            collection = "Collection" if verb == "deletecollection" else ""
            end = "ForAllNamespaces" if everywhere else ""
            shown[method] = {
                "tags": [self._tag],
                "operationId": f"{begin}{self._prefix}{collection}{whose}{end}",
                **self._exchange(verb, self._schemas.of(resource)),
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": _kind(*place),
            }
        if shared := self._path_parameters(name=name, everywhere=everywhere):
            shown["parameters"] = shared
        return shown

    def below(self, one: Subresource) -> Schema:
        """What can be done with a subresource."""
        resource = self._resource
        where = (one.group, one.version) if one.version else (resource.group, resource.version)
        mine = one.kind == resource.kind
        whole = self._schemas.of(resource) if mine else self._schemas.kind(*where, one.kind)
        whose = f"Namespaced{resource.kind}" if resource.namespaced else resource.kind
        shown: Schema = {}
        for verb in one.verbs:
            method, action, begin = _ACTIONS[verb]
            connects = one.name in CONNECTS and one.name != "log"
            if connects:
                action, begin = "connect", f"connect{method.capitalize()}"
            shown[method] = {
                "tags": [self._tag],
                "operationId": f"{begin}{self._prefix}{whose}{one.name.capitalize()}",
                **self._exchange("get" if connects or one.name == "log" else verb, whole),
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": _kind(*where, one.kind),
            }
        shown["parameters"] = self._path_parameters(name=True)
        return shown

    def _exchange(self, verb: str, whole: Schema) -> Schema:
        """Parameters, body and answer of *verb* on what is *whole*."""
        parameters = [
            self._dialect.parameter(name, kind, "query") for name, kind in sorted(_QUERIES[verb].items())
        ]
        match verb:
            case "list":
                return self._dialect.operation(parameters, (), None, self._schemas.list_of(self._resource))
            case "create" | "update":
                return self._dialect.operation(parameters, ("*/*",), whole, whole)
            case "patch":
                strategic = () if self._resource.custom else (_STRATEGIC,)
                consumes = (*_JSON_PATCHES, *strategic, _APPLY)
                return self._dialect.operation(parameters, consumes, self._schemas.patch(), whole)
            case "delete" | "deletecollection":
                options = self._schemas.meta("DeleteOptions")
                return self._dialect.operation(parameters, ("*/*",), options, self._schemas.meta("Status"))
        return self._dialect.operation(parameters, (), None, whole)

    def _path_parameters(self, *, name: bool = False, everywhere: bool = False) -> list[Schema]:
        names = ["name"] if name else []
        names += ["namespace"] if self._resource.namespaced and not everywhere else []
        return [self._dialect.parameter(one, "string", "path") for one in names]


def _kind(group: str, version: str, kind: str) -> Schema:
    return {"group": group, "kind": kind, "version": version}
