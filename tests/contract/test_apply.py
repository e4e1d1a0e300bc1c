"""Server-side apply, and the managed fields that it stands on."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api
from .client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")


def configmap(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}
    return obj if data is None else {**obj, "data": data}


async def apply(
    api: Api, name: str, manager: str, data: dict[str, str] | None = None, **options: Any
) -> Answer:
    return await api.patch(
        api.path("v1/configmaps", name), configmap(name, data), "apply", fieldManager=manager, **options
    )


def managers(obj: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """The fields of *obj* by manager and operation."""
    entries = obj["metadata"].get("managedFields", ())
    return {(one["manager"], one["operation"]): one["fieldsV1"] for one in entries}


async def test_an_apply_creates_what_is_missing(api: Api) -> None:
    """Recorded: 03 apply: creates"""
    assert (await apply(api, api.name(), "one", {"x": "1"})).ok(201)["data"] == {"x": "1"}


async def test_an_applied_object_knows_who_applied_what(api: Api) -> None:
    """Recorded: 03 apply: creates"""
    made = (await apply(api, api.name(), "one", {"x": "1"})).ok(201)
    (entry,) = made["metadata"]["managedFields"]
    assert entry.pop("time")
    assert list(entry) == ["manager", "operation", "apiVersion", "fieldsType", "fieldsV1"]
    assert entry == {
        "manager": "one",
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:x": {}}},
    }


async def test_an_apply_of_the_same_keeps_the_version(api: Api) -> None:
    """Recorded: 03 apply: same again"""
    name = api.name()
    made = (await apply(api, name, "one", {"x": "1"})).ok(201)
    assert (await apply(api, name, "one", {"x": "1"})).ok(200) == made


async def test_an_apply_takes_yaml(api: Api) -> None:
    """API concepts: server-side apply"""
    name = api.name()
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  x: 'on'\n"
    answer = await api.patch(api.path("v1/configmaps", name), text, "apply", fieldManager="one")
    assert answer.ok(201)["data"] == {"x": "on"}


async def test_a_field_of_another_manager_is_a_conflict(api: Api) -> None:
    """Recorded: 03 apply: conflict"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1"})).ok(201)
    status = (await apply(api, name, "two", {"x": "2"})).refused(
        409, "Conflict", 'Apply failed with 1 conflict: conflict with "one": .data.x'
    )
    assert status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.x"}
    ]


async def test_conflicts_are_counted(api: Api) -> None:
    """Source: structured-merge-diff/merge/conflict.go"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1", "y": "1"})).ok(201)
    status = (await apply(api, name, "two", {"x": "2", "y": "2"})).refused(409, "Conflict")
    assert status["message"].startswith("Apply failed with 2 conflicts: conflicts with")
    assert [cause["field"] for cause in status["details"]["causes"]] == [".data.x", ".data.y"]


async def test_a_conflict_changes_nothing(api: Api) -> None:
    """KEP-555: server-side apply"""
    name = api.name()
    made = (await apply(api, name, "one", {"x": "1"})).ok(201)
    (await apply(api, name, "two", {"x": "2", "y": "2"})).refused(409, "Conflict")
    assert (await api.get(api.path("v1/configmaps", name))).ok() == made


async def test_a_forced_apply_takes_the_field(api: Api) -> None:
    """Recorded: 03 apply: force"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1"})).ok(201)
    changed = (await apply(api, name, "two", {"x": "2"}, force="true")).ok(200)
    assert changed["data"] == {"x": "2"}
    assert managers(changed) == {("two", "Apply"): {"f:data": {"f:x": {}}}}


async def test_two_managers_may_share_a_value(api: Api) -> None:
    """KEP-555: server-side apply"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1"})).ok(201)
    changed = (await apply(api, name, "two", {"x": "1"})).ok(200)
    assert managers(changed).keys() == {("one", "Apply"), ("two", "Apply")}


async def test_a_shared_field_stays_while_one_manager_has_it(api: Api) -> None:
    """KEP-555: server-side apply"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1"})).ok(201)
    (await apply(api, name, "two", {"x": "1", "y": "2"})).ok(200)
    assert (await apply(api, name, "two", {"y": "2"})).ok(200)["data"] == {"x": "1", "y": "2"}


