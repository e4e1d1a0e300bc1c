"""What is kept of an arriving object: stripped, then transformed, then projected; or set aside."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kresilient.api.errors import ConfigError, PoisonObject
from kresilient.api.objects import KubeObject
from kresilient.api.views import View
from kresilient.cache.intake import Intake

POD = KubeObject.decode(
    b'{"metadata":{"name":"a","namespace":"default","uid":"u","resourceVersion":"7","labels":{"app":"web"},'
    b'"annotations":{"x":"y"},"managedFields":[{"manager":"m"}]},'
    b'"spec":{"nodeName":"n1","containers":[{"name":"c"}]},"status":{"phase":"Running"}}',
    kind="Pod",
    api_version="v1",
)


class Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class PodView(View, resource="v1/pods"):
    spec: Spec


def changed(**meta: Any) -> dict[str, Any]:
    data = POD.to_dict()
    return {**data, "metadata": {**data["metadata"], **meta}}


def test_strip_drops_the_named_fields_and_nothing_else() -> None:
    kept = Intake(strip=["metadata.managedFields", "status"])(POD)
    expected = POD.to_dict()
    del expected["metadata"]["managedFields"], expected["status"]
    assert kept.to_dict() == expected
    assert kept.meta == POD.meta
    assert (kept.kind, kept.api_version) == ("Pod", "v1")


def test_what_is_left_of_equal_headers_is_held_once() -> None:
    intake = Intake(strip=["status"])
    one, other = (intake(KubeObject.decode(bytes(bytearray(POD.raw)))) for _ in range(2))
    assert one.meta == other.meta == POD.meta
    assert one.meta.labels_ is other.meta.labels_
    assert one.meta.namespace is other.meta.namespace


def test_a_label_that_is_dropped_is_dropped_from_the_header() -> None:
    assert POD.labels == {"app": "web"}
    assert Intake(strip=["metadata.labels.app"])(POD).labels == {}


@pytest.mark.parametrize("path", ["absent", "spec.absent", "spec.nodeName.deeper", "spec.containers.name"])
def test_an_object_without_the_field_is_kept_as_it_is(path: str) -> None:
    assert Intake(strip=[path])(POD) is POD


@pytest.mark.parametrize(
    "path",
    [
        "metadata",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.resourceVersion",
        "metadata.labels",
        "spec..x",
        "",
    ],
)
def test_what_identifies_an_object_and_what_is_no_path_cannot_be_stripped(path: str) -> None:
    with pytest.raises(ConfigError, match="strip"):
        Intake(strip=[path])


def test_one_path_is_no_list_of_paths() -> None:
    with pytest.raises(ConfigError, match=r"write strip=\['status'\]"):
        Intake(strip="status")


def test_only_an_intake_that_does_nothing_is_idle() -> None:
    assert Intake().idle
    assert not Intake(strip=["status"]).idle
    assert not Intake(transform=lambda obj: obj).idle
    assert not Intake(view=PodView).idle


def test_a_transform_may_return_a_mapping_and_the_kind_is_kept() -> None:
    kept = Intake(transform=lambda obj: {"metadata": obj["metadata"], "spec": {"short": True}})(POD)
    assert kept["spec"] == {"short": True}
    assert "status" not in kept
    assert (kept.kind, kept.api_version) == ("Pod", "v1")


@pytest.mark.parametrize(
    "meta", [{"name": "b"}, {"namespace": "other"}, {"uid": "v"}, {"resourceVersion": "8"}], ids=str
)
def test_a_transform_may_not_change_who_the_object_is(meta: dict[str, str]) -> None:
    with pytest.raises(PoisonObject, match="changed the name, namespace, uid or resourceVersion"):
        Intake(transform=lambda _: changed(**meta))(POD)


@pytest.mark.parametrize("result", [None, "text", 7, [1]])
def test_a_transform_that_returns_something_else_sets_the_object_aside(result: Any) -> None:
    with pytest.raises(PoisonObject, match=f"not {type(result).__name__}"):
        Intake(transform=lambda _: result)(POD)


def test_a_transform_that_fails_sets_the_object_aside_with_its_error_as_the_cause() -> None:
    with pytest.raises(PoisonObject, match=r"transform failed.*KeyError\('absent'\)") as raised:
        Intake(transform=lambda obj: obj["absent"])(POD)
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_transform_that_returns_what_is_no_json_sets_the_object_aside() -> None:
    with pytest.raises(PoisonObject):
        Intake(transform=lambda obj: {**obj.to_dict(), "spec": object()})(POD)


def test_a_view_keeps_the_header_and_its_own_fields_only() -> None:
    kept = Intake(view=PodView)(POD)
    data = msgspec.json.decode(kept.raw)
    assert data["spec"] == {"nodeName": "n1"}
    assert set(data) == {"metadata", "spec"}
    assert set(data["metadata"]) == {"name", "namespace", "uid", "resourceVersion", "labels"}
    assert kept.meta == POD.meta


def test_an_object_that_does_not_fit_the_view_is_set_aside() -> None:
    odd = KubeObject.from_dict({"metadata": {"name": "a"}, "spec": {"nodeName": 7}})
    with pytest.raises(PoisonObject, match="does not fit PodView"):
        Intake(view=PodView)(odd)


def test_strip_comes_before_the_transform_and_the_view_after() -> None:
    arrived: list[KubeObject] = []

    def transform(obj: KubeObject) -> dict[str, Any]:
        arrived.append(obj)
        return {**obj.to_dict(), "spec": {"nodeName": "moved", "more": 1}}

    kept = Intake(strip=["status"], transform=transform, view=PodView)(POD)
    assert "status" not in arrived[0]
    assert msgspec.json.decode(kept.raw)["spec"] == {"nodeName": "moved"}
