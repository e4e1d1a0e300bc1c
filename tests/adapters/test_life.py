"""From construction to close: anywhere, before a loop, on a client handed in, several on one limiter."""

from __future__ import annotations

import asyncio
import copy

import aiohttp
import pytest
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api

import kresilient
from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.api.errors import ConfigError, LifecycleError
from kresilient.flow.limiter import Limiter
from kresilient.flow.retry import RetryPolicy
from kresilient.observe.events import Admitted, Event
from kresilient.testing.server import FakeApiServer

from .conftest import configuration_of


def test_it_is_made_before_any_loop_runs() -> None:
    api = ResilientApiClient(Configuration(host="http://127.0.0.1:1"))
    assert CoreV1Api(api).api_client is api


async def test_made_in_a_thread_without_a_loop_it_works_on_the_loop_that_uses_it(
    apiserver: FakeApiServer,
) -> None:
    api = await asyncio.to_thread(ResilientApiClient, configuration_of(apiserver))
    async with api:
        await CoreV1Api(api).list_namespace()


@pytest.mark.apiserver(token="s3cret", tls=True)
async def test_without_arguments_it_has_the_default_configuration(
    apiserver: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Configuration, "_default", None)
    await config.load_kube_config_from_dict(apiserver.kubeconfig())
    async with ResilientApiClient() as api:
        await CoreV1Api(api).list_namespace()
        assert api.configuration.host == apiserver.url


@pytest.mark.apiserver(token="s3cret", tls=True)
async def test_the_configuration_of_a_client_that_was_loaded_otherwise_serves_too(
    apiserver: FakeApiServer,
) -> None:
    async with (
        await config.new_client_from_config_dict(apiserver.kubeconfig()) as theirs,
        ResilientApiClient(theirs.configuration) as api,
    ):
        await CoreV1Api(api).list_namespace()


async def test_a_default_client_is_what_apis_without_one_make(
    apiserver: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Configuration, "_default", None)
    Configuration.set_default(configuration_of(apiserver))
    core = CoreV1Api()
    assert type(core.api_client) is ApiClient, "an API without a client is not paced: hand it one"
    await core.api_client.close()


async def test_closed_it_says_so_and_closes_again(apiserver: FakeApiServer) -> None:
    api = ResilientApiClient(configuration_of(apiserver))
    await CoreV1Api(api).list_namespace()
    await api.close()
    await api.close()
    with pytest.raises(LifecycleError, match="closed"):
        await CoreV1Api(api).list_namespace()


async def test_never_used_it_closes() -> None:
    await ResilientApiClient(Configuration(host="http://127.0.0.1:1")).close()


@pytest.mark.apiserver(token="s3cret", tls=True)
async def test_a_client_that_is_handed_in_is_used_and_left_open(
    apiserver: FakeApiServer, kube_client: kresilient.Client
) -> None:
    seen: list[Event] = []
    kube_client.observers.add(seen.append)
    async with ResilientApiClient(client=kube_client) as api:
        await CoreV1Api(api).list_namespace()
        assert api.configuration.host == apiserver.url
        assert copy.deepcopy(api.configuration).host == apiserver.url
    assert isinstance(seen[0], Admitted)
    await kube_client.list("v1/namespaces")


async def test_closing_it_ends_its_streams_and_leaves_the_clients(
    apiserver: FakeApiServer, kube_client: kresilient.Client
) -> None:
    api = ResilientApiClient(client=kube_client)
    raw = await CoreV1Api(api).list_namespaced_pod("default", watch=True, _preload_content=False)
    reading = asyncio.create_task(raw.content.readline())
    async with kube_client.informer("v1/configmaps") as maps:
        await maps.synced(10)
        await api.close()
        with pytest.raises(aiohttp.ClientError):
            await reading
        await apiserver.watchers("v1/pods", 0)
        assert apiserver.watch_count("v1/configmaps") == 1
    with pytest.raises(LifecycleError, match="closed"):
        await CoreV1Api(api).list_namespace()


async def test_a_client_that_is_not_open_is_its_owners_to_open(apiserver: FakeApiServer) -> None:
    client = kresilient.connect(server=apiserver.url)
    with pytest.raises(LifecycleError, match="not open"):
        await CoreV1Api(ResilientApiClient(client=client)).list_namespace()


async def test_several_share_one_limiter(apiserver: FakeApiServer) -> None:
    limiter = Limiter(0.001, burst=2)
    one, other = (ResilientApiClient(configuration_of(apiserver), limiter=limiter) for _ in range(2))
    async with one, other:
        await CoreV1Api(one).list_namespace()
        await CoreV1Api(other).list_namespace()
        third = asyncio.create_task(CoreV1Api(one).list_namespace())
        await asyncio.wait([third], timeout=0.2)
        assert not third.done()
        assert limiter.waiting == 1
        third.cancel()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"qps": 5.0}, "set them there"),
        ({"retry": RetryPolicy()}, "set them there"),
        ({"configuration": Configuration(host="http://127.0.0.1:1")}, "not both"),
    ],
)
async def test_options_that_a_client_has_are_set_there(
    kube_client: kresilient.Client, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        ResilientApiClient(client=kube_client, **options)


def test_reading_through_needs_a_client() -> None:
    with pytest.raises(ConfigError, match="client="):
        ResilientApiClient(Configuration(host="http://127.0.0.1:1"), read_through=True)


async def test_the_server_of_a_clients_configuration_is_fixed(kube_client: kresilient.Client) -> None:
    with pytest.raises(ConfigError, match="other server"):
        ResilientApiClient(client=kube_client).configuration.host = "http://elsewhere"
