"""The patches: JSON merge patch, JSON patch, and strategic merge patch of built-in kinds."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEPLOYMENTS = "apps/v1/deployments"


def deployment(**spec: Any) -> dict[str, Any]:
    """A deployment that starts no pods."""
    return {
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "c"}},
            "template": {
                "metadata": {"labels": {"app": "c"}},
                "spec": {"containers": [{"name": "c", "image": "i:1", "env": [{"name": "A", "value": "1"}]}]},
            },
            **spec,
        }
    }


# --- JSON merge patch --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patch", "data"),
    [
        ({"data": {"n": "1"}}, {"k": "v", "n": "1"}),
        ({"data": {"k": None, "n": "1"}}, {"n": "1"}),
        ({"data": {"k": "w"}}, {"k": "w"}),
        ({"data": {"absent": None}}, {"k": "v"}),
        ({"data": None}, None),
        ({}, {"k": "v"}),
    ],
    ids=["adds", "removes by null", "replaces", "removes what is absent", "removes all", "does nothing"],
)
async def test_a_merge_patch(api: Api, patch: dict[str, Any], data: dict[str, str] | None) -> None:
    """RFC 7396 (Recorded: 03 merge patch)"""
    made = await api.configmap({"k": "v"})
    path = api.path("v1/configmaps", made["metadata"]["name"])
    changed = (await api.patch(path, patch)).ok(200)
    assert changed.get("data") == data
    assert (await api.get(path)).ok() == changed


async def test_a_merge_patch_replaces_lists_whole(api: Api) -> None:
    """RFC 7396"""
    made = await api.configmap(finalizers=["example.com/a", "example.com/b"])
    path = api.path("v1/configmaps", made["metadata"]["name"])
    changed = (await api.patch(path, {"metadata": {"finalizers": ["example.com/c"]}})).ok()
    assert changed["metadata"]["finalizers"] == ["example.com/c"]


async def test_a_patch_that_changes_nothing_keeps_the_version(api: Api) -> None:
    """Recorded: 03 merge patch that changes nothing"""
    made = await api.configmap({"k": "v"})
    path = api.path("v1/configmaps", made["metadata"]["name"])
    assert (await api.patch(path, {"data": {"k": "v"}})).ok() == made


async def test_a_patch_with_an_old_version_is_a_conflict(api: Api) -> None:
    """Recorded: 03 merge patch with stale resourceVersion"""
    name = (await api.configmap())["metadata"]["name"]
    patch = {"metadata": {"resourceVersion": "1"}, "data": {"k": "v"}}
    (await api.patch(api.path("v1/configmaps", name), patch)).refused(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on configmaps "{name}": the object has been modified; please apply '
        "your changes to the latest version and try again",
    )


async def test_a_patch_of_the_uid_is_refused(api: Api) -> None:
    """Source: apimachinery/pkg/api/validation/objectmeta.go"""
    name = (await api.configmap())["metadata"]["name"]
    patch = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}, "data": {"k": "v"}}
    status = (await api.patch(api.path("v1/configmaps", name), patch)).refused(422, "Invalid")
    assert {cause["field"] for cause in status["details"]["causes"]} == {"metadata.uid"}


async def test_a_patch_cannot_rename(api: Api) -> None:
    """Source: apiserver/pkg/endpoints/handlers/patch.go"""
    name = (await api.configmap())["metadata"]["name"]
    (await api.patch(api.path("v1/configmaps", name), {"metadata": {"name": "b"}})).refused(
        400, "BadRequest", f"the name of the object (b) does not match the name on the URL ({name})"
    )


@pytest.mark.parametrize("kind", ["merge", "json", "strategic"])
async def test_a_patch_of_what_is_missing_is_not_found(api: Api, kind: str) -> None:
    """Recorded: 03 patch of a missing object"""
    name = api.name()
    patch: Any = [] if kind == "json" else {"data": {}}
    answer = await api.patch(api.path("v1/configmaps", name), patch, kind)
    answer.refused(404, "NotFound", f'configmaps "{name}" not found')


async def test_a_patch_of_plain_json_is_of_no_kind(api: Api) -> None:
    """Recorded: 03 patch with plain JSON content type"""
    name = (await api.configmap())["metadata"]["name"]
    answer = await api.send("PATCH", api.path("v1/configmaps", name), {"data": {}})
    answer.refused(415, "UnsupportedMediaType", "415: Unsupported Media Type")


async def test_a_merge_patch_that_is_no_object_is_refused(api: Api) -> None:
    """Source: apiserver/pkg/endpoints/handlers/patch.go"""
    name = (await api.configmap())["metadata"]["name"]
    (await api.patch(api.path("v1/configmaps", name), '{"data":')).refused(400, "BadRequest")


async def test_a_dry_run_of_a_patch_answers_the_change_and_keeps_none(api: Api) -> None:
    """KEP-576: dry run"""
    made = await api.configmap({"k": "v"})
    path = api.path("v1/configmaps", made["metadata"]["name"])
    assert (await api.patch(path, {"data": {"k": "w"}}, dryRun="All")).ok()["data"] == {"k": "w"}
    assert (await api.get(path)).ok() == made


async def test_a_result_that_is_not_valid_is_refused(api: Api) -> None:
    """Source: apiserver/pkg/registry/rest/update.go"""
    name = (await api.configmap())["metadata"]["name"]
    patch = {"metadata": {"labels": {"a": "b c"}}}
    status = (await api.patch(api.path("v1/configmaps", name), patch)).refused(422, "Invalid")
    assert {cause["field"] for cause in status["details"]["causes"]} == {"metadata.labels"}


async def test_only_an_apply_may_be_forced(api: Api) -> None:
    """Source: apimachinery/pkg/apis/meta/v1/validation/validation.go"""
    name = (await api.configmap())["metadata"]["name"]
    (await api.patch(api.path("v1/configmaps", name), {}, force="true")).refused(
        422,
        "Invalid",
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    )


# --- JSON patch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patch", "data"),
    [
        ([{"op": "add", "path": "/data/n", "value": "1"}], {"k": "v", "n": "1"}),
        ([{"op": "replace", "path": "/data/k", "value": "w"}], {"k": "w"}),
        ([{"op": "remove", "path": "/data/k"}], None),
        ([{"op": "move", "from": "/data/k", "path": "/data/n"}], {"n": "v"}),
        ([{"op": "copy", "from": "/data/k", "path": "/data/n"}], {"k": "v", "n": "v"}),
        (
            [
                {"op": "test", "path": "/data/k", "value": "v"},
                {"op": "replace", "path": "/data/k", "value": "w"},
            ],
            {"k": "w"},
        ),
        ([], {"k": "v"}),
    ],
    ids=["add", "replace", "remove", "move", "copy", "test that holds", "nothing"],
)
async def test_a_json_patch(api: Api, patch: list[dict[str, str]], data: dict[str, str] | None) -> None:
    """RFC 6902 (Recorded: 03 JSON patch)"""
    made = await api.configmap({"k": "v"})
    answer = await api.patch(api.path("v1/configmaps", made["metadata"]["name"]), patch, "json")
    assert answer.ok(200).get("data") == data


async def test_a_path_of_a_json_patch_escapes_its_slashes(api: Api) -> None:
    """RFC 6901"""
    name = (await api.configmap(annotations={"a": "b"}))["metadata"]["name"]
    patch = [{"op": "add", "path": "/metadata/annotations/example.com~1x", "value": "1"}]
    changed = (await api.patch(api.path("v1/configmaps", name), patch, "json")).ok(200)
    assert changed["metadata"]["annotations"] == {"a": "b", "example.com/x": "1"}


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "test", "path": "/data/k", "value": "99"}],
        [{"op": "remove", "path": "/data/zzz"}],
        [{"op": "replace", "path": "/data/zzz", "value": "1"}],
        [{"op": "add", "path": "/nope/zzz", "value": "1"}],
    ],
    ids=["test that fails", "remove of nothing", "replace of nothing", "add to nothing"],
)
async def test_a_json_patch_that_cannot_be_applied_is_refused(api: Api, patch: list[dict[str, str]]) -> None:
    """Recorded: 03 JSON patch: test fails"""
    made = await api.configmap({"k": "v"})
    (await api.patch(api.path("v1/configmaps", made["metadata"]["name"]), patch, "json")).refused(
        422, "Invalid", "the server rejected our request due to an error in our request"
    )


async def test_a_json_patch_is_applied_whole_or_not_at_all(api: Api) -> None:
    """RFC 6902"""
    made = await api.configmap({"k": "v"})
    path = api.path("v1/configmaps", made["metadata"]["name"])
    patch = [{"op": "replace", "path": "/data/k", "value": "w"}, {"op": "remove", "path": "/data/zzz"}]
    (await api.patch(path, patch, "json")).refused(422, "Invalid")
    assert (await api.get(path)).ok() == made


async def test_a_json_patch_that_is_no_list_is_refused(api: Api) -> None:
    """Recorded: 03 JSON patch: not a list"""
    name = (await api.configmap())["metadata"]["name"]
    (await api.patch(api.path("v1/configmaps", name), {"op": "x"}, "json")).refused(
        400,
        "BadRequest",
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
    )


async def test_a_json_patch_that_tests_the_version_is_safe_to_repeat(api: Api) -> None:
    """API conventions: Concurrency control and consistency"""
    made = await api.configmap({"k": "v"})
    path = api.path("v1/configmaps", made["metadata"]["name"])
    patch = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": made["metadata"]["resourceVersion"]},
        {"op": "replace", "path": "/data/k", "value": "w"},
    ]
    (await api.patch(path, patch, "json")).ok(200)
    (await api.patch(path, patch, "json")).refused(422, "Invalid")


# --- strategic merge patch ---------------------------------------------------------------------------------


def containers(obj: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = obj["spec"]["template"]["spec"]["containers"]
    return found


async def patched(api: Api, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A new deployment after a strategic patch of its pod's *spec*."""
    name = (await api.create(DEPLOYMENTS, deployment()))["metadata"]["name"]
    patch = {"spec": {"template": {"spec": spec}, **more}}
    changed: dict[str, Any] = (await api.patch(api.path(DEPLOYMENTS, name), patch, "strategic")).ok(200)
    return changed


