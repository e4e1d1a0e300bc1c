"""Who is noted as an owner, and from when: `apimachinery/pkg/util/managedfields/internal`."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from kresilient.testing.server import ApiState, Refused
from kresilient.testing.server.kinds import ApiResource
from kresilient.testing.server.ownership.managed import Managers
from kresilient.testing.server.writing import Write

from .test_apply import apply, owners

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.fixture
def state() -> ApiState:
    return ApiState(now=lambda: 1_795_000_000.0, random=Random(1))


@pytest.fixture
def maps(state: ApiState) -> ApiResource:
    return state.resources.parse("v1/configmaps")


def created(state: ApiState, maps: ApiResource, **data: str) -> dict[str, Any]:
    body = {"metadata": {"name": "a"}, "data": data}
    return state.create(maps, body, namespace="default", write=Write(manager="creator")).decode()


# --- from nobody to somebody -------------------------------------------------------------------------


@pytest.mark.parametrize("cleared", [[], [{}]])
def test_an_update_may_clear_the_owners(state: ApiState, maps: ApiResource, cleared: Any) -> None:
    """`isResetManagedFields` in `fieldmanager.go`."""
    made = created(state, maps, x="1")
    made["metadata"]["managedFields"] = cleared
    assert "managedFields" not in state.update(maps, "default/a", made).decode()["metadata"]


@pytest.mark.parametrize("cleared", [[], [{}]])
def test_a_patch_may_clear_the_owners(state: ApiState, maps: ApiResource, cleared: Any) -> None:
    created(state, maps, x="1")
    patch = {"metadata": {"managedFields": cleared}}
    assert "managedFields" not in state.patch(maps, "default/a", patch, kind="merge")[0].decode()["metadata"]


def test_owners_that_were_cleared_are_noted_again_from_the_first_apply(
    state: ApiState, maps: ApiResource
) -> None:
    """`skipnonapplied.go`: an update of an object without owners notes none, an apply what was there."""
    made = created(state, maps, x="1")
    made["metadata"]["managedFields"] = [{}]
    state.update(maps, "default/a", made)
    changed, _ = state.patch(maps, "default/a", {"data": {"y": "1"}}, kind="merge")
    assert "managedFields" not in changed.decode()["metadata"]
    applied = apply(state, maps, {"data": {"z": "1"}})
    assert owners(applied) == {
        "one": {"f:data": {"f:z": {}}},
        "before-first-apply (update)": {"f:data": {".": {}, "f:x": {}, "f:y": {}}},
    }
    with pytest.raises(Refused, match=r'conflict with "before-first-apply" using v1: \.data\.x'):
        apply(state, maps, {"data": {"x": "2"}})


def test_what_a_write_to_the_status_says_of_owners_does_not_count(state: ApiState) -> None:
    """`decodeLiveOrNew` in `fieldmanager.go`."""
    pods = state.resources.parse("v1/pods")
    pod = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = state.create(pods, pod, namespace="default", write=Write(manager="creator")).decode()
    made["metadata"]["managedFields"] = [{}]
    made["status"]["message"] = "m"
    write = Write(manager="kubelet")
    changed = state.update(pods, "default/a", made, subresource="status", write=write).decode()
    assert list(owners(changed)) == ["creator (update)", "kubelet (update)"]


# --- what is noted can be read -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"k:no": {}},
        {"k:[]": {}},
        {"v:": {}},
        {"v:1e999": {}},
        {"i:one": {}},
        {"i:" + "9" * 5000: {}},
        {"f:a": 0},
        {"f:a": {"k:{": {}}},
        {"x": {}},
        {"": {}},
        {"x:a": {}},
    ],
)
def test_owners_that_cannot_be_read_leave_those_there_are(
    state: ApiState, maps: ApiResource, fields: Any
) -> None:
    """`DeserializePathElement` in structured-merge-diff's `fieldpath/serialize-pe.go`."""
    made = created(state, maps, x="1")
    before = made["metadata"]["managedFields"]
    entry = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    made["metadata"]["managedFields"] = [{**entry, "fieldsV1": fields}]
    assert state.update(maps, "default/a", made).decode()["metadata"]["managedFields"] == before


def test_an_element_has_one_written_form() -> None:
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    fields = {"f:a": {'k:{ "b": 1, "a": "x" }': {".": {}}, 'v: "s"': None, "i:+07": {}}}
    written = Managers.read([{**entry, "fieldsV1": fields}]).written()
    assert written[0]["fieldsV1"] == {"f:a": {'k:{"a":"x","b":1}': {}, 'v:"s"': {}, "i:7": {}}}


# --- no more than ten --------------------------------------------------------------------------------


