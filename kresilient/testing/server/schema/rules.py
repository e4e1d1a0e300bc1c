"""The rules of a schema (`x-kubernetes-validations`): expressions that an object has to keep.

As `apiextensions-apiserver/pkg/apiserver/schema/cel` has them: a rule is asked of every value at its place,
one that speaks of `oldSelf` where there is an old value to compare with; what was broken before and has not
changed is a warning only. Unlike there, fields have no types before there is a value, times and durations
stay texts, and an old set or map has its elements in the order of the new one rather than in none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from ..causes import OMITTED, duplicate, forbidden, invalid_value, required, unsupported
from ..statuses import Cause, not_emulated
from .cel import Expression, ExpressionFault, uses
from .lists import LIST_TYPE, aligned, key_of
from .structure import EMBEDDED, Schema, additional

__all__ = ["RULES", "Rules", "rule_faults"]

RULES: Final = "x-kubernetes-validations"
_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_RESERVED: Final = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"}
    | {"import", "let", "loop", "package", "namespace", "return"}
)
_ESCAPES: Final = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_TIMES: Final = frozenset({"date", "date-time", "datetime", "duration"})


class _Rule(NamedTuple):
    text: str
    said: str
    reason: str
    path: str
    expression: Expression
    message: Expression | None
    old: bool
    optional: bool


class _Node(NamedTuple):
    """The rules at one place of a schema and those below it."""

    schema: Schema
    rules: tuple[_Rule, ...]
    properties: Mapping[str, _Node]
    additional: _Node | None
    items: _Node | None


class Rules:
    """The rules of *schema*, a root schema whose rules are known to compile."""

    def __init__(self, schema: Schema) -> None:
        self._root = _node({**schema, EMBEDDED: True})

    def __bool__(self) -> bool:
        return self._root is not None

    def faults(
        self, obj: Mapping[str, Any], old: Mapping[str, Any] | None, warnings: list[str]
    ) -> Iterator[Cause]:
        """The rules that *obj*, a whole object, breaks; *warnings* takes those it did break before."""
        if self._root is not None:
            before = aligned(self._root.schema, old, obj)
            yield from _faults(self._root, obj, _Old(before, old is not None, False), "", warnings)


class _Old(NamedTuple):
    """What a value was: `known` where there is a value that it compares with; `kept` tells that something
    around it is as it was."""

    value: Any
    known: bool
    kept: bool

    def same(self, value: Any) -> bool:
        return _equal(value, self.value) if self.known else self.kept


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _node(schema: Schema) -> _Node | None:
    properties = {
        name: node
        for name, one in sorted((schema.get("properties") or {}).items())
        if (node := _node(one)) is not None
    }
    others, items = additional(schema), schema.get("items")
    below = None if others is None else _node(others)
    each = _node(items) if isinstance(items, Mapping) else None
    rules = tuple(map(_rule, schema.get(RULES) or ()))
    if not (rules or properties or below or each):
        return None
    return _Node(schema, rules, properties, below, each)


def _rule(said: Mapping[str, Any]) -> _Rule:
    text = said["rule"].strip()
    message = (said.get("message") or "").strip()
    optional = bool(said.get("optionalOldSelf"))
    expression = said.get("messageExpression")
    return _Rule(
        text,
        message,
        said.get("reason") or "",
        said.get("fieldPath") or "",
        Expression(text, optional=optional),
        Expression(expression, optional=optional) if expression else None,
        uses(text, "oldSelf"),
        optional,
    )


# --- asking ------------------------------------------------------------------------------------------


def _faults(node: _Node, value: Any, old: _Old, path: str, warnings: list[str]) -> Iterator[Cause]:
    if value is None:
        return
    for rule in node.rules:
        cause = _broken(rule, node.schema, value, old, path)
        if cause is not None and not rule.old and old.same(value):
            warnings.append(f"{cause[2]}: {cause[1]}")
        elif cause is not None:
            yield cause
    if isinstance(value, dict):
        atomic = node.schema.get("x-kubernetes-map-type") == "atomic"
        for key in sorted(value):
            inner = node.properties.get(key)
            where = f"{path}.{key}" if path else key
            if inner is None and key not in (node.schema.get("properties") or {}):
                inner, where = node.additional, f"{path}[{key}]"
            if inner is not None:
                below = _below(old, value, key, atomic=atomic)
                yield from _faults(inner, value[key], below, where, warnings)
    elif isinstance(value, list) and node.items is not None:
        for index, one in enumerate(value):
            below = _element(old, value, node.schema, one)
            yield from _faults(node.items, one, below, f"{path}[{index}]", warnings)


def _below(old: _Old, value: Any, key: str, *, atomic: bool) -> _Old:
    kept = old.same(value)
    if not atomic and old.known and isinstance(old.value, dict) and key in old.value:
        return _Old(old.value[key], True, kept)
    return _Old(None, False, kept)


def _element(old: _Old, value: Any, schema: Schema, item: Any) -> _Old:
    kept = old.same(value)
    if old.known and isinstance(old.value, list) and schema.get(LIST_TYPE) == "map":
        key = key_of(schema, item)
        for one in old.value:
            if key_of(schema, one) == key:
                return _Old(one, True, kept)
    return _Old(None, False, kept)


def _broken(rule: _Rule, schema: Schema, value: Any, old: _Old, path: str) -> Cause | None:
    if rule.old and not old.known and not rule.optional:
        return None
    this = _seen(schema, value)
    before = [_seen(schema, old.value)] if rule.old and old.known else []
    where, kind = path or "<nil>", schema.get("type") or ""
    try:
        if rule.expression.value(this, *before) is True:
            return None
    except ExpressionFault as fault:
        return invalid_value(where, kind, _failed(fault, rule, schema))
    said = rule.said or f"failed rule: {rule.text}"
    if rule.message is not None:
        try:
            found = rule.message.value(this, *before)
            if isinstance(found, str) and found.strip() and "\n" not in found.strip():
                said = found.strip()
        except ExpressionFault:
            pass  # as the server: the message is then the one that the rule has without it
    if rule.path:
        where = f"{path}{_field_path(rule.path)}" if path else _field_path(rule.path).removeprefix(".")
    shown = OMITTED if kind in ("object", "array") else value
    match rule.reason:
        case "FieldValueForbidden":
            return forbidden(where, said)
        case "FieldValueRequired":
            return required(where, said)
        case "FieldValueDuplicate":
            return duplicate(where, shown)
        case _:
            return invalid_value(where, shown, said)


def _failed(fault: ExpressionFault, rule: _Rule, schema: Schema) -> str:
    named = rule.said or rule.text
    if str(fault) != "no such overload":
        return f"{fault} evaluating rule: {named}"
    if _has_times(schema):
        raise not_emulated(f'rules on times and durations: {rule.text!r}; serve with cel="ignore"')
    why = "call arguments did not match a supported operator, function or macro signature for rule"
    return f"'{fault}': {why}: {named}"


def _has_times(schema: Schema) -> bool:
    inner = [*(schema.get("properties") or {}).values(), schema.get("items"), additional(schema)]
    below = (_has_times(one) for one in inner if isinstance(one, Mapping))
    return schema.get("format") in _TIMES or any(below)


def _field_path(path: str) -> str:
    return re.sub(r"\['((?:\\.|[^'\\])*)'\]", lambda found: f".{found[1]}", path)


# --- what an expression sees -------------------------------------------------------------------------


def _seen(schema: Schema, value: Any) -> Any:
    """*value* as expressions see it: what the schema names, under names that expressions can have."""
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [_seen(items, one) for one in value]
    if isinstance(value, dict):
        others = additional(schema)
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        if others is not None:
            return {key: _seen(others, one) for key, one in value.items()}
        seen = {_escaped(key): _seen(properties[key], value[key]) for key in value if key in properties}
        return seen | _type_of(value) if schema.get(EMBEDDED) else seen
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if schema.get("type") == "integer" and isinstance(value, float):
        return int(value)
    if schema.get("format") == "byte" and isinstance(value, str):
        return value.encode()
    return value


def _type_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What every rule may know of a resource: its type and its names."""
    seen = {key: obj[key] for key in ("apiVersion", "kind") if key in obj}
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        seen["metadata"] = {key: metadata[key] for key in ("name", "generateName") if key in metadata}
    return seen