async def test_a_strategic_patch_finds_a_container_by_its_name(api: Api) -> None:
    """Recorded: 03 strategic merge patch: container by name"""
    changed = await patched(api, {"containers": [{"name": "c", "image": "i:2"}]})
    assert [(one["name"], one["image"]) for one in containers(changed)] == [("c", "i:2")]
    assert containers(changed)[0]["env"] == [{"name": "A", "value": "1"}]


async def test_a_strategic_patch_adds_what_has_a_new_name(api: Api) -> None:
    """Recorded: 03 strategic merge patch: container by name"""
    patch = [{"name": "c", "env": [{"name": "B", "value": "2"}]}, {"name": "side", "image": "s:1"}]
    first, second = containers(await patched(api, {"containers": patch}))
    assert first["env"] == [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]
    assert (second["name"], second["image"]) == ("side", "s:1")


async def test_a_strategic_patch_deletes_by_directive(api: Api) -> None:
    """Recorded: 03 strategic merge patch: delete directive"""
    patch = [{"name": "side", "image": "s:1"}, {"name": "c", "$patch": "delete"}]
    assert [one["name"] for one in containers(await patched(api, {"containers": patch}))] == ["side"]


async def test_a_strategic_patch_replaces_a_list_by_directive(api: Api) -> None:
    """Kubernetes documentation: strategic merge patch, replace directive"""
    patch = [{"$patch": "replace"}, {"name": "other", "image": "o:1"}]
    assert [one["name"] for one in containers(await patched(api, {"containers": patch}))] == ["other"]


