"""What is asked for, as an authorizer sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..requests import RequestInfo

__all__ = ["Attributes"]


@dataclass(frozen=True, slots=True)
class Attributes:
    """A verb on a resource, or, where `resource` is empty, on a path."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full(self) -> str:
        """`pods/log`: the resource as rules and messages name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    @classmethod
    def of(cls, info: RequestInfo) -> Attributes:
        """What a request asks for. A namespace is in itself."""
        if not info.plural:
            return cls(info.verb, path=info.path)
        namespace = info.namespace
        if not info.group and info.plural == "namespaces":
            namespace = info.name
        return cls(info.verb, info.group, info.version, info.plural, info.subresource, namespace, info.name)

    @classmethod
    def reviewed(cls, spec: Mapping[str, Any]) -> Attributes:
        """What the spec of an access review asks about."""
        path = spec.get("nonResourceAttributes")
        if path is not None:
            return cls(path.get("verb", ""), path=path.get("path", ""))
        asked = spec["resourceAttributes"]
        names = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
        return cls(*(asked.get(name, "") for name in names))
