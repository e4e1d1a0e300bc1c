"""Which objects a list or a watch is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .kinds import ApiResource
from .selectors import FieldQuery, LabelQuery, ShardQuery
from .statuses import bad_request
from .storage import Change, Collection, Stored

__all__ = ["Selection", "Term"]

Term = tuple[str, str] | None
"""What narrows a selection most, so that it is found by index: ("node", "n1"), ("name", "web-0"), …"""


class Selection:
    """A namespace (all, where empty), a name, a label selector, a field selector and a shard selector.

    Raises `Refused` (400) for a selector that does not parse, for a field that the resource does not have,
    and for a field selector that asks for another name than *name*.
    """

    __slots__ = (
        "_fields",
        "_key",
        "_labels",
        "_name",
        "_node",
        "_resource",
        "_shard",
        "_tests",
        "_within",
        "namespace",
        "selective",
        "term",
    )

    def __init__(
        self,
        resource: ApiResource,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        name: str = "",
        shard: str | None = None,
    ) -> None:
        self._resource = resource
        self._labels = LabelQuery.parse(labels)
        self._fields = FieldQuery.parse(fields, resource)
        self._shard = None if shard is None else ShardQuery.parse(shard)
        named = self._fields.exact("metadata.name")
        if name and self._fields and named != name:
            raise bad_request("fieldSelector metadata.name doesn't match requested name")
        self._name = name or named or ""
        within = self._fields.exact("metadata.namespace") if resource.namespaced else None
        self.namespace, self._within = namespace, namespace or within or ""
        is_pods = resource.storage == ("", "pods")
        self._node = (self._fields.exact("spec.nodeName") if is_pods else None) or ""
        self.selective = bool(self._labels or self._fields or self._name or self._shard is not None)
        # What is compared by key and by node is not compared once more.
        covered = {
            "metadata.name": self._name,
            "metadata.namespace": self._within,
            "spec.nodeName": self._node,
        }
        self._fields = self._fields.without((field, True, value) for field, value in covered.items() if value)
        self._key = ""
        if self._name and not resource.namespaced:
            self._key = self._name
        elif self._name and self._within:
            self._key = f"{self._within}/{self._name}"
        self.term = self._term()
        self._tests = tuple(self._needed())

    @property
    def shard(self) -> str:
        """The shard selector as the server writes it, or nothing."""
        return "" if self._shard is None else str(self._shard)

    def _term(self) -> Term:
        if self._name:
            return ("name", self._name)
        if self._node:
            return ("node", self._node)
        return ("namespace", self._within) if self._within else None

    def _needed(self) -> Iterator[Callable[[Stored], bool]]:
        """What has to be asked of an object; what is cheap and seldom true comes first."""
        if self._within or self._name or self._node:
            yield self.covers
        if labels := self._labels:
            yield lambda stored: labels.matches(stored.labels)
        if fields := self._fields:
            yield lambda stored: fields.matches(self._resource.seen(stored))
        if self._shard is not None:
            yield self._shard.matches

    def matches(self, stored: Stored) -> bool:
        # Asked a hundred thousand times for one list, where a generator for each would be most of the cost.
        for test in self._tests:  # noqa: SIM110
            if not test(stored):
                return False
        return True

    def covers(self, stored: Stored) -> bool:
        """Whether *stored* has the namespace, the name and the node."""
        if self._node and stored.node != self._node:
            return False
        if self._key:
            return stored.key == self._key
        if self._within and not stored.key.startswith(self._within + "/"):
            return False
        return not self._name or stored.name == self._name

    def keys(self, collection: Collection) -> tuple[list[str], int, int]:
        """The keys among which those of the selection are now, in order, and where they begin and end: no
        more of them than the indexes of *collection* allow."""
        if self._key:
            keys = [self._key] if self._key in collection.objects else []
        elif self._node:
            keys = sorted(collection.by_node.get(self._node, ()))
        else:
            return collection.keys, *collection.keys_in(self._within)
        return keys, 0, len(keys)

    def select(self, collection: Collection) -> list[Stored]:
        """What *collection* holds now of this selection, in key order."""
        keys, start, end = self.keys(collection)
        found = [collection.objects[key] for key in keys[start:end]]
        return [stored for stored in found if self.matches(stored)] if self.selective else found

    def history(self, collection: Collection, version: int) -> Iterable[Change]:
        """The changes after *version* that may concern the selection. Raises `Refused` (410)."""
        return collection.since(version, node=self._node)
