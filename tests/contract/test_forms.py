"""The forms in which a client may ask for objects: metadata alone, tables, and gzip."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIALS = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


# --- metadata alone ----------------------------------------------------------------------------------------


async def test_one_object_may_be_asked_for_its_metadata(api: Api) -> None:
    """Recorded: 05 PartialObjectMetadata"""
    made = await api.configmap({"k": "v"}, labels={"a": "b"})
    path = api.path(CONFIGMAPS, made["metadata"]["name"])
    assert (await api.get(path, accept=PARTIAL)).ok(200) == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": made["metadata"],
    }


async def test_a_list_may_be_asked_for_its_metadata(api: Api) -> None:
    """Recorded: 05 PartialObjectMetadataList"""
    label = api.name()
    made = await api.configmap({"k": "v"}, labels={"app": label})
    body = (await api.get(api.path(CONFIGMAPS), accept=PARTIALS, labelSelector=f"app={label}")).ok(200)
    assert (body["kind"], body["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert body["items"] == [
        {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": made["metadata"],
        }
    ]


async def test_a_list_of_metadata_comes_in_pages(api: Api) -> None:
    """Recorded: 05 PartialObjectMetadataList"""
    label = api.name()
    for _ in range(2):
        await api.configmap(labels={"app": label})
    query = {"labelSelector": f"app={label}", "limit": 1}
    body = (await api.get(api.path(CONFIGMAPS), accept=PARTIALS, **query)).ok(200)
    assert (len(body["items"]), bool(body["metadata"]["continue"])) == (1, True)


async def test_an_error_is_a_status_in_whatever_form_was_asked_for(api: Api) -> None:
    """Source: apiserver/pkg/endpoints/handlers/responsewriters/errors.go"""
    answer = await api.get(api.path(CONFIGMAPS, api.name()), accept=PARTIAL)
    answer.refused(404, "NotFound")


async def test_the_first_form_that_can_be_had_is_taken(api: Api) -> None:
    """API concepts: Alternate representations of resources"""
    made = await api.configmap()
    path = api.path(CONFIGMAPS, made["metadata"]["name"])
    accept = "application/vnd.example.com+xml, application/json"
    assert (await api.get(path, accept=accept)).ok(200) == made


@pytest.mark.parametrize("accept", ["*/*", "application/*", ""])
async def test_whoever_does_not_care_is_given_json(api: Api, accept: str) -> None:
    """API concepts: Alternate representations of resources"""
    made = await api.configmap()
    answer = await api.get(api.path(CONFIGMAPS, made["metadata"]["name"]), accept=accept)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.ok(200) == made


async def test_a_form_that_cannot_be_had_is_refused(api: Api) -> None:
    """Recorded: 05 not acceptable"""
    status = (await api.get(api.path(CONFIGMAPS), accept="text/html")).refused(406, "NotAcceptable")
    assert "application/json" in status["message"]


async def test_a_table_of_nothing_known_is_refused(api: Api) -> None:
    """Source: apiserver/pkg/endpoints/handlers/response.go"""
    accept = "application/json;as=Chair;g=meta.k8s.io;v=v1"
    (await api.get(api.path(CONFIGMAPS), accept=accept)).refused(406, "NotAcceptable")


# --- tables ------------------------------------------------------------------------------------------------


async def table(api: Api, path: str, **query: Any) -> dict[str, Any]:
    body: dict[str, Any] = (await api.get(path, accept=TABLE, **query)).ok(200)
    assert (body["kind"], body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    return body


async def test_a_table_of_configmaps_has_their_age_and_size(api: Api) -> None:
    """Recorded: 05 Table of configmaps"""
    label = api.name()
    made = await api.configmap({"a": "1", "b": "2"}, labels={"app": label})
    body = await table(api, api.path(CONFIGMAPS), labelSelector=f"app={label}")
    assert [(one["name"], one["type"], one["priority"]) for one in body["columnDefinitions"]] == [
        ("Name", "string", 0),
        ("Data", "string", 0),
        ("Age", "string", 0),
    ]
    (row,) = body["rows"]
    name, size, age = row["cells"]
    assert (name, size) == (made["metadata"]["name"], 2)
    assert re.fullmatch(r"\d+[smhd]\w*", age)


async def test_a_row_of_a_table_carries_the_metadata(api: Api) -> None:
    """Recorded: 05 Table of configmaps"""
    made = await api.configmap()
    body = await table(api, api.path(CONFIGMAPS, made["metadata"]["name"]))
    assert [row["object"] for row in body["rows"]] == [
        {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": made["metadata"],
        }
    ]


async def test_a_row_may_carry_the_whole_object(api: Api) -> None:
    """API concepts: Receiving resources as Tables"""
    made = await api.configmap({"k": "v"})
    body = await table(api, api.path(CONFIGMAPS, made["metadata"]["name"]), includeObject="Object")
    assert [row["object"] for row in body["rows"]] == [made]


async def test_a_row_may_carry_nothing(api: Api) -> None:
    """API concepts: Receiving resources as Tables"""
    made = await api.configmap({"k": "v"})
    body = await table(api, api.path(CONFIGMAPS, made["metadata"]["name"]), includeObject="None")
    assert [row["object"] for row in body["rows"]] == [None]


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        (
            "v1/pods",
            "Name Ready Status Restarts Age IP Node Nominated_Node Readiness_Gates",
        ),
        (
            "apps/v1/deployments",
            "Name Ready Up-to-date Available Age Containers Images Selector",
        ),
        ("apps/v1/replicasets", "Name Desired Current Ready Age Containers Images Selector"),
        ("apps/v1/statefulsets", "Name Ready Age Containers Images"),
        (
            "apps/v1/daemonsets",
            "Name Desired Current Ready Up-to-date Available Node_Selector Age Containers Images Selector",
        ),
        ("batch/v1/jobs", "Name Status Completions Duration Age Containers Images Selector"),
        ("v1/services", "Name Type Cluster-IP External-IP Port(s) Age Selector"),
        ("v1/secrets", "Name Type Data Age"),
        ("coordination.k8s.io/v1/leases", "Name Holder Age"),
        ("v1/events", "Last_Seen Type Reason Object Subobject Source Message First_Seen Count Name"),
        ("rbac.authorization.k8s.io/v1/roles", "Name Created_At"),
    ],
)
async def test_a_table_has_the_columns_of_its_kind(api: Api, path: str, columns: str) -> None:
    """Source: pkg/printers/internalversion/printers.go"""
    body = await table(api, api.path(path))
    found = [one["name"].replace(" ", "_") for one in body["columnDefinitions"]]
    assert found == columns.split()


async def test_a_table_is_watched_row_by_row_and_names_its_columns_once(api: Api) -> None:
    """Recorded: 06 table"""
    label = api.name()
    for _ in range(2):
        await api.configmap(labels={"app": label})
    async with api.watch(api.path(CONFIGMAPS), labelSelector=f"app={label}", accept=TABLE) as watch:
        first, second = (await watch.next())["object"], (await watch.next())["object"]
    assert [one["name"] for one in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] is None
    assert [len(one["rows"]) for one in (first, second)] == [1, 1]


async def test_a_client_that_takes_tables_or_json_is_given_tables(api: Api) -> None:
    """Recorded: 05 Table of pods"""
    answer = await api.get(api.path("v1/pods"), accept=f"{TABLE},application/json", limit=1)
    assert answer.ok(200)["kind"] == "Table"


# --- gzip --------------------------------------------------------------------------------------------------


async def test_a_large_answer_is_compressed_for_whoever_takes_it(api: Api) -> None:
    """KEP-156: gzip compression of responses"""
    made = await api.configmap({"k": "x" * 200_000})
    path = api.path(CONFIGMAPS, made["metadata"]["name"])
    answer = await api.send("GET", path, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.ok(200) == made


async def test_a_large_answer_is_plain_for_whoever_does_not(api: Api) -> None:
    """KEP-156: gzip compression of responses"""
    made = await api.configmap({"k": "x" * 200_000})
    path = api.path(CONFIGMAPS, made["metadata"]["name"])
    answer = await api.send("GET", path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in answer.headers
    assert answer.ok(200) == made


async def test_a_small_answer_is_plain(api: Api) -> None:
    """Source: apiserver/pkg/endpoints/handlers/responsewriters/writers.go"""
    made = await api.configmap()
    path = api.path(CONFIGMAPS, made["metadata"]["name"])
    answer = await api.send("GET", path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