def entry(manager: str, second: int, version: str = "v1", **more: str) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": version,
        "time": f"2026-01-01T00:00:{second:02}Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {f"f:{manager}": {}}},
        **more,
    }


def test_updates_of_subresources_count_among_the_ten() -> None:
    """`capmanagers.go`."""
    entries = [entry(f"m{number}", number, subresource="status") for number in range(11)]
    capped = Managers.read(entries).capped().written()
    assert [one["manager"] for one in capped][:2] == ["ancient-changes", "m2"]
    assert capped[0]["fieldsV1"] == {"f:data": {"f:m0": {}, "f:m1": {}}}
    assert (capped[0]["time"], capped[0].get("subresource")) == ("2026-01-01T00:00:01Z", None)


def test_the_oldest_updates_of_each_version_become_one() -> None:
    old = [entry("a", 1, "v1beta1"), entry("b", 2), entry("c", 3, "v1beta1"), entry("d", 4)]
    capped = Managers.read([*old, *(entry(f"m{number}", 10 + number) for number in range(8))]).capped()
    assert [(one["manager"], one["apiVersion"]) for one in capped.written()][:2] == [
        ("ancient-changes", "v1beta1"),
        ("ancient-changes", "v1"),
    ]


# --- from the client's side to the server's ----------------------------------------------------------


def applied_by_a_client(state: ApiState, maps: ApiResource, **data: str) -> None:
    said = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
    metadata = {"name": "a", "annotations": {ANNOTATION: json.dumps(said)}}
    write = Write(manager="kubectl-client-side-apply")
    state.create(maps, {**said, "metadata": metadata}, namespace="default", write=write)


def test_kubectl_takes_what_it_applied_from_the_client_without_conflict(
    state: ApiState, maps: ApiResource
) -> None:
    """`lastappliedmanager.go`, and `lastappliedupdater.go` for the annotation."""
    applied_by_a_client(state, maps, x="1", y="1")
    made = apply(state, maps, {"data": {"x": "2"}}, manager="kubectl")
    assert made["data"] == {"x": "2", "y": "1"}
    assert owners(made)["kubectl"] == {"f:data": {"f:x": {}}}
    assert made["metadata"]["annotations"][ANNOTATION] == (
        '{"apiVersion":"v1","data":{"x":"2"},"kind":"ConfigMap","metadata":{"name":"a"}}\n'
    )


def test_others_do_not_take_what_a_client_applied(state: ApiState, maps: ApiResource) -> None:
    applied_by_a_client(state, maps, x="1")
    with pytest.raises(Refused, match=r'conflict with "kubectl-client-side-apply" using v1: \.data\.x'):
        apply(state, maps, {"data": {"x": "2"}}, manager="another")


def test_what_changed_since_the_client_applied_it_is_a_conflict(state: ApiState, maps: ApiResource) -> None:
    applied_by_a_client(state, maps, x="1", y="1")
    state.patch(maps, "default/a", {"data": {"x": "9"}}, kind="merge", write=Write(manager="editor"))
    with pytest.raises(Refused) as refused:
        apply(state, maps, {"data": {"x": "2", "y": "2"}}, manager="kubectl")
    assert refused.value.message == ('Apply failed with 1 conflict: conflict with "editor" using v1: .data.x')


@pytest.mark.parametrize(
    "said", ["{", "[]", "{}", '{"apiVersion":"v1","kind":"ConfigMap","data":1}', "[" * 9999]
)
def test_an_annotation_that_cannot_be_read_excuses_nothing(
    state: ApiState, maps: ApiResource, said: str
) -> None:
    body = {"metadata": {"name": "a", "annotations": {ANNOTATION: said}}, "data": {"x": "1"}}
    state.create(maps, body, namespace="default", write=Write(manager="creator"))
    with pytest.raises(Refused, match=r'conflict with "creator" using v1: \.data\.x'):
        apply(state, maps, {"data": {"x": "2"}}, manager="kubectl")


def test_an_annotation_that_would_be_too_large_goes(state: ApiState, maps: ApiResource) -> None:
    """`SetLastApplied` in `lastapplied.go`."""
    applied_by_a_client(state, maps, x="1")
    made = apply(state, maps, {"data": {"x": "1", "y": "y" * 300_000}}, manager="kubectl")
    assert ANNOTATION not in made["metadata"].get("annotations", {})


@pytest.mark.parametrize(("config", "kind"), [([], "array"), ("a", "string"), (1, "number"), (True, "bool")])
def test_a_configuration_is_an_object(state: ApiState, maps: ApiResource, config: Any, kind: str) -> None:
    with pytest.raises(Refused) as refused:
        state.patch(maps, "default/a", config, kind="apply")
    assert (refused.value.code, refused.value.message) == (
        400,
        "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
        f"{kind} into Go value of type map[string]interface {{}}",
    )
