"""What an update (PUT) changes, what it may not change, and when it is refused."""

from __future__ import annotations

import asyncio

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


async def test_an_update_of_the_current_version_is_taken(api: Api) -> None:
    """Recorded: 02 update"""
    made = await api.configmap({"k": "v"})
    path = api.path("v1/configmaps", made["metadata"]["name"])
    changed = (await api.put(path, {**made, "data": {"k": "w"}})).ok(200)
    assert changed["data"] == {"k": "w"}
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert (await api.get(path)).ok() == changed


async def test_an_update_keeps_the_uid_and_the_time_of_creation(api: Api) -> None:
    """API conventions: Metadata"""
    made = await api.configmap()
    name = made["metadata"]["name"]
    changed = (await api.put(api.path("v1/configmaps", name), {"metadata": {"name": name}, "data": {}})).ok()
    for field in ("uid", "creationTimestamp"):
        assert changed["metadata"][field] == made["metadata"][field]


async def test_an_update_replaces_everything_else(api: Api) -> None:
    """Recorded: 02 update without resourceVersion"""
    made = await api.configmap({"k": "v"}, labels={"app": "web"}, annotations={"a": "b"})
    name = made["metadata"]["name"]
    body = {"metadata": {"name": name}, "data": {"z": "z"}}
    changed = (await api.put(api.path("v1/configmaps", name), body)).ok()
    assert changed["data"] == {"z": "z"}
    assert not {"labels", "annotations"} & changed["metadata"].keys()


async def test_an_update_of_an_old_version_is_a_conflict(api: Api) -> None:
    """Recorded: 02 update with stale resourceVersion"""
    made = await api.configmap()
    name = made["metadata"]["name"]
    path = api.path("v1/configmaps", name)
    (await api.put(path, {**made, "data": {"k": "v"}})).ok()
    status = (await api.put(path, {**made, "data": {"k": "w"}})).refused(
        409, "Conflict", f'Operation cannot be fulfilled on configmaps "{name}": {MODIFIED}'
    )
    assert status["details"] == {"name": name, "kind": "configmaps"}
    assert (await api.get(path)).ok()["data"] == {"k": "v"}


async def test_a_conflict_names_the_group_of_the_resource(api: Api) -> None:
    """Recorded: 09 renew from a stale copy"""
    made = await api.create("coordination.k8s.io/v1/leases", {"spec": {"holderIdentity": "a"}})
    name = made["metadata"]["name"]
    path = api.path("coordination.k8s.io/v1/leases", name)
    (await api.put(path, {**made, "spec": {"holderIdentity": "b"}})).ok()
    status = (await api.put(path, {**made, "spec": {"holderIdentity": "c"}})).refused(
        409, "Conflict", f'Operation cannot be fulfilled on leases.coordination.k8s.io "{name}": {MODIFIED}'
    )
    assert status["details"] == {"name": name, "group": "coordination.k8s.io", "kind": "leases"}


async def test_an_update_without_a_version_is_unconditional(api: Api) -> None:
    """Recorded: 02 update without resourceVersion"""
    name = (await api.configmap())["metadata"]["name"]
    path = api.path("v1/configmaps", name)
    for value in ("a", "b"):
        body = {"metadata": {"name": name}, "data": {"k": value}}
        assert (await api.put(path, body)).ok()["data"] == {"k": value}


async def test_an_update_that_changes_nothing_keeps_the_version(api: Api) -> None:
    """Recorded: 02 update that changes nothing"""
    made = await api.configmap({"k": "v"})
    assert (await api.put(api.path("v1/configmaps", made["metadata"]["name"]), made)).ok() == made


async def test_an_update_of_what_is_missing_is_not_found(api: Api) -> None:
    """Recorded: 02 update of a missing object"""
    name = api.name()
    answer = await api.put(api.path("v1/configmaps", name), {"metadata": {"name": name}})
    answer.refused(404, "NotFound", f'configmaps "{name}" not found')


async def test_an_update_creates_a_missing_lease(api: Api) -> None:
    """Source: pkg/registry/coordination/lease/strategy.go"""
    name = api.name()
    body = {"metadata": {"name": name}, "spec": {"holderIdentity": "a"}}
    answer = await api.put(api.path("coordination.k8s.io/v1/leases", name), body)
    assert answer.ok(201)["spec"]["holderIdentity"] == "a"


async def test_the_name_of_the_object_must_be_that_of_the_url(api: Api) -> None:
    """Recorded: 02 name in body differs from path"""
    name = (await api.configmap())["metadata"]["name"]
    (await api.put(api.path("v1/configmaps", name), {"metadata": {"name": "b"}})).refused(
        400, "BadRequest", f"the name of the object (b) does not match the name on the URL ({name})"
    )


async def test_an_update_names_its_object(api: Api) -> None:
    """Source: apiserver/pkg/endpoints/handlers/rest.go"""
    name = (await api.configmap())["metadata"]["name"]
    (await api.put(api.path("v1/configmaps", name), {"metadata": {}, "data": {}})).refused(
        400,
        "BadRequest",
        f"the name of the object ({name} based on URL) was undeterminable: name must be provided",
    )


async def test_the_namespace_of_an_update_must_be_that_of_the_url(api: Api) -> None:
    """Source: apiserver/pkg/registry/rest/meta.go"""
    name = (await api.configmap())["metadata"]["name"]
    body = {"metadata": {"name": name, "namespace": "other"}}
    (await api.put(api.path("v1/configmaps", name), body)).refused(
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    )


