"""Fields that a JSON text gives more than once."""

from __future__ import annotations

import pytest

from kresilient.testing.server.repeated import repeated_fields


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (b'{"a": 1, "b": {"a": 1}}', []),
        (b'{"a": 1, "a": 2}', ["a"]),
        (b'{"a": {"b": 1, "b": 2}, "c": 3}', ["a.b"]),
        (b'{"a": [{"b": 1}, {"b": 1, "b": 2}]}', ["a[1].b"]),
        (b'{"a": [[{"b": 1, "b": 2}]], "c": {"d": {"e": 1, "e": 1}}}', ["a[0][0].b", "c.d.e"]),
        (b'{"a": {"b": 1, "b": 2}, "a": 3}', ["a.b", "a"]),
        (b"[]", []),
    ],
)
def test_each_is_named_by_its_path(text: bytes, paths: list[str]) -> None:
    assert repeated_fields(text) == paths
