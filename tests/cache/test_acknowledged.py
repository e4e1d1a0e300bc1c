"""What the answer to a write says of the object."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kresilient.api.resources import Resource
from kresilient.cache.acknowledged import Deleted, Written, acknowledged

PODS = Resource.parse("v1/pods")
KEY = "default/a"
META = {"name": "a", "namespace": "default", "uid": "u1", "resourceVersion": "7"}


def answer(kind: str = "Pod", version: str = "v1", *, spec: Any = None, **meta: Any) -> bytes:
    return json.dumps(
        {"kind": kind, "apiVersion": version, "metadata": {**META, **meta}, "spec": spec}
    ).encode()


def status(**details: str) -> bytes:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": details}
    return json.dumps(body).encode()


@pytest.mark.parametrize("verb", ["create", "update", "patch"])
def test_an_object_is_the_state_it_has_now(verb: str) -> None:
    done = acknowledged(PODS, verb, None, answer())
    assert isinstance(done, Written)
    assert (done.key, done.uid, done.version) == (KEY, "u1", "7")
    assert done.object.raw.endswith(b"}"), "as a watch has it, without the newline that ends an answer"


@pytest.mark.parametrize("name", ["status", "resize", "ephemeralcontainers"])
def test_some_subresources_answer_with_the_object(name: str) -> None:
    assert isinstance(acknowledged(PODS.with_subresource(name), "patch", KEY, answer()), Written)


@pytest.mark.parametrize(
    ("resource", "body"),
    [
        (PODS.with_subresource("eviction"), answer("Eviction", "policy/v1")),
        (PODS.with_subresource("binding"), status(name="a")),
        (Resource.parse("apps/v1/deployments/scale"), answer("Scale", "autoscaling/v1")),
        (PODS, answer("Pod", "v2")),
        (PODS, answer("Table", "meta.k8s.io/v1")),
        (PODS, answer(uid="")),
        (PODS, status(name="a", uid="u1")),
        (PODS, b"<html>"),
    ],
)
def test_what_is_no_state_of_that_object_says_nothing(resource: Resource, body: bytes) -> None:
    assert acknowledged(resource, "update", KEY, body) is None


def test_a_delete_is_told_by_a_status_with_the_uid_alone() -> None:
    assert acknowledged(PODS, "delete", KEY, status(name="a", uid="u1")) == Deleted(KEY, "u1", "")
    assert acknowledged(PODS, "delete", KEY, status(name="a")) is None


@pytest.mark.parametrize(
    ("verb", "meta", "gone"),
    [
        ("delete", {}, True),  # removed at once, and shown as it last was
        ("delete", {"deletionTimestamp": "t"}, True),
        ("delete", {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 0}, True),
        ("delete", {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 30}, False),
        ("delete", {"deletionTimestamp": "t", "finalizers": ["x/y"]}, False),
        ("patch", {}, False),
        ("patch", {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 0}, True),
        ("patch", {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 0, "finalizers": ["x/y"]}, False),
        ("patch", {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 30}, False),
        ("patch", {"deletionTimestamp": "t"}, False),
    ],
)
def test_an_object_is_gone_when_nothing_holds_it_any_more(
    verb: str, meta: dict[str, Any], gone: bool
) -> None:
    assert isinstance(acknowledged(PODS, verb, KEY, answer(**meta)), Deleted if gone else Written)


def test_a_namespace_is_held_by_the_finalizers_of_its_spec() -> None:
    namespaces = Resource.parse("v1/namespaces")
    ends = {"deletionTimestamp": "t", "namespace": ""}
    held = answer("Namespace", spec={"finalizers": ["kubernetes"]}, **ends)
    assert isinstance(acknowledged(namespaces, "delete", "a", held), Written)
    assert isinstance(acknowledged(namespaces, "delete", "a", answer("Namespace", **ends)), Deleted)


def test_a_spec_of_any_shape_is_no_obstacle() -> None:
    body = answer(spec=["no", "mapping"], deletionTimestamp="t", deletionGracePeriodSeconds=0)
    assert isinstance(acknowledged(PODS, "delete", KEY, body), Deleted)
