"""What a write says of the object that it means, and what is said where that is another."""

from __future__ import annotations

from typing import Any

import pytest

from .custom import WIDGETS, Wire, version

_MAPS = "/api/v1/namespaces/default/configmaps"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
_DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
def wire() -> Wire:
    wire = Wire()
    assert wire.ask("POST", _MAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}})[0] == 201
    return wire


def said(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["message"]


def of_storage(plural: str, key: str, uid: str, found: str) -> str:
    return (
        f"StorageError: invalid object, Code: 4, Key: /registry/{plural}/{key}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
    )


@pytest.mark.parametrize("version", ["", "0", "00"])
def test_a_version_of_zero_is_any(wire: Wire, version: str) -> None:
    body = {"metadata": {"name": "a", "resourceVersion": version}, "data": {"k": "w"}}
    assert wire.ask("PUT", f"{_MAPS}/a", body)[0] == 200
    assert wire.ask("PATCH", f"{_MAPS}/a", {"metadata": {"resourceVersion": version}}, kind="merge")[0] == 200


def test_versions_are_compared_as_numbers(wire: Wire) -> None:
    version = wire.ask("GET", f"{_MAPS}/a")[1]["metadata"]["resourceVersion"]
    body = {"metadata": {"name": "a", "resourceVersion": f"0{version}"}, "data": {"k": "w"}}
    assert wire.ask("PUT", f"{_MAPS}/a", body)[0] == 200


@pytest.mark.parametrize(
    ("version", "fault"),
    [("abc", "invalid syntax"), ("-1", "invalid syntax"), ("9" * 20, "value out of range")],
)
def test_a_version_that_is_no_number_is_an_internal_error(wire: Wire, version: str, fault: str) -> None:
    body = {"metadata": {"name": "a", "resourceVersion": version}}
    message = f'strconv.ParseUint: parsing "{version}": {fault}'
    assert said(wire.ask("PUT", f"{_MAPS}/a", body)) == (500, message)
    patch = {"metadata": {"resourceVersion": version}}
    assert said(wire.ask("PATCH", f"{_MAPS}/a", patch, kind="merge")) == (500, message)


@pytest.mark.parametrize(("version", "code"), [("5", 500), ("0", 201), ("abc", 201)])
def test_a_create_asks_for_no_version(wire: Wire, version: str, code: int) -> None:
    body = {"metadata": {"name": "b", "resourceVersion": version}}
    assert "resourceVersion" not in wire.ask("POST", f"{_MAPS}?dryRun=All", body)[1].get("metadata", {})
    assert wire.ask("POST", _MAPS, body)[0] == code


def test_what_is_not_there_does_not_have_the_uid_that_is_asked_for(wire: Wire) -> None:
    body = {"metadata": {"name": "b", "uid": "u"}}
    why = of_storage("configmaps", "default/b", "u", "")
    message = f'Operation cannot be fulfilled on configmaps "b": {why}'
    assert said(wire.ask("PUT", f"{_MAPS}/b", body)) == (409, message)
    assert said(wire.ask("PUT", f"{_MAPS}/b", {"metadata": {"name": "b"}})) == (
        404,
        'configmaps "b" not found',
    )


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"name": "c"}, "the name of the object (c) does not match the name on the URL (b)"),
        ({}, "the name of the object (b based on URL) was undeterminable: name must be provided"),
        (
            {"name": "b", "namespace": "other"},
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ],
)
@pytest.mark.parametrize("path", [_MAPS, _LEASES])
def test_a_wrong_name_is_told_of_before_there_being_nothing(
    wire: Wire, path: str, metadata: dict[str, Any], message: str
) -> None:
    assert said(wire.ask("PUT", f"{path}/b", {"metadata": metadata})) == (400, message)


def test_an_update_of_a_lease_that_is_gone_creates_it_unless_it_asks_for_a_uid(wire: Wire) -> None:
    held = wire.ask("POST", _LEASES, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}})[1]
    wire.ask("DELETE", f"{_LEASES}/l")
    why = of_storage("leases", "default/l", held["metadata"]["uid"], "")
    message = f'Operation cannot be fulfilled on leases.coordination.k8s.io "l": {why}'
    assert said(wire.ask("PUT", f"{_LEASES}/l", held)) == (409, message)
    uid = held["metadata"].pop("uid")
    code, made = wire.ask("PUT", f"{_LEASES}/l", held)
    assert (code, made["spec"]) == (201, {"holderIdentity": "me"})
    assert made["metadata"]["uid"] != uid


@pytest.mark.parametrize(
    ("metadata", "code", "message"),
    [
        ({"name": "e"}, 400, "the name of the object (e) does not match the name on the URL (d)"),
        ({}, 400, "the name of the object (d based on URL) was undeterminable: name must be provided"),
        (
            {"name": "d", "namespace": "e"},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        ({"name": "d", "uid": "u"}, 409, "UID in precondition: u, UID in object meta: {uid}"),
        (
            {"name": "d", "resourceVersion": "1"},
            409,
            "please apply your changes to the latest version and try again",
        ),
        ({"name": "d"}, 200, ""),
    ],
)
def test_a_scale_says_which_object_it_means(
    wire: Wire, metadata: dict[str, Any], code: int, message: str
) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    made = wire.ask("POST", _DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec})[1]
    scale = {"metadata": metadata, "spec": {"replicas": 3}}
    status, answer = wire.ask("PUT", f"{_DEPLOYMENTS}/d/scale", scale)
    assert status == code
    assert answer.get("message", "").endswith(message.format(uid=made["metadata"]["uid"]))
    assert wire.ask("GET", f"{_DEPLOYMENTS}/d")[1]["spec"]["replicas"] == (3 if code == 200 else 1)


def test_a_patch_of_a_scale_cannot_make_its_uid_another(wire: Wire) -> None:
    scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}
    wire.define(version(None, subresources={"scale": scale}))
    made = wire.create({"n": 1})
    patch = {"metadata": {"uid": "u"}, "spec": {"replicas": 2}}
    code, answer = wire.ask("PATCH", f"{WIDGETS}/w/scale", patch, kind="merge")
    found = made["metadata"]["uid"]
    assert (code, answer["details"]["kind"]) == (409, "widgets/scale")
    assert answer["message"] == (
        'Operation cannot be fulfilled on widgets/scale.example.com "w": Precondition failed: UID in '
        f"precondition: u, UID in object meta: {found}"
    )
