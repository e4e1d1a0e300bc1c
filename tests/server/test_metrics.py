"""/metrics has kube-apiserver's names and labels, and counts what happened."""

from __future__ import annotations

import asyncio
import re

import pytest

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.metrics import _text as exposed

from .asked import asked
from .custom import definition

PODS = "/api/v1/namespaces/default/pods"


async def metrics(server: MemoryApiServer) -> dict[str, float]:
    """Every sample by its name and labels."""
    text = (await asked(server, "/metrics")).text
    assert text.endswith("\n")
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    return samples


@pytest.mark.parametrize(
    ("method", "path", "body", "labels"),
    [
        (
            "GET",
            PODS,
            None,
            'code="200",{},group="",resource="pods",scope="namespace",subresource="",verb="LIST"',
        ),
        (
            "GET",
            "/api/v1/pods",
            None,
            'code="200",{},group="",resource="pods",scope="cluster",subresource="",verb="LIST"',
        ),
        (
            "GET",
            f"{PODS}/x",
            None,
            'code="404",{},group="",resource="pods",scope="resource",subresource="",verb="GET"',
        ),
        (
            "POST",
            "/apis/apps/v1/namespaces/default/deployments",
            {},
            'code="422",{},group="apps",resource="deployments",scope="resource",subresource="",verb="POST"',
        ),
        (
            "PUT",
            f"{PODS}/x/status",
            {"metadata": {"name": "x"}},
            'code="404",{},group="",resource="pods",scope="resource",subresource="status",verb="PUT"',
        ),
        (
            "DELETE",
            PODS,
            None,
            'code="200",{},group="",resource="pods",scope="namespace",subresource="",verb="DELETECOLLECTION"',
        ),
        (
            "GET",
            "/healthz",
            None,
            'code="200",{},group="",resource="",scope="",subresource="/healthz",verb="GET"',
        ),
    ],
)
async def test_a_request_is_counted_by_what_it_was(method: str, path: str, body: object, labels: str) -> None:
    server = MemoryApiServer()
    await asked(server, path, method=method, body=body)
    version = "" if path == "/healthz" else "v1"
    named = labels.format('component="apiserver",dry_run=""')
    found = await metrics(server)
    assert found[f'apiserver_request_total{{{named},version="{version}"}}'] == 1
    without_code = re.sub(r'^code="\d+",', "", named)
    assert found[f'apiserver_request_duration_seconds_count{{{without_code},version="{version}"}}'] == 1


async def test_an_apply_and_a_dry_run_are_told_apart() -> None:
    server = MemoryApiServer()
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    path = "/api/v1/namespaces/default/configmaps/a?fieldManager=me&dryRun=All"
    apply = "application/apply-patch+yaml"
    assert (await asked(server, path, method="PATCH", body=body, content_type=apply)).status == 201
    (name,) = [one for one in await metrics(server) if one.startswith("apiserver_request_total")]
    assert 'dry_run="All"' in name
    assert 'verb="APPLY"' in name


@pytest.mark.looptime
async def test_durations_fall_into_buckets() -> None:
    server = MemoryApiServer()
    for delay in (0.0, 0.3, 3.5):
        server.faults.next("list").delay(delay)
        await asked(server, PODS)
    labels = (
        'component="apiserver",dry_run="",group="",resource="pods",scope="namespace",subresource="",'
        'verb="LIST",version="v1"'
    )
    found = await metrics(server)
    for bound, count in (("0.005", 1), ("0.4", 2), ("3", 2), ("4", 3), ("+Inf", 3)):
        assert found[f'apiserver_request_duration_seconds_bucket{{{labels},le="{bound}"}}'] == count
    assert found[f"apiserver_request_duration_seconds_sum{{{labels}}}"] == pytest.approx(3.8, abs=0.01)


