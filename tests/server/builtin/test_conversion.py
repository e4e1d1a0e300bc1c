"""What is stored once and served in two shapes: events, and horizontal pod autoscalers."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from kresilient.testing.server import ApiState, Refused
from kresilient.testing.server.forms import MetadataForm, ObjectForm
from kresilient.testing.server.kinds import ApiResource
from kresilient.testing.server.listing import ListOptions
from kresilient.testing.server.selection import Selection
from kresilient.testing.server.wire import decode
from kresilient.testing.server.writing import Write

from .objects import valid

V1, V2 = "autoscaling/v1/horizontalpodautoscalers", "autoscaling/v2/horizontalpodautoscalers"
OLD, NEW = "v1/events", "events.k8s.io/v1/events"
TARGET = {"kind": "Deployment", "name": "d"}


@pytest.fixture
def state() -> ApiState:
    return ApiState(random=Random(1))


def create(state: ApiState, resource: str, obj: dict[str, Any]) -> dict[str, Any]:
    found = state.resources.parse(resource)
    return shown(found, state.create(found, obj, namespace="default"))


def shown(resource: ApiResource, stored: Any) -> dict[str, Any]:
    made: dict[str, Any] = decode(ObjectForm(resource).one(stored))
    return made


def read(state: ApiState, resource: str, key: str = "default/a") -> dict[str, Any]:
    found = state.resources.parse(resource)
    return shown(found, state.get(found, key))


def autoscaler(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "scaleTargetRef": TARGET, **spec}}


def test_an_event_of_the_new_group_is_one_of_the_core_group(state: ApiState) -> None:
    made = create(state, NEW, {**valid(NEW), "note": "it works", "deprecatedCount": 2})
    assert (made["apiVersion"], made["note"], made["regarding"]["name"]) == (
        "events.k8s.io/v1",
        "it works",
        "a",
    )
    old = read(state, OLD)
    assert (old["apiVersion"], old["message"], old["count"]) == ("v1", "it works", 2)
    assert old["involvedObject"] == {"namespace": "default", "name": "a"}
    assert old["reportingComponent"] == "example.com/c"
    assert old["metadata"]["uid"] == made["metadata"]["uid"]


def test_events_of_both_groups_are_listed_and_watched_together(state: ApiState) -> None:
    new = state.resources.parse(NEW)
    version = state.version
    create(state, OLD, {**valid(OLD), "metadata": {"name": "old"}, "message": "m"})
    create(state, NEW, {**valid(NEW), "metadata": {"name": "new"}, "note": "n"})
    page = state.page(new, Selection(new), ListOptions())
    listed = decode(b"".join(ObjectForm(new).listed(page.items, page.version)))
    assert [one["note"] for one in listed["items"]] == ["n", "m"]
    watch = state.watch(new, Selection(new), ObjectForm(new), version=version)
    frames = [decode(line)["object"] for line in watch.take().splitlines()]
    assert [one["note"] for one in frames] == ["m", "n"]


def test_a_selector_of_either_group_selects_in_its_own_words(state: ApiState) -> None:
    create(state, OLD, {**valid(OLD), "reason": "Seen"})
    for name, fields in ((OLD, "involvedObject.name=a"), (NEW, "regarding.name=a"), (NEW, "reason=Seen")):
        resource = state.resources.parse(name)
        assert len(Selection(resource, fields=fields).select(state.collection(resource))) == 1, fields
        none = Selection(resource, fields=fields.replace("=", "!="))
        assert none.select(state.collection(resource)) == [], fields


def test_a_patch_in_one_group_is_seen_in_the_other(state: ApiState) -> None:
    create(state, OLD, {**valid(OLD), "count": 1})
    new = state.resources.parse(NEW)
    state.patch(new, "default/a", {"deprecatedCount": 5}, kind="merge", write=Write(trusted=True))
    assert read(state, OLD)["count"] == 5


def test_a_refusal_names_the_core_group(state: ApiState) -> None:
    with pytest.raises(Refused) as refused:
        create(state, NEW, {**valid(NEW), "action": ""})
    assert refused.value.message == 'Event "a" is invalid: action: Required value'
    assert "group" not in refused.value.status()["details"]
    with pytest.raises(Refused, match=r'^events "none" not found$'):
        read(state, NEW, "default/none")


def test_a_target_in_v1_is_a_metric_in_v2_and_back(state: ApiState) -> None:
    made = create(state, V1, autoscaler(targetCPUUtilizationPercentage=50))
    assert made["spec"]["targetCPUUtilizationPercentage"] == 50
    target = {"type": "Utilization", "averageUtilization": 50}
    assert read(state, V2)["spec"]["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    ]
    assert read(state, V1) == made


def test_what_v1_has_no_field_for_is_an_annotation_there_and_nothing_is_lost(state: ApiState) -> None:
    target = {"type": "AverageValue", "averageValue": "1Gi"}
    memory = {"type": "Resource", "resource": {"name": "memory", "target": target}}
    made = create(state, V2, autoscaler(metrics=[memory], behavior={"scaleDown": {"selectPolicy": "Min"}}))
    old = read(state, V1)
    notes = old["metadata"]["annotations"]
    assert sorted(notes) == [
        "autoscaling.alpha.kubernetes.io/behavior",
        "autoscaling.alpha.kubernetes.io/metrics",
    ]
    v1 = state.resources.parse(V1)
    state.update(v1, "default/a", old)
    after = read(state, V2)
    assert after["spec"] == made["spec"]
    assert "annotations" not in after["metadata"]


def test_metadata_alone_is_that_of_the_version(state: ApiState) -> None:
    target = {"type": "AverageValue", "averageValue": "1Gi"}
    memory = {"type": "Resource", "resource": {"name": "memory", "target": target}}
    create(state, V2, autoscaler(metrics=[memory]))
    for name, has in ((V1, True), (V2, False)):
        resource = state.resources.parse(name)
        form = MetadataForm(resource)
        metadata = decode(form.one(state.get(resource, "default/a")))["metadata"]
        assert ("annotations" in metadata) == has
