"""The same calls through their `ApiClient` and through ours: the server gets the same, the caller too."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import (
    ApiClient,
    ApiException,
    AppsV1Api,
    AuthorizationV1Api,
    BatchV1Api,
    CoordinationV1Api,
    CoreV1Api,
    CustomObjectsApi,
    V1DeleteOptions,
    V1Lease,
    V1LeaseSpec,
    V1ObjectMeta,
    V1Preconditions,
)

from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.testing.server import FakeApiServer
from kresilient.testing.server.requests import Call

from .conftest import config_map, configuration_of, pod, widget, widget_definition

Round = Callable[[ApiClient], Awaitable[Any]]

_REVIEW = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}}
_WIDGETS = ("example.com", "v1", "default", "widgets")
_JOB = {
    "metadata": {"name": "j"},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": []}}},
}
_OPTIONS = V1DeleteOptions(grace_period_seconds=0, preconditions=V1Preconditions(resource_version="1"))
_LEASE = V1Lease(metadata=V1ObjectMeta(name="l"), spec=V1LeaseSpec(holder_identity="me"))

ROUNDS: dict[str, Round] = {
    "list": lambda api: CoreV1Api(api).list_namespaced_pod(
        "default", label_selector="app in (a, b)", limit=7
    ),
    "list everywhere": lambda api: CoreV1Api(api).list_pod_for_all_namespaces(pretty="true"),
    "get": lambda api: CoreV1Api(api).read_namespaced_pod("web", "default"),
    "a name to be escaped": lambda api: CoreV1Api(api).read_namespaced_pod("a/b c", "default"),
    "create": lambda api: CoreV1Api(api).create_namespaced_config_map("default", config_map("é", x="ü")),
    "create from a model": lambda api: CoordinationV1Api(api).create_namespaced_lease("default", _LEASE),
    "dry run": lambda api: CoreV1Api(api).create_namespaced_pod("default", pod("new"), dry_run="All"),
    "replace": lambda api: CoreV1Api(api).replace_namespaced_pod("web", "default", pod("web", a="b")),
    "strategic patch": lambda api: CoreV1Api(api).patch_namespaced_pod("web", "default", {"metadata": {}}),
    "json patch": lambda api: CoreV1Api(api).patch_namespaced_pod(
        "web", "default", [{"op": "test", "path": "/x"}]
    ),
    "apply": lambda api: CoreV1Api(api).patch_namespaced_config_map(
        "m",
        "default",
        {"apiVersion": "v1", "kind": "ConfigMap"},
        field_manager="me",
        force=True,
        _content_type="application/apply-patch+yaml",
    ),
    "delete": lambda api: CoreV1Api(api).delete_namespaced_pod("none", "default"),
    "delete with options": lambda api: CoreV1Api(api).delete_namespaced_pod("none", "default", body=_OPTIONS),
    "delete a collection": lambda api: CoreV1Api(api).delete_collection_namespaced_secret("default"),
    "status": lambda api: AppsV1Api(api).read_namespaced_deployment_status("d", "default"),
    "refused": lambda api: BatchV1Api(api).create_namespaced_job("default", _JOB),
    "review": lambda api: AuthorizationV1Api(api).create_self_subject_access_review(_REVIEW),
    "custom": lambda api: CustomObjectsApi(api).get_namespaced_custom_object(*_WIDGETS, "left"),
    "custom patch": lambda api: CustomObjectsApi(api).patch_namespaced_custom_object(
        *_WIDGETS, "left", {"spec": {"size": 3}}
    ),
    "headers": lambda api: CoreV1Api(api).list_namespace(_headers={"X-A": "1", "Accept": "application/json"}),
    "a namespace": lambda api: CoreV1Api(api).read_namespace("default"),
    "with http info": lambda api: CoreV1Api(api).read_namespace_with_http_info("default"),
}

_OWN = ("accept-encoding", "host", "connection", "content-length")
_CHANGING = (
    "Date",
    "Audit-Id",
    "Content-Length",
    "Content-Encoding",
    "Transfer-Encoding",
    "Vary",
    "Connection",
)


def seeded(server: FakeApiServer) -> None:
    server.create("apiextensions.k8s.io/v1/customresourcedefinitions", widget_definition())
    server.add(pod("web", app="a"), widget("left", 2))


async def outcome(api: ApiClient, round_: Round) -> Any:
    """What the caller gets, in plain data: the result, or the error with all that is read of it."""
    try:
        result = await round_(api)
    except ApiException as error:
        headers = {name: value for name, value in error.headers.items() if name not in _CHANGING}
        return "error", error.status, error.reason, error.body, headers
    if isinstance(result, tuple):
        result = result[:2]
    return "result", api.sanitize_for_serialization(list(result) if isinstance(result, tuple) else result)


def sent(call: Call) -> Any:
    """What the server got, without what each client says of itself."""
    headers = {name: value for name, value in call.headers.items() if name not in _OWN}
    if not call.body:
        headers.pop("content-type", None)  # of no body
    return call.method, call.path, dict(call.query), headers, json.loads(call.body or "null")


@pytest.mark.parametrize("name", ROUNDS)
async def test_the_server_and_the_caller_cannot_tell_the_difference(
    name: str, apiserver_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, got = [], []
    for kind in (ApiClient, ResilientApiClient):
        server = await apiserver_factory(token="s3cret", now=lambda: 1.7e9, random=Random(7))
        seeded(server)
        calls: list[Call] = []
        exchange = server.exchange
        monkeypatch.setattr(server, "exchange", lambda call, e=exchange, c=calls: c.append(call) or e(call))
        async with kind(configuration_of(server)) as api:
            api.user_agent = "me/1"  # it becomes the manager of what is written
            told.append(await outcome(api, ROUNDS[name]))
        got.append([sent(call) for call in calls])
    assert got[0] == got[1]
    assert got[0]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "path", ["/api/v1/namespaces/default/pods/web", "/api/v1/namespaces/default/pods/none"]
)
async def test_a_raw_answer_has_what_aiohttps_has(apiserver: FakeApiServer, path: str) -> None:
    seeded(apiserver)
    answers = []
    for kind in (ApiClient, ResilientApiClient):
        async with kind(configuration_of(apiserver)) as api:
            raw = await api.call_api(path, "GET", auth_settings=["BearerToken"], _preload_content=False)
            read = await raw.json(), await raw.text(), await raw.read(), raw.content.at_eof()
            try:
                raw.raise_for_status()
                failed = None
            except aiohttp.ClientResponseError as error:
                failed = (error.status, error.message, error.request_info.url)
            answers.append(
                (
                    (raw.status, raw.reason, raw.ok, raw.method, raw.url, raw.real_url, raw.history),
                    (raw.content_type, raw.charset, raw.headers["content-type"], failed),
                    read,
                )
            )
            await raw.release()
    assert answers[0] == answers[1]


async def test_a_wrong_content_type_is_aiohttps_error_in_both(apiserver: FakeApiServer) -> None:
    for kind in (ApiClient, ResilientApiClient):
        apiserver.faults.next("get", "/metrics").answer("a 1", headers={"Content-Type": "text/plain"})
        async with kind(configuration_of(apiserver)) as api:
            raw = await api.call_api("/metrics", "GET", _preload_content=False)
            with pytest.raises(aiohttp.ContentTypeError) as failed:
                await raw.json()
            assert failed.value.status == 200
            assert await raw.text() == "a 1"
