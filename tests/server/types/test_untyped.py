"""Numbers of custom resources, as `sigs.k8s.io/json` reads and `encoding/json` writes them."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server import wire
from kresilient.testing.server.types.untyped import untyped


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (1e15, "1000000000000000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e21"),
        (2**63 - 1, "9223372036854775807"),
        (2**63, "9223372036854776000"),
        ([{"a": 2.0}, True], '[{"a":2},true]'),
    ],
)
def test_a_number_without_a_type(given: Any, written: str) -> None:
    assert wire.encode(untyped(given)).decode() == written
