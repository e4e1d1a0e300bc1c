"""What makes a schema structural, and what else a definition's schema may not say.

The rules and words are those of `apiextensions-apiserver/pkg/apiserver/schema/validation.go` and of
`ValidateCustomResourceDefinitionOpenAPISchema`. Maps are gone through by name, where the server has no order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..causes import forbidden, invalid_value, required, unsupported
from ..schema.lists import LIST_KEYS, LIST_TYPE
from ..schema.patterns import PatternFault, UnknownPattern, compiled
from ..schema.rules import RULES
from ..schema.structure import EMBEDDED, PRESERVE, TYPE_FIELDS, Schema, additional
from ..statuses import Cause, not_emulated

__all__ = ["schema_faults", "structural_faults"]

INT_OR_STRING: Final = "x-kubernetes-int-or-string"
MAP_TYPE: Final = "x-kubernetes-map-type"
_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_JUNCTORS: Final = ("anyOf", "allOf", "oneOf")
_INT_OR_STRING_ANY: Final = [{"type": "integer"}, {"type": "string"}]


def structural_faults(schema: Schema, path: str) -> list[Cause]:
    """What keeps *schema*, the root schema at *path*, from being structural; sorted as the server does."""
    found = [*_invariants(schema, "root", path), *_completeness(schema, schema, path)]
    return sorted(found, key=lambda cause: f"{cause[2]}: {cause[1]}")


def _invariants(schema: Schema, level: str, path: str) -> Iterator[Cause]:
    kind = schema.get("type") or ""
    items = schema.get("items")
    if kind == "array" and items is None:
        yield required(f"{path}.items", "must be specified")
    if isinstance(items, Mapping):
        yield from _invariants(items, "item", f"{path}.items")
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    for name in sorted(properties):
        yield from _invariants(properties[name], "field", f"{path}.properties[{name}]")
    if schema.get("additionalProperties") is not None:
        where = f"{path}.additionalProperties"
        if level == "root":
            yield forbidden(where, "must not be used at the root")
        others = additional(schema)
        if others is not None:
            yield from _invariants(others, "field", where)
    if schema.get(INT_OR_STRING):
        for name in (PRESERVE, EMBEDDED):
            if schema.get(name):
                yield invalid_value(f"{path}.{name}", True, f"must be false if {INT_OR_STRING} is true")
    yield from _values(schema, path, level)
    yield from _typed(schema, level, path)
    yield from _metadata(schema, level, path)


def _typed(schema: Schema, level: str, path: str) -> Iterator[Cause]:
    kind = schema.get("type") or ""
    where = f"{path}.type"
    if schema.get(EMBEDDED) and kind != "object":
        why = f"must be object if {EMBEDDED} is true"
        yield invalid_value(where, kind, why) if kind else required(where, why)
    elif not kind and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        of = {"root": "at the root", "item": "for specified array items"}
        yield required(where, f"must not be empty {of.get(level, 'for specified object fields')}")
    if schema.get(EMBEDDED) and schema.get("additionalProperties") is not None:
        yield forbidden(f"{path}.additionalProperties", f"must not be used if {EMBEDDED} is set")
    if level == "root" and kind and kind != "object":
        yield invalid_value(where, kind, "must be object at the root")
    if schema.get(EMBEDDED) and not schema.get(PRESERVE) and not schema.get("properties"):
        why = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
        yield required(f"{path}.properties", why)


def _metadata(schema: Schema, level: str, path: str) -> Iterator[Cause]:
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    checked = level == "root" or bool(schema.get(EMBEDDED))
    for name in ("kind", "apiVersion"):
        if checked and name in properties and properties[name].get("type") != "string":
            where = f"{path}.properties[{name}].type"
            yield invalid_value(where, properties[name].get("type") or "", "must be string")
    metadata = properties.get("metadata")
    if metadata is None:
        return
    where = f"{path}.properties[metadata]"
    if checked and metadata.get("type") != "object":
        yield invalid_value(f"{where}.type", metadata.get("type") or "", "must be object")
    if level == "root":
        names = set(metadata.get("properties") or ())
        said = {key for key, value in metadata.items() if value not in (None, "", {}, [], False)}
        rest = said - {"type", "default"} - ({"properties"} if names <= {"name", "generateName"} else set())
        if rest:
            yield forbidden(
                where,
                "must not specify anything other than name and generateName, but metadata is implicitly "
                "specified",
            )


def _values(schema: Schema, path: str, level: str) -> Iterator[Cause]:
    """What `validateValueValidation` checks: alternatives must only check values, patterns must compile."""
    alternatives = list(schema.get("anyOf") or ())
    if not _int_or_string(alternatives):
        for index, one in enumerate(alternatives):
            yield from _nested(one, f"{path}.anyOf[{index}]", level)
    for index, one in enumerate(schema.get("allOf") or ()):
        first = index == 0 and _int_or_string(one.get("anyOf"))
        yield from _nested(one, f"{path}.allOf[{index}]", level, skip_any=first)
    for index, one in enumerate(schema.get("oneOf") or ()):
        yield from _nested(one, f"{path}.oneOf[{index}]", level)
    if isinstance(schema.get("not"), Mapping):
        yield from _nested(schema["not"], f"{path}.not", level)
    pattern = schema.get("pattern")
    if pattern:
        try:
            compiled(pattern)
        except PatternFault as fault:
            yield invalid_value(
                f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {fault}"
            )
        except UnknownPattern as fault:
            raise not_emulated(
                f"{fault} of the pattern {pattern!r} at {path}: write the pattern otherwise"
            ) from None


def _int_or_string(alternatives: Any) -> bool:
    return bool(alternatives == _INT_OR_STRING_ANY)


_FORBIDDEN: Final = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    PRESERVE: "must be false to be structural",
    EMBEDDED: "must be false to be structural",
    INT_OR_STRING: "must be false to be structural",
    LIST_KEYS: "must be empty to be structural",
    LIST_TYPE: "must be undefined to be structural",
    MAP_TYPE: "must be undefined to be structural",
    RULES: "must be empty to be structural",
}


def _nested(schema: Schema, path: str, level: str, *, skip_any: bool = False) -> Iterator[Cause]:
    inner = {key: value for key, value in schema.items() if not (skip_any and key == "anyOf")}
    yield from _values(inner, path, level)
    if isinstance(schema.get("items"), Mapping):
        yield from _nested(schema["items"], f"{path}.items", level)
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    for name in sorted(properties):
        yield from _nested(properties[name], f"{path}.properties[{name}]", "field")
    for name, why in _FORBIDDEN.items():
        if schema.get(name) not in (None, "", False, [], ()) or (
            name == "additionalProperties" and schema.get(name) is False
        ):
            yield forbidden(f"{path}.{name}", why)
    if "metadata" in properties:
        yield forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _completeness(schema: Schema, spine: Schema, path: str) -> Iterator[Cause]:
    """Every field that an alternative speaks of is specified outside of it too."""
    for name in (*_JUNCTORS, "not"):
        alternatives = schema.get(name)
        if name == "not":
            if isinstance(alternatives, Mapping):
                yield from _covered(alternatives, spine, f"{path}.not", path)
            continue
        for index, one in enumerate(alternatives or ()):
            yield from _covered(one, spine, f"{path}.{name}[{index}]", path)
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield from _completeness(items, items, f"{path}.items")
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    for name in sorted(properties):
        yield from _completeness(properties[name], properties[name], f"{path}.properties[{name}]")
    others = additional(schema)
    if others is not None:
        yield from _completeness(others, others, f"{path}.additionalProperties")


def _covered(nested: Schema, spine: Schema | None, path: str, above: str) -> Iterator[Cause]:
    if spine is None:
        yield required(above, f"because it is defined in {path}")
        return
    for name in _JUNCTORS:
        for index, one in enumerate(nested.get(name) or ()):
            yield from _covered(one, spine, f"{path}.{name}[{index}]", above)
    if isinstance(nested.get("not"), Mapping):
        yield from _covered(nested["not"], spine, f"{path}.not", above)
    if isinstance(nested.get("items"), Mapping):
        yield from _covered(nested["items"], spine.get("items"), f"{path}.items", f"{above}.items")
    properties: Mapping[str, Schema] = nested.get("properties") or {}
    known: Mapping[str, Schema] = spine.get("properties") or {}
    for name in sorted(properties):
        below = known.get(name)
        yield from _covered(
            properties[name], below, f"{path}.properties[{name}]", f"{above}.properties[{name}]"
        )


# --- what the schema language leaves out -------------------------------------------------------------


def schema_faults(schema: Schema, path: str, *, root: bool = False, defaults: str = "") -> Iterator[Cause]:
    """What is not supported in *schema*; *defaults* says why none may be set here, where none may."""
    yield from _unsupported(schema, path, defaults)
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", why)
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    others = additional(schema)
    if schema.get("additionalProperties") not in (None, True) and properties:
        why = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{path}.additionalProperties", why)
    if others is not None:
        yield from schema_faults(others, f"{path}.additionalProperties", defaults=defaults)
    for name in sorted(properties):
        why = f"in top-level {name}" if root and name in TYPE_FIELDS else defaults
        yield from schema_faults(properties[name], f"{path}.properties[{name}]", defaults=why)
    if isinstance(schema.get("not"), Mapping):
        yield from schema_faults(schema["not"], f"{path}.not", defaults=defaults)
    for junctor in ("allOf", "oneOf", "anyOf"):
        for index, one in enumerate(schema.get(junctor) or ()):
            yield from schema_faults(one, f"{path}.{junctor}[{index}]", defaults=defaults)
    if isinstance(schema.get("items"), Mapping):
        yield from schema_faults(schema["items"], f"{path}.items", defaults=defaults)
    if schema.get(PRESERVE) is False:
        yield invalid_value(f"{path}.{PRESERVE}", False, "must be true or undefined")
    yield from _map_type(schema, path)
    yield from _list_type(schema, path)


def _unsupported(schema: Schema, path: str, defaults: str) -> Iterator[Cause]:
    kind = schema.get("type")
    if kind and kind not in _TYPES:
        yield unsupported(f"{path}.type", kind, _TYPES)
    if schema.get("default") is not None and defaults:
        yield forbidden(f"{path}.default", f"must not be set {defaults}")
    for name in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"):
        if schema.get(name) not in (None, "", {}):
            yield forbidden(f"{path}.{name}", f"{name} is not supported")
    if kind == "null":
        why = "type cannot be set to null, use nullable as an alternative"
        yield forbidden(f"{path}.type", why)
    if isinstance(schema.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")


def _map_type(schema: Schema, path: str) -> Iterator[Cause]:
    said, kind = schema.get(MAP_TYPE), schema.get("type") or ""
    if said is None:
        return
    if kind != "object":
        why = f"must be object if {MAP_TYPE} is specified"
        yield invalid_value(f"{path}.type", kind, why) if kind else required(f"{path}.type", why)
    if said not in ("atomic", "granular"):
        yield unsupported(f"{path}.{MAP_TYPE}", said, ("atomic", "granular"))


def _list_type(schema: Schema, path: str) -> Iterator[Cause]:
    said, kind = schema.get(LIST_TYPE), schema.get("type") or ""
    keys = schema.get(LIST_KEYS) or []
    items = schema.get("items")
    inner: Mapping[str, Any] = items if isinstance(items, Mapping) else {}
    where = f"{path}.{LIST_TYPE}"
    if said is not None and kind != "array":
        why = f"must be array if {LIST_TYPE} is specified"
        yield invalid_value(f"{path}.type", kind, why) if kind else required(f"{path}.type", why)
    elif said == "set":
        why = f"must be atomic as item of a list with {LIST_TYPE}=set"
        if inner.get("type") == "array" and inner.get(LIST_TYPE) not in (None, "atomic"):
            yield invalid_value(f"{path}.items.{LIST_TYPE}", inner[LIST_TYPE], why)
        if inner.get("type") == "object" and inner.get(MAP_TYPE) != "atomic":
            yield invalid_value(f"{path}.items.{MAP_TYPE}", inner.get(LIST_TYPE), why)
    if said not in (None, "atomic", "set", "map"):
        yield unsupported(where, said, ("atomic", "set", "map"))
    if keys and said != "map":
        why = f"must be map if {LIST_KEYS} is non-empty"
        yield required(where, why) if said is None else invalid_value(where, said, why)
    if said == "map":
        yield from _keyed(schema, inner, keys, path)
    if said in ("set", "map") and inner.get("nullable"):
        yield forbidden(f"{path}.items.nullable", f"cannot be nullable when {LIST_TYPE} is {said}")
    if said == "map":
        yield from _keys_present(inner, keys, path)


def _keyed(schema: Schema, inner: Schema, keys: list[str], path: str) -> Iterator[Cause]:
    where = f"{path}.{LIST_KEYS}"
    if not keys:
        yield required(where, f"must not be empty if {LIST_TYPE} is map")
    if schema.get("items") is None:
        yield required(f"{path}.items", f"must have a schema if {LIST_TYPE} is map")
    elif inner.get("type") != "object":
        why = f"must be object if parent array's {LIST_TYPE} is map"
        yield invalid_value(f"{path}.items.type", inner.get("type") or "", why)
    else:
        properties = inner.get("properties") or {}
        for place, key in enumerate(keys):
            if key not in properties:
                yield invalid_value(where, keys, "entries must all be names of item properties")
            elif properties[key].get("type") in ("array", "object"):
                why = f"must be a scalar type if parent array's {LIST_TYPE} is map"
                yield invalid_value(f"{path}.items.properties[{key}].type", inner["type"], why)
            if key in keys[:place]:
                yield invalid_value(where, keys, "must not contain duplicate entries")


def _keys_present(inner: Schema, keys: list[str], path: str) -> Iterator[Cause]:
    properties = inner.get("properties") or {}
    for key in keys:
        one = properties.get(key)
        if one is None:
            continue
        where = f"{path}.items.properties[{key}]"
        said = f"this property is in {LIST_KEYS}, so it"
        if key not in (inner.get("required") or ()) and one.get("default") is None:
            yield required(f"{where}.default", f"{said} must have a default or be a required property")
        if one.get("nullable"):
            yield forbidden(f"{where}.nullable", f"{said} cannot be nullable")
