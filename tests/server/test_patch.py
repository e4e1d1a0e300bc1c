"""Patches, each against what the RFCs and the strategic merge of Kubernetes say."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server import ApiState, Refused
from kresilient.testing.server.patch import applied

PODS = ApiState().resources.parse("v1/pods")


def patched(spec: Any, patch: Any, kind: str) -> Any:
    obj = {"metadata": {"name": "a"}, "spec": spec}
    return applied(PODS, obj, patch, kind)["spec"]


@pytest.mark.parametrize(
    ("spec", "patch", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": None, "d": 3}}, {"a": {"b": 1, "d": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
    ],
)
def test_merge_patch(spec: Any, patch: Any, expected: Any) -> None:
    assert patched(spec, {"spec": patch}, "merge") == expected


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/spec/l/1", "value": 9}], {"l": [1, 9, 2], "m": {"x/y": 1}}),
        ([{"op": "add", "path": "/spec/l/-", "value": 9}], {"l": [1, 2, 9], "m": {"x/y": 1}}),
        ([{"op": "remove", "path": "/spec/l/0"}], {"l": [2], "m": {"x/y": 1}}),
        ([{"op": "replace", "path": "/spec/m/x~1y", "value": 2}], {"l": [1, 2], "m": {"x/y": 2}}),
        ([{"op": "move", "from": "/spec/m/x~1y", "path": "/spec/n"}], {"l": [1, 2], "m": {}, "n": 1}),
        ([{"op": "copy", "from": "/spec/l", "path": "/spec/m"}], {"l": [1, 2], "m": [1, 2]}),
        ([{"op": "test", "path": "/spec/l/0", "value": 1}], {"l": [1, 2], "m": {"x/y": 1}}),
    ],
)
def test_json_patch(operations: Any, expected: Any) -> None:
    assert patched({"l": [1, 2], "m": {"x/y": 1}}, operations, "json") == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/spec/a", "value": 2},
        {"op": "remove", "path": "/spec/none"},
        {"op": "replace", "path": "/spec/l/5", "value": 1},
        {"op": "add", "path": "/spec/l/-1", "value": 1},
        {"op": "add", "path": "/spec/l/5", "value": 1},
        {"op": "add", "path": "spec", "value": 1},
        {"op": "explode", "path": "/spec"},
        {"op": "add", "path": "/spec/x"},
        {"op": "remove", "path": "/metadata"},
    ],
)
def test_a_json_patch_that_does_not_apply_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        patched({"a": 1, "l": []}, [operation], "json")
    assert refused.value.code == 422


@pytest.mark.parametrize(
    ("spec", "patch", "expected"),
    [
        (
            {"containers": [{"name": "a", "image": "1"}, {"name": "b"}]},
            {"containers": [{"name": "a", "image": "2"}]},
            {"containers": [{"name": "a", "image": "2"}, {"name": "b"}]},
        ),
        (
            {"containers": [{"name": "a"}, {"name": "b"}]},
            {"containers": [{"name": "a", "$patch": "delete"}]},
            {"containers": [{"name": "b"}]},
        ),
        (
            {"containers": [{"name": "a"}]},
            {"containers": [{"$patch": "replace"}, {"name": "c"}]},
            {"containers": [{"name": "c"}]},
        ),
        (
            {"containers": [{"name": "a"}]},
            {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "b"}]},
            {"containers": [{"name": "a"}, {"name": "b"}]},
        ),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}),
        ({"nodeSelector": {"a": "1", "b": "2"}}, {"nodeSelector": {"a": None}}, {"nodeSelector": {"b": "2"}}),
        (
            {"nodeSelector": {"a": "1"}},
            {"nodeSelector": {"$patch": "replace", "c": "3"}},
            {"nodeSelector": {"c": "3"}},
        ),
    ],
)
def test_strategic_merge_patch(spec: Any, patch: Any, expected: Any) -> None:
    assert patched(spec, {"spec": patch}, "strategic") == expected


def test_finalizers_merge_as_a_set_and_are_deleted_by_name() -> None:
    obj = {"metadata": {"name": "a", "finalizers": ["x", "y"]}}
    merged = applied(PODS, obj, {"metadata": {"finalizers": ["y", "z"]}}, "strategic")
    assert merged["metadata"]["finalizers"] == ["x", "y", "z"]
    without = applied(PODS, obj, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}}, "strategic")
    assert without["metadata"]["finalizers"] == ["y"]


def test_a_patch_leaves_its_target_alone() -> None:
    obj = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a"}], "m": {"k": 1}}}
    before = repr(obj)
    applied(PODS, obj, [{"op": "remove", "path": "/spec/m/k"}], "json")
    applied(PODS, obj, {"spec": {"m": {"k": 2}}}, "merge")
    applied(PODS, obj, {"spec": {"containers": [{"name": "a", "image": "i"}], "m": {"k": 2}}}, "strategic")
    assert repr(obj) == before
