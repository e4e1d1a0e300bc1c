"""Testing a controller with the fixtures `apiserver` and `kube_client`: over HTTP, and with faults.

    pytest examples/test_labeller.py

The fixtures come with kresilient and need pytest-asyncio, in either of its modes.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import pytest_asyncio

import kresilient as kr

pytestmark = pytest.mark.asyncio


async def label_pods(client: kr.Client) -> None:
    """The controller under test: every pod without the label `team` gets one, by its namespace."""
    async with client.informer("v1/pods", label_selector="!team") as pods:
        async for event in pods.events():
            if event.new is not None:
                labels = {"team": event.new.namespace}
                await client.patch("v1/pods", event.key, {"metadata": {"labels": labels}})


def labelled(pod: dict) -> bool:
    return pod["metadata"].get("labels", {}).get("team") == "shop"


@pytest_asyncio.fixture
async def labeller(kube_client):
    task = asyncio.create_task(label_pods(kube_client))
    yield task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task  # a controller that crashed fails the test, and says with what


def a_pod(name: str) -> dict:
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }


async def test_a_pod_is_labelled(apiserver, labeller):
    apiserver.create("v1/pods", a_pod("cart"))
    await apiserver.wait_for("v1/pods", "shop/cart", labelled)


async def test_a_pod_that_came_while_the_watch_was_lost_is_labelled(apiserver, labeller):
    await apiserver.watchers("v1/pods")
    await apiserver.restart(history=False)  # every version from before is answered with 410
    apiserver.create("v1/pods", a_pod("till"))
    await apiserver.wait_for("v1/pods", "shop/till", labelled)


async def test_an_overloaded_server_is_asked_again_when_it_says(apiserver, labeller):
    busy = apiserver.faults.next("patch", "v1/pods").status(429, retry_after=1)
    apiserver.create("v1/pods", a_pod("desk"))
    await apiserver.wait_for("v1/pods", "shop/desk", labelled)
    assert busy.hits == 1
