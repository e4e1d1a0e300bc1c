"""Quantities: the forms, bounds and oddities of `k8s.io/apimachinery/pkg/api/resource` (`quantity.go`,
`suffix.go`, `amount.go`)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.testing.server.types.decode import decoded
from kresilient.testing.server.types.quantity import QuantityError, canonical, value
from kresilient.testing.server.types.schema import builtin_types


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
        ("+1", "+1"),
        ("1.500", "1.500"),
        ("12.345k", "12.345k"),
        ("1.50", "1500m"),
        ("1.000", "1"),
        ("005", "005"),
        ("1e+3", "1e+3"),
        ("10e2", "1e3"),
        ("1025.5Ki", "1050112"),
        ("1.1Ki", "1126400m"),
        ("0.1Ki", "102400m"),
        ("-0.0000000001", "-1n"),
        ("1e-2000000000", "1e-9"),
        ("10E", "10E"),
        ("9223372036854775808", "9223372036854775808"),
        ("16Ei", "9223372036854775807"),
        ("-16Ei", "-9223372036854775807"),
        ("1000000000000000000000", "1"),
        ("1e1000000000", "10e999999999"),
        ("k", "0"),
        ("Mi", "0"),
        ("-", "0"),
        (".", "0"),
        ("0.0000000001", "1n"),
        (2, "2"),
        (0.25, "250m"),
    ],
)
def test_the_one_form(text: str | float, written: str) -> None:
    assert canonical(text) == written


@pytest.mark.parametrize("text", ["", "one", "1 Gi", "1gi", "1KI", "1.2.3", "٣", "1e5.5", " 1"])
def test_what_has_another_form_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="must match the regular expression"):
        canonical(text)


@pytest.mark.parametrize("text", ["--1", "1e", "1K", "1mi", "1m5", "1-5", "1i", "1Ei5", "1e" + "9" * 5000])
def test_a_suffix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="unable to parse quantity's suffix"):
        canonical(text)


def test_numbers_of_any_length_are_read() -> None:
    assert canonical("1" * 5000) == "1" * 5000
    assert canonical("0." + "1" * 5000) == "111111112n"
    assert canonical("9" * 5000 + "Ki") == "9223372036854775807"


@pytest.mark.parametrize(
    ("given_", "written"), [("100u", "1m"), ("1500000u", "1500m"), ("1.500", "1.500"), ("1.2345", "1235m")]
)
def test_an_amount_of_a_resource_is_no_finer_than_a_thousandth(given_: str, written: str) -> None:
    """`SetDefaults_ResourceList` in `pkg/apis/core/v1/defaults.go`."""
    pods = builtin_types()["io.k8s.api.core.v1.ResourceRequirements"]
    assert decoded(pods, {"limits": {"cpu": given_}}) == {"limits": {"cpu": written}}


@given(
    st.decimals(min_value=-(10**6), max_value=10**6, places=3),
    st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "e3"]),
)
def test_the_one_form_is_the_same_amount_and_its_own_form(number: Decimal, suffix: str) -> None:
    text = f"{number:f}{suffix}"
    written = canonical(text)
    assert value(written) == value(text)
    assert canonical(written) == written