@pytest.mark.looptime
async def test_a_watch_is_a_gauge_while_it_runs_and_counted_once_it_is_over() -> None:
    server = MemoryApiServer()
    watching = asyncio.create_task(asked(server, f"{PODS}?watch=1&timeoutSeconds=5"))
    await server.watchers("v1/pods")
    labels = (
        'component="apiserver",group="",resource="pods",scope="namespace",subresource="",verb="WATCH",'
        'version="v1"'
    )
    gauge = f"apiserver_longrunning_requests{{{labels}}}"
    found = await metrics(server)
    assert found[gauge] == 1
    assert not [name for name in found if 'verb="WATCH"' in name and "request_total" in name]
    await watching
    found = await metrics(server)
    assert gauge not in found
    assert [found[name] for name in found if 'verb="WATCH"' in name and "request_total" in name] == [1]


@pytest.mark.looptime
async def test_what_runs_and_what_is_stored_are_gauges() -> None:
    server = MemoryApiServer(max_inflight=2)
    server.create("apps/v1/deployments", {"metadata": {"name": "d"}, "spec": {}})
    server.faults.next("list").delay(9.0)
    listing = asyncio.create_task(asked(server, PODS))
    await server.requests.wait_for(1)
    found = await metrics(server)
    assert found['apiserver_current_inflight_requests{request_kind="readOnly"}'] == 2
    assert found['apiserver_current_inflight_requests{request_kind="mutating"}'] == 0
    assert found['apiserver_resource_objects{group="apps",resource="deployments"}'] == 1
    assert found['apiserver_storage_objects{resource="deployments.apps"}'] == 1
    server.faults.next("get").delay(9.0)
    getting = asyncio.create_task(asked(server, f"{PODS}/x"))
    await server.requests.wait_for(3)
    assert (await asked(server, PODS)).status == 429
    await asyncio.gather(listing, getting)
    rejected = (
        'apiserver_flowcontrol_rejected_requests_total{flow_schema="global-default",'
        'priority_level="global-default",reason="concurrency-limit"}'
    )
    assert (await metrics(server))[rejected] == 1


def test_label_values_are_escaped() -> None:
    assert exposed((("path", 'a"\\\n'),)) == r'path="a\"\\\n"'


async def test_no_client_makes_labels_of_its_own() -> None:
    server = MemoryApiServer()
    await asked(server, PODS, method="DELETE")
    await asked(server, f"{PODS}/x", method="FETCH")
    await asked(server, PODS, method="POST", body={})
    await asked(server, f"{PODS}?dryRun=0", method="POST", body={})
    few = await metrics(server)
    for n in range(1, 4):
        await asked(server, f"/nope/{n}")
        await asked(server, f"/healthz/{n}")
        await asked(server, f"/api/v{n + 1}/pods")
        await asked(server, f"/apis/g{n}.example.com/v1/things")
        await asked(server, f"/api/v1/namespaces/default/things{n}")
        await asked(server, f"{PODS}/x/sub{n}")
        await asked(server, f"{PODS}/x", method=f"FETCH{n}", content_type=f"a/b{n}", user_agent=f"agent-{n}")
        await asked(server, f"{PODS}?dryRun={n}", method="POST", body={}, content_type=f"a/b{n}")
    more = await metrics(server)
    (new,) = {name for name in more.keys() - few.keys() if "_total{" in name}
    assert 'subresource="/metrics"' in new, "which was asked for once before"
    counted = [name for name in few if name.startswith("apiserver_request_total")]
    assert sum('dry_run="invalid"' in name for name in counted) == 1
    assert sum('verb="other"' in name for name in counted) == 1


@pytest.mark.looptime
async def test_a_watch_of_what_is_defined_no_more_is_no_longer_running() -> None:
    server = MemoryApiServer()
    server.add(definition())
    path = "/apis/example.com/v1/widgets?watch=1&timeoutSeconds=50"
    watching = asyncio.create_task(asked(server, path))
    await server.watchers("example.com/v1/widgets")
    server.delete("apiextensions.k8s.io/v1/customresourcedefinitions", "widgets.example.com")
    await watching
    assert not [name for name in await metrics(server) if name.startswith("apiserver_longrunning")]
