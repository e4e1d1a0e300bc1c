"""What a cache holds in memory, and who fills it, so that a greedy informer is found in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from sys import getsizeof
from typing import Final

import msgspec

from ..api.errors import ConfigError
from ..api.objects import KubeObject
from .compressed import held_bytes
from .shared import SharedInformer
from .store import Table

__all__ = ["MOST_SHARES", "Footprint", "Share", "footprint", "footprint_of"]

MOST_SHARES: Final = 1000
"""The most namespaces and owners that are named."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one namespace, or one owner in it, has in a cache.

    Attributes:
        namespace: `""` at cluster scope.
        owner: `"ReplicaSet/web-7d9f"` for objects with a controller, the kind of the objects themselves for
            those without; `""` for a whole namespace.
        objects: how many.
        bytes: of memory, without its part of tables and indexes.
    """

    namespace: str
    owner: str
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a cache holds in memory; `print` it for a table.

    Bytes of JSON are counted. The others are the sizes that CPython gives for its objects, within three
    hundredths of what it has allocated for them. Not in it: what only pending events still hold, a list that
    is being read (it stands beside the cache until it is whole), and what the allocator loses.

    Attributes:
        name: what the cache holds.
        objects: how many.
        json_bytes: the objects as they are held, after `strip`, `transform` and the fields of a `View`.
        header_bytes: what Python adds for each object: key, decoded header, labels.
        table_bytes: dictionaries, and declared indexes.
        namespaces, owners: the largest, most bytes first.
        owners_known: False where the cache drops the owners on arrival, so that all stand under their kind.
    """

    name: str
    objects: int
    json_bytes: int
    header_bytes: int
    table_bytes: int
    namespaces: tuple[Share, ...]
    owners: tuple[Share, ...]
    owners_known: bool = True

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.json_bytes + self.header_bytes + self.table_bytes

    def __str__(self) -> str:
        parts = (("JSON", self.json_bytes), ("headers", self.header_bytes), ("tables", self.table_bytes))
        lines = [
            f"{self.name}: {self.objects:,} objects, {_size(self.bytes)}",
            "  " + ", ".join(f"{what} {_size(size)}" for what, size in parts),
        ]
        owner = "owner" if self.owners_known else "kind (owners are not kept)"
        rows = []
        for head, shares in (("namespace", self.namespaces), (owner, self.owners)):
            if shares:
                rows += [(head, "objects", "memory", "of all"), *map(self._row, shares)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, *figures in rows:
            aligned = (figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True))
            lines.append("  ".join(("", name.ljust(widths[0]), *aligned)))
        return "\n".join(lines)

    def _row(self, share: Share) -> tuple[str, str, str, str]:
        name = "/".join(part for part in (share.namespace, share.owner) if part) or "(cluster)"
        return name, f"{share.objects:,}", _size(share.bytes), f"{100 * share.bytes / self.bytes:.1f} %"


def footprint_of(shared: SharedInformer, *, top: int) -> Footprint:
    """What *shared* holds now, with its *top* namespaces and owners. Callable from any thread."""
    options = shared.options
    return footprint(
        shared.name,
        [store.table for store in shared.stores],
        kind=options.resource.kind or (options.resource.plural if options.metadata_only else ""),
        owners_known=shared.intake.keeps("metadata.ownerReferences"),
        headers_shared=not shared.intake.idle,
        top=top,
    )


def footprint(
    name: str,
    tables: Sequence[Table],
    *,
    kind: str = "",
    owners_known: bool = True,
    headers_shared: bool = False,
    top: int = 10,
) -> Footprint:
    """What *tables* hold now. *kind* is that of their objects, where they do not say it themselves.

    *headers_shared* tells that equal labels and namespaces of theirs are held once. Whose they are is then
    whose came first. Raises `ConfigError` where *top* is not from 1 to 1000.
    """
    if not 1 <= top <= MOST_SHARES:
        raise ConfigError(f"footprint: top must be from 1 to {MOST_SHARES}, not {top!r}")
    namespaces: dict[tuple[str, str], list[int]] = {}
    owners: dict[tuple[str, str], list[int]] = {}
    objects = json_bytes = header_bytes = table_bytes = 0
    seen: set[int] | None = set() if headers_shared else None
    for table in tables:
        held = list(table.objects.values())  # in one step, for the event loop may change them meanwhile
        for obj in held:
            json, header, namespace = held_bytes(obj), _header_bytes(obj, seen), obj.meta.namespace
            owner = _controller(obj.raw) if owners_known else ""
            _count(namespaces, (namespace, ""), json + header)
            _count(owners, (namespace, owner or kind or obj.kind), json + header)
            json_bytes += json
            header_bytes += header
        objects += len(held)
        table_bytes += table.container_bytes()
    return Footprint(
        name,
        objects,
        json_bytes,
        header_bytes,
        table_bytes,
        _largest(namespaces, top),
        _largest(owners, top),
        owners_known,
    )


def _header_bytes(obj: KubeObject, seen: set[int] | None) -> int:
    """What stands beside the JSON of *obj*: structs, the strings of its header, its key, its labels.

    What may be shared with others counts where it is not *seen*, and is from then on; None where nothing is.
    """
    meta = obj.meta
    size = _BYTES + getsizeof(obj) + getsizeof(meta) + _TEXT + len(meta.namespace) + 1 + len(meta.name)
    for text in (meta.name, meta.uid, meta.resource_version, meta.deletion_timestamp):
        if text:
            size += getsizeof(text)
    if meta.namespace and _first(meta.namespace, seen):
        size += getsizeof(meta.namespace)
    if (labels := meta.labels_) and _first(labels, seen):
        size += getsizeof(labels)
        for name, value in labels.items():
            if _first(value, seen):
                size += getsizeof(value)
            if len(name) > _NAMES_IN_COMMON and _first(name, seen):
                size += getsizeof(name)
    return size


def _first(part: object, seen: set[int] | None) -> bool:
    """Whether *part* is met for the first time."""
    if seen is None:
        return True
    known = len(seen)
    seen.add(id(part))
    return len(seen) > known


_BYTES: Final = getsizeof(b"")
_TEXT: Final = getsizeof("")
_NAMES_IN_COMMON: Final = 32
"""The longest names of fields that msgspec decodes to one string for all objects."""


class _Owner(msgspec.Struct, gc=False):
    kind: str = ""
    name: str = ""
    controller: bool | None = None


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    owner_references: list[_Owner] | None = None


class _Owned(msgspec.Struct, gc=False):
    metadata: _Meta


_owned_decoder: Final = msgspec.json.Decoder(_Owned)


def _controller(raw: bytes) -> str:
    """`"ReplicaSet/web-7d9f"`, or `""` for an object that no controller owns."""
    try:
        owners = _owned_decoder.decode(raw).metadata.owner_references
    except msgspec.ValidationError:  # what a transform left there is no list of owners
        return ""
    return next((f"{one.kind}/{one.name}" for one in owners or () if one.controller), "")


def _count(shares: dict[tuple[str, str], list[int]], who: tuple[str, str], size: int) -> None:
    count = shares.get(who)
    if count is None:
        shares[who] = [1, size]
    else:
        count[0] += 1
        count[1] += size


def _largest(shares: dict[tuple[str, str], list[int]], top: int) -> tuple[Share, ...]:
    found = (Share(*who, *count) for who, count in shares.items())
    return tuple(nlargest(top, found, key=lambda share: share.bytes))


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