def _escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    for plain, escape in _ESCAPES:
        name = name.replace(plain, escape)
    return name


# --- what a rule may say -----------------------------------------------------------------------------


def rule_faults(schema: Schema, path: str, uncorrelated: str = "") -> Iterator[Cause]:
    """What is wrong with the rules in *schema*, which is at *path* and structural.

    *uncorrelated* is the place above it where old values end to compare with new ones.
    """
    for index, said in enumerate(schema.get(RULES) or ()):
        yield from _rule_faults(said, f"{path}.{RULES}[{index}]", uncorrelated)
    below = uncorrelated or (path if schema.get("x-kubernetes-map-type") == "atomic" else "")
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    for name in sorted(properties):
        yield from rule_faults(properties[name], f"{path}.properties[{name}]", below)
    others, items = additional(schema), schema.get("items")
    if others is not None:
        yield from rule_faults(others, f"{path}.additionalProperties", below)
    if isinstance(items, Mapping):
        each = uncorrelated or (path if schema.get(LIST_TYPE) != "map" else "")
        yield from rule_faults(items, f"{path}.items", each)


def _rule_faults(said: Mapping[str, Any], path: str, uncorrelated: str) -> Iterator[Cause]:
    text, message = said.get("rule") or "", said.get("message") or ""
    if not text.strip():
        yield required(f"{path}.rule", "rule is not specified")
        return
    if message and not message.strip():
        yield invalid_value(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        yield invalid_value(f"{path}.message", message, "message must not contain line breaks")
    elif "\n" in text.strip() and not message.strip():
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    reason = said.get("reason")
    if reason is not None and reason not in _REASONS:
        yield unsupported(f"{path}.reason", reason, _REASONS)
    optional = bool(said.get("optionalOldSelf"))
    yield from _compiles(said, "rule", "BOOL", "cel expression must evaluate to a bool", path, optional)
    if said.get("messageExpression"):
        why = "messageExpression must evaluate to a string"
        yield from _compiles(said, "messageExpression", "STRING", why, path, optional)
    if uses(text, "oldSelf"):
        if uncorrelated:
            why = "oldSelf cannot be used on the uncorrelatable portion of the schema within"
            yield invalid_value(f"{path}.rule", text, f"{why} {uncorrelated}")
    elif said.get("optionalOldSelf") is not None:
        why = "may not be set if oldSelf is not used in rule"
        yield invalid_value(f"{path}.optionalOldSelf", optional, why)


def _compiles(
    said: Mapping[str, Any], field: str, kind: str, why: str, path: str, optional: bool
) -> Iterator[Cause]:
    shown = {
        "Rule": said.get("rule") or "",
        "Message": said.get("message") or "",
        "MessageExpression": said.get("messageExpression") or "",
        "Reason": said.get("reason"),
        "FieldPath": said.get("fieldPath") or "",
        "OptionalOldSelf": said.get("optionalOldSelf"),
    }
    try:
        found = Expression(said[field].strip(), optional=optional).kind
    except ExpressionFault as fault:
        yield invalid_value(f"{path}.{field}", shown, f"compilation failed: {fault}")
        return
    if found not in (kind, "DYN"):
        yield invalid_value(f"{path}.{field}", shown, why)
