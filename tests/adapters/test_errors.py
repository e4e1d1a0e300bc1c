"""What existing code catches: `ApiException` for an answer, aiohttp's errors where none came."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import ApiException, ApiValueError, Configuration, CoreV1Api

from kresilient.adapters.kubernetes_asyncio import AnsweredInDoubt, AnswerLost, ResilientApiClient
from kresilient.api.errors import (
    ConfigError,
    Conflict,
    ConnectFailed,
    NotFound,
    OutcomeUnknown,
    ServerUnavailable,
)
from kresilient.flow.retry import RetryPolicy
from kresilient.observe.events import Event, RequestRetried
from kresilient.testing.server import FakeApiServer
from kresilient.transport.config import ClusterConfig

from .conftest import QUICK, config_map, configuration_of

Api = ResilientApiClient


async def test_a_failure_has_status_reason_body_and_headers(api: Api) -> None:
    with pytest.raises(ApiException) as missing:
        await CoreV1Api(api).read_namespaced_pod("none", "default")
    error = missing.value
    assert (error.status, error.reason) == (404, "Not Found")
    assert json.loads(error.body)["message"] == 'pods "none" not found'
    assert error.headers["content-type"] == "application/json"
    assert error.headers.getall("Content-Type") == ["application/json"]
    assert isinstance(error.__cause__, NotFound)
    assert str(error).startswith("(404)\nReason: Not Found\nHTTP response headers: ")


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, "Bad Request"), (403, "Forbidden"), (410, "Gone"), (422, "Unprocessable Entity")],
)
async def test_the_reason_is_the_status_line(
    apiserver: FakeApiServer, api: Api, status: int, reason: str
) -> None:
    apiserver.faults.next("list", "v1/pods").status(status)
    with pytest.raises(ApiException) as failed:
        await CoreV1Api(api).list_namespaced_pod("default")
    assert (failed.value.status, failed.value.reason) == (status, reason)


async def test_a_conflict_is_not_repeated(apiserver: FakeApiServer, api: Api) -> None:
    apiserver.create("v1/configmaps", config_map("a"))
    with pytest.raises(ApiException) as taken:
        await CoreV1Api(api).create_namespaced_config_map("default", config_map("a"))
    assert (taken.value.status, taken.value.attempts) == (409, 1)


async def test_a_429_with_a_time_to_come_back_is_waited_out(
    apiserver: FakeApiServer, api: Api, seen: list[Event]
) -> None:
    apiserver.faults.next("create", "v1/configmaps").status(429, retry_after=1)
    await CoreV1Api(api).create_namespaced_config_map("default", config_map("a"))
    (retried,) = [one for one in seen if isinstance(one, RequestRetried)]
    assert retried.delay >= 1.0
    assert [one.code for one in apiserver.requests] == [429, 201]


async def test_a_read_is_tried_within_bounds_and_says_how_often(apiserver: FakeApiServer, api: Api) -> None:
    apiserver.faults.on("list", "v1/pods").status(503)
    with pytest.raises(ApiException) as failed:
        await CoreV1Api(api).list_namespaced_pod("default")
    assert (failed.value.status, failed.value.attempts) == (503, QUICK.attempts)
    assert apiserver.requests.total == QUICK.attempts


async def test_a_body_that_is_no_utf_8_is_readable(apiserver: FakeApiServer, api: Api) -> None:
    broken = apiserver.faults.next("list", "v1/pods")
    broken.answer(b"\xff\xfe", status=400, headers={"Content-Type": "text/plain"})
    with pytest.raises(ApiException) as failed:
        await CoreV1Api(api).list_namespaced_pod("default")
    assert failed.value.body == "\ufffd\ufffd"


@pytest.mark.parametrize("body", ["<html>Log in</html>", ""])
async def test_a_success_that_is_no_object_is_no_empty_list(
    apiserver: FakeApiServer, api: Api, body: str
) -> None:
    apiserver.faults.on("list", "v1/pods").answer(body, headers={"Content-Type": "text/html"})
    with pytest.raises(ApiException, match="look for a proxy") as failed:
        await CoreV1Api(api).list_namespaced_pod("default")
    assert failed.value.status == 0
    status = json.loads(failed.value.body)
    assert (status["kind"], status["reason"], status["code"]) == ("Status", "NotAKubernetesAnswer", 0)
    assert "Log in" not in status["message"]


# --- writes whose outcome is unknown ---------------------------------------------------------------------


async def test_a_create_whose_answer_is_lost_is_sent_once(apiserver: FakeApiServer, api: Api) -> None:
    apiserver.faults.on("create", "v1/configmaps").reset(after_bytes=0)
    with pytest.raises(aiohttp.ClientConnectionError) as lost:
        await CoreV1Api(api).create_namespaced_config_map("default", config_map("a"))
    assert isinstance(lost.value, OutcomeUnknown)
    assert isinstance(lost.value, AnswerLost)
    assert apiserver.requests.where(verb="create").count == 1
    assert apiserver.get("v1/configmaps", "default/a") is not None


async def test_a_create_that_is_not_answered_in_time_is_both_a_timeout_and_in_doubt(
    apiserver: FakeApiServer, api: Api
) -> None:
    apiserver.faults.on("create", "v1/configmaps").hang()
    with pytest.raises(asyncio.TimeoutError) as late:
        await CoreV1Api(api).create_namespaced_config_map("default", config_map("a"), _request_timeout=0.2)
    assert isinstance(late.value, OutcomeUnknown)
    assert apiserver.requests.where(verb="create").count == 1


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_create_that_failed_without_a_word_of_it_is_in_doubt(
    apiserver: FakeApiServer, api: Api, status: int
) -> None:
    apiserver.faults.on("create", "v1/configmaps").status(status)
    with pytest.raises(ApiException) as failed:
        await CoreV1Api(api).create_namespaced_config_map("default", config_map("a"))
    error = failed.value
    assert isinstance(error, OutcomeUnknown)
    assert isinstance(error, AnsweredInDoubt)
    assert (error.status, error.attempts, json.loads(error.body)["code"]) == (status, 1, status)
    assert isinstance(error.__cause__, ServerUnavailable)
    assert apiserver.requests.total == 1


async def test_a_write_answered_by_a_page_is_in_doubt(apiserver: FakeApiServer, api: Api) -> None:
    page = apiserver.faults.on("create", "v1/configmaps")
    page.answer("<html>", headers={"Content-Type": "text/html"})
    with pytest.raises(ApiException) as failed:
        await CoreV1Api(api).create_namespaced_config_map("default", config_map("a"))
    assert isinstance(failed.value, OutcomeUnknown)
    assert (failed.value.status, json.loads(failed.value.body)["reason"]) == (0, "OutcomeUnknown")


async def test_a_replace_with_its_version_is_repeated_and_its_own_success_no_conflict(
    apiserver: FakeApiServer, api: Api
) -> None:
    apiserver.create("v1/configmaps", config_map("a"))
    read = await CoreV1Api(api).read_namespaced_config_map("a", "default")
    read.data = {"x": "1"}
    apiserver.faults.next("update", "v1/configmaps").reset(after_bytes=0)
    with pytest.raises(ApiException) as failed:
        await CoreV1Api(api).replace_namespaced_config_map("a", "default", read)
    assert failed.value.status == 409
    assert isinstance(failed.value, OutcomeUnknown), "the conflict is with the first try, which was done"
    assert isinstance(failed.value.__cause__, Conflict)
    assert apiserver.get("v1/configmaps", "default/a")["data"] == {"x": "1"}


async def test_a_delete_with_preconditions_is_repeated(apiserver: FakeApiServer, api: Api) -> None:
    made = apiserver.create("v1/configmaps", config_map("a"))
    apiserver.faults.next("delete", "v1/configmaps").reset()
    body = {"preconditions": {"uid": made["metadata"]["uid"]}}
    await CoreV1Api(api).delete_namespaced_config_map("a", "default", body=body)
    assert apiserver.requests.where(verb="delete").count == 2


@pytest.mark.parametrize(
    ("patch", "repeated"),
    [
        ({"metadata": {"resourceVersion": "VERSION"}, "data": {"x": "1"}}, True),
        ([{"op": "test", "path": "/metadata/resourceVersion", "value": "VERSION"}], True),
        ({"data": {"x": "1"}}, False),
        ([{"op": "add", "path": "/data", "value": {}}], False),
    ],
)
async def test_a_patch_is_repeated_where_a_version_makes_that_safe(
    apiserver: FakeApiServer, api: Api, patch: Any, repeated: bool
) -> None:
    made = apiserver.create("v1/configmaps", config_map("a"))
    patch = json.loads(json.dumps(patch).replace("VERSION", made["metadata"]["resourceVersion"]))
    apiserver.faults.next("patch", "v1/configmaps").reset()
    try:
        await CoreV1Api(api).patch_namespaced_config_map("a", "default", patch)
    except aiohttp.ClientError:
        assert not repeated
    assert apiserver.requests.where(verb="patch").count == (2 if repeated else 1)


# --- no answer -------------------------------------------------------------------------------------------


async def test_a_server_that_is_gone_is_aiohttps_connector_error(apiserver: FakeApiServer) -> None:
    await apiserver.kill()
    twice = RetryPolicy(attempts=2, base=0.01, cap=0.05)
    async with ResilientApiClient(configuration_of(apiserver), retry=twice) as api:
        with pytest.raises(aiohttp.ClientConnectorError) as gone:
            await CoreV1Api(api).list_namespace()
    assert isinstance(gone.value.os_error, ConnectionRefusedError)
    assert any(note.startswith("tried 2 times") for note in gone.value.__notes__)


async def test_a_server_that_is_known_to_be_gone_is_aiohttps_connector_error_too(
    apiserver: FakeApiServer,
) -> None:
    await apiserver.kill()
    briefly = RetryPolicy(within=0.05, base=0.01, cap=0.05)
    async with ResilientApiClient(configuration_of(apiserver), retry=briefly) as api:
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectorError) as gone:
                await CoreV1Api(api).list_namespace()
    assert "still refuses connections" in str(gone.value)
    assert (gone.value.host, gone.value.port) == ("127.0.0.1", apiserver.port)
    assert isinstance(gone.value.os_error, ConnectionRefusedError)
    assert isinstance(gone.value.__cause__, ConnectFailed)


async def test_an_answer_that_is_cut_off_is_aiohttps_payload_error(
    apiserver: FakeApiServer, api: Api
) -> None:
    apiserver.faults.on("list", "v1/namespaces").reset(after_bytes=10)
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
        await CoreV1Api(api).list_namespace()


async def test_a_connection_closed_without_an_answer_is_aiohttps_disconnect(
    apiserver: FakeApiServer, api: Api
) -> None:
    apiserver.faults.on("list", "v1/namespaces").reset()
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await CoreV1Api(api).list_namespace()


async def test_the_error_of_the_users_own_hook_comes_out_as_it_is(apiserver: FakeApiServer) -> None:
    def hook(_: Any) -> None:
        raise ZeroDivisionError("mine")

    configuration = configuration_of(apiserver)
    configuration.api_key, configuration.refresh_api_key_hook = {"BearerToken": "t"}, hook
    async with ResilientApiClient(configuration, qps=None, retry=QUICK) as api:
        with pytest.raises(ZeroDivisionError, match="mine"):
            await CoreV1Api(api).list_namespace()


async def test_no_traceback_keeps_a_cycle_alive(api: Api) -> None:
    gc.collect()
    with pytest.raises(ApiException):
        await CoreV1Api(api).read_namespaced_pod("none", "default")
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, ApiException)]


# --- what cannot be sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "connect_get_namespaced_pod_exec",
        "connect_post_namespaced_pod_exec",
        "connect_get_namespaced_pod_attach",
        "connect_get_namespaced_pod_portforward",
    ],
)
async def test_websockets_are_refused_with_what_to_do_instead(
    apiserver: FakeApiServer, api: Api, call: str
) -> None:
    with pytest.raises(ApiValueError, match=r"kubernetes_asyncio\.stream\.WsApiClient"):
        await getattr(CoreV1Api(api), call)("web", "default")
    assert apiserver.requests.total == 0


async def test_there_is_no_session_to_go_round_the_door_with(api: Api) -> None:
    with pytest.raises(ApiValueError, match=r"WsApiClient"):
        api.rest_client.pool_manager  # noqa: B018


async def test_another_server_is_refused(api: Api) -> None:
    with pytest.raises(ApiValueError, match="the one server"):
        await api.call_api("/api", "GET", _host="https://elsewhere.example.com")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "TRACE"}, "the method is one of"),
        ({"method": "POST", "headers": {"Content-Type": "multipart/form-data"}}, "multipart"),
        ({"method": "POST", "headers": {"Content-Type": "text/plain"}, "body": "text"}, "given as bytes"),
        ({"method": "POST", "body": {"a": 1}, "post_params": [("a", "1")]}, "cannot be used"),
        ({"method": "GET", "_request_timeout": "10"}, "_request_timeout is a number"),
    ],
)
async def test_what_cannot_be_sent_is_said(api: Api, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiValueError, match=said):
        await api.rest_client.request(url=api.configuration.host + "/api", **options)


def test_no_cluster_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="load_config"):
        ResilientApiClient(Configuration())


def test_the_config_of_this_library_is_not_a_configuration_of_the_other() -> None:
    with pytest.raises(ConfigError, match=r"kresilient\.connect"):
        ResilientApiClient(ClusterConfig(server="http://127.0.0.1:1"))
