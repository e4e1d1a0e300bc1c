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
        ([{"op": "add", "path": "/spec/l/-1", "value": 3}], {"l": [1, 2, 3], "m": {"x/y": 1}}),
        ([{"op": "remove", "path": "/spec/l/-2"}], {"l": [2], "m": {"x/y": 1}}),
        ([{"op": "replace", "path": "/spec/l/-1", "value": 3}], {"l": [1, 3], "m": {"x/y": 1}}),
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
        {"op": "add", "path": "/spec/l/-2", "value": 1},
        {"op": "add", "path": "/spec/l/5", "value": 1},
        {"op": "add", "path": "/spec/l/one", "value": 1},
        {"op": "copy", "path": "/spec/b", "from": None},
        {"op": "move", "path": "/spec/b", "from": "/spec/a/0"},
        {"op": "remove", "path": "/metadata/name/0"},
        {"op": "test", "path": "/spec/a", "value": True},
        {"op": "test", "path": "/spec/a", "value": 1.0},
        {"op": "add", "path": "spec", "value": 1},
        {"op": "explode", "path": "/spec"},
        {"op": "add", "path": "/spec/x"},
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


@pytest.mark.parametrize(
    ("spec", "patch", "expected"),
    [
        pytest.param(
            {"containers": [{"name": "c", "env": [{"name": "A"}]}]},
            {"containers": [{"name": "c", "env": [{"name": "B"}]}]},
            {"containers": [{"name": "c", "env": [{"name": "B"}, {"name": "A"}]}]},
            id="what only the patch has comes first",
        ),
        pytest.param(
            {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]},
            {"containers": [{"name": "c", "image": "i"}, {"name": "new"}]},
            {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c", "image": "i"}, {"name": "new"}]},
            id="others stay before the one they stood before",
        ),
        pytest.param(
            {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]},
            {"containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "web"}]}]},
            {"containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "web"}]}]},
            id="ports of a container by containerPort",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "emptyDir": {}}]},
            {"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]},
            {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
            id="retainKeys drops the source that was",
        ),
        pytest.param(
            {"nodeSelector": {"a": "1"}},
            {"nodeSelector": {"b": "2", "c": None}, "affinity": {"nodeAffinity": None, "podAffinity": {}}},
            {"nodeSelector": {"a": "1", "b": "2"}, "affinity": {"podAffinity": {}}},
            id="nulls in what is new are dropped",
        ),
        pytest.param(
            {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1}]},
            {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2}]},
            {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2}]},
            id="constraints by topologyKey",
        ),
    ],
)
def test_strategic_merge_of_lists(spec: Any, patch: Any, expected: Any) -> None:
    assert patched(spec, {"spec": patch}, "strategic") == expected


