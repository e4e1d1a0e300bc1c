"""The fixtures `apiserver` and `kube_client` together: a controller's round with every way to sign in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from kresilient import Client
from kresilient.api.errors import Unauthorized
from kresilient.api.objects import KubeObject
from kresilient.testing.server import FakeApiServer

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def labeller(kube_client: Client) -> AsyncIterator[None]:
    """A controller that labels each pod it sees."""

    async def label(obj: KubeObject) -> None:
        await kube_client.patch("v1/pods", obj.key, {"metadata": {"labels": {"seen": "yes"}}})

    async with kube_client.informer("v1/pods") as pods:
        await pods.synced(10)
        pods.add_handler(on_add=label)
        yield


async def a_round(apiserver: FakeApiServer, kube_client: Client) -> None:
    """A pod that is there and one that comes are labelled, and an informer shows it."""
    apiserver.create("v1/pods", {"metadata": {"name": "web"}})
    async with kube_client.informer("v1/pods") as pods, asyncio.timeout(10):
        await pods.synced(10)
        async for event in pods.events():
            if event.object.labels.get("seen") == "yes":
                break
    stored = apiserver.get("v1/pods", "default/web")
    assert stored is not None and stored["metadata"]["labels"] == {"seen": "yes"}


@pytest.mark.usefixtures("labeller")
async def test_without_options(apiserver: FakeApiServer, kube_client: Client) -> None:
    await a_round(apiserver, kube_client)


@pytest.mark.apiserver(token="secret")
@pytest.mark.usefixtures("labeller")
async def test_with_a_token(apiserver: FakeApiServer, kube_client: Client) -> None:
    await a_round(apiserver, kube_client)


@pytest.mark.apiserver(tls=True)
@pytest.mark.usefixtures("labeller")
async def test_with_tls(apiserver: FakeApiServer, kube_client: Client) -> None:
    assert apiserver.url.startswith("https://")
    await a_round(apiserver, kube_client)


@pytest.mark.apiserver(tls=True, token="secret")
@pytest.mark.usefixtures("labeller")
async def test_with_tls_and_a_token(apiserver: FakeApiServer, kube_client: Client) -> None:
    await a_round(apiserver, kube_client)


@pytest.mark.apiserver(tls=True, client_certificates=True)
@pytest.mark.usefixtures("labeller")
async def test_with_client_certificates(apiserver: FakeApiServer, kube_client: Client) -> None:
    await a_round(apiserver, kube_client)


@pytest.mark.apiserver(token="secret")
async def test_the_client_sends_the_token_that_it_was_given(
    apiserver: FakeApiServer, kube_client: Client
) -> None:
    await kube_client.list("v1/pods")
    apiserver.access.replace("another")
    with pytest.raises(Unauthorized):
        await kube_client.list("v1/pods")


async def test_the_client_is_not_paced(apiserver: FakeApiServer, kube_client: Client) -> None:
    async with asyncio.timeout(5):  # at 20 a second, with a burst of 40, it would take 8 s
        await asyncio.gather(*(kube_client.list("v1/pods") for _ in range(200)))
    assert apiserver.requests.count(verb="list") == 200
