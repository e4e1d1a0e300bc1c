"""What is wrong with a custom resource is found by its schema, and said as kube-apiserver says it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from kresilient.testing.server.schema import cel, keywords, patterns
from kresilient.testing.server.schema.formats import format_check
from kresilient.testing.server.schema.patterns import compiled

from .custom import DEFINITIONS, WIDGETS, Wire, definition, version, widget

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def wire_of(**properties: Any) -> Wire:
    wire = Wire()
    wire.define(version(properties))
    return wire


def array(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def mapping(values: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, **more}


def struct(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


IN = "spec.a in body"


@pytest.mark.parametrize(
    ("schema", "value", "causes"),
    [
        (STRING, 1, [f'Invalid value: "integer": {IN} must be of type string: "integer"']),
        (INTEGER, "1", [f'Invalid value: "string": {IN} must be of type integer: "string"']),
        (INTEGER, 1.5, [f'Invalid value: "number": {IN} must be of type integer: "number"']),
        (INTEGER, True, [f'Invalid value: "boolean": {IN} must be of type integer: "boolean"']),
        ({"type": "boolean"}, {}, [f'Invalid value: "object": {IN} must be of type boolean: "object"']),
        (struct(b=STRING), [], [f'Invalid value: "array": {IN} must be of type object: "array"']),
        (
            {"x-kubernetes-int-or-string": True},
            True,
            [f'Invalid value: "boolean": {IN} must be of type integer,string: "boolean"'],
        ),
        ({**INTEGER, "maximum": 10}, 11, [f"Invalid value: 11: {IN} should be less than or equal to 10"]),
        (
            {**INTEGER, "maximum": 10, "exclusiveMaximum": True},
            10,
            [f"Invalid value: 10: {IN} should be less than 10"],
        ),
        ({**INTEGER, "minimum": 1}, 0, [f"Invalid value: 0: {IN} should be greater than or equal to 1"]),
        (
            {"type": "number", "minimum": 0.5, "exclusiveMinimum": True},
            0.5,
            [f"Invalid value: 0.5: {IN} should be greater than 0.5"],
        ),
        ({**INTEGER, "multipleOf": 3}, 4, [f"Invalid value: 4: {IN} should be a multiple of 3"]),
        ({**STRING, "maxLength": 2}, "abc", ["Too long: may not be more than 2 bytes"]),
        ({**STRING, "minLength": 2}, "a", [f'Invalid value: "a": {IN} should be at least 2 chars long']),
        ({**STRING, "pattern": "^b+$"}, "a", [f"Invalid value: \"a\": {IN} should match '^b+$'"]),
        ({**STRING, "format": "date"}, "no", [f'Invalid value: "no": {IN} must be of type date: "no"']),
        ({**STRING, "format": "date"}, 1, [f'Invalid value: "int64": {IN} must be of type date: "int64"']),
        (
            {**STRING, "enum": ["x", "y"]},
            "z",
            ['Unsupported value: "z": supported values: "x", "y"'],
        ),
        ({**INTEGER, "enum": [1, 2]}, 3, ['Unsupported value: 3: supported values: "1", "2"']),
        (
            {**STRING, "enum": ["x"]},
            1,
            [
                f'Invalid value: "integer": {IN} must be of type string: "integer"',
                'Unsupported value: 1: supported values: "x"',
            ],
        ),
        (array(STRING, maxItems=1), ["x", "y"], ["Too many: 2: must have at most 1 item"]),
        (array(STRING, minItems=1), [], [f"Invalid value: 0: {IN} should have at least 1 items"]),
        (mapping(STRING, maxProperties=1), {"x": "", "y": ""}, ["Too many: 2: must have at most 1 item"]),
        (mapping(STRING, minProperties=1), {}, [f"Invalid value: 0: {IN} should have at least 1 properties"]),
    ],
)
def test_a_value_that_breaks_a_rule(schema: dict[str, Any], value: Any, causes: list[str]) -> None:
    assert wire_of(a=schema).faults({"a": value}) == [f"spec.a: {cause}" for cause in causes]


@pytest.mark.parametrize(
    ("schema", "value", "causes"),
    [
        (
            array(INTEGER),
            [1, "x"],
            ['spec.a[1]: Invalid value: "string": spec.a[1] in body must be of type integer: "string"'],
        ),
        (
            array(INTEGER),
            [None],
            ['spec.a[0]: Invalid value: "null": spec.a[0] in body must be of type integer: "null"'],
        ),
        (
            mapping({**STRING, "maxLength": 1}),
            {"k": "long"},
            ["spec.a.k: Too long: may not be more than 1 byte"],
        ),
        (
            {**struct(b=STRING), "required": ["b", "c"]},
            {},
            ["spec.a.b: Required value", "spec.a.c: Required value"],
        ),
        (
            {**struct(c=INTEGER, b=INTEGER), "required": ["d"]},
            {"c": "x", "b": "x"},
            [
                'spec.a.b: Invalid value: "string": spec.a.b in body must be of type integer: "string"',
                'spec.a.c: Invalid value: "string": spec.a.c in body must be of type integer: "string"',
                "spec.a.d: Required value",
            ],
        ),
        (
            {"type": "object", "additionalProperties": False},
            {"k": 1},
            ['spec.a: Invalid value: "k": spec.a.k in body is a forbidden property'],
        ),
    ],
)
def test_where_it_is_wrong(schema: dict[str, Any], value: Any, causes: list[str]) -> None:
    assert wire_of(a=schema).faults({"a": value}) == causes


def alternatives(junctor: str, *required: str) -> dict[str, Any]:
    return {**struct(b=STRING, c=STRING), junctor: [{"required": [name]} for name in required]}


@pytest.mark.parametrize(
    ("schema", "value", "causes"),
    [
        (
            alternatives("oneOf", "b", "c"),
            {},
            [
                '<nil>: Invalid value: "": "spec.a" must validate one and only one schema (oneOf). Found '
                "none valid",
                "spec.a.b: Required value",
            ],
        ),
        (
            alternatives("oneOf", "b", "c"),
            {"b": "", "c": ""},
            [
                '<nil>: Invalid value: "": "spec.a" must validate one and only one schema (oneOf). Found 2 '
                "valid alternatives"
            ],
        ),
        (
            alternatives("anyOf", "b", "c"),
            {},
            [
                '<nil>: Invalid value: "": "spec.a" must validate at least one schema (anyOf)',
                "spec.a.b: Required value",
            ],
        ),
        (
            alternatives("allOf", "b", "c"),
            {"b": ""},
            [
                "spec.a.c: Required value",
                '<nil>: Invalid value: "": "spec.a" must validate all the schemas (allOf)',
            ],
        ),
        (
            {**struct(b=STRING), "not": {"required": ["b"]}},
            {"b": ""},
            ['<nil>: Invalid value: "": "spec.a" must not validate the schema (not)'],
        ),
        (
            {
                **struct(b=STRING, c=STRING),
                "anyOf": [
                    {"properties": {"b": {"enum": ["x"]}}},
                    {"properties": {"b": {"enum": ["y"]}, "c": {"enum": ["z"]}}},
                ],
            },
            {"b": "q", "c": "q"},
            [
                '<nil>: Invalid value: "": "spec.a" must validate at least one schema (anyOf)',
                'spec.a.b: Unsupported value: "q": supported values: "y"',
                'spec.a.c: Unsupported value: "q": supported values: "z"',
            ],
        ),
    ],
)
def test_alternatives_say_why_the_best_of_them_fails(
    schema: dict[str, Any], value: Any, causes: list[str]
) -> None:
    assert wire_of(a=schema).faults({"a": value}) == causes


def test_the_name_may_be_restricted_at_the_root() -> None:
    wire = Wire()
    names = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}}
    wire.define(version(schema={"type": "object", "properties": {"metadata": names}}))
    status, causes = wire.refusal("POST", WIDGETS, widget(name="long"))
    assert (status, causes) == (422, ["metadata.name: Too long: may not be more than 3 bytes"])


def test_a_status_is_checked_by_its_own_schema_and_named_from_there() -> None:
    wire = Wire()
    schema = struct(status=struct(size=INTEGER))
    wire.define(version(schema=schema, subresources={"status": {}}))
    wire.create()
    status, causes = wire.refusal("PATCH", f"{WIDGETS}/w/status", {"status": {"size": "x"}}, kind="merge")
    assert (status, causes) == (
        422,
        ['status.size: Invalid value: "string": size in body must be of type integer: "string"'],
    )


def test_a_formless_value_passes_a_format_that_is_not_known() -> None:
    wire = wire_of(a={**STRING, "format": "made-up"}, b={**INTEGER, "format": "int32"})
    assert wire.create({"a": "anything", "b": 1})["spec"] == {"a": "anything", "b": 1}


# --- lists that are sets and maps --------------------------------------------------------------------

SET = array(STRING, **{"x-kubernetes-list-type": "set"})
KEYED = {"type": "object", "required": ["k"], "properties": {"k": STRING, "v": INTEGER}}
MAP = array(KEYED, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]})


def test_an_element_of_a_set_is_there_once() -> None:
    faults = wire_of(a=SET).faults({"a": ["x", "y", "x", "x"]})
    assert faults == ['spec.a[2]: Duplicate value: "x"']


def test_a_key_of_a_map_is_there_once() -> None:
    faults = wire_of(a=MAP).faults({"a": [{"k": "x", "v": 1}, {"k": "x", "v": 2}]})
    assert faults == ['spec.a[1]: Duplicate value: {"k":"x"}']


# --- resources inside of resources -------------------------------------------------------------------


def test_an_embedded_resource_has_a_type_and_its_metadata_is_kept() -> None:
    embedded = {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "properties": {"data": {"type": "object", "additionalProperties": STRING}},
    }
    wire = wire_of(a=embedded)
    assert wire.faults({"a": {"kind": "not-A-kind!"}}) == [
        "spec.a.apiVersion: Required value",
        'spec.a.kind: Invalid value: "not-A-kind!": may have mixed case, but should otherwise match: '
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
        "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex "
        "used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    ]
    inner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "bogus": 1}, "data": {}}
    made = wire.create({"a": inner})
    assert made["spec"]["a"]["metadata"] == {"name": "c"}
    assert wire.headers["Warning"] == r'299 - "unknown field \"spec.a.metadata.bogus\""'


def test_the_metadata_of_an_embedded_resource_has_its_types() -> None:
    embedded = {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
    }
    inner = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": 1}}}
    assert wire_of(a=embedded).faults({"a": inner}) == [
        'spec.a.metadata: Invalid value: {"labels":{"a":1}}: json: cannot unmarshal number into Go struct '
        "field ObjectMeta.labels of type string"
    ]


# --- what was wrong before ---------------------------------------------------------------------------


def tightened() -> Wire:
    """A server with a widget that its definition no longer allows: `a` is too long, `b` may change."""
    wire = wire_of(a=STRING, b=STRING, m=MAP)
    wire.create({"a": "long", "b": "x", "m": [{"k": "x", "v": 9}]})
    limited = {**KEYED, "properties": {"k": STRING, "v": {**INTEGER, "maximum": 5}}}
    properties = {"a": {**STRING, "maxLength": 1}, "b": STRING, "m": {**MAP, "items": limited}}
    body = {"spec": {"versions": [version(properties)]}}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"
    assert wire.ask("PATCH", path, body, kind="merge")[0] == 200
    return wire


def test_what_was_wrong_before_does_not_stand_against_another_change() -> None:
    wire = tightened()
    status, answer = wire.ask("PATCH", f"{WIDGETS}/w", {"spec": {"b": "y"}}, kind="merge")
    assert (status, answer["spec"]["b"]) == (200, "y")


def test_what_is_changed_has_to_be_right() -> None:
    wire = tightened()
    refusal = wire.refusal("PATCH", f"{WIDGETS}/w", {"spec": {"a": "longer"}}, kind="merge")
    assert refusal == (422, ["spec.a: Too long: may not be more than 1 byte"])


def test_an_element_of_a_map_is_what_it_was_wherever_it_stands() -> None:
    wire = tightened()
    listed = [{"k": "new", "v": 7}, {"k": "x", "v": 9}]
    refusal = wire.refusal("PATCH", f"{WIDGETS}/w", {"spec": {"m": listed}}, kind="merge")
    assert refusal == (
        422,
        ["spec.m[0].v: Invalid value: 7: spec.m[0].v in body should be less than or equal to 5"],
    )


# --- formats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2026-02-28", "2026-02-30"),
        ("date-time", "2026-02-28T10:00:00Z", "2026-02-28"),
        ("datetime", "2026-02-28T10:00:00.5+02:00", "2026-13-28T10:00:00Z"),
        ("duration", "1h30m", "1 fortnight"),
        ("duration", "3 days", "days"),
        ("uuid", "6F9619FF-8B86-D011-B42D-00CF4FC964FF", "6F9619FF"),
        ("uuid4", "8a2e1a2c-3b4d-4e5f-8a6b-7c8d9e0f1a2b", "8a2e1a2c-3b4d-3e5f-8a6b-7c8d9e0f1a2b"),
        ("ipv4", "10.0.0.1", "::1"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("mac", "01:23:45:67:89:ab", "01:23:45:67:89"),
        ("hostname", "example.com", "-a"),
        ("email", "a@example.com", "a"),
        ("uri", "https://example.com/a?b=c", "example"),
        ("byte", "aGVsbG8=", "###"),
        ("hexcolor", "#aabbcc", "#aabb"),
        ("rgbcolor", "rgb(1, 2, 255)", "rgb(1, 2, 256)"),
        ("ssn", "123-45-6789", "1234"),
        ("isbn", "978-0321751041", "978-0321751042"),
        ("isbn10", "0321751043", "0321751044"),
        ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
        ("bsonobjectid", "507f1f77bcf86cd799439011", "507f"),
        ("k8s-short-name", "my-name", "My"),
        ("k8s-long-name", "my.name", "my..name"),
    ],
)
def test_a_format_tells_good_from_bad(name: str, good: str, bad: str) -> None:
    check = format_check(name)
    assert check is not None
    assert check(good)
    assert not check(bad)


@pytest.mark.parametrize("name", ["int32", "int64", "double", "made-up", ""])
def test_other_formats_are_not_checked(name: str) -> None:
    assert format_check(name) is None


# --- what is not installed ---------------------------------------------------------------------------


def test_without_the_json_schema_library_a_definition_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    keywords.validator_class.cache_clear()
    status, causes = Wire().refusal("POST", DEFINITIONS, definition())
    assert status == 501
    assert "pip install 'kresilient[testing]'" in causes[0]


@pytest.mark.parametrize(
    "schema", [{**INTEGER, "x-kubernetes-validations": [{"rule": "self == 17"}]}, {**STRING, "pattern": "a"}]
)
def test_without_the_cel_runtime_a_rule_or_a_pattern_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, schema: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    for cached in (cel.environment, patterns._matcher, compiled):
        cached.cache_clear()
    body = definition(version({"a": schema}))
    status, causes = Wire().refusal("POST", DEFINITIONS, body)
    assert status == 501
    assert "pip install 'kresilient[testing]'" in causes[0]
    monkeypatch.undo()
    assert Wire().ask("POST", DEFINITIONS, body)[0] == 201
