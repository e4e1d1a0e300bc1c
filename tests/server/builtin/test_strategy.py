"""What a write to one kind changes beside what it is about."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.custom import WIDGETS, Wire

from .objects import valid

PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
METADATA: dict[str, Any] = {"labels": {"a": "b"}, "annotations": {"c": "d"}}


@pytest.mark.parametrize(
    ("resource", "path", "changed"),
    [
        ("v1/pods", PODS, {"labels", "annotations"}),
        ("v1/nodes", "/api/v1/nodes", {"labels", "annotations"}),
        ("apps/v1/deployments", DEPLOYMENTS, {"annotations"}),
    ],
)
def test_a_write_to_the_status_changes_what_metadata_the_kind_lets_it(
    resource: str, path: str, changed: set[str]
) -> None:
    wire = Wire()
    body = valid(resource)
    body["metadata"]["labels"] = {"a": "was"}  # of an object without any field, nobody is noted as an owner
    assert wire.ask("POST", path, body)[0] == 201
    status, after = wire.ask("PATCH", f"{path}/a/status?fieldManager=m", {"metadata": METADATA}, kind="merge")
    assert status == 200
    assert {name for name in METADATA if after["metadata"].get(name) == METADATA[name]} == changed
    assert after["metadata"].get("generation", 1) == 1
    owned = [one for one in after["metadata"]["managedFields"] if one.get("manager") == "m"]
    assert set(owned[0]["fieldsV1"]["f:metadata"]) == {f"f:{name}" for name in changed}


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        ("/apis/networking.k8s.io/v1/servicecidrs", {"cidrs": ["10.0.0.0/16"]}),
        (
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            {"validations": [{"expression": "true"}]},
        ),
    ],
)
def test_a_write_to_the_status_of_some_kinds_changes_no_metadata(path: str, spec: dict[str, Any]) -> None:
    """`ResetObjectMetaForStatus` in the status strategies of `pkg/registry`."""
    wire = Wire()
    assert wire.ask("POST", path, {"metadata": {"name": "a"}, "spec": spec})[0] == 201
    status, after = wire.ask("PATCH", f"{path}/a/status", {"metadata": METADATA}, kind="merge")
    assert status == 200
    assert not METADATA.keys() & after["metadata"].keys()


def test_a_write_to_the_status_of_a_custom_resource_changes_no_metadata() -> None:
    wire = Wire()
    wire.define()
    wire.create()
    wire.ask("PATCH", f"{WIDGETS}/w/status", {"metadata": METADATA, "status": {}}, kind="merge")
    metadata = wire.ask("GET", f"{WIDGETS}/w")[1]["metadata"]
    assert not METADATA.keys() & metadata.keys()


@pytest.mark.parametrize(("field", "generation"), [("annotations", 2), ("labels", 1)])
def test_the_annotations_of_a_deployment_count_for_its_generation(field: str, generation: int) -> None:
    wire = Wire()
    assert wire.ask("POST", DEPLOYMENTS, valid("apps/v1/deployments"))[0] == 201
    patch = {"metadata": {field: METADATA[field]}}
    _, after = wire.ask("PATCH", f"{DEPLOYMENTS}/a", patch, kind="merge")
    assert after["metadata"]["generation"] == generation
