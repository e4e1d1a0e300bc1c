"""Validation of custom resources by a JSON-schema library, with the checks of kube-apiserver.

The order of checks and what stops them is that of `k8s.io/kube-openapi/pkg/validation`, on which the server
builds. OpenAPI 3.0 is close to draft 4 of JSON schema: the draft's own checks serve where they are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..statuses import Cause, not_emulated
from .formats import format_check
from .patterns import Pattern, compiled
from .structure import Schema, additional
from .wording import Found, causes_of

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

__all__ = ["Checks", "Path"]

Path = tuple[str | int, ...]
"""Where a value is: names of fields and places in lists."""


class _Format(NamedTuple):
    name: str
    check: Callable[[str], bool]


class Checks:
    """The checks of one schema.

    Raises `Refused` (501) where the JSON-schema library is not installed.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = _arranged(schema)
        self._validator: Validator = validator_class()(self._schema)

    def faults(
        self, value: Any, *, field: str = "<nil>", unchanged: Callable[[Path], bool] | None = None
    ) -> list[Cause]:
        """What is wrong with *value*, which is at *field* of the object.

        *unchanged* tells which places are as they were before the write: what is wrong there is let be.
        """
        found: dict[str, Cause] = {}
        for error in self._validator.iter_errors(value):
            place = tuple(error.absolute_path)
            if unchanged is not None and any(unchanged(place[:end]) for end in range(len(place) + 1)):
                continue
            for said, cause in causes_of(error, field):
                found.setdefault(said, cause)  # the server says the same thing once
        return list(found.values())


# --- the library -------------------------------------------------------------------------------------


@cache
def validator_class() -> Any:
    try:
        from jsonschema import Draft4Validator, validators
    except ImportError:
        raise not_emulated(
            "the schemas of custom resources without the package jsonschema: pip install "
            "'kresilient[testing]'"
        ) from None
    draft = dict(Draft4Validator.VALIDATORS)
    own = {
        "type": _type,
        "anyOf": _any_of,
        "oneOf": _one_of,
        "allOf": _all_of,
        "not": _not,
        "pattern": _pattern,
        "format": _format,
        "enum": _enum,
        "additionalProperties": _unless_miscounted(_additional_properties),
        "properties": _unless_miscounted(draft["properties"]),
        "required": _unless_miscounted(_required),
    }
    checks = {name: draft[name] for name in _ORDER if name in draft} | own
    return validators.create(meta_schema={}, validators=checks, type_checker=Draft4Validator.TYPE_CHECKER)


_ORDER: Final = (
    "type",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "maxLength",
    "minLength",
    "pattern",
    "format",
    "multipleOf",
    "maximum",
    "minimum",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "enum",
    "minProperties",
    "maxProperties",
    "additionalProperties",
    "properties",
    "required",
)
"""The checks in the server's order."""


def _arranged(schema: Schema) -> dict[str, Any]:
    """*schema* as the library walks it: checks in the server's order, and nothing that is no check."""
    types = ["integer", "string"] if schema.get("x-kubernetes-int-or-string") else [schema.get("type")]
    arranged: dict[str, Any] = {}
    for name in _ORDER:
        value = schema.get(name)
        if name == "type" and any(types):
            form = schema.get("format") or ""
            form = form if form and format_check(form) else ""
            arranged[name] = (types, bool(schema.get("nullable")), form)
        elif value is None or (value is False and name == "uniqueItems"):
            continue
        elif name in ("anyOf", "oneOf", "allOf"):
            arranged[name] = [_arranged(one) for one in value]
        elif name in ("not", "items"):
            if isinstance(value, Mapping):
                arranged[name] = _arranged(value)
        elif name == "properties":
            arranged[name] = {key: _arranged(value[key]) for key in sorted(value)}
        elif name == "additionalProperties":
            inner = additional(schema)
            if inner is not None or value is False:
                arranged[name] = value if inner is None else _arranged(inner)
        elif name == "pattern":
            if value:
                arranged[name] = compiled(value)
        elif name == "format":
            if check := format_check(value):
                arranged[name] = _Format(value, check)
        else:
            arranged[name] = value
    for name in ("exclusiveMaximum", "exclusiveMinimum"):
        if schema.get(name):
            arranged[name] = True
    return arranged


def _error(message: str, **more: Any) -> ValidationError:
    from jsonschema import ValidationError

    return ValidationError(message, **more)


# --- checks that differ from the draft's -------------------------------------------------------------

_Errors = Iterator[Any]


