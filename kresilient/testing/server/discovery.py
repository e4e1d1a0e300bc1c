"""Discovery in its plain form: `/api`, `/apis`, and the resources of each group and version."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

from .kinds import STATUS_VERBS, ApiResource, Registry
from .statuses import unknown_path

__all__ = ["VERSION", "api_group", "api_groups", "api_resources", "api_versions"]

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


def api_versions(address: str) -> dict[str, Any]:
    """`/api`: the versions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def api_groups(registry: Registry) -> dict[str, Any]:
    """`/apis`: the named groups."""
    groups = [_group(name, versions) for name, versions in registry.groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(registry: Registry, name: str) -> dict[str, Any]:
    """`/apis/GROUP`. Raises `Refused` (404) where there is no such group."""
    versions = registry.groups().get(name)
    if not versions:
        raise unknown_path()
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def api_resources(registry: Registry, group: str, version: str) -> dict[str, Any]:
    """`/api/v1` or `/apis/GROUP/VERSION`. Raises `Refused` (404) where nothing is served there."""
    found = registry.of(group, version)
    if not found:
        raise unknown_path()
    listed = [entry for resource in found for entry in _entries(resource)]
    if not group:
        return {"kind": "APIResourceList", "groupVersion": version, "resources": listed}
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}",
        "resources": listed,
    }


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in _preferred(versions)]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _preferred(versions: list[str]) -> list[str]:
    """Stable before beta before alpha, and each newest first (`version.CompareKubeAwareVersionStrings`)."""

    def rank(version: str) -> tuple[int, list[int]]:
        stage = 0 if "alpha" in version else 1 if "beta" in version else 2
        numbers = version.removeprefix("v").replace("alpha", " ").replace("beta", " ").split()
        return stage, [int(number) for number in numbers]

    return sorted(versions, key=rank, reverse=True)


def _entries(resource: ApiResource) -> list[dict[str, Any]]:
    about: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        about["shortNames"] = list(resource.short_names)
    if resource.categories:
        about["categories"] = list(resource.categories)
    if "list" in resource.verbs and "watch" in resource.verbs:
        digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode()).digest()
        about["storageVersionHash"] = base64.b64encode(digest[:8]).decode()
    entries = [about]
    below = {"singularName": "", "namespaced": resource.namespaced}
    if resource.storage == ("", "pods"):
        for name, kind, group in (("binding", "Binding", ""), ("eviction", "Eviction", "policy")):
            where = {"group": group, "version": "v1"} if group else {}
            entries.append({"name": f"pods/{name}", **below, **where, "kind": kind, "verbs": ["create"]})
    if resource.has_status:
        status = {**below, "kind": resource.kind, "verbs": list(STATUS_VERBS)}
        entries.append({"name": f"{resource.plural}/status", **status})
    if resource.scale is not None:
        entries.append(
            {
                "name": f"{resource.plural}/scale",
                **below,
                "group": "autoscaling",
                "version": "v1",
                "kind": "Scale",
                "verbs": list(STATUS_VERBS),
            }
        )
    return entries
