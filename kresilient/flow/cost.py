"""A guard on cost: a program that polls whole lists is told once, or refused, and told what replaces them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cachetools import LRUCache

from ..api.errors import CostlyListRefused
from ..observe.events import CostlyList, Observers, loop_time
from ..transport.base import Request

__all__ = ["CostGuard"]

_SHORT: Final = 120.0  # seconds between two lists that are an interval short of polling
_TIMES: Final = 3  # lists in a row at short intervals
_TIMES_UNPLACED: Final = 10  # where the place is not known, and may be several
_REMEMBERED: Final = 1024
_FOLLOWED: Final = 8  # namespaces of a place whose lists are counted: of a loop over all, some tell enough
_NAMED: Final = 3  # namespaces that a message names; above it one informer for all is better

_SELECTIVE: Final = ("labelSelector", "fieldSelector", "continue")
_PEEK: Final = 10  # objects: who asks for no more looks whether there are any

_FEW: Final = frozenset(
    {
        "admissionregistration.k8s.io/mutatingadmissionpolicies",
        "admissionregistration.k8s.io/mutatingadmissionpolicybindings",
        "admissionregistration.k8s.io/mutatingwebhookconfigurations",
        "admissionregistration.k8s.io/validatingadmissionpolicies",
        "admissionregistration.k8s.io/validatingadmissionpolicybindings",
        "admissionregistration.k8s.io/validatingwebhookconfigurations",
        "apiregistration.k8s.io/apiservices",
        "flowcontrol.apiserver.k8s.io/flowschemas",
        "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations",
        "networking.k8s.io/ingressclasses",
        "networking.k8s.io/servicecidrs",
        "node.k8s.io/runtimeclasses",
        "resource.k8s.io/deviceclasses",
        "scheduling.k8s.io/priorityclasses",
        "storage.k8s.io/csidrivers",
        "storage.k8s.io/storageclasses",
        "storage.k8s.io/volumeattributesclasses",
        "v1/componentstatuses",
    }
)
"""What a cluster has a handful of, whatever its size."""

_FEW_IN_A_NAMESPACE: Final = frozenset({"v1/limitranges", "v1/resourcequotas"})

_OURS: Final = ("kresilient", "kubernetes_asyncio", "tenacity", "asyncio", "contextlib")
_LOOP: Final = ("asyncio.events", "asyncio.base_events", "asyncio.runners")


@dataclass(slots=True)
class _Row:
    """Lists of one namespace (or of all) by one place, each at a short interval after the one before."""

    times: int
    last: float


@dataclass(slots=True)
class _Place:
    """A place in the code and what it lists; by namespace, `""` for all."""

    rows: dict[str, _Row] = field(default_factory=dict)
    told: bool = False


class CostGuard:
    """Notices the third list in a row of everything, or of everything in one namespace, without a selector,
    from one place in the code, where each follows the one before within two minutes.

    Not taken for polling: further pages, looks at a few objects (`limit`), and kinds that a cluster has a
    handful of. A loop over namespaces lists each of them once, and is polling only when it begins again.

    Args:
        observers: hear `CostlyList`, once for each place and resource.
        strict: refuse such a list instead.
        clock: monotonic seconds; the running loop's time where None.
    """

    def __init__(
        self, *, observers: Observers, strict: bool = False, clock: Callable[[], float] | None = None
    ) -> None:
        self._observers = observers
        self._strict = strict
        self._clock = clock or loop_time
        self._places: LRUCache[tuple[str, str], _Place] = LRUCache(_REMEMBERED)

    def check(self, request: Request) -> None:
        """Look at a request made outside the cache, in the stack of whoever made it.

        Raises `CostlyListRefused` in strict mode.
        """
        if request.verb != "list" or not request.resource:
            return
        namespace = _namespace(request.path)
        if _is_cheap(request, namespace):
            return
        site = _call_site()
        place = self._places.get((site, request.resource))
        if place is None:
            place = self._places[site, request.resource] = _Place()
        now = self._clock()
        row = place.rows.get(namespace)
        if row is None or now - row.last > _SHORT:
            _begin(place, namespace, now)
            return
        row.times, row.last, interval = row.times + 1, now, now - row.last
        if row.times < (_TIMES if site else _TIMES_UNPLACED):
            return
        instead = _instead(request.resource, place)
        if not place.told:
            place.told = True
            self._observers(CostlyList(request.resource, site or "a task of its own", interval, instead))
        if self._strict and site:
            raise CostlyListRefused(
                f"{request.what}: {site} lists everything{f' in {namespace}' if namespace else ''} again and "
                f"again ({row.times} times by now), {interval:.3g} s after the last; keep {instead} instead, "
                "which answers from memory, or select less"
            )


def _is_cheap(request: Request, namespace: str) -> bool:
    """Whether *request* is for a part of the objects, or for a kind of which there are few."""
    for name, value in request.query:
        if name in _SELECTIVE and value:
            return True
        if name == "limit" and value.isdecimal() and 0 < int(value) <= _PEEK:
            return True
    group, _, rest = request.resource.partition("/")
    kind = f"{group}/{rest.rpartition('/')[2]}"
    return kind in _FEW or (namespace != "" and kind in _FEW_IN_A_NAMESPACE)


def _namespace(path: str) -> str:
    """The namespace that a list is of; `""` where it is of all, or of what is in none."""
    _, _, rest = path.partition("/namespaces/")
    return rest.partition("/")[0]


def _begin(place: _Place, namespace: str, now: float) -> None:
    """Count the lists of *namespace*, unless enough others of its place are counted now."""
    rows = place.rows
    if namespace not in rows and len(rows) >= _FOLLOWED:
        for name in [name for name, row in rows.items() if now - row.last > _SHORT]:
            del rows[name]
        if len(rows) >= _FOLLOWED:
            return
    rows[namespace] = _Row(1, now)


def _instead(resource: str, place: _Place) -> str:
    """The informer that would answer what *place* lists."""
    names = sorted(place.rows)
    if "" in names or len(names) > _NAMED:
        return f'client.informer("{resource}")'
    listed = ", ".join(f'"{name}"' for name in names)
    return f'client.informer("{resource}", namespaces=[{listed}])'


def _call_site() -> str:
    """`file:line` of the innermost frame that is neither this library's nor of what it stands on; empty where
    the call is a task of its own, below which there is only the line that runs the loop."""
    frame = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module in _LOOP:
            break
        if module.partition(".")[0] not in _OURS:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