@pytest.mark.parametrize(
    ("patch", "code", "words"),
    [
        ({"containers": [{"image": "x"}]}, 500, "does not contain declared merge key: name"),
        (
            {"nodeSelector": {"$patch": "explode", "b": 1}},
            500,
            r"^unknown patch type: explode in map: map\[\$patch:explode b:1\]$",
        ),
        ({"nodeSelector": {"$patch": 1}}, 500, r"unknown patch type: %!s\(int64=1\) in map: "),
        ({"nodeSelector": {"$patch": None}}, 500, r"unknown patch type: %!s\(<nil>\) in map: "),
        ({"containers": [{"name": "c", "$patch": "explode"}]}, 500, "unknown patch type: explode in map: "),
        ({"containers": [{"name": "c", "$patch": "merge"}]}, 500, "merging lists cannot yet be specified"),
        ({"containers": [{"$patch": "replace"}, {"image": "i"}]}, 500, "declared merge key: name"),
        (
            {"containers": [{"x": {"b": [1, None], "a": True}}]},
            500,
            r"map: map\[x:map\[a:true b:\[1 <nil>\]\]\] ",
        ),
        ({"containers": ["c"]}, 500, "list element types are not identical: "),
        ({"containers": [["c"]]}, 422, "due to an error in our request"),
        ({"$retainKeys": ["volumes"], "nodeName": "n"}, 400, "invalid patch format of retainKeys"),
        ({"$retainKeys": None}, 400, "invalid patch format of retainKeys"),
        ({"$deleteFromPrimitiveListcontainers": ["c"]}, 400, "invalid patch format of primitive list"),
        ({"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        (
            {"$setElementOrder/containers": 1},
            500,
            r"^expected a \[\]interface \{\}, but received a int64$",
        ),
        (
            {"$setElementOrder/bogus": []},
            500,
            '^unable to find api field in struct PodSpec for the json field "bogus"$',
        ),
        (
            {"$setElementOrder/containers": [{"name": "c"}], "containers": [{"name": "d"}]},
            500,
            r"^the order in patch list:\n\[map\[name:d\]\]\n doesn't match \$setElementOrder list:\n",
        ),
        ({"$setElementOrder/volumes": [], "volumes": []}, 500, r"no elements in any of the given slices: "),
    ],
)
def test_a_strategic_patch_of_a_wrong_form_is_refused(patch: Any, code: int, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        patched({"containers": [{"name": "c"}], "nodeSelector": {"a": "1"}}, {"spec": patch}, "strategic")
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        pytest.param({"$deleteFromPrimitiveList/args": 1}, ["a", "b"], id="what is no list deletes nothing"),
        pytest.param({"$deleteFromPrimitiveList/args": None}, None, id="null deletes the list"),
        pytest.param(
            {"$deleteFromPrimitiveList/args": ["a"]}, ["a"], id="a list that is replaced is replaced"
        ),
        pytest.param({"args": [{"$patch": "delete"}, "c"]}, [{"$patch": "delete"}, "c"], id="taken as it is"),
        pytest.param({"args": {"$patch": "delete"}}, None, id="a directive is no value"),
        pytest.param(
            {"$retainKeys": ["name", "args"], "$setElementOrder/env": [], "args": ["c"]},
            ["c"],
            id="directives need not be retained",
        ),
    ],
)
def test_odd_directives_do_what_the_server_makes_of_them(patch: Any, expected: Any) -> None:
    """`mergeMap` and `removeDirectives` of `apimachinery/pkg/util/strategicpatch/patch.go`."""
    containers = {"containers": [{"name": "c", "args": ["a", "b"]}]}
    made = patched(containers, {"spec": {"containers": [{"name": "c", **patch}]}}, "strategic")
    assert made["containers"][0].get("args") == expected


@pytest.mark.parametrize("operations", [[1], [None], [[]], {}, "a"])
def test_a_json_patch_is_a_list_of_objects(operations: Any) -> None:
    with pytest.raises(Refused) as refused:
        patched({}, operations, "json")
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        ({"op": 1, "path": "/spec"}, "number into Go struct field jsonPatchOp.op of type string"),
        ({"op": "remove", "path": ["spec"]}, "array into Go struct field jsonPatchOp.path of type string"),
        (
            {"op": "copy", "path": "/a", "from": True},
            "bool into Go struct field jsonPatchOp.from of type string",
        ),
        (1, "number into Go value of type handlers.jsonPatchOp"),
    ],
)
def test_the_members_of_an_operation_are_of_their_types(operation: Any, why: str) -> None:
    with pytest.raises(Refused) as refused:
        patched({"a": 1}, [operation], "json")
    assert refused.value.code == 400
    assert refused.value.message == f"error decoding patch: json: cannot unmarshal {why}"


def test_where_nothing_is_strict_an_operation_of_a_wrong_type_does_not_apply() -> None:
    with pytest.raises(Refused) as refused:
        applied(PODS, {"metadata": {}}, [{"op": 1, "path": "/spec"}], "json", strict=False)
    assert refused.value.code == 422


@pytest.mark.parametrize(
    ("kind", "patch", "said"),
    [
        (
            "merge",
            [1],
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface "
            "{}",
        ),
        (
            "merge",
            "a",
            "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface "
            "{}",
        ),
        ("merge", None, "Invalid JSON Patch"),
        ("strategic", 1, "json: cannot unmarshal number into Go value of type map[string]interface {}"),
    ],
)
def test_a_merge_patch_is_an_object(kind: str, patch: Any, said: str) -> None:
    with pytest.raises(Refused) as refused:
        patched({}, patch, kind)
    assert (refused.value.code, refused.value.message) == (400, said)


