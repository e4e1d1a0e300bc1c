"""Custom resources: what is kept of them, in which versions they are seen, and what their writes do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.kinds import ApiResource
from kresilient.testing.server.storage import Stored

from .custom import DEFINITIONS, WIDGETS, Wire, definition, events, version, widget

CRD = f"{DEFINITIONS}/widgets.example.com"
STRING = {"type": "string"}
INTEGER = {"type": "integer"}
KEEP = {"x-kubernetes-preserve-unknown-fields": True}


def wire_of(*versions: dict[str, Any], **properties: Any) -> Wire:
    wire = Wire()
    wire.define(*(versions or (version(properties or None),)))
    return wire


def struct(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def redefine(wire: Wire, *versions: dict[str, Any]) -> None:
    assert wire.ask("PATCH", CRD, {"spec": {"versions": list(versions)}}, kind="merge")[0] == 200


def spec_of(wire: Wire, path: str = f"{WIDGETS}/w") -> Any:
    return wire.ask("GET", path)[1]["spec"]


# --- what is kept ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "given", "kept", "unknown"),
    [
        (struct(b=STRING), {"b": "x", "c": 1}, {"b": "x"}, ["spec.a.c"]),
        (struct(b=struct()), {"b": {"c": 1}}, {"b": {}}, ["spec.a.b.c"]),
        (
            {"type": "array", "items": struct(b=STRING)},
            [{"b": "x"}, {"c": 1}],
            [{"b": "x"}, {}],
            ["spec.a[1].c"],
        ),
        ({"type": "object", "additionalProperties": STRING}, {"k": "x"}, {"k": "x"}, []),
        (
            {"type": "object", "additionalProperties": struct(b=STRING)},
            {"k": {"b": "x", "c": 1}},
            {"k": {"b": "x"}},
            ["spec.a.k.c"],
        ),
        ({"type": "object", **KEEP}, {"c": {"d": [1]}}, {"c": {"d": [1]}}, []),
        (
            {**struct(b=struct()), **KEEP},
            {"b": {"c": 1}, "d": {"e": 1}},
            {"b": {}, "d": {"e": 1}},
            ["spec.a.b.c"],
        ),
        ({"x-kubernetes-int-or-string": True}, "50%", "50%", []),
        ({"x-kubernetes-int-or-string": True}, 5, 5, []),
    ],
)
def test_what_the_schema_does_not_name_is_pruned_and_warned_of(
    schema: dict[str, Any], given: Any, kept: Any, unknown: list[str]
) -> None:
    wire = wire_of(a=schema)
    assert wire.create({"a": given})["spec"]["a"] == kept
    warnings = ", ".join(f'299 - "unknown field \\"{path}\\""' for path in unknown)
    assert wire.headers.get("Warning", "") == warnings


def test_unknown_fields_refuse_a_strict_write() -> None:
    wire = wire_of(a=STRING)
    path = f"{WIDGETS}?fieldValidation=Strict"
    body = {**widget({"b": 1}), "metadata": {"name": "w", "bogus": 1}}
    assert wire.refusal("POST", path, body) == (
        400,
        [
            'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field '
            '"metadata.bogus", unknown field "spec.b"'
        ],
    )
    assert wire.ask("GET", f"{WIDGETS}/w")[0] == 404


def test_unknown_fields_refuse_a_strict_patch() -> None:
    wire = wire_of(a=STRING)
    wire.create({"a": "x"})
    status, causes = wire.refusal(
        "PATCH", f"{WIDGETS}/w?fieldValidation=Strict", {"spec": {"b": 1}}, kind="merge"
    )
    assert status == 422
    assert causes[0].startswith('patch: Invalid value: "{\\"apiVersion\\":')
    assert causes[0].endswith('strict decoding error: unknown field "spec.b"')


def test_unknown_fields_can_be_dropped_in_silence() -> None:
    wire = wire_of(a=STRING)
    status, answer = wire.ask("POST", f"{WIDGETS}?fieldValidation=Ignore", widget({"a": "x", "b": 1}))
    assert (status, answer["spec"]) == (201, {"a": "x"})
    assert "Warning" not in wire.headers


def test_defaults_fill_in_what_is_absent_however_deep() -> None:
    inner = {**struct(c={**INTEGER, "default": 3}), "default": {}}
    wire = wire_of(a=inner, b={"type": "array", "items": struct(d={**STRING, "default": "x"})})
    assert wire.create({"b": [{}, {"d": "y"}]})["spec"] == {"a": {"c": 3}, "b": [{"d": "x"}, {"d": "y"}]}


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({**STRING, "default": "x"}, {"a": "x"}),
        (STRING, {}),
        ({**STRING, "nullable": True}, {"a": None}),
        ({**STRING, "nullable": True, "default": "x"}, {"a": None}),
    ],
)
def test_a_null_is_kept_only_where_it_is_allowed(schema: dict[str, Any], kept: dict[str, Any]) -> None:
    assert wire_of(a=schema).create({"a": None})["spec"] == kept


def test_keys_are_sorted_everywhere_and_the_type_stands_first() -> None:
    wire = wire_of()
    wire.create({"b": {"z": 1, "y": {"b": 1, "a": 2}}, "a": 1})
    found = wire.ask("GET", f"{WIDGETS}/w")[1]
    assert list(found) == ["apiVersion", "kind", "metadata", "spec"]
    assert json.dumps(found["spec"]) == '{"a": 1, "b": {"y": {"a": 2, "b": 1}, "z": 1}}'
    assert list(found["metadata"]) == sorted(found["metadata"])


def test_metadata_is_that_of_every_object() -> None:
    wire = wire_of()
    body = {**widget(), "metadata": {"name": "W", "labels": {"a": "b"}}}
    status, causes = wire.refusal("POST", WIDGETS, body)
    assert status == 422
    assert causes[0].startswith('metadata.name: Invalid value: "W": a lowercase RFC 1123 subdomain')


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"labels": {"a": 1}}, "number into Go struct field ObjectMeta.labels of type string"),
        ({"finalizers": [{}]}, "object into Go struct field ObjectMeta.finalizers of type string"),
        ({"ownerReferences": 5}, "number into Go struct field ObjectMeta.ownerReferences of type "),
    ],
)
def test_metadata_of_a_wrong_type_is_refused_however_it_comes(metadata: dict[str, Any], why: str) -> None:
    wire = wire_of()
    wire.create()
    body = {**widget(), "metadata": {"name": "other", **metadata}}
    status, causes = wire.refusal("POST", WIDGETS, body)
    assert status == 400
    assert f"json: cannot unmarshal {why}" in causes[0]
    status, causes = wire.refusal("PATCH", f"{WIDGETS}/w", {"metadata": metadata}, kind="merge")
    assert status == 422
    assert causes[0].startswith("patch: Invalid value: ")
    assert f"json: cannot unmarshal {why}" in causes[0]


def test_what_cannot_be_owned_is_told_by_its_validation() -> None:
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    item = {**struct(k=STRING), "required": ["k"]}
    wire = wire_of(a={"type": "array", "items": item, **keyed})
    assert wire.faults({"a": [{}]}) == ["spec.a[0].k: Required value"]


# --- read under another definition -------------------------------------------------------------------


def test_an_object_is_read_with_the_defaults_and_the_fields_of_today() -> None:
    wire = wire_of(a=STRING, b=STRING)
    made = wire.create({"a": "x", "b": "y"})
    redefine(wire, version({"a": STRING, "c": {**INTEGER, "default": 3}}))
    found = wire.ask("GET", f"{WIDGETS}/w")[1]
    assert found["spec"] == {"a": "x", "c": 3}
    assert found["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert wire.ask("GET", WIDGETS)[1]["items"][0]["spec"] == {"a": "x", "c": 3}
    watch = wire.watch(f"{WIDGETS}?watch=1")
    assert json.loads(watch.take())["object"]["spec"] == {"a": "x", "c": 3}


def test_what_is_pruned_on_the_way_out_is_not_lost_until_it_is_written() -> None:
    wire = wire_of(a=STRING, b=STRING)
    wire.create({"a": "x", "b": "y"})
    redefine(wire, version({"a": STRING}))
    assert spec_of(wire) == {"a": "x"}
    redefine(wire, version({"a": STRING, "b": STRING}))
    assert spec_of(wire) == {"a": "x", "b": "y"}


def test_a_write_that_says_what_is_read_stores_what_is_read() -> None:
    wire = wire_of(a=STRING)
    wire.create({"a": "x"})
    redefine(wire, version({"a": STRING, "b": {**STRING, "default": "y"}}))
    found = wire.ask("GET", f"{WIDGETS}/w")[1]
    status, written = wire.ask("PUT", f"{WIDGETS}/w", found)
    assert status == 200
    assert written["metadata"]["generation"] == 1
    assert int(written["metadata"]["resourceVersion"]) > int(found["metadata"]["resourceVersion"])


def test_a_default_that_came_later_can_be_selected_by() -> None:
    fields = [{"jsonPath": ".spec.b"}]
    wire = wire_of(version({"a": STRING, "b": STRING}, selectableFields=fields))
    wire.create({"a": "x"})
    later = {"a": STRING, "b": {**STRING, "default": "y"}}
    redefine(wire, version(later, selectableFields=fields))
    assert len(wire.ask("GET", f"{WIDGETS}?fieldSelector=spec.b%3Dy".replace("%3D", "="))[1]["items"]) == 1


def test_poison_is_shown_as_it_is_whatever_the_schema() -> None:
    wire = wire_of(a=STRING)
    resource = wire.state.resources.parse("example.com/v1/widgets")
    wire.state.put_raw(resource, "default/bad", b'{"spec":')
    answer = wire.answer("GET", WIDGETS)
    assert b'"items":[{"spec":]' in b"".join(answer.body)


def test_an_object_is_looked_at_once_for_each_schema() -> None:
    wire = wire_of(a=STRING)
    wire.create({"a": "x"})
    resource: ApiResource = wire.state.resources.parse("example.com/v1/widgets")
    stored: Stored = wire.state.get(resource, "default/w")
    assert resource.seen(stored) is stored
    redefine(wire, version({}))
    resource = wire.state.resources.parse("example.com/v1/widgets")
    assert resource.seen(stored) is resource.seen(stored)


# --- versions ----------------------------------------------------------------------------------------

V2 = WIDGETS.replace("v1", "v2")


def two_versions(**options: Any) -> Wire:
    return wire_of(
        version({"a": STRING, "b": STRING}),
        version({"a": STRING, "c": {**STRING, "default": "z"}}, name="v2", storage=False, **options),
    )


def test_versions_differ_in_apiversion_and_in_what_their_schemas_keep() -> None:
    wire = two_versions()
    wire.create({"a": "x", "b": "y"})
    assert spec_of(wire) == {"a": "x", "b": "y"}
    found = wire.ask("GET", f"{V2}/w")[1]
    assert (found["apiVersion"], found["spec"]) == ("example.com/v2", {"a": "x", "c": "z"})


def test_a_watch_of_each_version_shows_objects_in_it() -> None:
    wire = two_versions()
    one, two = wire.watch(f"{WIDGETS}?watch=1"), wire.watch(f"{V2}?watch=1")
    wire.create({"a": "x", "b": "y"})
    shown = [json.loads(watch.take())["object"] for watch in (one, two)]
    assert [each["apiVersion"] for each in shown] == ["example.com/v1", "example.com/v2"]
    assert [each["spec"] for each in shown] == [{"a": "x", "b": "y"}, {"a": "x", "c": "z"}]


def test_a_write_through_one_version_keeps_what_that_version_knows() -> None:
    wire = two_versions()
    wire.create({"a": "x", "b": "y"})
    wire.ask("PATCH", f"{V2}/w", {"spec": {"a": "new"}}, kind="merge")
    assert spec_of(wire) == {"a": "new"}


def test_an_object_of_another_version_does_not_fit_the_path() -> None:
    wire = two_versions()
    status, answer = wire.ask("POST", WIDGETS, widget(api_version="example.com/v2"))
    assert status == 400
    assert "(example.com/v2) does not match the expected API version (example.com/v1)" in answer["message"]


def test_a_deprecated_version_warns_with_every_answer() -> None:
    wire = two_versions(deprecated=True)
    wire.ask("GET", V2)
    assert wire.headers["Warning"] == '299 - "example.com/v2 Widget is deprecated"'
    wire.ask("GET", f"{V2}/absent")
    assert wire.headers["Warning"] == '299 - "example.com/v2 Widget is deprecated"'
    wire.ask("GET", WIDGETS)
    assert "Warning" not in wire.headers


def test_a_deprecation_can_have_its_own_words() -> None:
    wire = two_versions(deprecated=True, deprecationWarning="use v1")
    wire.ask("GET", V2)
    assert wire.headers["Warning"] == '299 - "use v1"'


# --- scope -------------------------------------------------------------------------------------------


def test_a_cluster_scoped_resource_has_no_namespace() -> None:
    wire = Wire()
    wire.define(scope="Cluster")
    made = wire.create(path="/apis/example.com/v1/widgets")
    assert "namespace" not in made["metadata"]
    assert wire.ask("GET", WIDGETS)[0] == 404


# --- generation and subresources ---------------------------------------------------------------------


def generation(wire: Wire) -> int:
    found = wire.ask("GET", f"{WIDGETS}/w")[1]["metadata"]["generation"]
    assert isinstance(found, int)
    return found


def change(wire: Wire, body: dict[str, Any], path: str = f"{WIDGETS}/w") -> None:
    assert wire.ask("PATCH", path, body, kind="merge")[0] == 200


def test_without_a_status_subresource_every_change_but_of_metadata_counts() -> None:
    wire = wire_of()
    wire.create({"a": 1}, status={"b": 1})
    change(wire, {"metadata": {"labels": {"a": "b"}}})
    assert generation(wire) == 1
    change(wire, {"status": {"b": 2}})
    assert generation(wire) == 2
    assert wire.ask("GET", f"{WIDGETS}/w/status")[0] == 404


def test_with_a_status_subresource_the_status_does_not_count() -> None:
    wire = wire_of(version(subresources={"status": {}}))
    assert "status" not in wire.create({"a": 1}, status={"b": 1})
    change(
        wire,
        {"spec": {"a": 5}, "metadata": {"labels": {"x": "y"}}, "status": {"b": 2}},
        f"{WIDGETS}/w/status",
    )
    found = wire.ask("GET", f"{WIDGETS}/w")[1]
    assert (found["status"], found["spec"], found["metadata"]["generation"]) == ({"b": 2}, {"a": 1}, 1)
    assert "labels" not in found["metadata"]
    change(wire, {"spec": {"a": 2}, "status": {"b": 9}})
    found = wire.ask("GET", f"{WIDGETS}/w")[1]
    assert (found["status"], found["spec"], found["metadata"]["generation"]) == ({"b": 2}, {"a": 2}, 2)


def test_a_number_that_is_written_with_a_point_is_a_new_one_each_time() -> None:
    """A `float64` to a server that holds an `int64`, which it stores of it again: see `PrepareForUpdate`."""
    wire = wire_of(version(subresources={"status": {}}))
    wire.create({"a": 1.0})
    assert spec_of(wire) == {"a": 1}
    change(wire, {"spec": {"a": 1}})
    assert generation(wire) == 1
    change(wire, {"spec": {"a": 1.0}})
    change(wire, {"spec": {"a": 1.0}})
    assert generation(wire) == 3
    assert isinstance(spec_of(wire)["a"], int)
    change(wire, {"status": {"b": 1.0}}, f"{WIDGETS}/w/status")
    assert generation(wire) == 3


def test_an_element_has_one_owner_however_its_number_is_written() -> None:
    numbers = {"type": "array", "x-kubernetes-list-type": "set", "items": INTEGER}
    parts = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["id"],
        "items": {"type": "object", "required": ["id"], "properties": {"id": INTEGER}},
    }
    wire = wire_of(version({"numbers": numbers, "parts": parts}))
    (entry,) = wire.create({"numbers": [1.0], "parts": [{"id": 2.0}]})["metadata"]["managedFields"]
    assert list(entry["fieldsV1"]["f:spec"]["f:numbers"]) == [".", "v:1"]
    assert list(entry["fieldsV1"]["f:spec"]["f:parts"]) == [".", 'k:{"id":2}']
    change(wire, {"spec": {"numbers": [1], "parts": [{"id": 2}]}})
    assert wire.ask("GET", f"{WIDGETS}/w")[1]["metadata"]["managedFields"] == [entry]


SCALE = {
    "specReplicasPath": ".spec.size",
    "statusReplicasPath": ".status.size",
    "labelSelectorPath": ".status.selector",
}


def test_a_scale_is_a_window_on_the_paths_of_the_definition() -> None:
    wire = wire_of(version(subresources={"status": {}, "scale": SCALE}))
    wire.create({"size": 2})
    change(wire, {"status": {"size": 1, "selector": "app=w"}}, f"{WIDGETS}/w/status")
    status, scale = wire.ask("GET", f"{WIDGETS}/w/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "app=w"})
    status, scaled = wire.ask("PATCH", f"{WIDGETS}/w/scale", {"spec": {"replicas": 5}}, kind="merge")
    assert (status, scaled["spec"]) == (200, {"replicas": 5})
    assert spec_of(wire) == {"size": 5}
    assert generation(wire) == 2


def test_a_scale_without_replicas_in_the_spec_is_an_error_of_the_server() -> None:
    wire = wire_of(version(subresources={"scale": SCALE}))
    wire.create({})
    status, answer = wire.ask("GET", f"{WIDGETS}/w/scale")
    assert status == 500
    assert answer["message"].endswith('the spec replicas field ".spec.size" does not exist')


@pytest.mark.parametrize(
    ("size", "why"),
    [
        (-1, "Invalid value: -1: should be a non-negative integer"),
        (2**31, "Invalid value: 2147483648: should be less than or equal to 2147483647"),
        (
            "x",
            "Invalid value: 0: .spec.size accessor error: x is of the type string, expected int64",
        ),
        (
            1.0,
            "Invalid value: 0: .spec.size accessor error: 1 is of the type float64, expected int64",
        ),
    ],
)
def test_replicas_are_a_number_that_a_scale_can_hold(size: Any, why: str) -> None:
    wire = wire_of(version(subresources={"scale": SCALE}))
    assert wire.faults({"size": size}) == [f".spec.size: {why}"]


# --- patches and collections -------------------------------------------------------------------------


def test_an_apply_without_metadata_creates_what_the_url_names() -> None:
    wire = wire_of()
    applied = {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"n": 1}}
    status, made = wire.ask("PATCH", f"{WIDGETS}/w?fieldManager=m", applied, kind="apply")
    assert (status, made["metadata"]["name"]) == (201, "w")


def test_a_json_patch_cannot_grow_an_object_deeper_than_the_server_can_go() -> None:
    wire = wire_of()
    wire.create({"a": {}})
    doubled = [{"op": "copy", "from": "/spec", "path": "/spec/a"}] * 100
    assert wire.ask("PATCH", f"{WIDGETS}/w", doubled, kind="json")[0] == 422


def test_json_and_merge_patches_apply_and_a_strategic_one_does_not() -> None:
    wire = wire_of(a=STRING, b={"type": "array", "items": STRING})
    wire.create({"a": "x", "b": ["1"]})
    change(wire, {"spec": {"b": ["2"]}})
    operations = [{"op": "add", "path": "/spec/b/0", "value": "0"}, {"op": "remove", "path": "/spec/a"}]
    assert wire.ask("PATCH", f"{WIDGETS}/w", operations, kind="json")[1]["spec"] == {"b": ["0", "2"]}
    status, answer = wire.ask("PATCH", f"{WIDGETS}/w", {"spec": {"a": "y"}}, kind="strategic")
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")


def test_an_apply_creates_prunes_and_checks() -> None:
    wire = wire_of(a={**INTEGER, "maximum": 5}, b={**STRING, "default": "x"})
    path = f"{WIDGETS}/w?fieldManager=m"
    assert wire.ask("PATCH", path, widget({"a": 1}), kind="apply")[1]["spec"] == {"a": 1, "b": "x"}
    status, causes = wire.refusal("PATCH", path, widget({"a": 6}), kind="apply")
    assert (status, causes) == (
        422,
        ["spec.a: Invalid value: 6: spec.a in body should be less than or equal to 5"],
    )


def test_an_update_has_to_name_the_version_it_writes_over() -> None:
    wire = wire_of()
    made = wire.create({"a": 1})
    del made["metadata"]["resourceVersion"]
    status, answer = wire.ask("PUT", f"{WIDGETS}/w", made)
    assert status == 422
    assert answer["message"] == (
        'widgets.example.com "w" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified '
        "for an update"
    )
    assert answer["details"]["kind"] == "widgets"


def test_a_collection_is_deleted_by_what_is_selected() -> None:
    wire = wire_of(version({"a": STRING}, selectableFields=[{"jsonPath": ".spec.a"}]))
    wire.create({"a": "x"}, name="one")
    wire.create({"a": "y"}, name="two")
    watch = wire.watch(f"{WIDGETS}?watch=1&resourceVersion=0")
    events(watch)
    assert wire.ask("DELETE", f"{WIDGETS}?fieldSelector=spec.a=x")[0] == 200
    assert events(watch) == [("DELETED", "one")]


def test_a_field_that_was_not_declared_cannot_be_selected_by() -> None:
    wire = wire_of(a=STRING)
    assert wire.refusal("GET", f"{WIDGETS}?fieldSelector=spec.a=x") == (
        400,
        ["field label not supported: spec.a"],
    )


# --- by a test's own hand ----------------------------------------------------------------------------


def test_a_trusted_definition_may_leave_out_schemas_and_keeps_everything() -> None:
    server = MemoryApiServer()
    bare = definition({"name": "v1", "served": True, "storage": True})
    server.create("apiextensions.k8s.io/v1/customresourcedefinitions", bare)
    made = server.create("example.com/v1/widgets", widget({"anything": [1]}))
    assert made["spec"] == {"anything": [1]}


def test_a_test_sees_objects_as_clients_do() -> None:
    server = MemoryApiServer()
    resource = "apiextensions.k8s.io/v1/customresourcedefinitions"
    server.create(resource, definition(version({"a": STRING})))
    server.create("example.com/v1/widgets", widget({"a": "x"}))
    change = {"spec": {"versions": [version({"b": {**STRING, "default": "y"}})]}}
    server.patch(resource, "widgets.example.com", change)
    found = server.get("example.com/v1/widgets", "default/w")
    assert found is not None
    assert found["spec"] == {"b": "y"}
