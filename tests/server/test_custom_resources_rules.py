"""Rules of custom resources (CEL): what they see, when they are asked, and how a broken one is told."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

from .custom import DEFINITIONS, WIDGETS, Wire, definition, version, widget

RULES = "x-kubernetes-validations"
STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def struct(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def ruled(schema: dict[str, Any], rule: str, **more: Any) -> dict[str, Any]:
    return {**schema, RULES: [{"rule": rule, **more}]}


def wire_of(schema: dict[str, Any], **options: Any) -> Wire:
    """A server whose widgets have *schema* at `spec.a`."""
    wire = Wire(**options)
    wire.define(version({"a": schema}))
    return wire


def change(wire: Wire, value: Any) -> tuple[int, Any]:
    return wire.ask("PATCH", f"{WIDGETS}/w", {"spec": {"a": value}}, kind="merge")


# --- what is said ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "value", "cause"),
    [
        (ruled(INTEGER, "self < 5"), 7, "spec.a: Invalid value: 7: failed rule: self < 5"),
        (
            ruled(STRING, "self.startsWith('x')", message="begin with x"),
            "y",
            'spec.a: Invalid value: "y": begin with x',
        ),
        (
            ruled(struct(b=INTEGER, c=INTEGER), "self.b <= self.c"),
            {"b": 2, "c": 1},
            "spec.a: Invalid value: failed rule: self.b <= self.c",
        ),
        (
            ruled(struct(b=INTEGER), "self.b < 5", messageExpression="'%d is not below 5'.format([self.b])"),
            {"b": 7},
            "spec.a: Invalid value: 7 is not below 5",
        ),
        (
            ruled(struct(b=INTEGER), "self.b < 5", fieldPath=".b", reason="FieldValueForbidden"),
            {"b": 7},
            "spec.a.b: Forbidden: failed rule: self.b < 5",
        ),
        (
            ruled(struct(b=INTEGER), "has(self.b)", fieldPath=".b", reason="FieldValueRequired"),
            {},
            "spec.a.b: Required value: failed rule: has(self.b)",
        ),
        (
            ruled(struct(b=INTEGER), "self.b < 5"),
            {},
            'spec.a: Invalid value: "object": no such key: b evaluating rule: self.b < 5',
        ),
        (
            ruled({"x-kubernetes-int-or-string": True}, "self < 5"),
            "x",
            "spec.a: Invalid value: \"\": 'no such overload': call arguments did not match a supported "
            "operator, function or macro signature for rule: self < 5",
        ),
        (
            {"type": "array", "items": ruled(INTEGER, "self > 0")},
            [1, 0],
            "spec.a[1]: Invalid value: 0: failed rule: self > 0",
        ),
        (
            {"type": "object", "additionalProperties": ruled(INTEGER, "self > 0")},
            {"k": 0},
            "spec.a[k]: Invalid value: 0: failed rule: self > 0",
        ),
    ],
)
def test_a_broken_rule_is_told_at_its_place(schema: dict[str, Any], value: Any, cause: str) -> None:
    assert wire_of(schema).faults({"a": value}) == [cause]


def test_a_rule_at_the_root_sees_the_names_and_no_other_metadata() -> None:
    wire = Wire()
    root = ruled(struct(spec=struct(a=STRING)), "self.metadata.name == self.spec.a && self.kind == 'Widget'")
    wire.define(version(schema=root))
    assert wire.create({"a": "w"})
    assert wire.faults({"a": "other"}, name="v") == [
        "<nil>: Invalid value: failed rule: self.metadata.name == self.spec.a && self.kind == 'Widget'"
    ]


def test_rules_wait_until_values_are_what_they_were_made_for() -> None:
    wire = wire_of({**ruled(struct(b=INTEGER), "self.b < 5"), "required": ["c"]})
    assert wire.faults({"a": {"b": 7}}) == [
        "spec.a.c: Required value",
        '<nil>: Invalid value: "null": some validation rules were not checked because the object was '
        "invalid; correct the existing errors to complete validation",
    ]


# --- what they know ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("self.items.all(x, x.n > 0) && size(self.items) == 2", {"items": [{"n": 1}, {"n": 2}]}),
        ("self.m.all(k, k.startsWith('a')) && self.m['ab'] == 'v'", {"m": {"ab": "v"}}),
        ("self.foo__dash__bar == 'x' && self.__namespace__ == 'y'", {"foo-bar": "x", "namespace": "y"}),
        ("self.number > 1.5 && self.number == 2.0", {"number": 2}),
        ("self.?s.orValue('none') == 'none'", {}),
        ("self.s.split(',').size() == 2 && self.s.lowerAscii() == 'a,b'", {"s": "A,b"}),
        ("self.s.matches('^[a-z]+$') && size(self.s) == 2", {"s": "äb".replace("ä", "a")}),
        ("self.list.isSorted() && self.list.sum() == 6 && self.list.max() == 3", {"list": [1, 2, 3]}),
        ("self.list.indexOf(2) == 1 && self.list.lastIndexOf(9) == -1", {"list": [1, 2, 3]}),
        ("sets.contains(self.list, [1]) && !sets.intersects(self.list, [9])", {"list": [1, 2]}),
        ("self.s.find('[0-9]+') == '12' && self.s.findAll('[0-9]') == ['1', '2']", {"s": "a12"}),
        (
            "isURL(self.s) && url(self.s).getHost() == 'h:1' && url(self.s).getPort() == '1'",
            {"s": "http://h:1/p"},
        ),
        (
            "isIP(self.s) && ip(self.s).family() == 4 && cidr('10.0.0.0/8').containsIP(self.s)",
            {"s": "10.1.2.3"},
        ),
        ("quantity(self.s).isGreaterThan(quantity('1Gi')) && !isQuantity('x')", {"s": "2Gi"}),
        ("quantity('1').add(quantity('500m')) == quantity('1500m')", {}),
        ("quantity('1Gi') == quantity('1073741824') && quantity('2k').asInteger() == 2000", {}),
    ],
)
def test_a_rule_can_use_the_language_and_its_library(rule: str, value: dict[str, Any]) -> None:
    schema = struct(
        **{"foo-bar": STRING, "namespace": STRING},
        items={"type": "array", "items": struct(n=INTEGER)},
        m={"type": "object", "additionalProperties": STRING},
        number={"type": "number"},
        s=STRING,
        list={"type": "array", "items": INTEGER},
    )
    assert wire_of(ruled(schema, rule)).create({"a": value})
    assert (
        wire_of(ruled(schema, f"!({rule})"))
        .faults({"a": value})[0]
        .startswith("spec.a: Invalid value: failed")
    )


# --- old values --------------------------------------------------------------------------------------


def test_a_transition_is_asked_of_once_there_is_something_to_compare_with() -> None:
    wire = wire_of(ruled(INTEGER, "self >= oldSelf", message="never less"))
    wire.create({"a": 5})
    assert change(wire, 6)[0] == 200
    status, causes = wire.refusal("PATCH", f"{WIDGETS}/w", {"spec": {"a": 1}}, kind="merge")
    assert (status, causes) == (422, ["spec.a: Invalid value: 1: never less"])


def test_an_optional_old_value_is_asked_of_from_the_start() -> None:
    wire = wire_of(ruled(INTEGER, "oldSelf.hasValue() || self == 1", optionalOldSelf=True))
    assert wire.faults({"a": 2}) == ["spec.a: Invalid value: 2: failed rule: oldSelf.hasValue() || self == 1"]
    wire.create({"a": 1})
    assert change(wire, 2)[0] == 200


def test_an_element_of_a_map_is_compared_with_the_one_of_its_key() -> None:
    item = {**ruled(struct(k=STRING, v=INTEGER), "self.v >= oldSelf.v"), "required": ["k"]}
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    wire = wire_of({"type": "array", "items": item, **keyed})
    wire.create({"a": [{"k": "x", "v": 1}, {"k": "y", "v": 5}]})
    assert change(wire, [{"k": "y", "v": 6}, {"k": "x", "v": 1}, {"k": "z", "v": 0}])[0] == 200
    status, causes = wire.refusal(
        "PATCH", f"{WIDGETS}/w", {"spec": {"a": [{"k": "y", "v": 5}]}}, kind="merge"
    )
    assert (status, causes) == (422, ["spec.a[0]: Invalid value: failed rule: self.v >= oldSelf.v"])


@pytest.mark.parametrize("kind", ["set", "map"])
def test_the_order_of_a_set_or_a_map_is_no_change(kind: str) -> None:
    keyed = {"x-kubernetes-list-map-keys": ["k"]} if kind == "map" else {}
    item = {**struct(k=STRING, v=INTEGER), "required": ["k"]} if kind == "map" else STRING
    lists = {"type": "array", "items": item, "x-kubernetes-list-type": kind, **keyed}
    wire = wire_of(ruled(lists, "self == oldSelf", message="never changes"))
    one, two = ({"k": "x", "v": 1}, {"k": "y", "v": 2}) if kind == "map" else ("x", "y")
    wire.create({"a": [one, two]})
    assert change(wire, [two, one])[0] == 200
    for other in ([one], [two, one, {"k": "z"} if kind == "map" else "z"]):
        status, causes = wire.refusal("PATCH", f"{WIDGETS}/w", {"spec": {"a": other}}, kind="merge")
        assert (status, causes) == (422, ["spec.a: Invalid value: never changes"])


def test_a_rule_that_was_broken_before_only_warns() -> None:
    wire = wire_of(struct(b=INTEGER))
    wire.create({"a": {"b": 7}}, metadata={"name": "w"})
    body = {"spec": {"versions": [version({"a": struct(b=ruled(INTEGER, "self < 5"))})]}}
    wire.ask("PATCH", f"{DEFINITIONS}/widgets.example.com", body, kind="merge")
    status, _ = wire.ask("PATCH", f"{WIDGETS}/w", {"metadata": {"labels": {"x": "y"}}}, kind="merge")
    assert status == 200
    assert wire.headers["Warning"] == '299 - "spec.a.b: Invalid value: 7: failed rule: self < 5"'


# --- what a rule may say -----------------------------------------------------------------------------

AT = "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[a]"


def refused(schema: dict[str, Any]) -> list[str]:
    status, causes = Wire().refusal("POST", DEFINITIONS, definition(version({"a": schema})))
    assert status == 422
    return causes


@pytest.mark.parametrize(
    ("schema", "beginning", "end"),
    [
        (ruled(INTEGER, "  "), f"{AT}.{RULES}[0].rule: Required value: rule is not specified", ""),
        (
            ruled(INTEGER, "self +"),
            f'{AT}.{RULES}[0].rule: Invalid value: {{"FieldPath":"","Message":""',
            "| self +\n | ......^",
        ),
        (
            ruled(INTEGER, "undeclared(self)"),
            f"{AT}.{RULES}[0].rule: Invalid value: ",
            "compilation failed: ERROR: <input>:1:11: undeclared reference to 'undeclared' (in container "
            "'')\n | undeclared(self)\n | ..........^",
        ),
        (
            ruled(INTEGER, "'text'"),
            f"{AT}.{RULES}[0].rule: Invalid value: ",
            "cel expression must evaluate to a bool",
        ),
        (
            ruled(INTEGER, "self > 1", message="two\nlines"),
            f'{AT}.{RULES}[0].message: Invalid value: "two\\nlines": message must not contain line breaks',
            "",
        ),
        (
            ruled(INTEGER, "self > 1", reason="Other"),
            f'{AT}.{RULES}[0].reason: Unsupported value: "Other": supported values: ',
            '"FieldValueRequired"',
        ),
        (
            {"type": "array", "items": ruled(INTEGER, "self > oldSelf")},
            f'{AT}.items.{RULES}[0].rule: Invalid value: "self > oldSelf": oldSelf cannot be used',
            f"on the uncorrelatable portion of the schema within {AT}",
        ),
        (
            {**STRING, "anyOf": [{RULES: [{"rule": "true"}]}]},
            f"{AT}.anyOf[0].{RULES}: Forbidden: must be empty to be structural",
            "",
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_the_definition(
    schema: dict[str, Any], beginning: str, end: str
) -> None:
    causes = refused(schema)
    assert len(causes) == 1
    assert causes[0].startswith(beginning)
    assert causes[0].endswith(end)


def test_a_function_that_only_a_real_server_has_is_not_taken_for_a_mistake() -> None:
    schema = ruled(STRING, "format.named('uuid') == self || isSemver(self)")
    status, causes = Wire().refusal("POST", DEFINITIONS, definition(version({"a": schema})))
    assert status == 501
    assert 'or serve with cel="ignore"' in causes[0]


def test_a_comparison_of_times_is_not_taken_for_a_broken_rule() -> None:
    schema = ruled({**STRING, "format": "date-time"}, "self > timestamp('2020-01-01T00:00:00Z')")
    wire = wire_of(schema)
    status, causes = wire.refusal("POST", WIDGETS, widget({"a": "2026-01-01T00:00:00Z"}))
    assert status == 501
    assert "rules on times and durations" in causes[0]


def test_rules_can_be_ignored() -> None:
    wire = wire_of(ruled(INTEGER, "isSemver('x') && self < 5"), cel="ignore")
    assert wire.create({"a": 7})["spec"] == {"a": 7}


def test_a_server_takes_no_other_word_for_it() -> None:
    with pytest.raises(ValueError, match='cel must be "evaluate" or "ignore"'):
        MemoryApiServer(cel="maybe")
