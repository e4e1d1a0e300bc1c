"""Definitions of custom resources: what they need, what they bring, and how they end."""

from __future__ import annotations

from secrets import token_hex

import pytest

from .api import Api, eventually
from .client import collection
from .widgets import DEFINITIONS, Widgets, definition, established

pytestmark = pytest.mark.asyncio(loop_scope="session")

# --- a definition ------------------------------------------------------------------------------------------


async def test_a_definition_is_established_with_its_names_accepted(api: Api, group: str) -> None:
    """Recorded: 08 definition established"""
    body = await established(api, f"widgets.{group}")
    conditions = {one["type"]: (one["status"], one["reason"]) for one in body["status"]["conditions"]}
    assert conditions["NamesAccepted"] == ("True", "NoConflicts")
    assert conditions["Established"] == ("True", "InitialNamesAccepted")
    assert body["status"]["acceptedNames"] == body["spec"]["names"]
    assert body["status"]["storedVersions"] == ["v1"]
    assert body["spec"]["conversion"] == {"strategy": "None"}


async def test_a_defined_resource_is_discovered(api: Api, group: str) -> None:
    """Recorded: 08 group discovery"""
    answer = await eventually(lambda: api.get(f"/apis/{group}/v1"), lambda answer: answer.status == 200)
    found = {one["name"]: one for one in answer.body["resources"]}
    assert found.keys() == {"widgets", "widgets/status", "widgets/scale"}
    widgets = found["widgets"]
    assert (widgets["singularName"], widgets["kind"], widgets["namespaced"]) == ("widget", "Widget", True)
    assert (widgets["shortNames"], widgets["categories"]) == (["wd"], ["contract"])
    assert found["widgets/scale"]["kind"] == "Scale"


async def test_a_definition_is_named_for_its_plural_and_group(api: Api, group: str) -> None:
    """Source: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go"""
    body = definition(group, "gadgets")
    body["metadata"]["name"] = f"other.{group}"
    status = (await api.post(collection(DEFINITIONS), body)).refused(422, "Invalid")
    assert "metadata.name" in {cause["field"] for cause in status["details"]["causes"]}


async def test_a_definition_needs_a_structural_schema(api: Api, group: str) -> None:
    """Kubernetes documentation: CustomResourceDefinitions, specifying a structural schema"""
    body = definition(group, "gadgets")
    (version, _) = body["spec"]["versions"]
    del version["selectableFields"]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"] = {"properties": {"a": {}}}
    status = (await api.post(collection(DEFINITIONS), body)).refused(422, "Invalid")
    assert "spec.versions[0].schema.openAPIV3Schema.properties[spec].type" in {
        cause["field"] for cause in status["details"]["causes"]
    }


async def test_exactly_one_version_is_stored(api: Api, group: str) -> None:
    """Kubernetes documentation: Versions in CustomResourceDefinitions"""
    body = definition(group, "gadgets")
    body["spec"]["versions"][0]["storage"] = False
    status = (await api.post(collection(DEFINITIONS), body)).refused(422, "Invalid")
    assert "spec.versions" in {cause["field"] for cause in status["details"]["causes"]}


# --- reading at each version -------------------------------------------------------------------------------


async def test_an_object_is_read_at_every_served_version(widgets: Widgets, group: str) -> None:
    """Kubernetes documentation: Versions in CustomResourceDefinitions"""
    made = await widgets.create()
    name = made["metadata"]["name"]
    old = (await widgets.api.get(widgets.api.path(f"{group}/v1beta1/widgets", name))).ok(200)
    assert (old["apiVersion"], old["spec"]) == (f"{group}/v1beta1", made["spec"])
    for field in ("uid", "resourceVersion"):
        assert old["metadata"][field] == made["metadata"][field]


async def test_an_object_is_written_at_every_served_version(widgets: Widgets, group: str) -> None:
    """Kubernetes documentation: Versions in CustomResourceDefinitions"""
    made = await widgets.create()
    path = widgets.api.path(f"{group}/v1beta1/widgets", made["metadata"]["name"])
    (await widgets.api.patch(path, {"spec": {"size": 7}})).ok(200)
    assert (await widgets.api.get(widgets.path(made))).ok()["spec"]["size"] == 7


async def test_a_watch_of_one_version_sees_what_another_writes(widgets: Widgets, group: str) -> None:
    """Kubernetes documentation: Versions in CustomResourceDefinitions"""
    made = await widgets.create()
    name = made["metadata"]["name"]
    query = {
        "fieldSelector": f"metadata.name={name}",
        "resourceVersion": made["metadata"]["resourceVersion"],
    }
    async with widgets.api.watch(widgets.api.path(f"{group}/v1beta1/widgets"), **query) as watch:
        (await widgets.api.patch(widgets.path(made), {"spec": {"size": 7}})).ok(200)
        event = await watch.next()
    assert (event["type"], event["object"]["apiVersion"]) == ("MODIFIED", f"{group}/v1beta1")


async def test_openapi_has_the_schema_of_a_widget(api: Api, group: str) -> None:
    """KEP-2896: OpenAPI v3"""
    path = f"/openapi/v3/apis/{group}/v1"
    answer = await eventually(lambda: api.get(path), lambda answer: answer.status == 200)
    kinds = {
        (one["group"], one["version"], one["kind"])
        for found in answer.body["components"]["schemas"].values()
        for one in found.get("x-kubernetes-group-version-kind", ())
    }
    assert (group, "v1", "Widget") in kinds


# --- the end of a definition -------------------------------------------------------------------------------


async def test_the_end_of_a_definition_ends_its_objects_and_tells_who_watches(api: Api) -> None:
    """Recorded: 08 watch while the definition is deleted"""
    group = f"contract-{token_hex(4)}.example.com"
    (await api.post(collection(DEFINITIONS), definition(group, "gadgets"))).ok(201)
    await established(api, f"gadgets.{group}")
    resource = f"{group}/v1/gadgets"
    body = {"apiVersion": f"{group}/v1", "kind": "Gadget", "spec": {"size": 1}}
    made = await api.create(resource, body)
    async with api.watch(api.path(resource), resourceVersion=0) as watch:
        assert (await watch.next())["type"] == "ADDED"
        marked = (await api.delete(f"{collection(DEFINITIONS)}/gadgets.{group}")).ok(200)
        assert marked["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
        event = await watch.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", made["metadata"]["name"])
    answer = await eventually(lambda: api.get(api.path(resource)), lambda answer: answer.status == 404)
    assert answer.text == "404 page not found\n"
    api.made.clear()