async def test_a_field_that_its_only_manager_leaves_out_is_removed(api: Api) -> None:
    """Recorded: 03 apply: field removed by its only owner"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1", "y": "2"})).ok(201)
    assert (await apply(api, name, "one", {"y": "2"})).ok(200)["data"] == {"y": "2"}


async def test_each_manager_applies_its_own_fields(api: Api) -> None:
    """KEP-555: server-side apply"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1"})).ok(201)
    assert (await apply(api, name, "two", {"y": "2"})).ok(200)["data"] == {"x": "1", "y": "2"}


async def test_a_field_that_an_update_set_is_not_removed_by_an_apply(api: Api) -> None:
    """KEP-555: server-side apply"""
    name = (await api.configmap({"k": "v"}))["metadata"]["name"]
    (await apply(api, name, "one", {"x": "1"})).ok(200)
    assert (await apply(api, name, "one")).ok(200)["data"] == {"k": "v"}


async def test_an_apply_conflicts_with_an_update(api: Api) -> None:
    """KEP-555: server-side apply"""
    made = await api.create("v1/configmaps", {"data": {"k": "v"}}, fieldManager="writer")
    name = made["metadata"]["name"]
    status = (await apply(api, name, "one", {"k": "w"})).refused(409, "Conflict")
    assert 'conflict with "writer"' in status["message"]


async def test_an_update_takes_a_field_without_asking(api: Api) -> None:
    """KEP-555: server-side apply"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1", "y": "1"})).ok(201)
    path = api.path("v1/configmaps", name)
    changed = (await api.patch(path, {"data": {"x": "2"}}, fieldManager="writer")).ok(200)
    assert managers(changed) == {
        ("one", "Apply"): {"f:data": {"f:y": {}}},
        ("writer", "Update"): {"f:data": {"f:x": {}}},
    }


async def test_an_apply_needs_a_field_manager(api: Api) -> None:
    """Recorded: 03 apply: no field manager"""
    name = api.name()
    answer = await api.patch(api.path("v1/configmaps", name), configmap(name), "apply")
    status = answer.refused(
        422,
        "Invalid",
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )
    assert [cause["field"] for cause in status["details"]["causes"]] == ["fieldManager"]


async def test_a_field_manager_has_at_most_128_characters(api: Api) -> None:
    """Source: apimachinery/pkg/apis/meta/v1/validation/validation.go"""
    status = (await apply(api, api.name(), "m" * 129)).refused(422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == ["fieldManager"]


async def test_an_apply_may_not_bring_managed_fields(api: Api) -> None:
    """Source: apimachinery/pkg/util/managedfields/internal/structuredmerge.go"""
    name = api.name()
    made = (await apply(api, name, "one", {"x": "1"})).ok(201)
    body = configmap(name, {"x": "1"}, managedFields=made["metadata"]["managedFields"])
    answer = await api.patch(api.path("v1/configmaps", name), body, "apply", fieldManager="one")
    answer.refused(400, "BadRequest", "metadata.managedFields must be nil")


async def test_an_apply_of_an_old_version_is_a_conflict(api: Api) -> None:
    """API concepts: server-side apply"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1"})).ok(201)
    body = configmap(name, {"x": "2"}, resourceVersion="1")
    answer = await api.patch(api.path("v1/configmaps", name), body, "apply", fieldManager="one")
    answer.refused(409, "Conflict")


async def test_an_apply_with_a_uid_does_not_create(api: Api) -> None:
    """Source: apiserver/pkg/endpoints/handlers/patch.go"""
    name, uid = api.name(), "11111111-2222-3333-4444-555555555555"
    body = configmap(name, uid=uid)
    answer = await api.patch(api.path("v1/configmaps", name), body, "apply", fieldManager="one")
    answer.refused(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on configmaps "{name}": uid mismatch: the provided object specified '
        f"uid {uid}, and no existing object was found",
    )


async def test_a_dry_run_of_an_apply_creates_nothing(api: Api) -> None:
    """KEP-576: dry run"""
    name = api.name()
    assert (await apply(api, name, "one", {"x": "1"}, dryRun="All")).ok(201)["data"] == {"x": "1"}
    assert (await api.get(api.path("v1/configmaps", name))).status == 404


