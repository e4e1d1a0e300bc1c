"""The OpenAPI documents: what clients validate, merge and explain objects by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.openapi import documentation
from kresilient.testing.server.requests import Call

from .asked import asked

CRDS = "apiextensions.k8s.io/v1/customresourcedefinitions"
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "description": "how large it is", "default": 1},
                "port": {"x-kubernetes-int-or-string": True},
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {}},
                "maybe": {"type": "array", "nullable": True, "items": {"type": "string"}},
            },
        }
    },
}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    async with MemoryApiServer(now=lambda: 1_800_000_000.0) as server:
        yield server


def define(server: MemoryApiServer, schema: dict[str, Any] = SCHEMA) -> None:
    server.create(
        CRDS,
        {
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
                ],
            },
        },
    )


async def schemas(server: MemoryApiServer, place: str) -> dict[str, Any]:
    found: dict[str, Any] = (await asked(server, f"/openapi/v3/{place}")).json["components"]["schemas"]
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


async def test_the_root_leads_to_a_document_of_each_group_and_version(server: MemoryApiServer) -> None:
    define(server)
    paths = (await asked(server, "/openapi/v3")).json["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/autoscaling/v2", "apis/example.com/v1"} <= set(paths)
    for place, where in paths.items():
        answer = await asked(server, where["serverRelativeURL"])
        assert answer.status == 200, place
        assert answer.json["openapi"] == "3.0.0"
        assert answer.headers["Cache-Control"] == "public, immutable"
        assert answer.headers["Expires"] == "Sat, 15 Jan 2028 08:00:00 GMT"


async def test_a_document_may_be_asked_for_again_by_its_tag(server: MemoryApiServer) -> None:
    first = await asked(server, "/openapi/v3/apis/apps/v1")
    again = await asked(server, "/openapi/v3/apis/apps/v1", if_none_match=first.headers["ETag"])
    assert (again.status, again.text) == (304, "")
    assert "Expires" not in first.headers


async def test_an_old_hash_leads_to_the_current_document(server: MemoryApiServer) -> None:
    answer = await asked(server, "/openapi/v3/apis/apps/v1?hash=OLD")
    assert answer.status == 301
    current = (await asked(server, "/openapi/v3")).json["paths"]["apis/apps/v1"]["serverRelativeURL"]
    assert answer.headers["Location"] == current


@pytest.mark.parametrize("path", ["/openapi/v3", "/openapi/v3/api/v1"])
async def test_a_document_of_version_3_in_protobuf_is_refused(path: str, server: MemoryApiServer) -> None:
    proto = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
    assert (await asked(server, path, accept=proto)).status == 406
    assert (await asked(server, path, accept=f"{proto}, application/json")).status == 200


@pytest.mark.parametrize("name", ["v2@v1.0", "v2.v1.0"])
async def test_version_2_is_there_in_protobuf(name: str, server: MemoryApiServer) -> None:
    define(server)
    document = (await asked(server, "/openapi/v2")).json
    proto = f"application/com.github.proto-openapi.spec.{name}+protobuf"
    reply = await server.exchange(Call("GET", "/openapi/v2", {}, {"accept": proto}))
    data = b"".join([piece async for piece in reply.chunks])
    reply.finish()
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    message = fields(data)
    assert message[1] == [b"2.0"]
    for name, number, pairs in (("paths", 8, 2), ("definitions", 9, 1)):
        (held,) = message[number]
        assert [fields(pair)[1][0].decode() for pair in fields(held)[pairs]] == list(document[name])


def fields(data: bytes) -> dict[int, list[bytes]]:
    """The values of each field of a message that holds nothing but messages and texts."""
    found: dict[int, list[bytes]] = {}

    def varint() -> int:
        nonlocal data
        size = next(place for place, byte in enumerate(data) if byte < 0x80) + 1
        value = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data[:size]))
        data = data[size:]
        return value

    while data:
        tag, size = varint(), varint()
        assert tag & 7 == 2
        found.setdefault(tag >> 3, []).append(data[:size])
        data = data[size:]
    return found


async def test_no_document_is_served_where_nothing_is(server: MemoryApiServer) -> None:
    assert (await asked(server, "/openapi/v3/apis/nope/v1")).status == 404


async def test_everything_a_document_refers_to_is_in_it(server: MemoryApiServer) -> None:
    define(server)
    for place in (await asked(server, "/openapi/v3")).json["paths"]:
        document = (await asked(server, f"/openapi/v3/{place}")).json
        there = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert set(references(document)) <= there, place
    swagger = (await asked(server, "/openapi/v2")).json
    assert set(references(swagger)) <= {f"#/definitions/{name}" for name in swagger["definitions"]}


async def test_every_operation_has_a_name_of_its_own(server: MemoryApiServer) -> None:
    swagger = (await asked(server, "/openapi/v2")).json
    ids = [
        one["operationId"]
        for path in swagger["paths"].values()
        for method, one in path.items()
        if method != "parameters"
    ]
    assert len(ids) > 500
    assert len(ids) == len(set(ids))


async def test_a_kind_says_which_kind_it_is_and_what_it_is_made_of(server: MemoryApiServer) -> None:
    pod = (await schemas(server, "api/v1"))["io.k8s.api.core.v1.Pod"]
    assert pod["x-kubernetes-group-version-kind"] == [{"group": "", "kind": "Pod", "version": "v1"}]
    assert list(pod["properties"]) == ["apiVersion", "kind", "metadata", "spec", "status"]
    assert pod["properties"]["spec"]["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}]
    role = (await schemas(server, "apis/rbac.authorization.k8s.io/v1"))["io.k8s.api.rbac.v1.Role"]
    assert role["x-kubernetes-group-version-kind"][0]["group"] == "rbac.authorization.k8s.io"


async def test_a_kind_of_another_group_says_so(server: MemoryApiServer) -> None:
    scale = (await schemas(server, "apis/apps/v1"))["io.k8s.api.autoscaling.v1.Scale"]
    group = [{"group": "autoscaling", "kind": "Scale", "version": "v1"}]
    assert scale["x-kubernetes-group-version-kind"] == group
    token = (await schemas(server, "api/v1"))["io.k8s.api.authentication.v1.TokenRequest"]
    assert token["x-kubernetes-group-version-kind"][0]["group"] == "authentication.k8s.io"


async def test_lists_say_how_they_are_merged(server: MemoryApiServer) -> None:
    found = await schemas(server, "api/v1")
    containers = found["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-list-type"] == "map"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    ports = found["io.k8s.api.core.v1.Container"]["properties"]["ports"]
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    assert found["io.k8s.api.core.v1.Container"]["properties"]["args"]["x-kubernetes-list-type"] == "atomic"
    assert found["io.k8s.api.core.v1.PodSpec"]["required"] == ["containers"]


async def test_scalars_with_several_forms_have_schemas_of_their_own(server: MemoryApiServer) -> None:
    found = await schemas(server, "api/v1")
    assert found["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] == {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    }
    quantity = found["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert quantity == {"oneOf": [{"type": "string"}, {"type": "number"}]}
    time = found["io.k8s.apimachinery.pkg.apis.meta.v1.Time"]
    assert time == {"type": "string", "format": "date-time"}


async def test_fields_are_described_where_the_documentation_is_installed(server: MemoryApiServer) -> None:
    port = (await schemas(server, "api/v1"))["io.k8s.api.core.v1.ContainerPort"]["properties"]
    assert "IP address" in port["containerPort"]["description"]
    event = (await schemas(server, "apis/events.k8s.io/v1"))["io.k8s.api.events.v1.Event"]["properties"]
    assert event["reportingController"]["description"]


def test_a_type_that_has_no_documentation_has_no_texts() -> None:
    assert documentation.field_texts("io.k8s.api.nope.v1.Nothing") == {}


async def test_a_patch_says_which_forms_it_may_have(server: MemoryApiServer) -> None:
    define(server)
    strategic, apply = "application/strategic-merge-patch+json", "application/apply-patch+yaml"

    async def patch(place: str, path: str) -> dict[str, Any]:
        found: dict[str, Any] = (await asked(server, f"/openapi/v3/{place}")).json["paths"][path]["patch"]
        return found

    built_in = await patch("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}")
    assert {strategic, apply} <= set(built_in["requestBody"]["content"])
    assert "fieldValidation" in [one["name"] for one in built_in["parameters"]]
    kind = {"group": "", "kind": "Pod", "version": "v1"}
    assert built_in["x-kubernetes-group-version-kind"] == kind
    custom = await patch("apis/example.com/v1", "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}")
    assert strategic not in custom["requestBody"]["content"]
    assert apply in custom["requestBody"]["content"]


async def test_a_custom_resource_is_described_by_its_schema(server: MemoryApiServer) -> None:
    define(server)
    found = await schemas(server, "apis/example.com/v1")
    widget = found["com.example.v1.Widget"]
    assert widget["properties"]["spec"]["properties"]["size"]["description"] == "how large it is"
    assert list(widget["properties"]) == ["apiVersion", "kind", "metadata", "spec"]
    kind = [{"group": "example.com", "kind": "Widget", "version": "v1"}]
    assert widget["x-kubernetes-group-version-kind"] == kind
    assert found["com.example.v1.WidgetList"]["required"] == ["items"]


async def test_version_2_leaves_out_what_it_cannot_say(server: MemoryApiServer) -> None:
    define(server)
    swagger = (await asked(server, "/openapi/v2")).json
    assert swagger["swagger"] == "2.0"
    spec = swagger["definitions"]["com.example.v1.Widget"]["properties"]["spec"]["properties"]
    assert spec == {
        "size": {"type": "integer", "description": "how large it is"},
        "port": {"x-kubernetes-int-or-string": True},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "maybe": {"type": "array"},
    }


async def test_a_changed_definition_changes_its_document_and_no_other(server: MemoryApiServer) -> None:
    async def urls() -> dict[str, Any]:
        found: dict[str, Any] = (await asked(server, "/openapi/v3")).json["paths"]
        return found

    define(server)
    before = await urls()
    swagger = await asked(server, "/openapi/v2")
    server.delete(CRDS, "widgets.example.com")
    define(server, {"type": "object", "properties": {"spec": {"type": "object", "description": "new"}}})
    after = await urls()
    assert [place for place in before if before[place] != after[place]] == ["apis/example.com/v1"]
    widget = (await schemas(server, "apis/example.com/v1"))["com.example.v1.Widget"]
    assert widget["properties"]["spec"]["description"] == "new"
    assert (await asked(server, "/openapi/v2")).headers["ETag"] != swagger.headers["ETag"]
