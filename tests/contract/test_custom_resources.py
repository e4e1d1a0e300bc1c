"""What the server does to the objects of a custom resource."""

from __future__ import annotations

import json
from secrets import token_hex
from typing import Any

import pytest

from .api import Api
from .client import collection
from .widgets import DEFINITIONS, Widgets, definition, established

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCALE = ("FieldValueInvalid", ".spec.size")
"""What is said again because `spec.size` is where the scale is."""
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"

# --- objects -----------------------------------------------------------------------------------------------


async def test_defaults_are_filled_in(widgets: Widgets) -> None:
    """Recorded: 08 create: default, pruning, status dropped"""
    assert (await widgets.create())["spec"] == {"color": "red", "size": 1}


async def test_defaults_are_filled_in_within_lists(widgets: Widgets) -> None:
    """Kubernetes documentation: CustomResourceDefinitions, defaulting"""
    made = await widgets.create({"size": 1, "parts": [{"name": "a"}, {"name": "b", "count": 2}]})
    assert [part["count"] for part in made["spec"]["parts"]] == [1, 2]


async def test_null_is_dropped_where_there_is_a_default(widgets: Widgets) -> None:
    """Kubernetes documentation: CustomResourceDefinitions, defaulting and nullable"""
    assert (await widgets.create({"size": 1, "color": None}))["spec"]["color"] == "red"


async def test_null_is_kept_where_it_may_be(widgets: Widgets) -> None:
    """Kubernetes documentation: CustomResourceDefinitions, defaulting and nullable"""
    assert (await widgets.create({"size": 1, "name": None}))["spec"]["name"] is None


async def test_unknown_fields_are_pruned_with_a_warning(widgets: Widgets) -> None:
    """Recorded: 08 create: default, pruning, status dropped"""
    api = widgets.api
    body = widgets.body({"size": 1, "extra": "x"}, metadata={"name": api.name()})
    answer = await api.post(api.path(widgets.resource), body)
    assert "extra" not in answer.ok(201)["spec"]
    assert answer.headers["Warning"] == '299 - "unknown field \\"spec.extra\\""'


async def test_unknown_fields_are_refused_when_asked(widgets: Widgets) -> None:
    """KEP-2885: server-side unknown field validation"""
    api = widgets.api
    body = widgets.body({"size": 1, "extra": "x"}, metadata={"name": api.name()})
    answer = await api.post(api.path(widgets.resource), body, fieldValidation="Strict")
    status = answer.refused(400, "BadRequest")
    assert status["message"].endswith('strict decoding error: unknown field "spec.extra"')


async def test_unknown_fields_stay_where_the_schema_preserves_them(widgets: Widgets) -> None:
    """Kubernetes documentation: CustomResourceDefinitions, controlling pruning"""
    free = {"any": {"thing": [1, "2", None]}}
    assert (await widgets.create({"size": 1, "free": free}))["spec"]["free"] == free


@pytest.mark.parametrize("value", [80, "80%"])
async def test_an_int_or_string_is_either(widgets: Widgets, value: int | str) -> None:
    """Kubernetes documentation: CustomResourceDefinitions, x-kubernetes-int-or-string"""
    assert (await widgets.create({"size": 1, "either": value}))["spec"]["either"] == value


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        ({"size": 11}, [("FieldValueInvalid", "spec.size")]),
        ({"size": -1}, [("FieldValueInvalid", "spec.size"), SCALE]),
        ({"size": "1"}, [("FieldValueTypeInvalid", "spec.size"), SCALE]),
        ({"size": 1.5}, [("FieldValueTypeInvalid", "spec.size"), SCALE]),
        ({"color": "red"}, [("FieldValueRequired", "spec.size")]),
        ({"size": 1, "color": "green"}, [("FieldValueNotSupported", "spec.color")]),
        ({"size": 1, "name": "ABC"}, [("FieldValueInvalid", "spec.name")]),
        ({"size": 1, "name": "abcdef"}, [("FieldValueTooLong", "spec.name")]),
        ({"size": 1, "tags": ["a", "b", "c", "d"]}, [("FieldValueTooMany", "spec.tags")]),
        ({"size": 1, "tags": [1]}, [("FieldValueTypeInvalid", "spec.tags[0]")]),
        ({"size": 1, "labels": {"a": 1}}, [("FieldValueTypeInvalid", "spec.labels.a")]),
        ({"size": 1, "either": True}, [("FieldValueTypeInvalid", "spec.either")]),
        ({"size": 1, "parts": [{}]}, [("FieldValueRequired", "spec.parts[0].name")]),
        (
            {"size": 1, "parts": [{"name": "a"}, {"name": "a"}]},
            [("FieldValueDuplicate", "spec.parts[1]")],
        ),
        (
            {"color": "green"},
            [("FieldValueNotSupported", "spec.color"), ("FieldValueRequired", "spec.size")],
        ),
    ],
    ids=[
        "above the maximum",
        "below the minimum",
        "text for a number",
        "a fraction for an integer",
        "what is required missing",
        "not in the enum",
        "against the pattern",
        "too long",
        "too many items",
        "a number for the text of an item",
        "a number for the text of a map",
        "neither a number nor text",
        "what an item requires missing",
        "two items with one key",
        "two causes at once",
    ],
)
async def test_what_is_against_the_schema_is_refused(
    widgets: Widgets, spec: dict[str, Any], causes: list[tuple[str, str]]
) -> None:
    """Recorded: 08 invalid: missing and enum"""
    assert await widgets.refused(spec) == causes


