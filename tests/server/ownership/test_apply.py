"""Server-side apply: what is merged, who owns it, what is removed, and what conflicts (KEP-555)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.testing.server import ApiState, Refused
from kresilient.testing.server.kinds import ApiResource
from kresilient.testing.server.writing import Write

SELECTOR = {"matchLabels": {"app": "d"}}


class Clock:
    seconds = 1_795_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> ApiState:
    return ApiState(now=clock, random=Random(1))


@pytest.fixture
def maps(state: ApiState) -> ApiResource:
    return state.resources.parse("v1/configmaps")


@pytest.fixture
def deployments(state: ApiState) -> ApiResource:
    return state.resources.parse("apps/v1/deployments")


def apply(
    state: ApiState,
    resource: ApiResource,
    body: dict[str, Any],
    *,
    manager: str = "one",
    force: bool = False,
    subresource: str = "",
) -> dict[str, Any]:
    config = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "a"}, **body}
    write = Write(manager=manager, force=force)
    stored, _ = state.patch(resource, "default/a", config, kind="apply", write=write, subresource=subresource)
    return stored.decode()


def owners(obj: dict[str, Any]) -> dict[str, Any]:
    """`fieldsV1` by manager, with the operation where it is an update."""
    return {
        entry["manager"] + ("" if entry["operation"] == "Apply" else " (update)"): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", ())
    }


def deployment(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": list(containers)}}
    return {"spec": {"selector": SELECTOR, "template": template, **spec}}


def containers_of(obj: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["name"], one.get("image", "")) for one in obj["spec"]["template"]["spec"]["containers"]]


# --- owning ------------------------------------------------------------------------------------------


def test_an_applier_owns_what_it_says_and_no_default(state: ApiState, deployments: ApiResource) -> None:
    made = apply(state, deployments, deployment({"name": "c", "image": "i:1"}))
    container = {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}}}
    assert owners(made) == {
        "one": {
            "f:spec": {
                "f:selector": {},
                "f:template": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {"f:containers": container},
                },
            }
        }
    }
    assert made["spec"]["replicas"] == 1


def test_two_who_say_the_same_share_the_field(state: ApiState, maps: ApiResource) -> None:
    apply(state, maps, {"data": {"x": "1"}})
    made = apply(state, maps, {"data": {"x": "1", "y": "2"}}, manager="two")
    assert owners(made) == {"one": {"f:data": {"f:x": {}}}, "two": {"f:data": {"f:x": {}, "f:y": {}}}}


def test_the_same_again_writes_nothing(state: ApiState, maps: ApiResource, clock: Clock) -> None:
    first = apply(state, maps, {"data": {"x": "1"}})
    clock.seconds += 60
    assert apply(state, maps, {"data": {"x": "1"}}) == first


def test_another_value_is_a_conflict_that_names_manager_and_field(state: ApiState, maps: ApiResource) -> None:
    apply(state, maps, {"data": {"x": "1", "y": "1"}})
    with pytest.raises(Refused) as refused:
        apply(state, maps, {"data": {"x": "2"}}, manager="two")
    assert refused.value.status()["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.x'
    with pytest.raises(Refused) as refused:
        apply(state, maps, {"data": {"x": "2", "y": "2"}}, manager="two")
    assert (refused.value.code, refused.value.message) == (
        409,
        'Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y',
    )
    assert [cause["field"] for cause in refused.value.status()["details"]["causes"]] == [".data.x", ".data.y"]


def test_a_conflict_with_an_update_says_by_which_version(state: ApiState, maps: ApiResource) -> None:
    obj = {"metadata": {"name": "a"}, "data": {"x": "1"}}
    state.create(maps, obj, namespace="default", write=Write(manager="kubectl-create"))
    with pytest.raises(Refused, match=r'conflict with "kubectl-create" using v1: \.data\.x'):
        apply(state, maps, {"data": {"x": "2"}})


def test_force_takes_the_field_over(state: ApiState, maps: ApiResource) -> None:
    apply(state, maps, {"data": {"x": "1", "y": "1"}})
    made = apply(state, maps, {"data": {"x": "2"}}, manager="two", force=True)
    assert made["data"] == {"x": "2", "y": "1"}
    assert owners(made) == {"one": {"f:data": {"f:y": {}}}, "two": {"f:data": {"f:x": {}}}}


def test_an_update_takes_what_it_changes(state: ApiState, maps: ApiResource) -> None:
    apply(state, maps, {"data": {"x": "1", "y": "1"}})
    write = Write(manager="editor")
    stored, _ = state.patch(maps, "default/a", {"data": {"x": "2"}}, kind="merge", write=write)
    assert owners(stored.decode()) == {
        "one": {"f:data": {"f:y": {}}},
        "editor (update)": {"f:data": {"f:x": {}}},
    }


# --- removing ----------------------------------------------------------------------------------------


def test_what_its_only_applier_says_no_more_goes(state: ApiState, maps: ApiResource) -> None:
    apply(state, maps, {"data": {"x": "1", "y": "1"}})
    made = apply(state, maps, {"data": {"x": "1"}})
    assert made["data"] == {"x": "1"}


def test_what_another_applier_says_too_stays(state: ApiState, maps: ApiResource) -> None:
    apply(state, maps, {"data": {"x": "1", "y": "1"}})
    apply(state, maps, {"data": {"y": "1"}}, manager="two")
    made = apply(state, maps, {"data": {"x": "1"}})
    assert made["data"] == {"x": "1", "y": "1"}
    assert owners(made) == {"one": {"f:data": {"f:x": {}}}, "two": {"f:data": {"f:y": {}}}}


def test_what_an_update_set_stays_when_an_applier_never_owned_it(state: ApiState, maps: ApiResource) -> None:
    state.create(maps, {"metadata": {"name": "a"}, "data": {"mine": "1"}}, namespace="default")
    apply(state, maps, {"data": {"x": "1"}})
    assert apply(state, maps, {})["data"] == {"mine": "1"}


def test_a_list_element_goes_with_its_applier_and_the_others_stay(
    state: ApiState, deployments: ApiResource
) -> None:
    apply(state, deployments, deployment({"name": "c", "image": "i:1"}, {"name": "side", "image": "s:1"}))
    injected = {"spec": {"template": {"spec": {"containers": [{"name": "mesh", "image": "m:1"}]}}}}
    both = apply(state, deployments, injected, manager="mesh")
    assert containers_of(both) == [("c", "i:1"), ("side", "s:1"), ("mesh", "m:1")]
    made = apply(state, deployments, deployment({"name": "c", "image": "i:2"}))
    assert containers_of(made) == [("c", "i:2"), ("mesh", "m:1")]


def test_elements_keep_the_order_of_the_applied_list(state: ApiState, deployments: ApiResource) -> None:
    one, two, three = ({"name": name, "image": "i"} for name in ("x", "y", "z"))
    apply(state, deployments, deployment(one, two, three))
    made = apply(state, deployments, deployment(three, one, two))
    assert [name for name, _ in containers_of(made)] == ["z", "x", "y"]


def test_finalizers_are_a_set(state: ApiState, maps: ApiResource) -> None:
    held = {"metadata": {"name": "a", "finalizers": ["example.com/one"]}}
    apply(state, maps, held)
    other = {"metadata": {"name": "a", "finalizers": ["example.com/two"]}}
    made = apply(state, maps, other, manager="two")
    assert made["metadata"]["finalizers"] == ["example.com/one", "example.com/two"]
    left = apply(state, maps, {"metadata": {"name": "a"}}, manager="two")
    assert left["metadata"]["finalizers"] == ["example.com/one"]


def test_a_key_field_that_is_left_out_has_its_default(state: ApiState, deployments: ApiResource) -> None:
    ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]
    made = apply(state, deployments, deployment({"name": "c", "image": "i", "ports": ports}))
    fields = owners(made)["one"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert list(fields["f:ports"]) == [
        'k:{"containerPort":80,"protocol":"TCP"}',
        'k:{"containerPort":80,"protocol":"UDP"}',
    ]


def test_an_atomic_field_has_one_owner(state: ApiState, deployments: ApiResource) -> None:
    pod = {"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "c", "image": "i"}]}
    body = {"spec": {"selector": SELECTOR, "template": {"metadata": {"labels": {"app": "d"}}, "spec": pod}}}
    apply(state, deployments, body)
    other = {"spec": {"template": {"spec": {"nodeSelector": {"zone": "a"}}}}}
    with pytest.raises(Refused, match=r"conflict with \"one\": .spec.template.spec.nodeSelector$"):
        apply(state, deployments, other, manager="two")


# --- subresources ------------------------------------------------------------------------------------


def test_the_status_has_owners_of_its_own(state: ApiState, deployments: ApiResource) -> None:
    apply(state, deployments, deployment({"name": "c", "image": "i"}))
    body = {"spec": {"replicas": 9}, "status": {"replicas": 3}}
    made = apply(state, deployments, body, manager="ctl", subresource="status")
    assert made["spec"]["replicas"] == 1
    assert owners(made)["ctl"] == {"f:status": {"f:replicas": {}}}
    entry = next(one for one in made["metadata"]["managedFields"] if one["manager"] == "ctl")
    assert entry["subresource"] == "status"


def test_scaling_takes_the_replicas_from_who_applied_them(state: ApiState, deployments: ApiResource) -> None:
    apply(state, deployments, deployment({"name": "c", "image": "i"}, replicas=2))
    write = Write(manager="hpa")
    scale = {"spec": {"replicas": 5}}
    state.patch(deployments, "default/a", scale, kind="merge", subresource="scale", write=write)
    with pytest.raises(Refused, match='conflict with "hpa" with subresource "scale" using apps/v1'):
        apply(state, deployments, deployment({"name": "c", "image": "i"}, replicas=2))
    left = apply(state, deployments, deployment({"name": "c", "image": "i"}))
    assert left["spec"]["replicas"] == 5


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"bogus": 1}, 500, ".bogus: field not declared in schema"),
        ({"data": {"x": 1}}, 500, ".data.x: expected string, got"),
        ({"data": []}, 500, ".data: expected map, got"),
        (
            {"metadata": {"name": "b"}},
            400,
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        ({"metadata": {"name": "a", "managedFields": [{}]}}, 400, "metadata.managedFields must be nil"),
        ({"kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        ({"apiVersion": "apps/v2", "kind": 1}, 400, "invalid object type: apps/v2, Kind="),
        ({"apiVersion": "a/b/c"}, 400, "invalid object type: /, Kind="),
        ({"metadata": {"name": "a", "managedFields": []}}, 400, "metadata.managedFields must be nil"),
        ({"metadata": {"name": "a", "finalizers": ["x/y", "x/y"]}}, 500, "duplicate entries for key"),
        ({"metadata": {"name": "a", "ownerReferences": [{"name": "o"}]}}, 500, 'omits key field "uid"'),
    ],
)
def test_a_configuration_of_a_wrong_form_is_refused_and_changes_nothing(
    state: ApiState, maps: ApiResource, body: dict[str, Any], code: int, words: str
) -> None:
    before = state.version
    with pytest.raises(Refused) as refused:
        apply(state, maps, body)
    assert refused.value.code == code
    assert words in refused.value.message
    assert state.version == before


def test_an_apply_at_another_version_is_a_conflict(state: ApiState, maps: ApiResource) -> None:
    apply(state, maps, {"data": {"x": "1"}})
    stale = {"metadata": {"name": "a", "resourceVersion": "1"}, "data": {"x": "2"}}
    with pytest.raises(Refused, match="the object has been modified"):
        apply(state, maps, stale)


# --- managed fields ----------------------------------------------------------------------------------


def test_an_update_that_says_nothing_of_owners_leaves_them(state: ApiState, maps: ApiResource) -> None:
    made = apply(state, maps, {"data": {"x": "1"}})
    del made["metadata"]["managedFields"]
    stored = state.update(maps, "default/a", {**made, "data": {"x": "1", "y": "2"}})
    assert owners(stored.decode())["one"] == {"f:data": {"f:x": {}}}


def test_a_single_empty_entry_clears_the_owners(state: ApiState, maps: ApiResource) -> None:
    made = apply(state, maps, {"data": {"x": "1"}})
    made["metadata"]["managedFields"] = [{}]
    assert "managedFields" not in state.update(maps, "default/a", made).decode()["metadata"]


def test_the_oldest_updates_beyond_ten_become_one(state: ApiState, maps: ApiResource, clock: Clock) -> None:
    obj = {"metadata": {"name": "a"}, "data": {"k0": ""}}
    state.create(maps, obj, namespace="default", write=Write(manager="m0"))
    for number in range(12):
        clock.seconds += 1
        patch = {"data": {f"k{number}": "v"}}
        state.patch(maps, "default/a", patch, kind="merge", write=Write(manager=f"m{number}"))
    kept = owners(state.get(maps, "default/a").decode())
    assert len(kept) == 10
    assert kept["ancient-changes (update)"] == {"f:data": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}}}


keys = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), keys), max_size=8))
def test_forced_applies_leave_what_the_last_ones_say(applies: list[tuple[str, dict[str, str]]]) -> None:
    state = ApiState(random=Random(1))
    maps = state.resources.parse("v1/configmaps")
    said: dict[str, dict[str, str]] = {}
    for manager, data in applies:
        made = apply(state, maps, {"data": data}, manager=manager, force=True)
        for other, theirs in said.items():
            if other != manager:  # a field that was taken over is no longer the other's
                said[other] = {key: value for key, value in theirs.items() if data.get(key, value) == value}
        said[manager] = data
        expected = {key: value for one in said.values() for key, value in one.items()}
        assert made.get("data", {}) == expected
        held = {name: set(fields.get("f:data", {})) for name, fields in owners(made).items()}
        for name, one in said.items():
            assert held.get(name, set()) - {"."} == {f"f:{key}" for key in one}
