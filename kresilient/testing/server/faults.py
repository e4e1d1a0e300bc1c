"""Faults on demand: what servers, proxies and networks do to a request, scripted from a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from kresilient.api.resources import Resource

from .requests import RequestRecord

__all__ = ["Fault", "Faults"]

Then = Literal["close", "reset", "stall"]

_VERBS: Final = frozenset(
    {"*", "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "post", "put"}
)
_EFFECTS: Final = (
    "status",
    "chunks",
    "cut_at",
    "silent_after",
    "no_end_bookmark",
    "refuse",
    "hang",
    "insert",
    "delay",
)


@dataclass(slots=True, eq=False)
class Fault:
    """One scripted fault: which requests it meets, and what then happens. `hits` counts them.

    See `Faults.next` for the effects.
    """

    verb: str
    resource: str
    times: int | None = 1
    after: int = 0
    namespace: str | None = None
    user_agent: str | None = None
    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: tuple[bytes, ...] | None = None
    then: Then = "close"
    cut_at: int | None = None
    silent_after: int | None = None
    no_end_bookmark: bool = False
    refuse: bool = False
    hang: bool = False
    insert: bytes = b""
    delay: float | None = None
    hits: int = 0

    @property
    def does_something(self) -> bool:
        """Whether any effect was asked for; 0 bytes or frames are one."""
        values = {name: getattr(self, name) for name in _EFFECTS}
        return any(value is not None and value is not False and value != b"" for value in values.values())

    @property
    def breaks_body(self) -> bool:
        """Whether it ends the body otherwise than well, so that what comes before has to be out by then."""
        return self.chunks is not None or self.cut_at is not None or self.silent_after is not None

    def meets(self, record: RequestRecord) -> bool:
        """Whether *record* is such a request."""
        full = f"{record.resource}/{record.subresource}" if record.subresource else record.resource
        return (
            self.verb in ("*", record.verb)
            and self.resource in ("*", record.resource, full)
            and self.namespace in (None, record.namespace)
            and (self.user_agent is None or self.user_agent in record.user_agent)
        )


class Faults:
    """The faults that are armed. Of those that meet a request, the one armed first takes it."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def next(
        self,
        verb: str,
        resource: str = "*",
        *,
        times: int | None = 1,
        after: int = 0,
        namespace: str | None = None,
        user_agent: str | None = None,
        status: int | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        chunks: Iterable[bytes] | None = None,
        then: Then = "close",
        cut_at: int | None = None,
        silent_after: int | None = None,
        no_end_bookmark: bool = False,
        refuse: bool = False,
        hang: bool = False,
        insert: bytes = b"",
        delay: float | None = None,
    ) -> Fault:
        """Let the next *times* (None: all) requests of *verb* on *resource* meet a fault, once *after* such
        requests have passed. `"*"` is any verb, any resource.

        Args:
            status: answer with this HTTP status; without a *body* it is the Status of a real server.
            body, headers: of that answer.
            chunks: answer with these bytes, status 200 unless *status* says another, and *then* `"close"` the
                body well, `"reset"` the connection, or `"stall"` for ever.
            cut_at: the real answer, reset after this many bytes of body.
            silent_after: the real answer, never again a byte after this many frames of a watch (bytes of
                another answer), while the connection stays open.
            no_end_bookmark: a streaming list without the bookmark that ends its initial events.
            refuse: reset the connection instead of answering.
            hang: never begin to answer.
            insert: bytes put before the real body.
            delay: seconds to wait before anything else; goes with any other effect.

        Returns:
            The fault, whose `hits` counts the requests that met it.

        Raises `ValueError` for a verb or a resource that no request has, `TypeError` without an effect.
        """
        if verb not in _VERBS:
            raise ValueError(f"no request has the verb {verb!r}; these are {', '.join(sorted(_VERBS))}")
        if resource != "*" and not resource.startswith("/"):
            Resource.parse(resource)
        fault = Fault(
            verb,
            resource,
            times,
            after,
            namespace,
            user_agent,
            status,
            body,
            dict(headers or {}),
            None if chunks is None else tuple(chunks),
            then,
            cut_at,
            silent_after,
            no_end_bookmark,
            refuse,
            hang,
            insert,
            delay,
        )
        if not fault.does_something:
            raise TypeError(f"a fault needs an effect: one of {', '.join(_EFFECTS)}")
        self._armed.append(fault)
        return fault

    def clear(self) -> None:
        """Disarm every fault; requests that have met one keep it."""
        self._armed.clear()

    def take(self, record: RequestRecord) -> Fault | None:
        """The fault that *record* meets, counted; None for none."""
        for fault in self._armed:
            if not fault.meets(record):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.hits += 1
            if fault.times is not None and fault.hits >= fault.times:
                self._armed.remove(fault)
            return fault
        return None

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._armed))

    def __len__(self) -> int:
        return len(self._armed)