async def test_a_strategic_patch_replaces_a_map_by_directive(api: Api) -> None:
    """Kubernetes documentation: strategic merge patch, replace directive"""
    patch = {"nodeSelector": {"$patch": "replace", "b": "2"}}
    name = (await api.create(DEPLOYMENTS, deployment()))["metadata"]["name"]
    path = api.path(DEPLOYMENTS, name)
    first = {"spec": {"template": {"spec": {"nodeSelector": {"a": "1"}}}}}
    (await api.patch(path, first, "strategic")).ok()
    changed = (await api.patch(path, {"spec": {"template": {"spec": patch}}}, "strategic")).ok()
    assert changed["spec"]["template"]["spec"]["nodeSelector"] == {"b": "2"}


async def test_a_strategic_patch_orders_by_directive(api: Api) -> None:
    """Kubernetes documentation: strategic merge patch, setElementOrder directive"""
    patch = {
        "$setElementOrder/containers": [{"name": "side"}, {"name": "c"}],
        "containers": [{"name": "side", "image": "s:1"}],
    }
    assert [one["name"] for one in containers(await patched(api, patch))] == ["side", "c"]


async def test_a_strategic_patch_keeps_only_the_keys_it_names(api: Api) -> None:
    """Kubernetes documentation: strategic merge patch, retainKeys directive"""
    strategy = {"$retainKeys": ["type"], "type": "Recreate"}
    assert (await patched(api, {}, strategy=strategy))["spec"]["strategy"] == {"type": "Recreate"}


