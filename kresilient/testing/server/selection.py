"""Which objects a list or a watch is about."""

from __future__ import annotations

from kresilient.api.errors import SelectorError
from kresilient.api.field_selectors import FieldMatcher, FieldSelector
from kresilient.api.label_selectors import LabelSelector, Operator

from .kinds import ApiResource
from .statuses import bad_request
from .storage import Collection, Stored

__all__ = ["Selection", "Term"]

Term = tuple[str, str] | None
"""What narrows a selection most, so that it is found by index: ("node", "n1"), ("name", "web-0"), …"""


class Selection:
    """A namespace (all, where empty), a label selector and a field selector.

    Raises `Refused` (400) for a selector that does not parse, or a field that the resource does not have.
    """

    __slots__ = ("_fields", "_labels", "_name", "_node", "_resource", "namespace")

    def __init__(
        self,
        resource: ApiResource,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        name: str = "",
    ) -> None:
        self._resource = resource
        self._labels: LabelSelector | None = None
        self._fields: FieldMatcher | None = None
        self._name, self._node = name, ""
        try:
            if labels:
                self._labels = LabelSelector.parse(labels)
            if fields:
                selector = FieldSelector.parse(fields)
                self._fields = selector.compile(resource.resource, extra_fields=resource.selectable)
                for one in selector.requirements:
                    if one.operator is not Operator.EQUALS:
                        continue
                    if one.field == "metadata.name":
                        self._name = self._name or one.value
                    elif one.field == "metadata.namespace":
                        namespace = namespace or one.value
                    elif one.field == "spec.nodeName" and resource.storage == ("", "pods"):
                        self._node = one.value
        except SelectorError as error:
            # The server says no more than this; what follows there is help for people.
            raise bad_request(str(error).partition(" (field selector on ")[0]) from None
        self.namespace = namespace

    @property
    def selective(self) -> bool:
        """Whether there is a selector, so that the server does not count what remains."""
        return self._labels is not None or self._fields is not None

    @property
    def term(self) -> Term:
        if self._name:
            return ("name", self._name)
        if self._node:
            return ("node", self._node)
        return ("namespace", self.namespace) if self.namespace else None

    def matches(self, stored: Stored) -> bool:
        if self.namespace and stored.namespace != self.namespace:
            return False
        if self._name and stored.name != self._name:
            return False
        if self._node and stored.node != self._node:
            return False
        if self._labels is not None and not self._labels.matches(stored.labels):
            return False
        return self._fields is None or self._fields(self._resource.seen(stored))

    def select(self, collection: Collection) -> list[Stored]:
        """What *collection* holds now of this selection, in key order."""
        if self._name and self.namespace:
            found = collection.objects.get(f"{self.namespace}/{self._name}")
            candidates = [] if found is None else [found]
        elif self._node:
            keys = sorted(collection.by_node.get(self._node, ()))
            candidates = [collection.objects[key] for key in keys]
        else:
            start, end = collection.keys_in(self.namespace)
            candidates = [collection.objects[key] for key in collection.keys[start:end]]
            if not self.selective and not self._name:
                return candidates
        return [stored for stored in candidates if self.matches(stored)]
