"""What counts as a change: values that Python takes for equal, and clients do not."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server import ApiState, wire
from kresilient.testing.server.writing import Write

from .custom import definition


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": [1, "x"]}, {"a": [1, "x"]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (1, 1.0, True),
        ([{"a": 1}], [{"a": 1.0}], True),
        (1, True, False),
        ({"a": [{"b": 0}]}, {"a": [{"b": False}]}, False),
        ({"a": 1.0}, {"a": True}, False),
        ([1.0, True], [1, True], True),
        ({"a": 1}, {"a": 1, "b": None}, False),
    ],
)
def test_true_is_not_one(one: Any, other: Any, same: bool) -> None:
    assert wire.same(one, other) is same
    assert wire.same(other, one) is same


def test_a_custom_field_that_goes_from_one_to_true_is_a_change_and_has_an_owner() -> None:
    state = ApiState()
    definitions = state.resources.parse("apiextensions.k8s.io/v1/customresourcedefinitions")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    state.create(definitions, definition(schema=schema))
    widgets = state.resources.parse("example.com/v1/widgets")
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"on": 1}}
    first = state.create(widgets, body, namespace="default", write=Write(manager="one")).decode()
    write = Write(manager="two")
    changed = state.patch(widgets, "default/w", {"spec": {"on": True}}, kind="merge", write=write)[0].decode()
    assert changed["spec"] == {"on": True}
    assert changed["spec"]["on"] is True
    assert changed["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert changed["metadata"]["generation"] == 2
    owners = {one["manager"]: one["fieldsV1"] for one in changed["metadata"]["managedFields"]}
    assert owners["two"] == {"f:spec": {"f:on": {}}}


def test_a_whole_number_of_a_custom_field_is_shown_without_its_point() -> None:
    """`encoding/json` writes a `float64` so; see `tests/server/types/test_untyped.py`."""
    state = ApiState()
    definitions = state.resources.parse("apiextensions.k8s.io/v1/customresourcedefinitions")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    state.create(definitions, definition(schema=schema))
    widgets = state.resources.parse("example.com/v1/widgets")
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"a": [1.0]}}
    assert b'"a":[1]' in state.create(widgets, body, namespace="default").item
