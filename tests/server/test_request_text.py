"""Bodies as plain data: what is no JSON, what Python cannot hold, and what YAML has beyond JSON."""

from __future__ import annotations

import pytest

from kresilient.testing.server.request_text import DEEPEST, Unreadable, read_json
from kresilient.testing.server.request_yaml import read_yaml
from kresilient.testing.server.strict_decoding import repeated_fields


@pytest.mark.parametrize("text", [b"[" * 200_000, b'{"a":' * 500 + b"1" + b"}" * 500])
def test_json_that_is_nested_too_deep_is_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable, match="exceeded max depth"):
        read_json(text)


def test_json_may_be_as_deep_as_the_limit() -> None:
    read_json(b"[" * DEEPEST + b"]" * DEEPEST)
    with pytest.raises(Unreadable):
        read_json(b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2))


def test_brackets_in_text_are_no_depth() -> None:
    assert read_json(b'["' + b"[" * 1000 + b'"]') == ["[" * 1000]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"a\\ud800b"', "a\ufffdb"),
        (b'"\\ud83d\\ude00\\udc00"', "\U0001f600\ufffd"),
        (b'{"\\ud800": 1}', {"\ufffd": 1}),
        (b'"a\xe4\xbd"', "a\ufffd\ufffd"),
    ],
)
def test_what_is_no_character_is_replaced(text: bytes, value: object) -> None:
    """`unquote` in `encoding/json`: half of a surrogate pair, and each byte that is no UTF-8."""
    assert read_json(text) == value


@pytest.mark.parametrize(
    "text", [b'"\\ud8"', b'["\\ud800"', b'[NaN, "\xff"]', b'["\\ud800", 1e999]', b'"\xff\n"']
)
def test_what_is_no_json_stays_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable):
        read_json(text)


def test_keys_that_are_replaced_alike_are_one_field() -> None:
    assert repeated_fields(b'{"a": {"\\ud800": 1, "\\udfff": 2, "\xff": 3}}') == ["a.\ufffd", "a.\ufffd"]


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b"a: &x [*x]",
        b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (i, i, i - 1, i - 1) for i in range(98, 123)),
        b"? [a]\n: b",
        b"!!int x",
        b"!!timestamp x",
        b"!!bool x",
        b"!!int 2024-13-45",
        b"a: 1" + b"0" * 400,
        b"a: .nan",
        b"%",
        b"\xff\xfe\x00",
    ],
)
def test_yaml_that_is_no_plain_data_is_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable):
        read_yaml(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"2: a\ntrue: b\n2024-01-02: c", {"2": "a", "true": "b", "2024-01-02": "c"}),
        (b"2024-01-02", "2024-01-02"),
        (b"2001-12-14 21:59:43.10", "2001-12-14 21:59:43.10"),
        (b"a: 2024-13-45", {"a": "2024-13-45"}),
        (b"[22:22, 1:30:00, 1:30.5]", ["22:22", "1:30:00", "1:30.5"]),
        (b"[1e3, 1.5e1, -.5, 1., 0.25, 1e400, 089]", [1000, 15, -0.5, 1, 0.25, "1e400", 89]),
        (b"[010, 0o10, 0x1F, 0b11, 1_000, -7, 0, +1]", [8, 8, 31, 3, 1000, -7, 0, 1]),
        (b"[18446744073709551615, 18446744073709551616]", [18446744073709551615, 18446744073709552000]),
        (b"[y, N, on, Off, yes, TRUE, tRUE]", [True, False, True, False, True, True, "tRUE"]),
        (b"[~, null, Null, nULL, '', ]", [None, None, None, "nULL", ""]),
        (b"y: 'y'", {"true": "y"}),
        (b"a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        (b'"\\ud800"', "\ufffd"),
        (b"!!set {a}", {"a": None}),
        (b"!!binary YQ==", "a"),
    ],
)
def test_yaml_becomes_what_json_has(text: bytes, value: object) -> None:
    assert read_yaml(text) == value


def test_the_keys_of_yaml_are_sorted_as_what_go_makes_of_a_map() -> None:
    assert list(read_yaml(b"b: 1\na: {d: 1, c: 1}\n2: x")) == ["2", "a", "b"]


@pytest.mark.parametrize("text", [b'{"a": [1%s]}', b'{"a": {"b": -1%s}}', b"1%s"])
def test_an_integer_that_no_float_holds_is_unreadable(text: bytes) -> None:
    read_json(text % (b"0" * 308))
    with pytest.raises(Unreadable, match=r"cannot unmarshal number -?10{309,} into Go value of type float64"):
        read_json(text % (b"0" * 309))


def test_a_long_number_in_text_is_text() -> None:
    assert read_json(b'"%s"' % (b"9" * 400)) == "9" * 400
