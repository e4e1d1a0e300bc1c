"""The patterns of schemas and rules are Go's, and none of them takes longer than its text is long."""

from __future__ import annotations

import time

import pytest

from kresilient.testing.server.schema.findings import findings
from kresilient.testing.server.schema.patterns import PatternFault, UnknownPattern, compiled

from .custom import Wire, version


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        ("^a$", "a", "a\n"),
        (r"\Aa\z", "a", "ab"),
        ("b", "abc", "ac"),
        ("^[[:alpha:]_]+$", "a_b", "a1"),
        ("^(?P<x>a)(?<y>b)$", "ab", "a"),
        ("(?i)^ab$", "AB", "b"),
        (r"^\d$", "1", "\N{ARABIC-INDIC DIGIT ONE}"),
        (r"^\x{61}$", "a", "b"),
        ("^[]a]$", "]", "b"),
        ("^[[a]$", "[", "b"),
        (r"^[a\]$]+$", "a]$", "b"),
        (r"^\p{L}$", "é", "1"),
        ("a(?i)b", "aB", "AB"),
        ("^[[:^alpha:]]$", "1", "a"),
        (r"^\Qa.b\E$", "a.b", "axb"),
        (r"^\\C$", r"\C", "a"),
    ],
)
def test_a_pattern_means_what_it_means_in_go(pattern: str, found: str, not_found: str) -> None:
    assert compiled(pattern).found_in(found)
    assert not compiled(pattern).found_in(not_found)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("b(?<!a)", "invalid named capture: `(?<!a)`"),
        ("(?<=a)(?P<x>b)", "invalid named capture: `(?<=a)(?P<x>`"),
        ("(?P<x", "invalid named capture: `(?P<x`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"a\Z", r"invalid escape sequence: `\Z`"),
        ("a++", "invalid nested repetition operator: `++`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("x{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("(a{100}){100}", "invalid repeat count: `{100}`"),
        ("a(", "missing closing ): `a(`"),
        ("a)", "unexpected ): `a)`"),
        ("a[b", "missing closing ]: `[b`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        ("a\\", "trailing backslash at end of expression: ``"),
    ],
)
def test_what_is_no_pattern_is_refused_in_the_words_of_go(pattern: str, why: str) -> None:
    with pytest.raises(PatternFault) as refused:
        compiled(pattern)
    assert str(refused.value) == f"error parsing regexp: {why}"


@pytest.mark.parametrize(
    ("pattern", "what"), [(r"\p{Letter}", r"the class \p{Letter}"), (r"^\p{L}{500}$", "the size")]
)
def test_what_cannot_be_searched_for_here(pattern: str, what: str) -> None:
    with pytest.raises(UnknownPattern) as refused:
        compiled(pattern)
    assert str(refused.value) == what


def test_no_pattern_holds_the_server_up() -> None:
    wire = Wire()
    wire.define(version({"a": {"type": "string", "pattern": "^(a+)+$"}}))
    started = time.process_time()
    assert wire.faults({"a": "a" * 50_000 + "b"})
    assert time.process_time() - started < 5  # of one that backtracks: longer than anybody waits


def test_what_a_rule_looks_for_in_vain_is_told_in_time() -> None:
    started = time.process_time()
    assert findings("(a+)+c", "a" * 50_000 + "b") == []
    assert time.process_time() - started < 5
