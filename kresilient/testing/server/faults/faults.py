"""The faults of one server: those that are armed, and whom they meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..requests import RequestRecord
from .conditions import Conditions
from .criteria import Criteria, check_verbs_of, checked_resource, checked_verbs
from .effect import Exchange
from .fault import Fault
from .match import Match
from .met import Met
from .replica import Lag, Replica
from .said import said

if TYPE_CHECKING:
    from ..server import ApiServer

__all__ = ["Faults"]


class Faults(Conditions):
    """What goes wrong with a server: `server.faults.on("watch", "v1/pods").nth(3).reset(after_bytes=100)`.

    `on` says which requests are meant, its modifiers which of those, and an effect ends the sentence and arms
    the fault. What befalls the whole server is said directly: `server.faults.skew_clock(30)`.

    A request meets every delay, drip and lag that fits, and of the other faults that fit the one armed first:
    those armed later neither see nor count it.
    """

    def __init__(self, server: ApiServer) -> None:
        super().__init__(server)
        self.replicas: list[Replica] = []
        self._armed: list[Fault] = []

    def on(
        self,
        verb: str | Iterable[str] = "*",
        resource: str = "*",
        *,
        namespace: str | None = None,
        name: str | None = None,
        user: str | None = None,
        user_agent: str | None = None,
    ) -> Match:
        """The requests that are such, all of them until the fault is lifted; the modifiers of `Match` choose.

        Args:
            verb: `"get"`, `"list"`, `"watch"`, `"create"`, …, several of them, or `"*"` for any.
            resource: `"v1/pods"` (its subresources too), `"v1/pods/status"` (that alone), a path such as
                `"/version"`, or `"*"` for any.
            namespace, name: of the object or list; `""` is a list of all namespaces.
            user: the name of the user that the server takes the sender for.
            user_agent: text that the user agent contains.

        Raises `ValueError` for a verb or a resource that no request has.
        """
        who = {"namespace": namespace, "name": name, "user": user, "user_agent": user_agent}
        verbs, meant = checked_verbs(verb), checked_resource(resource, self._server.state.resources)
        check_verbs_of(verbs, meant)
        criteria = Criteria(verbs, meant, namespace, name, user, user_agent)
        return Match(self, criteria, text=said("on", *_shown(verb, resource), **who))

    def next(
        self,
        verb: str | Iterable[str] = "*",
        resource: str = "*",
        *,
        namespace: str | None = None,
        name: str | None = None,
        user: str | None = None,
        user_agent: str | None = None,
    ) -> Match:
        """The next such request alone: `on(…).times(1)`."""
        match = self.on(verb, resource, namespace=namespace, name=name, user=user, user_agent=user_agent)
        return replace(match.times(1), text=match.text.replace("on", "next", 1))

    def clear(self) -> None:
        """Lift every fault. What befell the whole server stays."""
        for fault in tuple(self._armed):
            fault.lift()

    def add(self, fault: Fault) -> None:
        """Arm *fault*."""
        self._armed.append(fault)

    def remove(self, fault: Fault) -> None:
        """Disarm *fault*. Idempotent."""
        if fault in self._armed:
            self._armed.remove(fault)
            fault.effect.spent()
        if isinstance(fault.effect, Lag):  # whose replica may have caught up with what somebody waits for
            self._server._objects_changed()

    def replica(self, *, behind: int | None, consistent: bool) -> Replica:
        """A replica that follows the server from now on; see `Replica`."""
        state = self._server.state
        made = Replica(state, behind=behind, consistent=consistent, history=state.history)
        self.replicas.append(made)
        return made

    def follow(self) -> None:
        """Let replicas take in what the server's objects have become."""
        for replica in tuple(self.replicas):
            replica.follow()
            if replica.idle:
                self.replicas.remove(replica)

    def meet(self, exchange: Exchange) -> Met:
        """The faults that a request meets, counted."""
        return Met(exchange, list(self._met(exchange.record)))

    def _met(self, record: RequestRecord) -> Iterator[Fault]:
        taken = False
        for fault in tuple(self._armed):
            if fault.over(record.start):
                self.remove(fault)
            elif not (taken and fault.effect.alone) and fault.fits(record) and fault.strikes(record):
                taken = taken or fault.effect.alone
                if fault.over(record.start):
                    self.remove(fault)
                yield fault

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._armed))

    def __len__(self) -> int:
        return len(self._armed)


def _shown(verb: str | Iterable[str], resource: str) -> list[object]:
    """The arguments of `on` that say something."""
    if resource != "*":
        return [verb, resource]
    return [] if verb == "*" else [verb]
