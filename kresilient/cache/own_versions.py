"""How far the own writes of a client have got: what the first list of a cache to come has to show."""

from __future__ import annotations

from dataclasses import dataclass

from ..api.resources import Resource
from ..api.versions import is_newer, version_number

__all__ = ["OwnVersion", "OwnVersions"]


@dataclass(frozen=True, slots=True)
class OwnVersion:
    """What was written of one resource.

    Attributes:
        version: the highest that a write was answered with, `""` before there is one.
        told: False once a write was answered without a version that compares: only a consistent list
            certainly shows that one.
    """

    version: str = ""
    told: bool = True


class OwnVersions:
    """The acknowledged writes of one client, as one version of each resource."""

    def __init__(self) -> None:
        self._by_resource: dict[Resource, OwnVersion] = {}

    def of(self, resource: Resource) -> OwnVersion:
        return self._by_resource.get(resource, OwnVersion())

    def wrote(self, resource: Resource, version: str) -> None:
        """A write of *resource* was acknowledged at *version*, `""` where that is not known."""
        last = self.of(resource)
        if version_number(version) is None:
            self._by_resource[resource] = OwnVersion(last.version, told=False)
        elif is_newer(version, last.version):
            self._by_resource[resource] = OwnVersion(version, last.told)