async def test_a_refusal_names_the_kind_with_its_group(widgets: Widgets) -> None:
    """Recorded: 08 invalid: out of range"""
    api = widgets.api
    name = api.name()
    body = widgets.body({"size": 11}, metadata={"name": name})
    why = "Invalid value: 11: spec.size in body should be less than or equal to 10"
    status = (await api.post(api.path(widgets.resource), body)).refused(
        422, "Invalid", f'{widgets.qualified} "{name}" is invalid: spec.size: {why}'
    )
    group = widgets.qualified.partition(".")[2]
    cause = {"reason": "FieldValueInvalid", "message": why, "field": "spec.size"}
    assert status["details"] == {"name": name, "group": group, "kind": "Widget", "causes": [cause]}


async def test_a_rule_is_evaluated(api: Api) -> None:
    """KEP-2876: CRD validation expression language"""
    group = f"contract-{token_hex(4)}.example.com"
    body = definition(group, "rulers")
    for version in body["spec"]["versions"]:
        size = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
        size["x-kubernetes-validations"] = [{"rule": "self >= oldSelf", "message": "only grows"}]
    (await api.post(collection(DEFINITIONS), body)).ok(201)
    await established(api, f"rulers.{group}")
    made = await api.create(
        f"{group}/v1/rulers", {"apiVersion": f"{group}/v1", "kind": "Ruler", "spec": {"size": 5}}
    )
    path = api.path(f"{group}/v1/rulers", made["metadata"]["name"])
    (await api.patch(path, {"spec": {"size": 6}})).ok(200)
    status = (await api.patch(path, {"spec": {"size": 4}})).refused(422, "Invalid")
    (cause,) = status["details"]["causes"]
    assert (cause["field"], cause["message"].endswith("only grows")) == ("spec.size", True)


async def test_kind_and_version_may_not_be_left_out(widgets: Widgets) -> None:
    """Recorded: 08 apiVersion missing"""
    api = widgets.api
    body = {"metadata": {"name": api.name()}, "spec": {"size": 1}}
    status = (await api.post(api.path(widgets.resource), body)).refused(400, "BadRequest")
    assert status["message"].startswith(
        "the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing in"
    )


async def test_an_object_is_in_the_order_of_its_keys(widgets: Widgets) -> None:
    """Recorded: 08 create: default, pruning, status dropped"""
    made = await widgets.create()
    assert list(made) == ["apiVersion", "kind", "metadata", "spec"]
    assert list(made["metadata"]) == sorted(made["metadata"])


async def test_the_items_of_a_list_name_their_kind(widgets: Widgets) -> None:
    """Recorded: 08 selectable field"""
    made = await widgets.create()
    query = {"fieldSelector": f"metadata.name={made['metadata']['name']}"}
    body = (await widgets.api.get(widgets.api.path(widgets.resource), **query)).ok()
    assert list(body) == ["apiVersion", "items", "kind", "metadata"]
    assert (body["kind"], body["items"]) == ("WidgetList", [made])


async def test_an_update_needs_a_version(widgets: Widgets) -> None:
    """Source: apiextensions-apiserver/pkg/registry/customresource/strategy.go"""
    made = await widgets.create()
    metadata = {"name": made["metadata"]["name"]}
    answer = await widgets.api.put(widgets.path(made), widgets.body({"size": 2}, metadata=metadata))
    status = answer.refused(422, "Invalid")
    assert status["message"].endswith("must be specified for an update")


async def test_an_update_that_changes_nothing_keeps_the_version_of_a_widget(widgets: Widgets) -> None:
    """Recorded: 02 update that changes nothing"""
    made = await widgets.create()
    assert (await widgets.api.put(widgets.path(made), made)).ok() == made


async def test_a_strategic_patch_is_not_for_custom_resources(widgets: Widgets) -> None:
    """Recorded: 08 strategic merge is not supported"""
    made = await widgets.create()
    (await widgets.api.patch(widgets.path(made), {"spec": {"size": 3}}, "strategic")).refused(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    )


async def test_an_apply_creates_a_widget(widgets: Widgets) -> None:
    """Recorded: 08 apply"""
    api = widgets.api
    name = api.name()
    body = widgets.body({"size": 4}, metadata={"name": name})
    answer = await api.patch(api.path(widgets.resource, name), body, "apply", fieldManager="m")
    made = answer.ok(201)
    assert made["spec"] == {"color": "red", "size": 4}
    assert [one["fieldsV1"] for one in made["metadata"]["managedFields"]] == [{"f:spec": {"f:size": {}}}]


