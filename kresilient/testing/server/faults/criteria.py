"""Which requests a fault is for: what can be said of one without counting any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from kresilient.api.resources import Resource

from ..kinds import Registry
from ..requests import RequestRecord

__all__ = ["VERBS", "Criteria", "check_verbs_of", "checked_resource", "checked_verbs"]

VERBS: Final = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
"""The verbs of requests for resources."""
_METHODS: Final = ("post", "put", "head", "options")
"""What requests for other paths have as their verb, beside `get`, `patch` and `delete`."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a request has to be. Empty verbs are any verb; `"*"` is any resource; None is anything."""

    verbs: frozenset[str] = frozenset()
    resource: str = "*"
    namespace: str | None = None
    name: str | None = None
    user: str | None = None
    user_agent: str | None = None
    when: tuple[Callable[[RequestRecord], object], ...] = ()

    def meets(self, record: RequestRecord) -> bool:
        """Whether *record* is such a request; the conditions are asked last, and only then."""
        full = f"{record.resource}/{record.subresource}" if record.subresource else record.resource
        return (
            (not self.verbs or record.verb in self.verbs)
            and self.resource in ("*", record.resource, full)
            and self.namespace in (None, record.namespace)
            and self.name in (None, record.name)
            and self.user in (None, record.user)
            and (self.user_agent is None or self.user_agent in record.user_agent)
            and all(condition(record) for condition in self.when)
        )


def checked_verbs(verb: str | Iterable[str]) -> frozenset[str]:
    """The verbs that are meant; empty for any. Raises `ValueError` for one that no request has."""
    if not isinstance(verb, str | Iterable):
        raise TypeError(f'a verb is a text such as "list", not {verb!r}')
    verbs = frozenset([verb] if isinstance(verb, str) else verb)
    if not verbs:
        raise ValueError('name at least one verb, or "*" for any')
    known = (*VERBS, *_METHODS)
    for one in sorted(verbs - {"*"}):
        if one not in known:
            near = get_close_matches(one, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"no request has the verb {one!r}: {hint}")
    return frozenset() if "*" in verbs else verbs


def checked_resource(resource: str, registry: Registry) -> str:
    """*resource* as requests have it: `"v1/pods"`, `"v1/pods/status"`, a path, or `"*"`.

    Raises `ValueError` for what is none, and for what no server serves: a resource of a built-in group that
    does not exist. One of another group may be defined later.
    """
    if not isinstance(resource, str):
        raise TypeError(f'a resource is a text such as "v1/pods", or "*" for any, not {resource!r}')
    if resource == "*" or resource.startswith("/"):
        return resource
    parsed = Resource.parse(resource)
    served = {str(one): one.api_version for one in registry if not one.custom}
    found = registry.find(*_place(parsed))
    if parsed.api_version in served.values() and found is None:
        near = get_close_matches(str(parsed.parent), served, 1)
        hint = f"did you mean {near[0]!r}?" if near else "write it as requests do, such as 'v1/pods'"
        raise ValueError(f"no server serves {str(parsed.parent)!r}: {hint}")
    if found is not None and parsed.subresource and found.subresource(parsed.subresource) is None:
        there = ", ".join(one.name for one in found.subresources) or "none"
        raise ValueError(f"{parsed.parent} has no subresource {parsed.subresource!r}: there are {there}")
    return str(parsed)


def check_verbs_of(verbs: frozenset[str], resource: str) -> None:
    """Raises `ValueError` where no request for *resource* has one of *verbs*."""
    if not verbs or resource == "*":
        return
    path = resource.startswith("/")
    can = frozenset((*_METHODS, "get", "patch", "delete") if path else VERBS)
    if not verbs & can:
        asked = " or ".join(sorted(verbs))
        raise ValueError(
            f"no request for {resource!r} has the verb {asked}: there are {', '.join(sorted(can))}"
        )


def _place(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.version, resource.plural
