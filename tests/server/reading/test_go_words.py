"""Texts that cannot be read are refused in the words of Go's standard library."""

from __future__ import annotations

import pytest

from kresilient.testing.server.go_words import (
    duration_fault,
    json_fault,
    parse_bool,
    parse_int,
    parse_uint,
    quote,
)
from kresilient.testing.server.negotiation import accepts_gzip


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a", '"a"'),
        ('a"b\\', r'"a\"b\\"'),
        ("<&>", '"<&>"'),
        ("ü\n\0\x7f", r'"ü\n\x00\x7f"'),
        ("\u2028\U000e0001", r'"\u2028\U000e0001"'),
    ],
)
def test_a_text_is_quoted(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        *(
            (good, "")
            for good in ("0", "-0", "5s", "1h2m3.5s", ".5s", "1.s", "+1us", "1\u00b5s", "-5m", "010ns")
        ),
        ("9223372036854775807ns", ""),
        ("-9223372036854775808ns", ""),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("9" * 5000 + "s", f'time: invalid duration "{"9" * 5000}s"'),
        ("2562048h", 'time: invalid duration "2562048h"'),
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("abc", 'time: invalid duration "abc"'),
        (".s", 'time: invalid duration ".s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5m3", 'time: missing unit in duration "5m3"'),
        ("10sec", 'time: unknown unit "sec" in duration "10sec"'),
        ("1s 2s", 'time: unknown unit "s " in duration "1s 2s"'),
        ('5\u00fc"', r'time: unknown unit "\xc3\xbc\"" in duration "5\xc3\xbc\""'),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, fault: str) -> None:
    assert duration_fault(text) == fault


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b' {"a": [1, -0.5e+3, "\\u00e4\\n", true, false, null, {}, []]} ', ""),
        (b"", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b'{"a', "unexpected end of JSON input"),
        (b"tru", "unexpected end of JSON input"),
        (b"-", "unexpected end of JSON input"),
        (b"i", "invalid character 'i' looking for beginning of value"),
        (b"'", "invalid character '\\'' looking for beginning of value"),
        (b"\xff", "invalid character 'ÿ' looking for beginning of value"),
        (b"\x01", "invalid character '\\x01' looking for beginning of value"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b"{a", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a",', "invalid character ',' after object key"),
        (b'{"a":1 "', "invalid character '\"' after object key:value pair"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'"\n"', "invalid character '\\n' in string literal"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
        (b'"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        (b"-a", "invalid character 'a' in numeric literal"),
        (b"1.a", "invalid character 'a' after decimal point in numeric literal"),
        (b"1ea", "invalid character 'a' in exponent of numeric literal"),
        (b"trx", "invalid character 'x' in literal true (expecting 'u')"),
        (b"nul1", "invalid character '1' in literal null (expecting 'l')"),
        (b"01", "invalid character '1' after top-level value"),
        (b"{} x", "invalid character 'x' after top-level value"),
        (b"[" * 5000, "exceeded max depth"),
    ],
)
def test_what_is_no_json_is_named(data: bytes, fault: str) -> None:
    assert json_fault(data) == fault


@pytest.mark.parametrize("text", ["", "x", "1.0", "1_0", " 1", "٣", "--1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    for read in (parse_int, parse_uint):
        with pytest.raises(ValueError, match="invalid syntax"):
            read(text)


def test_numbers_have_64_bits() -> None:
    assert parse_int("-9223372036854775808") == -(1 << 63)
    assert parse_uint("0018446744073709551615") == (1 << 64) - 1
    for read, text in (
        (parse_int, "9223372036854775808"),
        (parse_uint, "18446744073709551616"),
        (parse_uint, "9" * 5000),
    ):
        with pytest.raises(ValueError, match="value out of range"):
            read(text)


def test_a_parameter_that_is_there_is_true_unless_it_says_no() -> None:
    assert [parse_bool(text) for text in ("", "1", "yes", "TRUE")] == [True] * 4
    assert [parse_bool(text) for text in ("0", "false", "FALSE")] == [False] * 3


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("deflate, gzip", True),
        ("identity,gzip , br", True),
        ("", False),
        ("gzip;q=0", False),
        ("gzip;q=1.0", False),
        ("x-gzip", False),
        ("*", False),
    ],
)
def test_gzip_is_taken_where_it_is_named_and_no_quality_is_read(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