async def test_a_list_with_keys_is_applied_item_by_item(widgets: Widgets) -> None:
    """KEP-555: server-side apply, merge strategy"""
    api = widgets.api
    name = api.name()
    path = api.path(widgets.resource, name)
    for manager, part in (("one", "a"), ("two", "b")):
        body = widgets.body({"size": 1, "parts": [{"name": part}]}, metadata={"name": name})
        changed = (await api.patch(path, body, "apply", fieldManager=manager)).ok()
    assert sorted(part["name"] for part in changed["spec"]["parts"]) == ["a", "b"]


# --- generation, status, scale -----------------------------------------------------------------------------


async def test_a_status_given_on_create_is_dropped_where_it_has_a_path(widgets: Widgets) -> None:
    """Recorded: 08 create: default, pruning, status dropped"""
    assert "status" not in await widgets.create(status={"size": 9})


async def test_a_status_is_written_at_its_path_and_leaves_the_generation(widgets: Widgets) -> None:
    """Recorded: 08 status subresource"""
    made = await widgets.create()
    patch = {"spec": {"size": 5}, "status": {"size": 1}}
    changed = (await widgets.api.patch(widgets.path(made, "status"), patch)).ok(200)
    assert (changed["status"], changed["spec"]["size"]) == ({"size": 1}, 1)
    assert changed["metadata"]["generation"] == 1


async def test_a_change_of_the_spec_raises_the_generation_of_a_widget(widgets: Widgets) -> None:
    """Recorded: 08 spec change raises generation"""
    made = await widgets.create()
    changed = (await widgets.api.patch(widgets.path(made), {"spec": {"size": 2}})).ok()
    assert (made["metadata"]["generation"], changed["metadata"]["generation"]) == (1, 2)


async def test_a_number_with_a_point_is_another_desired_state(widgets: Widgets) -> None:
    """Source: staging/src/k8s.io/apiextensions-apiserver/pkg/registry/customresource/strategy.go"""
    made = await widgets.create({"size": 1, "free": {"n": 1}})
    changed = (await widgets.api.patch(widgets.path(made), {"spec": {"free": {"n": 1.0}}})).ok()
    assert (json.dumps(changed["spec"]["free"]), changed["metadata"]["generation"]) == ('{"n": 1}', 2)


async def test_a_change_of_the_labels_leaves_the_generation_of_a_widget(widgets: Widgets) -> None:
    """API conventions: Metadata, generation"""
    made = await widgets.create()
    changed = (await widgets.api.patch(widgets.path(made), {"metadata": {"labels": {"a": "b"}}})).ok()
    assert changed["metadata"]["generation"] == 1


async def test_a_widget_is_scaled(widgets: Widgets) -> None:
    """Recorded: 08 scale"""
    made = await widgets.create()
    path = widgets.path(made, "scale")
    scale = (await widgets.api.get(path)).ok(200)
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == (
        "Scale",
        "autoscaling/v1",
        {"replicas": 1},
    )
    assert (await widgets.api.patch(path, {"spec": {"replicas": 3}})).ok()["spec"] == {"replicas": 3}
    assert (await widgets.api.get(widgets.path(made))).ok()["spec"]["size"] == 3


# --- reading -----------------------------------------------------------------------------------------------


async def test_widgets_are_found_by_the_field_their_definition_names(widgets: Widgets) -> None:
    """Recorded: 08 selectable field"""
    label = widgets.api.name()
    labels = {"labels": {"app": label}}
    red = await widgets.create(metadata=dict(labels))
    blue = await widgets.create({"size": 1, "color": "blue"}, metadata=dict(labels))
    path = widgets.api.path(widgets.resource)
    for selector, expected in (("spec.color=red", red), ("spec.color=blue", blue)):
        query = {"fieldSelector": selector, "labelSelector": f"app={label}"}
        assert (await widgets.api.get(path, **query)).ok()["items"] == [expected]


async def test_widgets_are_not_found_by_another_field(widgets: Widgets) -> None:
    """Recorded: 08 field not selectable"""
    answer = await widgets.api.get(widgets.api.path(widgets.resource), fieldSelector="spec.size=1")
    answer.refused(400, "BadRequest", "field label not supported: spec.size")


async def test_a_table_of_widgets_has_the_columns_of_the_definition(widgets: Widgets) -> None:
    """Recorded: 08 table"""
    made = await widgets.create({"size": 2})
    query = {"fieldSelector": f"metadata.name={made['metadata']['name']}"}
    path = widgets.api.path(widgets.resource)
    body = (await widgets.api.get(path, accept=TABLE, **query)).ok()
    columns = [(one["name"], one["type"]) for one in body["columnDefinitions"]]
    assert columns == [("Name", "string"), ("Size", "integer")]
    assert [row["cells"] for row in body["rows"]] == [[made["metadata"]["name"], 2]]


async def test_a_table_of_a_version_without_columns_has_the_age(widgets: Widgets, group: str) -> None:
    """Kubernetes documentation: CustomResourceDefinitions, additional printer columns"""
    path = widgets.api.path(f"{group}/v1beta1/widgets")
    body = (await widgets.api.get(path, accept=TABLE)).ok()
    assert [one["name"] for one in body["columnDefinitions"]] == ["Name", "Age"]
