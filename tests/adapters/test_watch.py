"""`kubernetes_asyncio.watch.Watch` over the door: long lines, ends, expiry, failures, cancellation."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio.client import ApiException, CoreV1Api, CustomObjectsApi
from kubernetes_asyncio.watch import Watch

from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.observe.events import Event, RequestRetried
from kresilient.testing.server import FakeApiServer

from .conftest import pod, widget, widget_definition

PATIENCE = 20.0


@asynccontextmanager
async def watching() -> AsyncIterator[Watch]:
    async with asyncio.timeout(PATIENCE), Watch() as watch:
        yield watch


def named(event: Any) -> tuple[str, str]:
    return event["type"], event["object"].metadata.name


async def test_events_come_as_models_and_it_goes_on_where_the_server_ended_it(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.add(pod("first"))
    apiserver.faults.next("watch", "v1/pods").close(after_events=2)
    told = []
    async with watching() as watch:
        async for event in watch.stream(CoreV1Api(api).list_namespaced_pod, "default"):
            told.append(named(event))
            match len(told):
                case 1:
                    apiserver.add(pod("second"))
                case 2:
                    apiserver.add(pod("third"))
                case 3:
                    break
    assert told == [("ADDED", "first"), ("ADDED", "second"), ("ADDED", "third")]
    assert apiserver.requests.where(verb="watch").count == 2


async def test_it_ends_where_the_caller_said_when(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    apiserver.add(pod("first"))
    async with watching() as watch:
        stream = watch.stream(CoreV1Api(api).list_namespaced_pod, "default", timeout_seconds=1)
        assert [named(event) async for event in stream] == [("ADDED", "first")]


async def test_it_begins_at_the_version_it_is_given(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.add(pod("first"))
    listed = await CoreV1Api(api).list_namespaced_pod("default")
    apiserver.add(pod("second"))
    async with watching() as watch:
        version = listed.metadata.resource_version
        stream = watch.stream(CoreV1Api(api).list_namespaced_pod, "default", resource_version=version)
        assert named(await anext(stream)) == ("ADDED", "second")


async def test_stop_ends_it(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    apiserver.add(pod("first"), pod("second"))
    told = []
    async with watching() as watch:
        async for event in watch.stream(CoreV1Api(api).list_namespaced_pod, "default"):
            told.append(named(event))
            watch.stop()
    assert told == [("ADDED", "first")]
    await apiserver.watchers("v1/pods", 0)


async def test_a_line_of_any_length_is_one_event(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    apiserver.add(pod("large"))
    apiserver.faults.next("watch", "v1/pods").oversized(6_000_000, nth=1)
    async with watching() as watch:
        stream = watch.stream(CoreV1Api(api).list_namespaced_pod, "default")
        event = await anext(stream)
    assert named(event) == ("ADDED", "large")
    assert len(json.dumps(event["raw_object"])) > 6_000_000


@pytest.mark.parametrize("how", ["status", "event"])
async def test_an_expired_version_is_410(apiserver: FakeApiServer, api: ResilientApiClient, how: str) -> None:
    fault = apiserver.faults.on("watch", "v1/pods")
    fault.status(410) if how == "status" else fault.error_event(410)
    with pytest.raises(ApiException) as expired:
        async with watching() as watch:
            await anext(watch.stream(CoreV1Api(api).list_namespaced_pod, "default", resource_version="1"))
    assert expired.value.status == 410
    assert apiserver.requests.total == 2, "the Watch tries a 410 once more"


async def test_custom_objects_are_watched_as_plain_data(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.create("apiextensions.k8s.io/v1/customresourcedefinitions", widget_definition())
    apiserver.add(widget("left", 2))
    where = ("example.com", "v1", "default", "widgets")
    async with watching() as watch:
        stream = watch.stream(CustomObjectsApi(api).list_namespaced_custom_object, *where)
        event = await anext(stream)
    assert event["object"]["spec"] == {"size": 2}


async def test_a_start_that_fails_for_a_while_is_waited_for(
    apiserver: FakeApiServer, api: ResilientApiClient, seen: list[Event]
) -> None:
    apiserver.add(pod("first"))
    apiserver.faults.next("watch", "v1/pods").times(2).status(503)
    async with watching() as watch:
        assert named(await anext(watch.stream(CoreV1Api(api).list_namespaced_pod, "default"))) == (
            "ADDED",
            "first",
        )
    assert sum(isinstance(one, RequestRetried) for one in seen) == 2


async def test_a_start_that_is_refused_says_so_and_yields_nothing(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.faults.on("watch", "v1/pods").status(403)
    with pytest.raises(ApiException) as refused:
        async with watching() as watch:
            await anext(watch.stream(CoreV1Api(api).list_namespaced_pod, "default"))
    assert refused.value.status == 403


@pytest.mark.parametrize(("status", "seen_as"), [(200, 0), (502, 502)])
async def test_a_proxys_page_is_an_error_and_never_an_event(
    apiserver: FakeApiServer, api: ResilientApiClient, status: int, seen_as: int
) -> None:
    page = apiserver.faults.on("watch", "v1/pods")
    page.answer("<html>\nLog in\n", status=status, headers={"Content-Type": "text/html"})
    with pytest.raises(ApiException) as refused:
        async with watching() as watch:
            await anext(watch.stream(CoreV1Api(api).list_namespaced_pod, "default"))
    assert refused.value.status == seen_as


async def test_a_server_that_is_killed_breaks_the_stream_as_aiohttp_does(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.add(pod("first"))
    with pytest.raises(aiohttp.ClientError):
        async with watching() as watch:
            async for _ in watch.stream(CoreV1Api(api).list_namespaced_pod, "default"):
                await apiserver.kill()


async def test_a_program_that_watches_again_survives_a_restart(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.add(pod("first"))
    told: list[str] = []

    async def follow() -> None:
        while True:
            try:
                async with Watch() as watch:
                    async for event in watch.stream(CoreV1Api(api).list_namespaced_pod, "default"):
                        told.append(event["object"].metadata.name)
                        if told[-1] == "second":
                            return
            except aiohttp.ClientError:
                continue

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(follow())
        await apiserver.watchers("v1/pods", 1)
        await apiserver.kill()
        apiserver.add(pod("second"))
        await apiserver.start()
    assert told[-1] == "second"


async def test_cancelled_in_the_middle_of_a_line_it_reads_on(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    apiserver.add(pod("first"))
    fault = apiserver.faults.next("watch", "v1/pods").drip(20_000)
    raw = await CoreV1Api(api).list_namespaced_pod("default", watch=True, _preload_content=False)
    await fault.hit()
    for _ in range(5):
        reading = asyncio.create_task(raw.content.readline())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
    async with asyncio.timeout(PATIENCE):
        assert json.loads(await raw.content.readline())["object"]["metadata"]["name"] == "first"
    raw.close()


async def test_a_task_that_is_cancelled_while_it_watches_leaves_no_watch_behind(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    async def follow() -> None:
        async with Watch() as watch:
            async for _ in watch.stream(CoreV1Api(api).list_namespaced_pod, "default"):
                raise AssertionError("nothing happens")

    task = asyncio.create_task(follow())
    await apiserver.watchers("v1/pods", 1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await apiserver.watchers("v1/pods", 0)


async def test_a_watch_that_is_dropped_unread_is_ended(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    raw = await CoreV1Api(api).list_namespaced_pod("default", watch=True, _preload_content=False)
    await apiserver.watchers("v1/pods", 1)
    content = raw.content
    del raw
    gc.collect()
    assert not content.at_eof(), "whoever has the body has the stream"
    await apiserver.watchers("v1/pods", 1)
    del content
    gc.collect()
    await apiserver.watchers("v1/pods", 0)


async def test_a_watch_whose_reader_was_cancelled_and_dropped_is_ended(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    """The cancelled task keeps the frames that it left, and they the stream: the stream must not keep it."""

    async def follow() -> None:
        raw = await CoreV1Api(api).list_namespaced_pod("default", watch=True, _preload_content=False)
        opened.set()
        await raw.content.readline()

    opened = asyncio.Event()
    task = asyncio.create_task(follow())
    await opened.wait()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    del task
    await asyncio.sleep(0)  # the loop holds what it woke this test with until the test waits again
    gc.collect()
    await apiserver.watchers("v1/pods", 0)


async def test_the_total_timeout_ends_a_watch_by_a_timeout(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    raw = await CoreV1Api(api).list_namespaced_pod(
        "default", watch=True, _preload_content=False, _request_timeout=0.2
    )
    with pytest.raises(TimeoutError):
        await raw.content.readline()
    await apiserver.watchers("v1/pods", 0)


async def test_the_read_timeout_ends_a_silent_watch_by_a_timeout(
    apiserver: FakeApiServer, api: ResilientApiClient
) -> None:
    raw = await CoreV1Api(api).list_namespaced_pod(
        "default", watch=True, _preload_content=False, _request_timeout=(5, 0.2)
    )
    with pytest.raises(aiohttp.ServerTimeoutError):
        await raw.content.readline()
    await apiserver.watchers("v1/pods", 0)


async def test_closing_the_client_ends_its_watches(apiserver: FakeApiServer, api: ResilientApiClient) -> None:
    raw = await CoreV1Api(api).list_namespaced_pod("default", watch=True, _preload_content=False)
    reading = asyncio.create_task(raw.content.readline())
    await apiserver.watchers("v1/pods", 1)
    await api.close()
    with pytest.raises(aiohttp.ClientError):
        await reading
    await apiserver.watchers("v1/pods", 0)
