"""What a request is in Kubernetes terms, and the record of all that came."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final
from urllib.parse import unquote

from .list_options import watch_flag
from .selectors.fields import exact_name

__all__ = ["Call", "RequestInfo", "RequestLog", "RequestRecord"]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as it came. `headers` have lower-case names; `query` holds the first of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A path and a method in Kubernetes terms; `plural` is empty for a path that names no resource."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

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
        parts = [part for part in path.split("/") if part]
        if not parts or parts[0] not in ("api", "apis"):
            return cls(call.method.lower(), path)
        prefix = 2 if parts[0] == "api" else 3
        if len(parts) <= prefix:
            return cls(call.method.lower(), path)
        group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
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
        return cls(verb, path, group, version, plural, namespace, name, "/".join(rest[2:]))


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

    `code` is 0 until the answer begins; `start` and `end` are loop times in seconds, `end` None while it
    runs. `bytes` of body were sent so far.
    """

    verb: str
    resource: str
    namespace: str
    name: str
    subresource: str
    path: str
    query: Mapping[str, str]
    user_agent: str
    start: float
    code: int = 0
    end: float | None = None
    bytes: int = 0
    seen: set[int] = field(default_factory=set, repr=False)

    def matches(self, wanted: Mapping[str, Any]) -> bool:
        """Whether every attribute in *wanted* is equal; a user agent need only contain the text."""
        return all(
            value in self.user_agent if key == "user_agent" else getattr(self, key) == value
            for key, value in wanted.items()
        )


@dataclass(slots=True, eq=False)
class _Waiter:
    number: int
    missing: int
    wanted: dict[str, Any]
    done: asyncio.Future[None]


_FILTERS: Final = frozenset({"verb", "resource", "namespace", "name", "subresource", "user_agent", "code"})


class RequestLog:
    """The last *size* requests, oldest first; the totals count all that ever came.

    `totals` counts answers by (verb, resource, code), as `apiserver_request_total` does.
    """

    def __init__(self, *, size: int = 100_000) -> None:
        self.total = 0
        self.totals: Counter[tuple[str, str, int]] = Counter()
        self._records: deque[RequestRecord] = deque(maxlen=size)
        self._waiters: list[_Waiter] = []
        self._numbers = count()

    def count(self, **wanted: Any) -> int:
        """How many of the kept requests have these attributes: `count(verb="list", resource="v1/pods")`."""
        _check(wanted)
        return sum(record.matches(wanted) for record in self._records)

    def where(self, **wanted: Any) -> list[RequestRecord]:
        """The kept requests that have these attributes."""
        _check(wanted)
        return [record for record in self._records if record.matches(wanted)]

    async def wait_for(self, n: int = 1, *, timeout: float = 10.0, **wanted: Any) -> None:
        """Wait until *n* requests with these attributes have come, those already there included.

        A request counts once it arrives, or, where `code` is asked for, once its answer begins. Raises
        `TimeoutError` after *timeout* seconds, saying how many came. Cancelled: nothing is left behind.
        """
        missing = n - self.count(**wanted)
        if missing <= 0:
            return
        waiter = _Waiter(next(self._numbers), missing, wanted, asyncio.get_running_loop().create_future())
        for record in self._records:
            if record.matches(wanted):
                record.seen.add(waiter.number)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter.done
        except TimeoutError:
            came = n - waiter.missing
            raise TimeoutError(f"{came} of {n} requests {wanted} came within {timeout} s") from None
        finally:
            self._waiters.remove(waiter)

    def clear(self) -> None:
        """Forget the requests kept; the totals stay."""
        self._records.clear()

    def arrived(self, record: RequestRecord) -> None:
        self.total += 1
        self._records.append(record)
        self._notice(record)

    def answered(self, record: RequestRecord, code: int) -> None:
        record.code = code
        self.totals[(record.verb, record.resource, code)] += 1
        self._notice(record)

    def _notice(self, record: RequestRecord) -> None:
        for waiter in self._waiters:
            if waiter.number not in record.seen and record.matches(waiter.wanted):
                record.seen.add(waiter.number)
                waiter.missing -= 1
                if waiter.missing <= 0 and not waiter.done.done():
                    waiter.done.set_result(None)

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(tuple(self._records))

    def __len__(self) -> int:
        return len(self._records)


def _check(wanted: Mapping[str, Any]) -> None:
    if unknown := wanted.keys() - _FILTERS:
        raise TypeError(f"requests have no {sorted(unknown)}; ask by {sorted(_FILTERS)}")
