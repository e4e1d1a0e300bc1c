"""Quantities: the forms of the API convention, and the bounds of `resource.Quantity`."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.testing.server.types.quantity import QuantityError, canonical, value


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0"),
        ("1", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("100m", "100m"),
        ("1000m", "1"),
        ("1500", "1500"),
        ("2000", "2k"),
        ("1.5G", "1500M"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000Ki", "1000Ki"),
        ("0.5Ki", "512"),
        ("12e6", "12e6"),
        ("1200e4", "12e6"),
        ("1E", "1E"),
        ("-500m", "-500m"),
        ("+1", "1"),
        ("0.0000000001", "1n"),
        (2, "2"),
        (0.25, "250m"),
    ],
)
def test_the_one_form(text: str | float, written: str) -> None:
    assert canonical(text) == written


@pytest.mark.parametrize("text", ["", "one", "1 Gi", "1gi", "1KI", "--1", "1e", "Mi", "1.2.3", "٣"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="must match the regular expression"):
        canonical(text)


def test_what_is_too_large_is_cut() -> None:
    assert canonical("10E") == "9223372036854775807"
    assert canonical("1e1000000000") == "9223372036854775807"


@given(
    st.decimals(min_value=-(10**6), max_value=10**6, places=3),
    st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "e3"]),
)
def test_the_one_form_is_the_same_amount_and_its_own_form(number: Decimal, suffix: str) -> None:
    text = f"{number:f}{suffix}"
    written = canonical(text)
    assert value(written) == value(text)
    assert canonical(written) == written
