"""The generated APIs: what existing code sends and gets back is what it was without this library."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from kubernetes_asyncio.client import (
    ApiClient,
    ApiException,
    ApiextensionsV1Api,
    AppsV1Api,
    CoreV1Api,
    CustomObjectsApi,
    V1Pod,
    VersionApi,
)
from kubernetes_asyncio.client.rest import RESTResponse

from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.testing.server import FakeApiServer
from kresilient.testing.server.requests import Call

from .conftest import config_map, configuration_of, pod, widget, widget_definition


def test_it_is_an_api_client() -> None:
    assert issubclass(ResilientApiClient, ApiClient)


async def test_it_has_all_that_an_api_client_has(apiserver: FakeApiServer) -> None:
    async with ApiClient(configuration_of(apiserver)) as theirs:
        ours = ResilientApiClient(configuration_of(apiserver))
        assert set(vars(theirs)) == set(vars(ours))


async def test_a_round_of_pods(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    core = CoreV1Api(api)
    assert (await VersionApi(api).get_code()).major == "1"
    made = await core.create_namespaced_pod("default", pod("web", app="web"))
    assert isinstance(made, V1Pod)
    assert made.metadata.creation_timestamp.tzinfo is not None
    await core.patch_namespaced_pod("web", "default", {"metadata": {"labels": {"tier": "front"}}})
    await core.patch_namespaced_pod_status("web", "default", {"status": {"phase": "Running"}})
    listed = await core.list_pod_for_all_namespaces(label_selector="tier in (front)", limit=5)
    assert [(one.metadata.name, one.status.phase) for one in listed.items] == [("web", "Running")]
    await core.replace_namespaced_pod("web", "default", listed.items[0])
    await core.delete_namespaced_pod("web", "default", grace_period_seconds=0)
    assert apiserver.get("v1/pods", "default/web") is None


async def test_a_model_is_sent_as_it_was_read(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    core = CoreV1Api(api)
    apiserver.create("v1/configmaps", config_map("a", x="1"))
    read = await core.read_namespaced_config_map("a", "default")
    read.data["y"] = "ü"
    await core.replace_namespaced_config_map("a", "default", read)
    assert apiserver.get("v1/configmaps", "default/a")["data"] == {"x": "1", "y": "ü"}


@pytest.mark.parametrize(
    ("content_type", "patch"),
    [
        (None, {"metadata": {"labels": {"a": "b"}}}),
        (None, [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]),
        ("application/merge-patch+json", {"metadata": {"labels": {"a": "b"}}}),
        ("application/strategic-merge-patch+json", {"metadata": {"labels": {"a": "b"}}}),
        ("application/json-patch+json", [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]),
    ],
)
async def test_every_kind_of_patch_is_sent_as_what_it_is(
    apiserver: FakeApiServer, api: ResilientApiClient, content_type: str | None, patch: Any
) -> None:
    apiserver.create("v1/configmaps", config_map("a"))
    options = {} if content_type is None else {"_content_type": content_type}
    made = await CoreV1Api(api).patch_namespaced_config_map("a", "default", patch, **options)
    assert made.metadata.labels == {"a": "b"}


async def test_an_apply_is_an_apply(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    options = {"_content_type": "application/apply-patch+yaml", "field_manager": "me"}
    made = await CoreV1Api(api).patch_namespaced_config_map("a", "default", body, **options)
    assert [one.operation for one in made.metadata.managed_fields] == ["Apply"]


async def test_a_scale_is_a_subresource(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    apiserver.create("apps/v1/deployments", {"metadata": {"name": "d", "namespace": "default"}, "spec": spec})
    scale = await AppsV1Api(api).read_namespaced_deployment_scale("d", "default")
    assert scale.spec.replicas == 1


async def test_custom_objects_and_a_delete_of_a_collection(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    await ApiextensionsV1Api(api).create_custom_resource_definition(widget_definition())
    where: tuple[Any, ...] = ("example.com", "v1", "default", "widgets")
    custom = CustomObjectsApi(api)
    await custom.create_namespaced_custom_object(*where, widget("left", 2))
    await custom.create_namespaced_custom_object(*where, widget("right", 5))
    patched = await custom.patch_namespaced_custom_object(
        *where, "left", {"spec": {"size": 3}}, _content_type="application/merge-patch+json"
    )
    assert patched["spec"]["size"] == 3
    listed = await custom.list_namespaced_custom_object(*where)
    assert [one["metadata"]["name"] for one in listed["items"]] == ["left", "right"]
    await custom.delete_collection_namespaced_custom_object(*where)
    assert apiserver.objects("example.com/v1/widgets") == {}


async def test_status_and_headers_come_along_where_they_are_asked_for(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.create("v1/configmaps", config_map("a"))
    read = await CoreV1Api(api).read_namespaced_config_map_with_http_info("a", "default")
    model, status, headers = read
    assert (model.metadata.name, status, headers["content-type"]) == ("a", 200, "application/json")
    alone = await CoreV1Api(api).read_namespaced_config_map_with_http_info(
        "a", "default", _return_http_data_only=True
    )
    assert alone.metadata.name == "a"
    assert isinstance(api.last_response, RESTResponse)


async def test_a_raw_answer_is_read_like_aiohttps(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    apiserver.create("v1/configmaps", config_map("a", x="1"))
    raw = await CoreV1Api(api).read_namespaced_config_map("a", "default", _preload_content=False)
    async with raw:
        assert (raw.status, raw.reason, raw.ok, raw.method) == (200, "OK", True, "GET")
        assert raw.content_type == "application/json"
        assert raw.url.path == "/api/v1/namespaces/default/configmaps/a"
        assert (await raw.json())["data"] == {"x": "1"}
        assert json.loads(await raw.text()) == json.loads(await raw.read())


async def test_a_raw_answer_may_be_a_failure(api: ResilientApiClient) -> None:
    raw = await CoreV1Api(api).read_namespaced_pod("none", "default", _preload_content=False)
    assert (raw.status, raw.reason) == (404, "Not Found")
    assert (await raw.json())["reason"] == "NotFound"


async def test_a_log_is_text(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    apiserver.faults.next("get", "v1/pods/log").answer("one\ntwo\n", headers={"Content-Type": "text/plain"})
    assert await CoreV1Api(api).read_namespaced_pod_log("web", "default") == "one\ntwo\n"


async def test_an_empty_log_is_an_empty_text(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    apiserver.faults.next("get", "v1/pods/log").answer("", headers={"Content-Type": "text/plain"})
    assert await CoreV1Api(api).read_namespaced_pod_log("web", "default") == ""


async def test_a_followed_log_comes_line_by_line(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    lines = "".join(f"{number}\n" for number in range(5))
    apiserver.faults.next("get", "v1/pods/log").answer(lines, headers={"Content-Type": "text/plain"})
    raw = await CoreV1Api(api).read_namespaced_pod_log("web", "default", follow=True, _preload_content=False)
    assert [line async for line in raw.content] == [b"0\n", b"1\n", b"2\n", b"3\n", b"4\n"]


async def test_what_a_pod_answers_through_the_proxy_is_handed_on(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.faults.next("get", "v1/pods/proxy").answer("<p>", headers={"Content-Type": "text/html"})
    proxied = CoreV1Api(api).connect_get_namespaced_pod_proxy_with_path("web:80", "default", "a/b")
    assert await proxied == "<p>"


async def test_a_raw_call_may_have_its_query_in_its_path(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    for name in ("a", "b"):
        apiserver.create("v1/configmaps", config_map(name))
    path = "/api/v1/configmaps?fieldSelector=metadata.name%3Db&limit=1"
    listed, status, _ = await api.call_api(
        path, "GET", auth_settings=["BearerToken"], response_types_map={200: "V1ConfigMapList"}
    )
    assert ([one.metadata.name for one in listed.items], status) == (["b"], 200)


async def test_an_async_req_still_gives_what_can_be_awaited(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.create("v1/configmaps", config_map("a"))
    pending = await asyncio.to_thread(
        CoreV1Api(api).read_namespaced_config_map, "a", "default", async_req=True
    )
    assert (await pending.get()).metadata.name == "a"


# --- who asks, and how it calls itself -------------------------------------------------------------------


@pytest.mark.apiserver(token="s3cret")
async def test_the_configurations_credentials_are_sent(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    await CoreV1Api(api).list_namespace()
    assert [one.code for one in apiserver.requests] == [200]


@pytest.mark.apiserver(token="s3cret")
async def test_the_hook_is_asked_for_each_request_once(apiserver: FakeApiServer) -> None:
    asked = []

    async def hook(configuration: Any) -> None:
        asked.append(configuration)
        configuration.api_key["BearerToken"] = "Bearer s3cret"

    configuration = configuration_of(apiserver)
    configuration.api_key, configuration.refresh_api_key_hook = {"BearerToken": "old"}, hook
    async with ResilientApiClient(configuration) as api:
        for _ in range(3):
            await CoreV1Api(api).list_namespace()
    assert len(asked) == 3


@pytest.mark.apiserver(token="s3cret")
async def test_credentials_of_a_single_call_go_before_the_clients(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    auth = {"in": "header", "key": "authorization", "type": "api_key", "value": "Bearer wrong"}
    with pytest.raises(ApiException) as refused:
        await CoreV1Api(api).list_namespace(_request_auth=auth)
    assert refused.value.status == 401


async def test_headers_cookie_and_user_agent_are_sent(
    apiserver: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[Call] = []
    exchange = apiserver.exchange
    monkeypatch.setattr(apiserver, "exchange", lambda call: met.append(call) or exchange(call))
    async with ResilientApiClient(configuration_of(apiserver), "X-Team", "a", "c=1") as api:
        api.set_default_header("X-More", "b")
        await CoreV1Api(api).list_namespace(_headers={"X-Once": "o"})
        assert api.user_agent.startswith("kresilient/")
        api.user_agent = "me/1"
        await CoreV1Api(api).list_namespace()
    first, second = (call.headers for call in met)
    assert (first["x-team"], first["x-more"], first["cookie"]) == ("a", "b", "c=1")
    assert first["x-once"] == "o"
    assert first["user-agent"].startswith("kresilient/")
    assert (second["user-agent"], "x-once" in second) == ("me/1", False)
