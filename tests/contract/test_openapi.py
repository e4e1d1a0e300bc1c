"""The schemas that the server publishes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


async def resources(api: Api, path: str) -> dict[str, dict[str, Any]]:
    """What the group version at *path* serves, by name."""
    body = (await api.get(path)).ok(200)
    assert body["kind"] == "APIResourceList"
    return {one["name"]: one for one in body["resources"]}


async def test_openapi_v3_lists_its_documents_with_a_hash(api: Api) -> None:
    """KEP-2896: OpenAPI v3"""
    paths = (await api.get("/openapi/v3")).ok(200)["paths"]
    assert {"api/v1", "apis/apps/v1"} <= paths.keys()
    assert re.fullmatch(r"/openapi/v3/apis/apps/v1\?hash=\w+", paths["apis/apps/v1"]["serverRelativeURL"])


async def test_an_openapi_v3_document_has_the_schema_of_a_kind(api: Api) -> None:
    """KEP-2896: OpenAPI v3"""
    body = (await api.get("/openapi/v3/apis/apps/v1")).ok(200)
    assert body["openapi"].startswith("3.")
    kinds = {
        (one["group"], one["version"], one["kind"])
        for schema in body["components"]["schemas"].values()
        for one in schema.get("x-kubernetes-group-version-kind", ())
    }
    assert ("apps", "v1", "Deployment") in kinds


async def test_an_openapi_v2_document_has_the_schema_of_a_kind(api: Api) -> None:
    """Kubernetes documentation: The Kubernetes API, OpenAPI V2"""
    body = (await api.get("/openapi/v2", accept="application/json")).ok(200)
    assert body["swagger"] == "2.0"
    kinds = {
        (one["group"], one["version"], one["kind"])
        for schema in body["definitions"].values()
        for one in schema.get("x-kubernetes-group-version-kind", ())
    }
    assert {("", "v1", "ConfigMap"), ("apps", "v1", "Deployment")} <= kinds


async def test_an_openapi_v2_document_is_there_in_protobuf(api: Api) -> None:
    """Source: k8s.io/kube-openapi/pkg/handler/handler.go"""
    asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    answer = await api.get("/openapi/v2", accept=asked)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == asked.replace("@", ".")
    assert answer.data.startswith(b"\n\x032.0")
