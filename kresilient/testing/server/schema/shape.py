"""What one version of a custom resource's definition says of its objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from .. import wire
from ..causes import invalid_value
from ..kinds import ScalePaths
from ..statuses import Cause
from ..storage import Stored
from ..types.untyped import untyped
from .embedded import embedded_faults
from .keywords import Checks, Path
from .lists import LIST_TYPE, key_of, list_faults
from .rules import Rules
from .structure import Schema, additional, defaulted, pruned

__all__ = ["Shape"]

_BLOCKING: Final = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany"}
    | {"FieldValueTypeInvalid"}
)
"""What keeps rules from being asked: values that they may not be made for."""
_UNCHECKED: Final = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to "
    "complete validation"
)


class Shape:
    """The schema of one version: it prunes, fills in and checks objects.

    Args:
        schema: an `openAPIV3Schema` that is known to be structural.
        scale: where the `scale` subresource finds its numbers, where there is one.
        cel: what becomes of rules: `"evaluate"` or `"ignore"`.

    Raises `Refused` (501) where a library that it needs is not installed.
    """

    def __init__(self, schema: Schema, *, scale: ScalePaths | None = None, cel: str = "evaluate") -> None:
        self.schema = schema
        self.scale = scale
        self._rules = Rules(schema if cel == "evaluate" else {})
        self._checks = Checks(schema)
        self._status = Checks((schema.get("properties") or {}).get("status") or {})

    def taken(self, obj: Mapping[str, Any], unknown: list[str] | None = None) -> dict[str, Any]:
        """*obj* as the server takes it in: pruned, with its defaults; *unknown* takes what was dropped.

        Raises `DecodeFault` for metadata of a wrong type.
        """
        kept = pruned(self.schema, obj, [] if unknown is None else unknown)
        metadata = kept.pop("metadata", None)
        filled: dict[str, Any] = defaulted(self.schema, kept)
        return filled if metadata is None else filled | {"metadata": metadata}

    def seen(self, stored: Stored) -> Stored:
        """*stored* as it is read now: an object may have been written under another schema."""
        if stored.shape is self or stored.poison:
            return stored
        if stored.seen is not None and stored.seen.shape is self:
            return stored.seen
        item = wire.encode_sorted(untyped(self.taken(stored.decode())))
        if item == stored.item:
            stored.shape = self
            return stored
        stored.seen = Stored(stored.key, stored.version, item, stored.node, shape=self)
        return stored.seen

    def faults(
        self,
        obj: dict[str, Any],
        old: Mapping[str, Any] | None = None,
        *,
        subresource: str = "",
        warnings: list[str] | None = None,
    ) -> list[Cause]:
        """What is wrong with *obj*, a whole object, as it would take the place of *old*.

        Nothing is said of what *old* had too. A write to `status` answers for the status alone. *warnings*
        takes what is wrong by a rule and was so before.
        """
        if subresource == "status" and old is not None:
            found = self._status_faults(obj, old)
        else:
            unchanged = None if old is None else _Comparison(self.schema, obj, old)
            found = self._checks.faults(obj, unchanged=unchanged)
            found += self._scale_faults(obj, ("spec", "status"))
            found += embedded_faults(self.schema, obj)
        found += self._list_faults(obj, old)
        if not self._rules:
            return found
        if any(reason in _BLOCKING for reason, _, _ in found):
            return [*found, invalid_value("<nil>", None, _UNCHECKED)]
        return [*found, *self._rules.faults(untyped(obj), old, [] if warnings is None else warnings)]

    def _status_faults(self, obj: dict[str, Any], old: Mapping[str, Any]) -> list[Cause]:
        found: list[Cause] = []
        if "status" in obj:
            schema = (self.schema.get("properties") or {}).get("status") or {}
            unchanged = _Comparison(schema, obj["status"], old.get("status"))
            found += self._status.faults(obj["status"], field="status", unchanged=unchanged)
        return found + self._scale_faults(obj, ("status",))

    def _list_faults(self, obj: Any, old: Any) -> list[Cause]:
        if old is not None and any(list_faults(self.schema, old)):
            return []
        return list(list_faults(self.schema, obj))

    def _scale_faults(self, obj: Mapping[str, Any], parts: Iterable[str]) -> list[Cause]:
        found: list[Cause] = []
        if self.scale is None:
            return found
        for part, path in (("spec", self.scale.spec), ("status", self.scale.status)):
            if part in parts:
                found += _replica_faults(obj, path)
        selector = self.scale.selector
        if "status" in parts and selector and (why := _at(obj, selector, str, "string")[1]):
            found.append(invalid_value(f".{selector}", "", why))
        return found


def _replica_faults(obj: Mapping[str, Any], path: str) -> list[Cause]:
    value, why = _at(obj, path, int, "int64")
    if why:
        return [invalid_value(f".{path}", 0, why)]
    if value is not None and value < 0:
        return [invalid_value(f".{path}", value, "should be a non-negative integer")]
    if value is not None and value > 2**31 - 1:
        return [invalid_value(f".{path}", value, "should be less than or equal to 2147483647")]
    return []


def _at(obj: Any, path: str, kind: type, name: str) -> tuple[Any, str]:
    """What is at *path*, None where nothing is, and what is wrong with it (`unstructured.NestedInt64`)."""
    parts = path.split(".")
    for place, part in enumerate(parts):
        if not isinstance(obj, Mapping):
            above = ".".join(parts[:place])
            return None, (
                f".{path} accessor error: {_plain(obj)} is of the type {_go_type(obj)}, expected "
                f"map[string]interface {{}}"
                if above
                else ""
            )
        if part not in obj:
            return None, ""
        obj = obj[part]
    if not isinstance(obj, kind) or isinstance(obj, bool):
        return None, f".{path} accessor error: {_plain(obj)} is of the type {_go_type(obj)}, expected {name}"
    return obj, ""


def _go_type(value: Any) -> str:
    names = {bool: "bool", int: "int64", float: "float64", str: "string", list: "[]interface {}"}
    return names.get(type(value), "<nil>" if value is None else "map[string]interface {}")


def _plain(value: Any) -> str:
    return (
        "<nil>"
        if value is None
        else value
        if isinstance(value, str)
        else wire.encode(untyped(value)).decode()
    )


class _Comparison:
    """Which places of an object are as they were: fields by name, elements of a map by their keys.

    As ratcheting validation has it (KEP-4008): what is wrong with what was there is no fault of the write.
    """

    def __init__(self, schema: Schema, new: Any, old: Any) -> None:
        self._schema, self._new, self._old = schema, new, old

    def __call__(self, place: Path) -> bool:
        schema: Schema | None = self._schema
        new, old = self._new, self._old
        for part in place:
            new = new[part]
            if schema is None:
                return False
            if isinstance(part, str):
                if not isinstance(old, Mapping) or part not in old:
                    return False
                if schema.get("x-kubernetes-map-type") == "atomic":
                    return False
                old = old[part]
                schema = (schema.get("properties") or {}).get(part, additional(schema))
            else:
                if not isinstance(old, list) or schema.get(LIST_TYPE) != "map":
                    return False
                key = key_of(schema, new)
                old = next((one for one in old if key_of(schema, one) == key), _NOTHING)
                if old is _NOTHING:
                    return False
                schema = schema.get("items")
        return wire.same(new, old)


_NOTHING = object()
