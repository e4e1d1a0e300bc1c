"""From construction to close: anywhere, before a loop, on a client handed in, several on one limiter."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, CoreV1Api

import kresilient
from kresilient.adapters.kubernetes_asyncio import ResilientApiClient, ResilientOptions
from kresilient.api.errors import ConfigError, LifecycleError
from kresilient.flow.budget import RetryBudget
from kresilient.flow.limiter import Limiter
from kresilient.flow.retry import RetryPolicy
from kresilient.observe.events import Admitted, Event, RetryDenied
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


def test_it_takes_all_that_connect_takes_but_what_names_a_cluster_or_concerns_informers() -> None:
    parameters = inspect.signature(kresilient.connect).parameters
    named = {name for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}
    cluster, informers = (
        {"server", "kubeconfig", "context", "namespace"},
        {"read_after_write", "start_jitter"},
    )
    elsewhere = cluster | informers | {"serve_stale_for"}
    taken = ResilientOptions.__optional_keys__
    assert taken | elsewhere == named | kresilient.ConnectOptions.__optional_keys__
    assert not taken & elsewhere


async def test_a_strict_one_refuses_the_third_list_of_everything_in_a_row(apiserver: FakeApiServer) -> None:
    async with ResilientApiClient(configuration_of(apiserver), strict=True) as api:
        with pytest.raises(kresilient.CostlyListRefused, match=r"test_life\.py:\d+ lists everything"):
            for _ in range(5):
                await CoreV1Api(api).list_pod_for_all_namespaces()
    assert apiserver.requests.total == 2


async def test_its_budget_bounds_its_repeats(apiserver: FakeApiServer) -> None:
    seen: list[Event] = []
    apiserver.faults.on("list", "v1/namespaces").status(503)
    none = RetryBudget(share=0, floor=0)
    async with ResilientApiClient(configuration_of(apiserver), budget=none, observers=[seen.append]) as api:
        with pytest.raises(ApiException):
            await CoreV1Api(api).list_namespace()
    assert apiserver.requests.total == 1
    assert any(isinstance(one, RetryDenied) for one in seen)


async def test_no_more_of_its_calls_are_under_way_than_it_was_told(apiserver: FakeApiServer) -> None:
    apiserver.faults.on("list", "v1/namespaces").delay(0.05)
    async with ResilientApiClient(configuration_of(apiserver), max_in_flight=1) as api:
        await asyncio.gather(*(CoreV1Api(api).list_namespace() for _ in range(3)))
    in_order = sorted(apiserver.requests, key=lambda one: one.start)
    assert all(one.began <= later.start for one, later in pairwise(in_order) if one.began is not None)
    assert all(one.began is not None for one in in_order)


@pytest.mark.apiserver(token="s3cret")
async def test_what_says_as_whom_replaces_what_the_configuration_says(apiserver: FakeApiServer) -> None:
    configuration = Configuration(host=apiserver.url)
    configuration.api_key = {"BearerToken": "Bearer old"}
    async with ResilientApiClient(configuration, token="s3cret", impersonate="jane") as api:
        await CoreV1Api(api).list_namespace()
    (record,) = apiserver.requests
    assert record.token == "s3cret"
    assert record.who is not None and record.who.name == "jane"


@pytest.mark.parametrize(
    "options", [{"user_agent": "agent/1.2"}, {"headers": {"user-agent": "agent/1.2"}, "user_agent": "other"}]
)
async def test_the_user_agent_is_what_the_options_say(
    apiserver: FakeApiServer, options: dict[str, Any]
) -> None:
    async with ResilientApiClient(configuration_of(apiserver), **options) as api:
        await CoreV1Api(api).list_namespace()
    assert [one.user_agent for one in apiserver.requests] == ["agent/1.2"]


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"kubeconfig": "/x"}, ConfigError, r"kubernetes_asyncio\.config.*client=kresilient\.connect\(kubec"),
        ({"server": "http://x"}, ConfigError, "its host"),
        ({"start_jitter": 30}, ConfigError, r"no start_jitter.*informers.*connect\(start_jitter=…\)"),
        ({"namespace": "n"}, ConfigError, "an argument of each call"),
        ({"qsp": 5}, TypeError, "no option 'qsp'; see ResilientOptions"),
        ({"qps": 0}, ConfigError, "qps must be a positive number"),
        ({"qps": "20"}, ConfigError, "qps must be a positive number"),
        ({"burst": 0}, ConfigError, "burst must be a whole number"),
        ({"max_in_flight": 0}, ConfigError, "max_in_flight must be"),
        ({"spread": -1}, ConfigError, "spread must be seconds"),
        ({"spread": "30"}, ConfigError, "spread must be seconds"),
        ({"strict": "yes"}, TypeError, "strict must be a bool, not str"),
        ({"budget": 0.1}, TypeError, "budget must be a RetryBudget, not float"),
        ({"retry": 5}, TypeError, "retry must be a RetryPolicy, not int"),
        ({"limiter": 20}, TypeError, "limiter must be a Limiter, not int"),
        ({"observers": print}, TypeError, "observers must be a list of functions"),
        ({"observers": ["print"]}, TypeError, "observers must be a list of functions"),
    ],
)
def test_a_wrong_option_is_refused_at_once(
    options: Mapping[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        ResilientApiClient(Configuration(host="http://127.0.0.1:1"), **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"qps": 20.0, "burst": 40}, "its own qps, burst: set that there"),
        ({"retry": RetryPolicy()}, "set that there"),
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
