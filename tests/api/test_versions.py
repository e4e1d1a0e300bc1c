"""Resource versions: numbers that compare, or texts that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.api.versions import is_newer, is_older, later, reaches, version_number

NUMBERS = st.integers(0, 10**20)
TEXTS = st.one_of(NUMBERS.map(str), st.sampled_from(["", "opaque", "-1", "1_000", "１２", "٣", " 7", "007"]))


@given(NUMBERS, NUMBERS)
def test_versions_compare_as_the_numbers_they_are(one: int, other: int) -> None:
    assert is_newer(str(one), str(other)) is (one > other)
    assert is_older(str(one), str(other)) is (one < other)
    assert reaches(str(one), str(other)) is (one >= other)
    assert later(str(one), str(other)) == str(max(one, other))


@given(TEXTS, TEXTS)
def test_what_is_no_number_is_never_older_and_always_newer(one: str, other: str) -> None:
    first, second = version_number(one), version_number(other)
    known = first is not None and second is not None
    assert is_newer(one, other) is (first > second if first is not None and second is not None else True)
    assert is_older(one, other) is (known and is_newer(other, one))


@pytest.mark.parametrize("text", ["", "opaque", "-1", "1_000", "１２", "٣", " 7"])
def test_only_ascii_digits_make_a_number(text: str) -> None:
    assert version_number(text) is None
    assert is_newer(text, "99") and is_newer("1", text) and not is_older("1", text)
