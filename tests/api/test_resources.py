"""Resources, keys and paths: a name can never reach another path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.api.errors import InvalidName
from kresilient.api.resources import Resource, join_key, path_segment, split_key


@pytest.mark.parametrize(
    ("text", "collection", "one"),
    [
        ("v1/pods", "/api/v1/namespaces/n/pods", "/api/v1/namespaces/n/pods/a"),
        ("v1/pods/status", "/api/v1/namespaces/n/pods", "/api/v1/namespaces/n/pods/a/status"),
        (
            "apps/v1/deployments/scale",
            "/apis/apps/v1/namespaces/n/deployments",
            "/apis/apps/v1/namespaces/n/deployments/a/scale",
        ),
        (
            "example.com/v1alpha1/things",
            "/apis/example.com/v1alpha1/namespaces/n/things",
            "/apis/example.com/v1alpha1/namespaces/n/things/a",
        ),
    ],
)
def test_a_resource_has_its_rest_paths(text: str, collection: str, one: str) -> None:
    resource = Resource.parse(text)
    assert str(resource) == text
    assert resource.collection_path("n") == collection
    assert resource.object_path("n/a") == one


def test_kind_and_scope_of_built_in_resources_are_known() -> None:
    pods, nodes = Resource.parse("v1/pods"), Resource.parse("v1/nodes")
    assert (pods.kind, pods.namespaced, nodes.kind, nodes.namespaced) == ("Pod", True, "Node", False)
    assert nodes.object_path("n1") == "/api/v1/nodes/n1"
    assert Resource.parse("e.com/v1/things").namespaced is None


def test_a_subresource_knows_its_parent() -> None:
    assert Resource.parse("v1/pods/status").parent == Resource.parse("v1/pods")
    assert Resource.parse("v1/pods").with_subresource("status") == Resource.parse("v1/pods/status")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pods",
        "v1",
        "v1/Pods",
        "v1/pods/a/b",
        "a/b/c/d",
        "/v1/pods",
        "v1/",
        "v1/..",
        "apps/v1",
        "Apps/v1/x",
    ],
)
def test_what_names_no_resource_says_how_to_write_one(text: str) -> None:
    with pytest.raises(InvalidName, match="v1/pods"):
        Resource.parse(text)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../secrets", "a%2fb", "a\x00b", "a\nb", "/"])
def test_a_name_that_could_reach_another_path_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        path_segment(name, "name")


@pytest.mark.parametrize("key", ["", "/", "a/", "/a", "a/b/c", "..", "../a", "a/..", "a/."])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidName):
        Resource.parse("e.com/v1/things").object_path(key)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_path_always_has_its_four_segments_or_is_refused(namespace: str, name: str) -> None:
    try:
        path = Resource.parse("v1/pods").object_path(f"{namespace}/{name}")
    except InvalidName:
        return
    segments = path.split("/")
    assert segments[:4] == ["", "api", "v1", "namespaces"] and segments[5] == "pods" and len(segments) == 7
    assert not {"", ".", ".."} & {segments[4], segments[6]}
    assert path.isascii() and "?" not in path and "#" not in path


def test_scope_and_key_must_agree() -> None:
    with pytest.raises(InvalidName, match="namespaced"):
        Resource.parse("v1/pods").object_path("web-0")
    with pytest.raises(InvalidName, match="cluster-scoped"):
        Resource.parse("v1/nodes").object_path("default/n1")


def test_keys_join_and_split() -> None:
    assert split_key("n/a") == ("n", "a") and split_key("a") == (None, "a")
    assert join_key("n", "a") == "n/a" and join_key("", "a") == join_key(None, "a") == "a"


def test_a_wrong_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="resource"):
        Resource.parse(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key"):
        split_key(None)  # type: ignore[arg-type]
