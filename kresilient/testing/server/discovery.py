"""Discovery: `/api`, `/apis`, and the resources of each group and version, plain and aggregated."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from .builtin.conversion import STORED_AS
from .documents import Document, acceptable
from .kinds import ApiResource, Registry
from .media_ranges import media_ranges
from .subresources import Subresource

__all__ = ["VERSION", "Discovery"]

VERSION: Final = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2+kresilient",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "fake/amd64",
}
_JSON: Final = "application/json"
_AGGREGATED: Final = {"g": "apidiscovery.k8s.io", "v": "v2", "as": "APIGroupDiscoveryList"}
"""How aggregated discovery is asked for. A 1.36 server has `v2` alone: `v2beta1` is passed over."""
_CACHING: Final = (("Vary", "Accept"), ("Cache-Control", "public"))


class Discovery:
    """The documents about what *registry* serves, made when first asked for and again when it changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._revision = registry.revision
        self._made: dict[str, Document] = {}

    def versions(self, accept: str, address: str) -> Document:
        """`/api`: the versions of the core group, or its resources where aggregated discovery is accepted.

        Raises `Refused` (406) where *accept* names nothing there is.
        """
        if _wants_aggregated(accept):
            return self._kept("/api", lambda: self._aggregated([("", ["v1"])]))
        acceptable(accept, _JSON)
        where = {"clientCIDR": "0.0.0.0/0", "serverAddress": address}
        return Document.json(
            {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [where]}
        )

    def groups(self, accept: str) -> Document:
        """`/apis`: the named groups, with their resources where aggregated discovery is accepted."""
        named = [(name, versions) for name, versions in self._registry.groups().items() if name]
        if _wants_aggregated(accept):
            return self._kept("/apis", lambda: self._aggregated(named))
        acceptable(accept, _JSON)
        groups = [_group(name, versions) for name, versions in named]
        return Document.json({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    def group(self, accept: str, name: str) -> Document:
        """`/apis/GROUP`, of a group that there is."""
        versions = self._registry.groups()[name]
        acceptable(accept, _JSON)
        return Document.json({"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)})

    def resources(self, accept: str, group: str, version: str) -> Document:
        """`/api/v1` or `/apis/GROUP/VERSION`, where something is served."""
        found = self._registry.of(group, version)
        acceptable(accept, _JSON)
        head = {"kind": "APIResourceList"}
        if group:
            head["apiVersion"] = "v1"
        entries = [entry for resource in found for entry in _entries(resource)]
        return Document.json(
            {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": entries}
        )

    def _aggregated(self, groups: list[tuple[str, list[str]]]) -> Document:
        items = [
            {
                "metadata": {"name": name} if name else {},
                "versions": [
                    {
                        "version": version,
                        "resources": [_described(one) for one in self._registry.of(name, version)],
                        "freshness": "Current",
                    }
                    for version in versions
                ],
            }
            for name, versions in groups
        ]
        found = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
        asked = "".join(f";{key}={value}" for key, value in _AGGREGATED.items())
        made = Document.json({**found, "items": items}, media_type=_JSON + asked, headers=_CACHING)
        return made.tagged()

    def _kept(self, path: str, make: Callable[[], Document]) -> Document:
        if self._revision != self._registry.revision:
            self._revision = self._registry.revision
            self._made.clear()
        if path not in self._made:
            self._made[path] = make()
        return self._made[path]


def _wants_aggregated(accept: str) -> bool:
    """Whether *accept* prefers aggregated discovery; of the others, what is not served is passed over."""
    for wanted in media_ranges(accept):
        if wanted.covers(_JSON):
            if wanted.parameters == _AGGREGATED:
                return True
            if "as" not in wanted.parameters:
                return False
    return False


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


# --- a resource, in both forms -----------------------------------------------------------------------


def _entries(resource: ApiResource) -> Iterator[dict[str, Any]]:
    """The entry of *resource* in an `APIResourceList`, then those of its subresources."""
    about: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _verbs(resource),
    }
    about |= _names(resource)
    if (digest := _storage_hash(resource)) is not None:
        about["storageVersionHash"] = digest
    yield about
    for one in resource.subresources:
        below = {
            "name": f"{resource.plural}/{one.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
        }
        where = {"group": one.group, "version": one.version} if one.version else {}
        yield {**below, **where, "kind": one.kind, "verbs": list(one.verbs)}


def _described(resource: ApiResource) -> dict[str, Any]:
    """*resource* as an `APIResourceDiscovery`. Built-in kinds leave it to the list to say where they are."""
    where = (resource.group, resource.version) if resource.custom else ("", "")
    about: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _kind(*where, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": _verbs(resource),
    }
    about |= _names(resource)
    if resource.subresources:
        about["subresources"] = [_described_below(one, where) for one in resource.subresources]
    return about


def _described_below(one: Subresource, where: tuple[str, str]) -> dict[str, Any]:
    group, version = (one.group, one.version) if one.version else where
    return {
        "subresource": one.name,
        "responseKind": _kind(group, version, one.kind),
        "verbs": list(one.verbs),
    }


def _kind(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}


def _names(resource: ApiResource) -> dict[str, list[str]]:
    names = {"shortNames": list(resource.short_names), "categories": list(resource.categories)}
    return {key: value for key, value in names.items() if value}


def _verbs(resource: ApiResource) -> list[str]:
    """What can be done with *resource*: once its definition is being deleted, nothing can be written."""
    return [verb for verb in resource.verbs if not resource.terminating or verb not in _WRITES]


def _storage_hash(resource: ApiResource) -> str | None:
    """Tells clients when objects are stored at another version (`discovery.StorageVersionHash`); None where
    nothing is stored, or at a version that is not served."""
    if not {"list", "watch"} <= set(resource.verbs):
        return None
    group, version = STORED_AS.get(resource.place, resource.place)[:2]
    if resource.custom:
        version = resource.stored_version
    if not version:
        return None
    digest = hashlib.sha256(f"{group}/{version}/{resource.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


_WRITES: Final = ("create", "patch", "update")
