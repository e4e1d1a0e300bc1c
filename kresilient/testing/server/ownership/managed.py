"""`metadata.managedFields`: what each manager owns, how a write changes that, and server-side apply
(KEP-555)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from kresilient.testing.server import wire
from kresilient.testing.server.statuses import Refused
from kresilient.testing.server.types.schema import Struct

from .fieldset import FieldSet, Path, described
from .typed import compared, fields_of, merged, named, removed

__all__ = ["Manager", "Managers", "applied", "updated", "written_like"]

_NOBODYS: Final = FieldSet(
    {"f:apiVersion", "f:kind", "f:metadata"},
    {
        "f:metadata": FieldSet(
            {"f:name", "f:namespace", "f:creationTimestamp", "f:selfLink", "f:uid", "f:clusterName"}
            | {"f:generation", "f:managedFields", "f:resourceVersion"}
        )
    },
)
"""What the server sets itself: nobody owns it."""
_UPDATERS: Final = 10
"""How many entries of updates are kept; the oldest beyond are merged into one."""
_ANCIENT: Final = "ancient-changes"


class Manager(NamedTuple):
    """Who owns fields: a manager's name, by `Update` or `Apply`, on the object or a subresource.

    `api_version` is empty for an applier, who stays the same in every version.
    """

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """As a conflict names it."""
        text = wire.encode(self.name).decode()
        if self.subresource:
            text += f" with subresource {wire.encode(self.subresource).decode()}"
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


@dataclass(frozen=True, slots=True)
class _Owned:
    fields: FieldSet
    api_version: str
    time: str = ""


class Managers:
    """The managers of one object, and what each owns. A value: every change makes another one."""

    __slots__ = ("_owned",)

    def __init__(self, owned: Mapping[Manager, _Owned] | None = None) -> None:
        self._owned = dict(owned or {})

    @classmethod
    def read(cls, entries: Any) -> Managers:
        """What a `managedFields` says. Raises `ValueError` for what is none."""
        owned: dict[Manager, _Owned] = {}
        for entry in entries or ():
            if not isinstance(entry, dict):
                raise ValueError("an entry of managedFields is an object")
            operation, api_version = entry.get("operation"), entry.get("apiVersion") or ""
            if operation not in ("Apply", "Update"):
                raise ValueError("operation must be `Apply` or `Update`")
            if not api_version:
                raise ValueError("apiVersion must not be empty")
            if entry.get("fieldsType") != "FieldsV1":
                raise ValueError("fieldsType must be `FieldsV1`")
            manager = Manager(
                entry.get("manager") or "",
                operation,
                api_version if operation == "Update" else "",
                entry.get("subresource") or "",
            )
            fields = FieldSet.read(entry.get("fieldsV1") or {})
            owned[manager] = _Owned(fields, api_version, entry.get("time") or "")
        return cls(owned)

    def written(self) -> list[dict[str, Any]]:
        """The entries, in the server's order: appliers first, then by time and name."""
        entries = []
        for manager, owned in self:
            entry: dict[str, Any] = {"manager": manager.name} if manager.name else {}
            entry |= {"operation": manager.operation, "apiVersion": owned.api_version}
            if owned.time:
                entry["time"] = owned.time
            entry |= {"fieldsType": "FieldsV1", "fieldsV1": owned.fields.written()}
            if manager.subresource:
                entry["subresource"] = manager.subresource
            entries.append(entry)
        return entries

    def __bool__(self) -> bool:
        return bool(self._owned)

    def __iter__(self) -> Iterator[tuple[Manager, _Owned]]:
        """Who owns what, in the server's order."""
        return iter(sorted(self._owned.items(), key=lambda item: _order(*item)))

    def get(self, manager: Manager) -> _Owned | None:
        return self._owned.get(manager)

    def having(self, manager: Manager, owned: _Owned) -> Managers:
        """With *manager* owning that; one who owns nothing is no manager."""
        return Managers({**self._owned, manager: owned}).stripped()

    def losing(self, fields: FieldSet, *, but: Manager | None = None) -> Managers:
        """With nobody but *but* owning any of *fields*."""
        return self._each(lambda manager, owned: owned if manager == but else owned - fields)

    def stripped(self) -> Managers:
        return self._each(lambda manager, owned: owned - _NOBODYS)

    def _each(self, change: Callable[[Manager, FieldSet], FieldSet]) -> Managers:
        changed = {
            manager: replace(owned, fields=change(manager, owned.fields))
            for manager, owned in self._owned.items()
        }
        return Managers({manager: owned for manager, owned in changed.items() if owned.fields})

    def capped(self) -> Managers:
        """With at most ten entries of updates: of the oldest, all of one version become one entry of
        `ancient-changes` (`capmanagers.go`)."""
        updates = [one for one in self._owned if one.operation == "Update"]
        left = len(updates)
        if left <= _UPDATERS:
            return self
        owned = dict(self._owned)
        first: dict[str, Manager] = {}
        for manager in sorted(updates, key=lambda one: _order(one, self._owned[one])):
            if left <= _UPDATERS:
                break
            if manager.api_version not in first:
                first[manager.api_version] = manager
                continue
            bucket = Manager(_ANCIENT, "Update", manager.api_version)
            if bucket not in owned:
                owned[bucket] = owned.pop(first[manager.api_version])
            old = owned.pop(manager)
            if manager != bucket:
                owned[bucket] = replace(old, fields=owned[bucket].fields | old.fields)
            left -= 1
        return Managers(owned)


