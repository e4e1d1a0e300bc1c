"""A request: as it came, in Kubernetes terms, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from .list_options import watch_flag
from .selectors.fields import exact_name
from .statuses import Refused
from .users import User

__all__ = ["Call", "RequestInfo", "RequestRecord"]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as it came. `headers` have lower-case names; `query` holds the first of each name.

    Attributes:
        repeated: the values of each header that came more than once.
        certificate: whom the client's certificate names, None without one.
        address: where it came from.
        on_object: told the metadata of the object in the body, once that is read.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)
    certificate: User | None = None
    address: str = "127.0.0.1"
    on_object: Callable[[Mapping[str, Any]], None] | None = None

    @property
    def token(self) -> str:
        """The bearer token that it comes with, good or not; empty where it has none."""
        kind, _, rest = self.headers.get("authorization", "").strip().partition(" ")
        return rest.partition(" ")[0] if kind.lower() == "bearer" else ""

    def values(self, header: str) -> list[str]:
        """Every value of *header*, in order."""
        if header in self.repeated:
            return list(self.repeated[header])
        return [self.headers[header]] if header in self.headers else []


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A path and a method in Kubernetes terms; `plural` is empty for a path that names no resource.

    `beyond` is what stands behind the subresource: a path to pass on (`proxy/some/path`).
    """

    verb: str
    path: str
    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    beyond: str = ""

    @property
    def resource(self) -> str:
        """`"v1/pods"`, or the path where it names no resource."""
        if not self.plural:
            return self.path
        return f"{self.group}/{self.version}/{self.plural}" if self.group else f"{self.version}/{self.plural}"

    @classmethod
    def of(cls, call: Call) -> RequestInfo:
        """What *call* asks for, as `RequestInfoFactory` takes paths apart."""
        path = unquote(call.path)
        parts = path.strip("/").split("/")
        prefix = 2 if parts[0] == "api" else 3
        if parts[0] not in ("api", "apis") or path.startswith("//") or len(parts) <= prefix:
            return cls(call.method.lower(), path)
        group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
        if not group and parts[0] == "apis":
            return cls(call.method.lower(), path)
        rest = parts[prefix:]
        old_watch = len(rest) > 1 and rest[0] == "watch"
        rest = rest[old_watch:]
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        elif len(rest) > 1 and rest[0] == "namespaces":
            namespace = rest[1]
        plural, name = [*rest, "", ""][:2]
        if plural == "namespaces" and name:
            namespace = ""
        verb = "watch" if old_watch else _verb(call.method, name, watch_flag(call.query))
        if verb in ("list", "watch") and not name:
            name = exact_name(call.query.get("fieldSelector", ""))
        subresource, beyond = "".join(rest[2:3]), "/".join(rest[3:])
        return cls(verb, path, group, version, plural, namespace, name, subresource, beyond)


def _verb(method: str, name: str, watch: bool) -> str:
    match method:
        case "GET" | "HEAD":
            return "get" if name else "watch" if watch else "list"
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "PATCH":
            return "patch"
        case "DELETE":
            return "delete" if name else "deletecollection"
    return method.lower()


@dataclass(slots=True, eq=False)
class RequestRecord:
    """One request that came: what it asked for, who sent it, and how it was answered.

    Attributes:
        who: whose rights it had; None where the credentials were bad.
        impersonator: who acted as *who*, with credentials of their own; None where nobody did.
        start, end: loop times in seconds; `end` is None while it runs.
        began: when the answer began, None until then.
        received: the wall clock at `start`, in seconds since the epoch.
        code: 0 until the answer begins.
        bytes: how much of the body was sent so far.
        objects: items of a list, events of a watch so far, 1 for an object.
        refused: the failure that was answered.
        allowed, reason: what was decided about the right to ask; None and "" where it came to no decision.
        applies: whether it is a patch of server-side apply.
        flow_schema, priority_level: what priority and fairness took it for.
        audit_id: what the `Audit-Id` header of the answer says.
        token: the bearer token that it came with, good or not.
        named: what the object in its body says that it is: its name, namespace, uid and resource version.
    """

    info: RequestInfo
    method: str
    query: Mapping[str, str]
    user_agent: str
    start: float
    received: float = 0.0
    who: User | None = None
    impersonator: User | None = None
    address: str = ""
    audit_id: str = ""
    applies: bool = False
    flow_schema: str = ""
    priority_level: str = ""
    code: int = 0
    began: float | None = None
    end: float | None = None
    bytes: int = 0
    objects: int = 0
    refused: Refused | None = None
    allowed: bool | None = None
    reason: str = ""
    token: str = field(default="", repr=False)
    named: Mapping[str, str] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set, repr=False)

    def read(self, metadata: Mapping[str, Any]) -> None:
        """The object in its body has this *metadata*."""
        told = ((name, metadata.get(name)) for name in ("namespace", "name", "uid", "resourceVersion"))
        self.named = {name: value for name, value in told if isinstance(value, str) and value}

    @property
    def verb(self) -> str:
        return self.info.verb

    @property
    def resource(self) -> str:
        """`"v1/pods"`, or the path where it names no resource."""
        return self.info.resource

    @property
    def namespace(self) -> str:
        return self.info.namespace

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def subresource(self) -> str:
        return self.info.subresource

    @property
    def path(self) -> str:
        return self.info.path

    @property
    def user(self) -> str:
        """The name of whose rights it had; "" where the credentials were bad."""
        return "" if self.who is None else self.who.name

    @property
    def groups(self) -> tuple[str, ...]:
        return () if self.who is None else self.who.groups

    @property
    def duration(self) -> float | None:
        """Seconds from when it came until it ended; None while it runs."""
        return None if self.end is None else self.end - self.start

    def matches(self, wanted: Mapping[str, Any]) -> bool:
        """Whether every attribute in *wanted* is equal, or is in what is wanted where that is a collection.

        A user agent need only contain the text.
        """
        return all(_matches(self, key, value) for key, value in wanted.items())


def _matches(record: RequestRecord, key: str, wanted: Any) -> bool:
    value = getattr(record, key)
    if isinstance(wanted, str):
        return wanted in value if key == "user_agent" else bool(wanted == value)
    return value in wanted if isinstance(wanted, Container) else bool(wanted == value)