def test_a_strategic_patch_of_null_changes_nothing() -> None:
    assert patched({"a": 1}, None, "strategic") == {"a": 1}


@pytest.mark.parametrize(
    ("kind", "patch", "why"),
    [
        ("merge", {"kind": "Secret"}, "converting (v1.Secret) to (core.Pod): unknown conversion"),
        (
            "json",
            [{"op": "add", "path": "/kind", "value": "Secret"}],
            "converting (v1.Secret) to (core.Pod): unknown conversion",
        ),
        (
            "merge",
            {"apiVersion": "v2"},
            'no kind "Pod" is registered for version "v2" in scheme "k8s.io/kubernetes/',
        ),
        (
            "merge",
            {"kind": "Gadget"},
            'no kind "Gadget" is registered for version "v1" in scheme "k8s.io/kubernetes/',
        ),
        (
            "merge",
            {"metadata": 1},
            "json: cannot unmarshal number into Go struct field Pod.metadata of type v1.ObjectMeta",
        ),
        (
            "json",
            [{"op": "replace", "path": "", "value": [1]}],
            "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type "
            "struct {",
        ),
    ],
)
def test_what_a_patch_makes_is_read_as_an_object_of_the_kind(kind: str, patch: Any, why: str) -> None:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    with pytest.raises(Refused) as refused:
        applied(PODS, obj, patch, kind)
    assert refused.value.code == 422
    assert f": {why}" in refused.value.message


@pytest.mark.parametrize("name", ["kind", "apiVersion", "metadata"])
def test_what_a_patch_takes_away_of_an_objects_head_is_as_it_was_or_empty(name: str) -> None:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    changed = applied(PODS, obj, [{"op": "remove", "path": f"/{name}"}], "json")
    assert changed == {
        **{key: value for key, value in obj.items() if key != name},
        **({"metadata": {}} if name == "metadata" else {}),
    }


def test_a_json_patch_has_ten_thousand_operations_at_the_most() -> None:
    test = {"op": "test", "path": "/spec/a", "value": 1}
    assert patched({"a": 1}, [test] * 10_000, "json") == {"a": 1}
    with pytest.raises(Refused) as refused:
        patched({"a": 1}, [test] * 10_001, "json")
    assert refused.value.code == 413


def test_of_list_elements_with_one_merge_key_the_first_is_patched() -> None:
    ports = [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]
    made = patched(
        {"containers": [{"name": "a", "ports": ports}]},
        {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 53, "name": "dns"}]}]}},
        "strategic",
    )
    assert made["containers"][0]["ports"] == [{**ports[0], "name": "dns"}, ports[1]]


@pytest.mark.parametrize("kept", [[{}], [1], "a", {}])
def test_the_keys_that_a_strategic_patch_retains_are_texts(kept: Any) -> None:
    with pytest.raises(Refused) as refused:
        patched({}, {"spec": {"$retainKeys": kept}}, "strategic")
    assert refused.value.code == 400


def test_a_strategic_patch_of_a_long_list_takes_time_in_proportion_to_it() -> None:
    class Name(str):
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return str.__eq__(self, other)

    def env() -> list[dict[str, Any]]:
        return [{"name": Name(f"n{number}"), "value": "1"} for number in range(500)]

    held = {"containers": [{"name": "a", "env": env()}]}
    patch = {"spec": {"containers": [{"name": "a", "env": env()[::-1]}]}}
    assert len(patched(held, patch, "strategic")["containers"][0]["env"]) == 500
    assert Name.compared < 20_000


def test_a_json_patch_stays_as_it_was() -> None:
    value = {"x": 1}
    operations = [
        {"op": "add", "path": "/spec/a", "value": value},
        {"op": "replace", "path": "/spec/b", "value": value},
        {"op": "add", "path": "/spec/a/y", "value": 2},
        {"op": "add", "path": "/spec/b/z", "value": 3},
    ]
    expected = {"a": {"x": 1, "y": 2}, "b": {"x": 1, "z": 3}}
    assert patched({"b": 0}, operations, "json") == expected
    assert value == {"x": 1}