async def test_an_update_of_another_uid_is_a_conflict(api: Api) -> None:
    """Recorded: 02 uid differs"""
    made = await api.configmap()
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    other = "00000000-0000-0000-0000-000000000000"
    body = {"metadata": {"name": name, "uid": other}}
    status = (await api.put(api.path("v1/configmaps", name), body)).refused(409, "Conflict")
    assert status["message"].endswith(
        f"Precondition failed: UID in precondition: {other}, UID in object meta: {uid}"
    )


async def test_a_time_of_creation_in_an_update_is_ignored(api: Api) -> None:
    """Source: apiserver/pkg/registry/rest/update.go"""
    made = await api.configmap()
    metadata = {**made["metadata"], "creationTimestamp": "2001-01-01T00:00:00Z"}
    answer = await api.put(api.path("v1/configmaps", metadata["name"]), {**made, "metadata": metadata})
    assert answer.ok() == made


async def test_an_update_cannot_mark_an_object_deleted(api: Api) -> None:
    """Source: apimachinery/pkg/api/validation/objectmeta.go"""
    made = await api.configmap()
    metadata = {**made["metadata"], "deletionTimestamp": "2001-01-01T00:00:00Z"}
    answer = await api.put(api.path("v1/configmaps", metadata["name"]), {**made, "metadata": metadata})
    status = answer.refused(422, "Invalid")
    assert {cause["field"] for cause in status["details"]["causes"]} == {"metadata.deletionTimestamp"}


async def test_an_update_cannot_unmark_an_object_that_is_being_deleted(api: Api) -> None:
    """Source: apiserver/pkg/registry/rest/update.go"""
    made = await api.configmap(finalizers=["example.com/hold"])
    path = api.path("v1/configmaps", made["metadata"]["name"])
    marked = (await api.delete(path)).ok()
    metadata = {key: value for key, value in marked["metadata"].items() if not key.startswith("deletion")}
    changed = (await api.put(path, {**marked, "metadata": metadata, "data": {"k": "v"}})).ok()
    assert changed["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]
    assert changed["data"] == {"k": "v"}


async def test_a_dry_run_of_an_update_answers_the_change_and_keeps_none(api: Api) -> None:
    """KEP-576: dry run"""
    made = await api.configmap({"k": "v"})
    path = api.path("v1/configmaps", made["metadata"]["name"])
    changed = (await api.put(path, {**made, "data": {"k": "w"}}, dryRun="All")).ok(200)
    assert changed["data"] == {"k": "w"}
    assert changed["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert (await api.get(path)).ok() == made


@pytest.mark.parametrize(
    ("resource", "change", "field"),
    [
        ("v1/configmaps", {"data": {"k": "w"}}, "data"),
        ("v1/configmaps", {"binaryData": {"b": "AA=="}}, "binaryData"),
        ("v1/configmaps", {"immutable": False}, "immutable"),
        ("v1/secrets", {"data": {"k": "AA=="}}, "data"),
        ("v1/secrets", {"immutable": None}, "immutable"),
    ],
)
async def test_what_was_made_immutable_stays(
    api: Api, resource: str, change: dict[str, object], field: str
) -> None:
    """Recorded: 02 change an immutable configmap"""
    name = (await api.create(resource, {"immutable": True, "data": {"k": "dg=="}}))["metadata"]["name"]
    status = (await api.patch(api.path(resource, name), change)).refused(422, "Invalid")
    assert status["details"]["causes"] == [
        {
            "reason": "FieldValueForbidden",
            "message": "Forbidden: field is immutable when `immutable` is set",
            "field": field,
        }
    ]


async def test_the_metadata_of_what_was_made_immutable_may_change(api: Api) -> None:
    """Kubernetes documentation: Immutable ConfigMaps"""
    name = (await api.create("v1/configmaps", {"immutable": True}))["metadata"]["name"]
    changed = (await api.patch(api.path("v1/configmaps", name), {"metadata": {"labels": {"a": "b"}}})).ok()
    assert changed["metadata"]["labels"] == {"a": "b"}


async def test_the_type_of_a_secret_stays(api: Api) -> None:
    """Source: pkg/apis/core/validation/validation.go"""
    name = (await api.create("v1/secrets", {"type": "example.com/a"}))["metadata"]["name"]
    status = (await api.patch(api.path("v1/secrets", name), {"type": "example.com/b"})).refused(
        422, "Invalid"
    )
    assert [cause["field"] for cause in status["details"]["causes"]] == ["type"]
    assert status["message"].endswith("field is immutable")


async def test_a_get_of_what_is_missing_is_not_found(api: Api) -> None:
    """Recorded: 02 get missing"""
    name = api.name()
    status = (await api.get(api.path("v1/configmaps", name))).refused(
        404, "NotFound", f'configmaps "{name}" not found'
    )
    assert status["details"] == {"name": name, "kind": "configmaps"}


async def test_of_two_updates_of_one_version_one_is_taken(api: Api) -> None:
    """API conventions: Concurrency control and consistency"""
    made = await api.configmap()
    path = api.path("v1/configmaps", made["metadata"]["name"])
    answers = await asyncio.gather(*(api.put(path, {**made, "data": {"k": str(i)}}) for i in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]