def _order(manager: Manager, owned: _Owned) -> tuple[str, ...]:
    return (manager.operation, owned.time, manager.name, owned.api_version, manager.subresource)


# --- what a write does -------------------------------------------------------------------------------


def updated(
    kind: Struct,
    live: Mapping[str, Any],
    new: Mapping[str, Any],
    managers: Managers,
    *,
    manager: Manager,
    ignored: FieldSet,
    time: str,
) -> Managers:
    """The managers after *manager* wrote *new* over *live*: it owns what it changed, and nobody what went.

    Args:
        ignored: fields that the write cannot change (the status, on the main resource).
        time: when, as metadata has it; "" where the server notes none.
    """
    difference = compared(kind, live, new).without(ignored)
    gained = difference.added | difference.modified
    left = managers.losing(gained | difference.removed, but=manager)
    mine = left.get(manager)
    if mine is not None:
        kept = mine.fields - difference.removed
        if not gained:
            return left.having(manager, replace(mine, fields=kept)).capped()
        gained = kept | gained
    if not gained - _NOBODYS:
        return left.stripped().capped()
    return left.having(manager, _Owned(gained, manager.api_version, time)).capped()


def applied(
    kind: Struct,
    live: Mapping[str, Any],
    config: Mapping[str, Any],
    managers: Managers,
    *,
    manager: Manager,
    api_version: str,
    ignored: FieldSet,
    excused: FieldSet,
    force: bool,
    time: str,
) -> tuple[dict[str, Any], Managers]:
    """What *live* becomes when *manager* applies *config*, and who owns what then.

    What the manager applied before and does not now is removed, unless somebody else owns it. Raises
    `Refused` (409) where another manager owns a field that changes and is not *excused*, unless *force*;
    `TypedFault` for lists that the type does not allow.
    """
    last = managers.get(manager)
    wanted = fields_of(kind, config).without(ignored)
    result = merged(kind, live, config)
    before = _Owned(wanted, api_version, "" if last is None else last.time)
    owners = Managers({**dict(managers), manager: before})
    if last is not None and last.fields:
        result = _pruned(kind, result, owners, last.fields)
    difference = compared(kind, live, result).without(ignored)
    changed = difference.added | difference.modified
    conflicts = [
        (other, path)
        for other, owned in owners
        if other != manager
        for path in (owned.fields & changed) - excused
    ]
    if conflicts and not force:
        raise _conflict(conflicts)
    owners = owners.losing(changed | difference.removed, but=manager)
    if last is None or last.fields != wanted or changed or difference.removed:
        owners = owners.having(manager, _Owned(wanted, api_version, time))
    return result, owners.stripped()


def _pruned(kind: Struct, result: Any, owners: Managers, last: FieldSet) -> Any:
    """*result* without what *last* held and nobody owns now."""
    before = named(kind, last)
    there = named(kind, fields_of(kind, result))
    left = removed(kind, result, before)
    owned = FieldSet()
    for _, one in owners:
        owned |= one.fields
    kept = named(kind, fields_of(kind, left)) | named(kind, owned)
    left = removed(kind, result, there - kept)
    kept = named(kind, fields_of(kind, left))
    return removed(kind, result, (there - kept) & before)


def _conflict(conflicts: list[tuple[Manager, Path]]) -> Refused:
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": described(path)}
        for manager, path in conflicts
    ]
    if len(conflicts) == 1:
        said = f"1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        by_manager: dict[str, list[str]] = {}
        for manager, path in conflicts:
            by_manager.setdefault(str(manager), []).append(f"- {described(path)}")
        said = f"{len(conflicts)} conflicts: " + "\n".join(
            f"conflicts with {manager}:\n" + "\n".join(paths) for manager, paths in sorted(by_manager.items())
        )
    return Refused(409, "Conflict", f"Apply failed with {said}", details={"causes": causes})


def written_like(new: list[dict[str, Any]], old: Any) -> bool:
    """Whether two `managedFields` differ in nothing but their times."""
    return _timeless(new) == _timeless(old)


def _timeless(entries: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "time"} for one in entries or ()]
