"""The contract suite: `pytest tests/contract --kubeconfig FILE` makes its claims of any cluster, `pytest
tests/contract` of the fake API server, over real HTTP. See docs/contract.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from pathlib import Path
from secrets import token_hex

import aiohttp
import pytest
import pytest_asyncio

from .api import Api, remove, remove_namespace
from .client import Client, collection
from .kubeconfig import Cluster, load_cluster
from .rights import AUTHORIZATION, may, review
from .widgets import DEFINITIONS, Widgets, definition, established

HERE = Path(__file__).parent
SELF_REVIEWS = f"{AUTHORIZATION}/selfsubjectaccessreviews"
NO_CLAIMS = ("test_recorded.py", "test_elsewhere.py", "test_sources.py")
"""Not made of a cluster: they start servers of their own, or read the suite itself."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract", "the contract suite")
    group.addoption("--kubeconfig", metavar="FILE", help="make the claims of the cluster of this kubeconfig")
    group.addoption("--kube-context", metavar="NAME", default="", help="a context of it, not the current one")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _kubeconfig(config):
        ours = [HERE / name for name in NO_CLAIMS]
        items[:] = [item for item in items if item.path not in ours]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Of the fake server every claim is made: one that is skipped has failed."""
    report = yield
    if report.skipped and item.path.parent == HERE and not _kubeconfig(item.config):
        report.outcome = "failed"
        report.longrepr = f"skipped, though the fake server is to have it all: {report.longreprtext}"
    return report


def _kubeconfig(config: pytest.Config) -> str | None:
    # Without this folder on the command line the option was never defined.
    path: str | None = config.getoption("kubeconfig", None)
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """The cluster that the claims are made of."""
    if path := _kubeconfig(request.config):
        yield load_cluster(path, request.config.getoption("kube_context"))
        return
    from kresilient.testing.server import FakeApiServer

    async with FakeApiServer(
        token="contract",
        authorization="rbac",
        sharding=True,
        strict_namespaces=True,
        controllers=[
            "garbage-collector",
            "namespace",
        ],  # and no kubelet: the nodes of the claims are not there
    ) as server:
        yield load_cluster(server.kubeconfig_file(tmp_path_factory.mktemp("contract") / "config"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    """Who the kubeconfig says we are, over one pool of connections."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), headers={"User-Agent": "contract/1.0"}
    ) as session:
        yield Client(session, cluster)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def namespace(client: Client) -> AsyncIterator[str]:
    """The one namespace of this run, with the service account that admission may ask for."""
    name = f"contract-{token_hex(4)}"
    (await client.post(collection("v1/namespaces"), {"metadata": {"name": name}})).ok(201)
    account = {"metadata": {"name": "default"}}
    await client.post(collection("v1/serviceaccounts", name), account)  # 409 where a controller was faster
    yield name
    await remove(client, f"{collection('v1/serviceaccounts', name)}/default")
    await remove_namespace(client, f"{collection('v1/namespaces')}/{name}")


@pytest_asyncio.fixture(loop_scope="session")
async def api(client: Client, namespace: str, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    """The client for one claim: what it makes is gone afterwards."""
    api = Api(client, namespace)
    yield api
    await api.clean()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def roles(client: Client, namespace: str) -> None:
    """Claims about roles need a server that evaluates them, and the right to act as others."""
    if await may(client, "a-stranger", verb="list", resource="pods", namespace=namespace):
        pytest.skip("the server evaluates no roles: a stranger may list pods")
    asked = {"verb": "impersonate", "resource": "users"}
    if not (await review(client, SELF_REVIEWS, resourceAttributes=asked))["allowed"]:
        pytest.skip("the credentials do not allow impersonation")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def group(client: Client, namespace: str) -> AsyncIterator[str]:
    """A group of this run alone, in which widgets are defined."""
    api = Api(client, namespace)
    name = f"{namespace}.example.com"
    (await api.post(collection(DEFINITIONS), definition(name))).ok(201)
    await established(client, f"widgets.{name}")
    yield name
    await api.clean()


@pytest.fixture
def widgets(api: Api, group: str) -> Widgets:
    return Widgets(api, group)
