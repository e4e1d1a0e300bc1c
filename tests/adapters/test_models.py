"""Cached bytes as models of `kubernetes_asyncio`."""

from __future__ import annotations

import pytest
from kubernetes_asyncio.client import CoreV1Api, V1ConfigMap, V1Deployment, V1Pod

import kresilient
from kresilient.adapters.kubernetes_asyncio import ResilientApiClient, to_model
from kresilient.api.errors import ConfigError
from kresilient.api.objects import KubeObject
from kresilient.testing.server import FakeApiServer

from .conftest import config_map, pod


async def test_a_cached_object_is_the_model_that_the_server_would_have_given(
    apiserver: FakeApiServer, kube_client: kresilient.Client
) -> None:
    apiserver.add(pod("web", app="web"))
    async with kube_client.informer("v1/pods") as pods:
        await pods.synced(10)
        held = pods.get("default/web")
        assert held is not None
        model = to_model(held, V1Pod)
    assert model == await CoreV1Api(ResilientApiClient(client=kube_client)).read_namespaced_pod(
        "web", "default"
    )
    assert to_model(held, "V1Pod") == model


async def test_a_model_is_the_callers_to_change_and_to_write_back(
    apiserver: FakeApiServer, kube_client: kresilient.Client
) -> None:
    apiserver.create("v1/configmaps", config_map("a", x="1"))
    held = await kube_client.get("v1/configmaps", "default/a")
    model = to_model(held, V1ConfigMap)
    model.data["x"] = "2"
    core = CoreV1Api(ResilientApiClient(client=kube_client))
    await core.replace_namespaced_config_map("a", "default", model)
    assert apiserver.get("v1/configmaps", "default/a")["data"] == {"x": "2"}
    assert held["data"] == {"x": "1"}


def test_an_item_of_a_list_gets_its_type() -> None:
    raw = b'{"metadata":{"name":"d"}}'
    model = to_model(KubeObject.decode(raw, kind="Deployment", api_version="apps/v1"), V1Deployment)
    assert (model.kind, model.api_version, model.metadata.name) == ("Deployment", "apps/v1", "d")


def test_an_object_with_its_type_keeps_it() -> None:
    raw = b'{"metadata":{"name":"d"},"kind":"Deployment","apiVersion":"apps/v1"}'
    assert to_model(KubeObject.decode(raw, kind="Other"), "V1Deployment").kind == "Deployment"


def test_a_model_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="V1Podd"):
        to_model(KubeObject.decode(b'{"metadata":{"name":"d"}}'), "V1Podd")


def test_what_the_model_refuses_is_its_own_error() -> None:
    with pytest.raises(ValueError, match="containers"):
        to_model(KubeObject.decode(b'{"metadata":{"name":"p"},"spec":{}}'), V1Pod)
