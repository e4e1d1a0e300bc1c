"""What a request means in Kubernetes terms, read from its method and path as an API server reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from ..api.resources import BUILTIN, Resource

__all__ = ["RequestInfo"]

_VERBS: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_OF_A_NAMESPACE: Final = ("status", "finalize")  # subresources of a namespace, no resources in it
_WEBSOCKETS: Final = ("exec", "attach", "portforward")
_ANY_BODY: Final = ("log", "proxy")
_DOCUMENTS: Final = ("api", "apis", "openapi", "version")  # what is JSON beside the resources


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request by the rules of kube-apiserver's RequestInfo (`k8s.io/apiserver/pkg/endpoints/request`).

    Attributes:
        verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; the method
            in lower case where no resource is meant.
        resource: which one, with its subresource; None for discovery, health checks, metrics and the like.
        namespace: None at cluster scope, and for all namespaces.
        name: `""` where a collection is meant.
        document: False where a success may carry anything but a Kubernetes object: logs, what a pod answers
            through the proxy, metrics.
    """

    verb: str
    resource: Resource | None = None
    namespace: str | None = None
    name: str = ""
    document: bool = True

    @classmethod
    def of(cls, method: str, path: str, query: Sequence[tuple[str, str]] = ()) -> RequestInfo:
        """What a request of *method* to *path* (percent-encoded, without the server's own prefix) means."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        prefix, rest = parts[0], parts[1:]
        group = ""
        if prefix == "apis" and len(rest) >= 3:
            group, *rest = rest
        elif prefix != "api" or len(rest) < 2:
            return cls(method.lower(), document=prefix in _DOCUMENTS)
        version, *rest = rest
        verb = _VERBS.get(method, method.lower())
        if rest[0] == "watch" and len(rest) > 1:
            verb, rest = "watch", rest[1:]
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 1:
            namespace = rest[1]
            if len(rest) > 2 and rest[2] not in _OF_A_NAMESPACE:
                rest = rest[2:]
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        if not name and verb == "get":
            verb = "watch" if _watched(query) else "list"
        elif not name and verb == "delete":
            verb = "deletecollection"
        kind, namespaced = BUILTIN.get((group, version, rest[0]), ("", None))
        resource = Resource(group, version, rest[0], subresource, kind, namespaced)
        return cls(verb, resource, namespace, name, subresource not in _ANY_BODY)

    @property
    def websocket(self) -> bool:
        """Whether it is answered by a change of protocol, so that no plain exchange can carry it."""
        return self.resource is not None and self.resource.subresource in _WEBSOCKETS

    @property
    def long_running(self) -> bool:
        """Whether its answer may go on for as long as somebody reads it."""
        return self.verb == "watch" or (self.resource is not None and not self.document)


def _watched(query: Sequence[tuple[str, str]]) -> bool:
    value = next((value for name, value in query if name == "watch"), None)
    return value is not None and value.lower() not in ("false", "0")
