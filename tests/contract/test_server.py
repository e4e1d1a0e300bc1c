"""What the server says of itself: its version, its health, its metrics; and paths that lead nowhere."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .api import Api
from .client import names

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


async def resources(api: Api, path: str) -> dict[str, dict[str, Any]]:
    """What the group version at *path* serves, by name."""
    body = (await api.get(path)).ok(200)
    assert body["kind"] == "APIResourceList"
    return {one["name"]: one for one in body["resources"]}


# --- version and health ------------------------------------------------------------------------------------


async def test_a_version_has_a_major_and_a_minor_number(api: Api) -> None:
    """Recorded: 01 version"""
    body = (await api.get("/version")).ok(200)
    assert body["major"] == "1"
    assert re.fullmatch(r"\d+\+?", body["minor"])
    assert {"gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "platform"} <= body.keys()


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/healthz/ping", "/livez/ping"])
async def test_a_server_that_is_well_says_ok(api: Api, path: str) -> None:
    """Recorded: 01 healthz"""
    answer = await api.get(path)
    assert (answer.status, answer.text) == (200, "ok")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_health_may_be_asked_for_its_parts(api: Api, path: str) -> None:
    """Kubernetes documentation: Kubernetes API health endpoints"""
    text = (await api.get(path, verbose="")).text
    assert "[+]ping ok\n" in text
    assert text.endswith(f"{path[1:]} check passed\n")


async def test_requests_are_counted_by_verb_and_resource(api: Api) -> None:
    """Kubernetes documentation: Kubernetes Metrics Reference, apiserver_request_total"""
    pattern = re.compile(
        r'^apiserver_request_total\{(?=.*code="201")(?=.*resource="configmaps")(?=.*verb="POST").*\} (\S+)$',
        re.MULTILINE,
    )

    async def count() -> float:
        return sum(float(one) for one in pattern.findall((await api.get("/metrics", accept="*/*")).text))

    for _ in range(10):  # of several servers behind one address each counts its own
        before = await count()
        await api.configmap()
        if await count() >= before + 1:
            return
    pytest.fail("ten requests were not counted")


@pytest.mark.parametrize(
    "name",
    [
        "apiserver_request_total",
        "apiserver_request_duration_seconds_bucket",
        "apiserver_current_inflight_requests",
        "apiserver_longrunning_requests",
    ],
)
async def test_a_metric_is_there(api: Api, name: str) -> None:
    """Kubernetes documentation: Kubernetes Metrics Reference"""
    await api.configmap()
    async with api.watch(api.path("v1/configmaps")) as watch:
        await watch.next()
        text = (await api.get("/metrics", accept="*/*")).text
    assert re.search(rf"^{name}(\{{.*\}})? \S+$", text, re.MULTILINE)


# --- what is not there -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nope", "/apis/nope.example.com/v1/things", "//version"])
async def test_a_path_that_leads_nowhere_is_plain_text(api: Api, path: str) -> None:
    """Recorded: 01 unknown path"""
    answer = await api.get(path)
    assert (answer.status, answer.text) == (404, "404 page not found\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_resource_that_is_not_served_is_not_found(api: Api) -> None:
    """Recorded: 01 unknown resource"""
    status = (await api.get(api.path("v1/gizmos"))).refused(
        404, "NotFound", "the server could not find the requested resource"
    )
    assert status["details"] == {}


@pytest.mark.parametrize("path", ["/api/v1//configmaps", "/apis/apps/v9", "/apis/apps/v9/deployments"])
async def test_what_a_group_of_the_server_does_not_have_is_not_found(api: Api, path: str) -> None:
    """Source: staging/src/k8s.io/apiserver/pkg/server/handler.go"""
    message = "the server could not find the requested resource"
    assert (await api.get(path)).refused(404, "NotFound", message)["details"] == {}


async def test_a_list_of_an_empty_namespace_is_one_of_all(api: Api) -> None:
    """Source: staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go"""
    selector, made = await api.labelled(1)
    listed = (await api.get("/api/v1/namespaces//configmaps", labelSelector=selector)).ok()
    assert names(listed) == names({"items": made})


async def test_what_is_not_there_is_not_there_for_any_method(api: Api) -> None:
    """Source: staging/src/k8s.io/apiserver/pkg/server/handler.go"""
    answer = await api.post("/nope", {})
    assert (answer.status, answer.text) == (404, "404 page not found\n")


async def test_a_method_that_a_path_does_not_take_is_not_allowed(api: Api) -> None:
    """Recorded: 01 method not allowed"""
    answer = await api.post(api.path("v1/configmaps", "x"), {"metadata": {"name": "x"}})
    answer.refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


async def test_an_answer_names_the_flow_it_was_let_through_by(api: Api) -> None:
    """KEP-1040: priority and fairness"""
    headers = (await api.get(api.path("v1/configmaps"), limit=1)).headers
    for name in ("X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid"):
        assert re.fullmatch(r"[0-9a-f-]{36}", headers[name])


async def test_an_answer_has_an_audit_id(api: Api) -> None:
    """Kubernetes documentation: Auditing"""
    one, two = [(await api.get(api.path("v1/configmaps"), limit=1)).headers["Audit-Id"] for _ in range(2)]
    assert re.fullmatch(r"[0-9a-f-]{36}", one)
    assert one != two


async def test_an_answer_is_not_to_be_cached(api: Api) -> None:
    """Source: apiserver/pkg/server/filters/cachecontrol.go"""
    answer = await api.get(api.path("v1/configmaps"), limit=1)
    assert answer.headers["Cache-Control"] == "no-cache, private"
