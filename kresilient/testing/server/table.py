"""The `Table` form that kubectl asks for: columns and cells instead of objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from . import wire
from .forms import Form, metadata_of
from .kinds import ApiResource
from .storage import Stored
from .tables import cluster, core, network, storage, workloads
from .tables.custom import custom_printer
from .tables.printer import AGE, NAME, Object, Printer, age, at, column

__all__ = ["PRINTERS", "TableForm", "scale_table"]

PRINTERS: Final = core.PRINTERS | workloads.PRINTERS | network.PRINTERS | storage.PRINTERS | cluster.PRINTERS
"""How each kind is shown, by group and plural."""


def _created(obj: Object, now: float) -> list[Any]:
    return [obj["metadata"]["name"], at(obj, "metadata.creationTimestamp")]


_PLAIN: Final = Printer((NAME, column("Created At", "When the object was created.", "date")), _created)
"""What is shown of kinds that have no printer: roles, limit ranges, custom resource definitions, reviews."""


class TableForm(Form):
    """Rows of cells. *include* says what each row carries: `Metadata`, `Object` or `None`.

    *now* is the wall clock (seconds since the epoch): ages are those at the time at which a row is made.
    """

    begins = True
    _header = b'{"kind":"Table","apiVersion":"meta.k8s.io/v1"'

    def __init__(self, resource: ApiResource, *, now: Callable[[], float], include: str = "Metadata") -> None:
        super().__init__(resource)
        self.name = f"table {resource.api_version} {include}"
        self._now = now
        self._include = include
        self._printer = _printer(resource)
        self._declared = wire.encode(self._printer.columns)

    @property
    def header(self) -> bytes:
        return self._header + b","

    def more(self, stored: Stored) -> bytes:
        """Columns are declared once in a watch."""
        head = self._header + b',"metadata":' + wire.encode({"resourceVersion": str(stored.version)})
        return head + b',"columnDefinitions":null,"rows":[' + self._item(stored) + b"]}"

    def _ordered(self, items: list[Stored]) -> list[Stored]:
        return items if self._printer.order is None else sorted(items, key=self._rank)

    def one(self, stored: Stored) -> bytes:
        head, tail = self._around({"resourceVersion": str(stored.version)})
        return head + self._item(stored) + tail.rstrip()

    def _around(self, metadata: dict[str, Any]) -> tuple[bytes, bytes]:
        head = self._header + b',"metadata":' + wire.encode(metadata) + b',"columnDefinitions":'
        return head + self._declared + b',"rows":[', b"]}\n"

    def _item(self, stored: Stored) -> bytes:
        shown_as = self.resource.seen(stored)
        if self.resource.custom:  # the cells of a built-in kind are those of its stored version
            stored = shown_as
        conditions: list[dict[str, str]] = []
        try:
            obj = stored.decode()
            cells = self._printer.cells(obj, self._now())
            if self._printer.conditions is not None:
                conditions = self._printer.conditions(obj)
        except _UNREADABLE:
            cells = [stored.name, *["<invalid>"] * (len(self._printer.columns) - 1)]
        if self._include == "None":
            shown = b"null"
        elif self._include == "Object":
            shown = shown_as.full(self.resource.header)
        else:
            kind = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'
            shown = kind + metadata_of(shown_as, self.resource) + b"}"
        said = b',"conditions":' + wire.encode(conditions) if conditions else b""
        return b'{"cells":' + wire.encode(cells) + said + b',"object":' + shown + b"}"

    def _rank(self, stored: Stored) -> tuple[Any, ...]:
        assert self._printer.order is not None
        try:
            return 0, self._printer.order(stored.decode())
        except _UNREADABLE:
            return 1, (stored.name,)


def scale_table(scale: Object, now: float) -> dict[str, Any]:
    """A `Scale` by itself as a table."""
    cells = [
        scale["metadata"]["name"],
        at(scale, "spec.replicas", 0),
        at(scale, "status.replicas", 0),
        age(scale, now),
    ]
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": scale["metadata"]}
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": scale["metadata"]["resourceVersion"]},
        "columnDefinitions": _SCALE,
        "rows": [{"cells": cells, "object": partial}],
    }


_SCALE: Final = [
    column("Name", NAME["description"]),
    column("Desired", "How many replicas are wanted.", "integer"),
    column("Available", "How many replicas there are.", "integer"),
    AGE,
]


def _printer(resource: ApiResource) -> Printer:
    if resource.custom:
        return custom_printer(resource.columns)
    return PRINTERS.get(resource.storage, _PLAIN)


_UNREADABLE: Final = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
)
"""What a poisonous object may lead to."""