def _type(validator: Any, said: Any, value: Any, schema: Schema) -> _Errors:
    """`typeValidator`: what has a format and is a text or a list passes here, whatever the type."""
    types, nullable, form = said
    kind = _kind(value)
    wanted = ",".join(types)
    if value is None:
        if not nullable:
            yield _error(wanted, cause=Found(wanted, "null"))
        return
    fits = kind in types or (kind == "integer" and "number" in types)
    fits = fits or (kind == "number" and "integer" in types and value.is_integer())
    if form and kind not in ("string", "array") and not fits:
        yield _error(form, cause=Found(form, {"integer": "int64", "number": "float64"}.get(kind, "")))
    elif form and kind in ("string", "array") and "number" not in types and "integer" not in types:
        return
    elif not fits:
        yield _error(wanted, cause=Found(wanted, kind))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    kinds = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _pattern(validator: Any, pattern: Pattern, value: Any, schema: Schema) -> _Errors:
    too = isinstance(value, str) and (
        len(value) > schema.get("maxLength", len(value)) or len(value) < schema.get("minLength", 0)
    )
    if isinstance(value, str) and not too and not pattern.found_in(value):
        yield _error(pattern.text)


def _format(validator: Any, form: _Format, value: Any, schema: Schema) -> _Errors:
    if isinstance(value, str) and not form.check(value):
        yield _error(form.name)


def _enum(validator: Any, values: list[Any], value: Any, schema: Schema) -> _Errors:
    truth = isinstance(value, bool)
    if value is None or not any(one == value and isinstance(one, bool) == truth for one in values):
        yield _error("enum")


def _unless_miscounted(check: Any) -> Any:
    """*check* of an object, skipped where it has too many or too few fields: that ends the server's."""

    def checked(validator: Any, said: Any, value: Any, schema: Schema) -> _Errors:
        if isinstance(value, dict):
            count = len(value)
            if schema.get("minProperties", 0) <= count <= schema.get("maxProperties", count):
                yield from check(validator, said, value, schema)

    return checked


def _required(validator: Any, names: list[str], value: dict[str, Any], schema: Schema) -> _Errors:
    for name in names:
        if name not in value:
            yield _error(name)


def _additional_properties(validator: Any, said: Any, value: dict[str, Any], schema: Schema) -> _Errors:
    named = schema.get("properties") or {}
    for key in sorted(value):
        if key in named:
            continue
        if said is False:
            yield _error(key)
        else:
            yield from validator.descend(value[key], said, path=key)


def _any_of(validator: Any, said: Any, value: Any, schema: Schema) -> _Errors:
    if value is None:
        return
    tried = [list(validator.descend(value, one, schema_path=place)) for place, one in enumerate(said)]
    if all(tried):
        yield _error("must validate at least one schema (anyOf)", context=_best(said, tried, value))


def _one_of(validator: Any, said: Any, value: Any, schema: Schema) -> _Errors:
    if value is None:
        return
    tried = [list(validator.descend(value, one, schema_path=place)) for place, one in enumerate(said)]
    valid = sum(not errors for errors in tried)
    if valid == 0:
        message = "must validate one and only one schema (oneOf). Found none valid"
        yield _error(message, context=_best(said, tried, value))
    elif valid > 1:
        yield _error(f"must validate one and only one schema (oneOf). Found {valid} valid alternatives")


def _all_of(validator: Any, said: Any, value: Any, schema: Schema) -> _Errors:
    if value is None:
        return
    tried = [list(validator.descend(value, one, schema_path=place)) for place, one in enumerate(said)]
    if any(tried):
        none = ". None validated" if all(tried) else ""
        context = [error for errors in tried for error in errors]
        yield _error(f"must validate all the schemas (allOf){none}", context=context)


def _not(validator: Any, said: Any, value: Any, schema: Schema) -> _Errors:
    if value is not None and not any(validator.descend(value, said)):
        yield _error("must not validate the schema (not)")


def _best(schemas: list[Schema], tried: list[list[Any]], value: Any) -> list[Any]:
    """The errors of the alternative that looked at most of *value*, the first of those."""
    weights = [_weight(schema, value) for schema in schemas]
    return tried[weights.index(max(weights))]


def _weight(schema: Schema, value: Any) -> int:
    """How much of *value* a schema looks at: the count by which the server picks the errors it shows."""
    said = schema.get("type")
    fits = said is not None and not any(_type(None, said, value, schema))
    if value is None:
        return int(fits or said is None)
    weight = 4 + (said is not None) + fits
    if isinstance(value, str):
        return weight + 1 + ("format" in schema)
    if isinstance(value, list):
        items = schema.get("items")
        return weight + 2 + (0 if items is None else sum(_weight(items, one) for one in value))
    if isinstance(value, dict):
        named = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        inner = ((named.get(key, others), one) for key, one in value.items())
        return weight + 1 + sum(_weight(one, below) for one, below in inner if isinstance(one, Mapping))
    return weight + (0 if isinstance(value, bool) else 2)