async def test_lists_with_keys_are_applied_item_by_item(api: Api) -> None:
    """KEP-555: server-side apply, merge strategy"""
    name = api.name()
    path = api.path("v1/services", name)

    def service(port: int) -> dict[str, Any]:
        ports = [{"name": f"p{port}", "port": port, "protocol": "TCP"}]
        spec = {"clusterIP": "None", "ports": ports}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}

    (await api.patch(path, service(80), "apply", fieldManager="one")).ok(201)
    changed = (await api.patch(path, service(90), "apply", fieldManager="two")).ok(200)
    assert sorted(one["port"] for one in changed["spec"]["ports"]) == [80, 90]
    fields = managers(changed)[("two", "Apply")]["f:spec"]["f:ports"]
    assert list(fields) == ['k:{"port":90,"protocol":"TCP"}']


async def test_sets_are_applied_value_by_value(api: Api) -> None:
    """KEP-555: server-side apply, merge strategy"""
    name = api.name()
    path = api.path("v1/configmaps", name)
    for manager, hold in (("one", "example.com/a"), ("two", "example.com/b")):
        body = configmap(name, finalizers=[hold])
        changed = (await api.patch(path, body, "apply", fieldManager=manager)).ok()
    assert sorted(changed["metadata"]["finalizers"]) == ["example.com/a", "example.com/b"]
    assert managers(changed)[("two", "Apply")]["f:metadata"] == {"f:finalizers": {'v:"example.com/b"': {}}}


# --- managed fields of other writes ------------------------------------------------------------------------


async def test_the_manager_of_a_write_is_the_start_of_the_user_agent(api: Api) -> None:
    """Recorded: 02 create"""
    made = await api.configmap({"k": "v"}, labels={"app": "web"})
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("contract", "Update", "v1")
    assert entry["fieldsV1"] == {
        "f:data": {".": {}, "f:k": {}},
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
    }


async def test_a_write_may_name_its_manager(api: Api) -> None:
    """API concepts: field management"""
    made = await api.create("v1/configmaps", {"data": {"k": "v"}}, fieldManager="writer")
    assert managers(made).keys() == {("writer", "Update")}


async def test_what_is_created_empty_has_no_managed_fields(api: Api) -> None:
    """Recorded: 02 create without kind and apiVersion"""
    assert "managedFields" not in (await api.configmap())["metadata"]


async def test_a_field_that_an_update_removes_has_no_manager(api: Api) -> None:
    """Recorded: 03 merge patch"""
    made = await api.configmap({"k": "v"})
    path = api.path("v1/configmaps", made["metadata"]["name"])
    changed = (await api.patch(path, {"data": {"k": None, "n": "1"}})).ok()
    assert managers(changed) == {("contract", "Update"): {"f:data": {".": {}, "f:n": {}}}}


async def test_managed_fields_that_a_client_does_not_send_are_kept(api: Api) -> None:
    """API concepts: field management"""
    made = await api.configmap({"k": "v"})
    metadata = {"name": made["metadata"]["name"]}
    changed = (
        await api.put(api.path("v1/configmaps", metadata["name"]), {"metadata": metadata, "data": {"k": "v"}})
    ).ok()
    assert managers(changed) == managers(made)


async def test_managed_fields_are_reset_by_one_empty_entry(api: Api) -> None:
    """API concepts: clearing managed fields"""
    made = await api.configmap({"k": "v"})
    path = api.path("v1/configmaps", made["metadata"]["name"])
    changed = (await api.patch(path, {"metadata": {"managedFields": [{}]}})).ok()
    assert "managedFields" not in changed["metadata"]


async def test_fields_are_written_in_the_order_of_their_names(api: Api) -> None:
    """Source: structured-merge-diff/fieldpath/serialize.go"""
    made = await api.configmap({"b": "1", "a": "1", "c": "1"})
    fields = made["metadata"]["managedFields"][0]["fieldsV1"]["f:data"]
    assert list(fields) == [".", "f:a", "f:b", "f:c"]


async def test_a_write_to_the_status_is_managed_apart(api: Api) -> None:
    """Recorded: 03 apply to status"""
    name = (await api.pod())["metadata"]["name"]
    path = api.path("v1/pods", name, "status")
    changed = (await api.patch(path, {"status": {"reason": "Tested"}}, fieldManager="kubelet")).ok()
    (entry,) = [one for one in changed["metadata"]["managedFields"] if one["manager"] == "kubelet"]
    assert (entry["operation"], entry["subresource"]) == ("Update", "status")
    assert entry["fieldsV1"] == {"f:status": {"f:reason": {}}}
