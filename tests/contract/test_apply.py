"""Server-side apply, and the managed fields that it stands on."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api
from .client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")


def configmap(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": data or {},
    }


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


async def test_a_shared_field_stays_while_one_manager_has_it(api: Api) -> None:
    """KEP-555: server-side apply"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1"})).ok(201)
    (await apply(api, name, "two", {"x": "1", "y": "2"})).ok(200)
    assert (await apply(api, name, "two", {"y": "2"})).ok(200)["data"] == {"x": "1", "y": "2"}


async def test_each_manager_applies_its_own_fields(api: Api) -> None:
    """KEP-555: server-side apply"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1"})).ok(201)
    assert (await apply(api, name, "two", {"y": "2"})).ok(200)["data"] == {"x": "1", "y": "2"}


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


async def test_an_apply_of_an_old_version_is_a_conflict(api: Api) -> None:
    """API concepts: server-side apply"""
    name = api.name()
    (await apply(api, name, "one", {"x": "1"})).ok(201)
    body = configmap(name, {"x": "2"}, resourceVersion="1")
    answer = await api.patch(api.path("v1/configmaps", name), body, "apply", fieldManager="one")
    answer.refused(409, "Conflict")


async def test_a_dry_run_of_an_apply_creates_nothing(api: Api) -> None:
    """KEP-576: dry run"""
    name = api.name()
    assert (await apply(api, name, "one", {"x": "1"}, dryRun="All")).ok(201)["data"] == {"x": "1"}
    assert (await api.get(api.path("v1/configmaps", name))).status == 404


# --- managed fields of other writes ------------------------------------------------------------------------


async def test_what_is_created_empty_has_no_managed_fields(api: Api) -> None:
    """Recorded: 02 create without kind and apiVersion"""
    assert "managedFields" not in (await api.configmap())["metadata"]


async def test_managed_fields_that_a_client_does_not_send_are_kept(api: Api) -> None:
    """API concepts: field management"""
    made = await api.configmap({"k": "v"})
    metadata = {"name": made["metadata"]["name"]}
    changed = (
        await api.put(api.path("v1/configmaps", metadata["name"]), {"metadata": metadata, "data": {"k": "v"}})
    ).ok()
    assert managers(changed) == managers(made)