async def test_a_strategic_patch_merges_maps_and_removes_by_null(api: Api) -> None:
    """Kubernetes documentation: strategic merge patch"""
    name = (await api.configmap({"a": "1", "b": "2"}))["metadata"]["name"]
    patch = {"data": {"a": None, "c": "3"}}
    changed = (await api.patch(api.path("v1/configmaps", name), patch, "strategic")).ok()
    assert changed["data"] == {"b": "2", "c": "3"}


async def test_a_strategic_patch_puts_its_finalizers_before_those_there_are(api: Api) -> None:
    """Source: apimachinery/pkg/util/strategicpatch/patch.go"""
    name = (await api.configmap(finalizers=["example.com/a"]))["metadata"]["name"]
    patch = {"metadata": {"finalizers": ["example.com/b"]}}
    changed = (await api.patch(api.path("v1/configmaps", name), patch, "strategic")).ok()
    assert changed["metadata"]["finalizers"] == ["example.com/b", "example.com/a"]


async def test_a_strategic_patch_deletes_from_a_list_of_finalizers(api: Api) -> None:
    """Kubernetes documentation: strategic merge patch, deleteFromPrimitiveList directive"""
    name = (await api.configmap(finalizers=["example.com/a", "example.com/b"]))["metadata"]["name"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}}
    changed = (await api.patch(api.path("v1/configmaps", name), patch, "strategic")).ok()
    assert changed["metadata"]["finalizers"] == ["example.com/b"]


async def test_a_strategic_patch_finds_a_container_port_by_its_number(api: Api) -> None:
    """Source: api/core/v1/types.go"""
    first = [{"name": "c", "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 90}]}]
    name = (await patched(api, {"containers": first}))["metadata"]["name"]
    second = [{"name": "c", "ports": [{"containerPort": 80, "name": "www"}]}]
    patch = {"spec": {"template": {"spec": {"containers": second}}}}
    changed = (await api.patch(api.path(DEPLOYMENTS, name), patch, "strategic")).ok()
    ports = [(one["containerPort"], one.get("name")) for one in containers(changed)[0]["ports"]]
    assert ports == [(80, "www"), (90, None)]


async def test_a_strategic_patch_replaces_a_list_without_a_merge_key(api: Api) -> None:
    """Source: api/core/v1/types.go"""
    first = [{"name": "c", "args": ["a", "b"]}]
    name = (await patched(api, {"containers": first}))["metadata"]["name"]
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "args": ["z"]}]}}}}
    changed = (await api.patch(api.path(DEPLOYMENTS, name), patch, "strategic")).ok()
    assert containers(changed)[0]["args"] == ["z"]
