"""Lanes: who goes first when requests wait for admission, and how a caller says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ..api.errors import ConfigError
from ..transport.base import Request

__all__ = ["Admission", "Lane", "admission", "current_admission", "lane_of", "unasked"]


class Lane(IntEnum):
    """What waits together; a lower number goes first."""

    LEASE = 0
    """Lease renewals: who misses one loses its leadership, or its node."""
    WRITE = 1
    READ = 2
    """Gets, and watches from a known version."""
    LIST = 3
    """Lists, streaming ones too."""

    def __str__(self) -> str:
        return self.name.lower()


_BY_VERB: Final = {
    "get": Lane.READ,
    "watch": Lane.READ,
    "list": Lane.LIST,
    "create": Lane.WRITE,
    "update": Lane.WRITE,
    "patch": Lane.WRITE,
    "delete": Lane.WRITE,
    "deletecollection": Lane.WRITE,
}
_LEASES: Final = ("coordination.k8s.io/", "/leases")


def lane_of(request: Request) -> Lane:
    """The lane of *request* by its verb and resource, where nobody chose another.

    A get or a write of a Lease object is a renewal; a list or a watch of leases is not.
    """
    lane = _BY_VERB.get(request.verb)
    if lane is None:
        lane = Lane.READ if request.method in ("GET", "HEAD") else Lane.WRITE
    if lane is not Lane.LIST and request.verb not in ("watch", "deletecollection"):
        group, kind = _LEASES
        if request.resource.startswith(group) and request.resource.endswith(kind):
            return Lane.LEASE
    if request.verb == "watch" and ("sendInitialEvents", "true") in request.query:
        return Lane.LIST
    return lane


@dataclass(frozen=True, slots=True)
class Admission:
    """What a caller asks of admission: a lane of its choice, and how long it is willing to wait."""

    lane: Lane | None = None
    within: float | None = None


_DEFAULT: Final = Admission()
_current: ContextVar[Admission] = ContextVar("kresilient_admission", default=_DEFAULT)


def current_admission() -> Admission:
    """What the code that runs now asked for with `admission`."""
    return _current.get()


@contextmanager
def unasked() -> Iterator[None]:
    """Within this block nothing is asked of admission, whatever an enclosing block says: for work that is
    shared, and not the one's who happened to start it."""
    token = _current.set(_DEFAULT)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def admission(*, lane: Lane | str | None = None, within: float | None = None) -> Iterator[None]:
    """Within this block, every request of this task (and of tasks it starts) is admitted like this.

    Args:
        lane: the lane it waits in, as a `Lane` or its name (`"lease"`, `"write"`, `"read"`, `"list"`);
            None leaves it to the request's verb.
        within: seconds that each request may wait for admission; where that cannot be met it raises
            `FlowTimeout` at once, before it waits. None waits as long as it takes.

    What is not given is taken from an enclosing block. Raises `ConfigError` for a lane that does not exist
    or a negative time.

        with kr.admission(lane="list", within=5.0):
            await client.get("v1/pods", "default/web-0")
    """
    outer = _current.get()
    if isinstance(lane, str):
        try:
            lane = Lane[lane.upper()]
        except KeyError:
            names = ", ".join(str(one) for one in Lane)
            raise ConfigError(f"there is no lane {lane!r}; there are {names}") from None
    if within is not None and not within >= 0:
        raise ConfigError(f"within must be seconds >= 0, or None; got {within!r}")
    asked = Admission(outer.lane if lane is None else lane, outer.within if within is None else within)
    token = _current.set(asked)
    try:
        yield
    finally:
        _current.reset(token)
