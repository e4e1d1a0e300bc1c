"""The fixtures: a controller's round with every way to sign in, in memory, and with several servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import kresilient as kr
from kresilient import Client
from kresilient.api.errors import Unauthorized
from kresilient.api.objects import KubeObject
from kresilient.testing.factory import ApiServerFactory
from kresilient.testing.server import FakeApiServer, MemoryApiServer

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


# --- in memory -------------------------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.apiserver(memory=True, token="secret")
@pytest.mark.usefixtures("labeller")
async def test_in_memory_and_in_virtual_time(apiserver: MemoryApiServer, kube_client: Client) -> None:
    await a_round(apiserver, kube_client)
    await asyncio.sleep(24 * 3600)
    assert apiserver.watch_count("v1/pods") == 1, "after a day"


@pytest.mark.looptime
async def test_a_client_of_a_server_in_memory_is_one_line() -> None:
    server = MemoryApiServer()
    async with kr.connect(server.transport(), qps=None) as client:
        await client.create("v1/configmaps", {"metadata": {"name": "one"}}, namespace="default")
    assert server.get("v1/configmaps", "default/one") is not None


async def test_a_transport_takes_no_options_of_a_configuration() -> None:
    with pytest.raises(kr.ConfigError, match="leave out namespace, token"):
        kr.connect(MemoryApiServer().transport(), token="x", namespace="y")


@pytest.mark.looptime
async def test_clients_of_two_servers_in_memory_are_paced_by_themselves() -> None:
    first, second = MemoryApiServer(), MemoryApiServer()
    async with (
        kr.connect(first.transport(), qps=1, burst=1) as one,
        kr.connect(second.transport(), qps=1, burst=1) as other,
    ):
        await one.list("v1/pods")
        await other.list("v1/pods")
        assert asyncio.get_running_loop().time() < 0.5


# --- what is there from the start ------------------------------------------------------------------------

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
CART = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cart", "namespace": "shop"}}


@pytest.mark.apiserver(strict_namespaces=True, objects=[CART, NAMESPACE])
async def test_objects_are_there_from_the_start(apiserver: FakeApiServer) -> None:
    assert apiserver.get("v1/configmaps", "shop/cart") is not None


@pytest.mark.apiserver(manifests=["manifests/widgets.yaml"])
async def test_manifests_are_found_beside_the_test(apiserver: FakeApiServer, kube_client: Client) -> None:
    assert [one.key async for one in kube_client.list("example.com/v1/widgets")] == ["default/left"]


@pytest.mark.apiserver(token="outer", history=10)
class TestMarks:
    @pytest.mark.apiserver(token="inner")
    async def test_a_closer_mark_wins_option_by_option(self, apiserver: FakeApiServer) -> None:
        assert apiserver.token == "inner"
        for number in range(12):
            apiserver.create("v1/configmaps", {"metadata": {"name": f"c{number}"}})
        with pytest.raises(ValueError, match="the history reaches from"):
            apiserver.rewind(apiserver.state.version - 11)


async def test_objects_of_a_list_are_taken_apart() -> None:
    server = MemoryApiServer()
    listed = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "a"}}]}
    assert server.add(listed, NAMESPACE) == ["v1/namespaces shop", "v1/configmaps default/a"]


async def test_an_object_that_a_server_refuses_is_named() -> None:
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Not Valid"}}
    with pytest.raises(ValueError, match=r"object 2: the server refuses it: .*Not Valid"):
        MemoryApiServer().add(NAMESPACE, bad)


# --- several ---------------------------------------------------------------------------------------------


async def test_several_servers_in_one_test(apiserver_factory: ApiServerFactory) -> None:
    plain = await apiserver_factory(objects=[NAMESPACE])
    secure = await apiserver_factory(tls=True, token="secret")
    memory = await apiserver_factory(memory=True)
    assert plain.get("v1/namespaces", "shop") is not None
    async with (
        kr.connect(kubeconfig=plain.kubeconfig()) as first,
        kr.connect(kubeconfig=secure.kubeconfig()) as second,
        kr.connect(memory.transport()) as third,
    ):
        for client in (first, second, third):
            await client.list("v1/pods")
    assert [server.requests.count(verb="list") for server in (plain, secure, memory)] == [1, 1, 1]


async def test_servers_of_a_factory_are_all_closed() -> None:
    factory = ApiServerFactory()
    plain, other = await factory(), await factory()
    await factory.close()
    for port in (plain.port, other.port):
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)
    await factory.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokn": "x"}, "takes no option 'tokn': did you mean 'token'"),
        ({"memory": True, "port": 1}, "no socket, and so takes no 'port'"),
    ],
)
async def test_options_that_no_server_takes_are_refused(
    apiserver_factory: ApiServerFactory, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        await apiserver_factory(**options)


async def test_a_server_that_cannot_start_is_left_behind_by_nothing(
    apiserver_factory: ApiServerFactory, tmp_path: Path
) -> None:
    taken = await apiserver_factory()
    with pytest.raises(OSError, match="in use"):
        await apiserver_factory(port=taken.port, journal=tmp_path / "journal")
    assert apiserver_factory.servers == [taken]
    await (await apiserver_factory(journal=tmp_path / "journal")).settled()


async def test_a_summary_is_short_and_says_what_was_missed() -> None:
    server = MemoryApiServer()
    server.faults.next("watch", "v1/pods").status(410)
    said = server.summary().splitlines()
    assert said[0] == f"{server.url}: 0 requests came"
    assert said[1:] == [
        "faults that no request has met:",
        "  next('watch', 'v1/pods').status(410)",
    ]
