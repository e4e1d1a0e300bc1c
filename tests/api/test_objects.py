"""Objects as bytes with a decoded header, field paths, and views."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kresilient.api.errors import ConfigError, PoisonObject, SelectorError
from kresilient.api.fields import FieldPath
from kresilient.api.objects import KubeObject
from kresilient.api.resources import Resource
from kresilient.api.views import View, project, resource_of, view_of

WEB: dict[str, Any] = {
    "metadata": {
        "name": "web-0",
        "namespace": "default",
        "uid": "u1",
        "resourceVersion": "12",
        "labels": {"app": "web", "app.kubernetes.io/name": "n"},
        "annotations": {"note": "x"},
    },
    "spec": {
        "nodeName": "n1",
        "containers": [{"name": "a", "image": "i1"}, {"name": "b", "image": "i2"}, {"name": "c"}],
    },
    "status": None,
}


@pytest.fixture
def web() -> KubeObject:
    return KubeObject.decode(msgspec.json.encode(WEB), kind="Pod", api_version="v1")


def test_the_header_is_read_only(web: KubeObject) -> None:
    assert (web.key, web.name, web.namespace, web.uid, web.resource_version) == (
        "default/web-0",
        "web-0",
        "default",
        "u1",
        "12",
    )
    with pytest.raises(TypeError):
        web.labels["app"] = "other"  # type: ignore[index]
    with pytest.raises(AttributeError):
        web.raw = b""  # type: ignore[misc]


def test_the_body_is_decoded_anew_at_each_access(web: KubeObject) -> None:
    web["spec"]["nodeName"] = "changed"
    web.annotations["note"] = "changed"
    assert web["spec"]["nodeName"] == "n1"
    assert web.annotations == {"note": "x"}


def test_it_reads_like_a_mapping_with_the_kind_of_its_list(web: KubeObject) -> None:
    assert web["kind"] == "Pod"
    assert set(web) == {"apiVersion", "kind", "metadata", "spec", "status"}
    assert dict(web) == web.to_dict() == {"apiVersion": "v1", "kind": "Pod", **WEB}
    assert "status" in web and web["status"] is None
    assert "nope" not in web and web.get("nope", 7) == 7
    with pytest.raises(KeyError):
        web["nope"]


def test_the_repr_shows_no_content(web: KubeObject) -> None:
    assert repr(web) == "<Pod default/web-0 at 12>"


def test_objects_are_equal_when_their_bytes_are(web: KubeObject) -> None:
    twin = KubeObject.decode(web.raw)
    assert twin == web and hash(twin) == hash(web)
    assert web != KubeObject.decode(web.raw.replace(b"web-0", b"web-1"))


def test_a_cluster_scoped_object_has_its_name_as_key() -> None:
    assert KubeObject.decode(b'{"metadata":{"name":"n1"}}').key == "n1"


def test_a_deletion_under_way_shows() -> None:
    assert KubeObject.decode(b'{"metadata":{"name":"a","deletionTimestamp":"2026-01-01T00:00:00Z"}}').deleting


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"metadata":{}}', b'{"metadata":{"name":1}}', b'{"metadata":{"name":"a"}', b"\xff"],
)
def test_what_is_no_object_with_a_name_is_poison(raw: bytes) -> None:
    with pytest.raises(PoisonObject):
        KubeObject.decode(raw)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("spec.nodeName", ["n1"]),
        ("spec.containers[*].image", ["i1", "i2"]),
        ("spec.containers[1].name", ["b"]),
        ("spec.containers[9].name", []),
        ("metadata.labels.app", ["web"]),
        ("metadata.labels['app.kubernetes.io/name']", ["n"]),
        ("spec.nodeName.deeper", []),
        ("spec.nodeName[*]", []),
        ("status.phase", []),
        ("nope.at.all", []),
    ],
)
def test_a_field_path_finds_what_is_there(web: KubeObject, path: str, values: list[Any]) -> None:
    assert FieldPath.parse(path).values(web.raw) == values
    assert web.field(path, "absent") == (values[0] if values else "absent")


@pytest.mark.parametrize("path", ["", ".", "a..b", ".a", "a.", "a[", "a[x]", "a b", "a[-1]", "['']"])
def test_what_is_no_field_path_is_an_error(path: str) -> None:
    with pytest.raises(SelectorError, match="no field path"):
        FieldPath.parse(path)


class PodSpec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class PodView(View, resource="v1/pods"):
    spec: PodSpec


def test_a_view_is_the_declared_fields_typed(web: KubeObject) -> None:
    view = view_of(PodView, web)
    assert (view.key, view.spec.node_name, view.labels["app"]) == ("default/web-0", "n1", "web")
    assert resource_of(PodView) == Resource.parse("v1/pods")


def test_a_projection_keeps_the_header_and_the_declared_fields_only(web: KubeObject) -> None:
    small = project(PodView, web)
    assert small.to_dict().keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert small["spec"] == {"nodeName": "n1"}
    assert "annotations" not in small["metadata"]
    assert view_of(PodView, small) == view_of(PodView, web)


def test_an_object_that_does_not_fit_its_view_is_poison() -> None:
    with pytest.raises(PoisonObject, match=r"PodView.*node"):
        view_of(PodView, KubeObject.decode(b'{"metadata":{"name":"a"},"spec":{"nodeName":7}}'))


def test_a_view_without_a_resource_says_how_to_name_one() -> None:
    class Nameless(View):
        spec: PodSpec

    with pytest.raises(ConfigError, match="resource="):
        resource_of(Nameless)
