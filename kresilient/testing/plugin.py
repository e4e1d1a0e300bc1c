"""The pytest plugin: the fixtures `apiserver`, `apiserver_factory`, `kube_client` and `client`.

It loads in every pytest run where kresilient is installed, so it imports nothing but pytest until a fixture
is used. The fixtures need pytest-asyncio, in either of its modes. A server runs on the event loop of the test
that uses it, whichever scope that loop has.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest

if TYPE_CHECKING:
    from kresilient import Client
    from kresilient.testing.factory import ApiServerFactory
    from kresilient.testing.server import FakeApiServer, MemoryApiServer

__all__ = ["apiserver", "apiserver_factory", "client", "kube_client"]

_LOOP_SCOPES: Final = ("function", "class", "module", "package", "session")
_factory_of: Final = pytest.StashKey["ApiServerFactory"]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "apiserver(**options): options of the server that the `apiserver` fixture starts, for example "
        'token="secret", tls=True, memory=True, objects=[…] or manifests=["crd.yaml"]; a closer mark wins',
    )
    if "pytest_asyncio.plugin" in sys.modules:
        config.pluginmanager.register(_loop_fixtures())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Let the report of a test that failed say what its servers saw."""
    factory = item.stash.get(_factory_of, None)
    if factory is None or call.when == "teardown" or call.excinfo is None:
        return
    if not call.excinfo.errisinstance(pytest.skip.Exception):
        said = [server.summary() for server in factory.servers]
        if item.get_closest_marker("looptime") and any(
            server.url.startswith("http") for server in factory.servers
        ):
            said.append(
                "virtual time does not wait for sockets: @pytest.mark.apiserver(memory=True) has none"
            )
        item.add_report_section(call.when, "apiserver", "\n\n".join(said))


# --- fixtures on the loop of the test --------------------------------------------------------------------


def _on_each_loop(
    make: Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Any]],
) -> Callable[[pytest.FixtureRequest], Any]:
    """*make* as five fixtures of pytest-asyncio, one for each scope that a loop can have; returns what gets
    the one on the loop of the test.

    A fixture of pytest-asyncio has its loop fixed when it is written, but a server that runs on another loop
    than its test would never answer.
    """
    _made_on_loops.append(make)

    def get(request: pytest.FixtureRequest) -> Any:
        return request.getfixturevalue(_name_on_loop(make, _loop_scope(request)))

    return get


_made_on_loops: Final[list[Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Any]]]] = []


def _name_on_loop(make: Callable[..., Any], scope: str) -> str:
    return f"_kresilient{make.__name__}_on_{scope}_loop"


def _loop_fixtures() -> ModuleType:
    """What `_on_each_loop` was given, as a plugin. pytest-asyncio must have been loaded by now, for pytest
    warns where another plugin imports it first."""
    import pytest_asyncio

    def on_loop(make: Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Any]]) -> Any:
        async def made(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
            async with make(request) as value:
                yield value

        return made

    plugin = ModuleType("kresilient.testing.loops")
    for make in _made_on_loops:
        for scope in _LOOP_SCOPES:
            name = _name_on_loop(make, scope)
            setattr(plugin, name, pytest_asyncio.fixture(loop_scope=scope, name=name)(on_loop(make)))
    return plugin


def _loop_scope(request: pytest.FixtureRequest) -> str:
    """The scope of the loop that the test runs on; fails the test where it runs on none."""
    item = request.node
    if "pytest_asyncio.plugin" not in sys.modules:
        _refuse(item, "pytest-asyncio: install it, and let pytest load it")
    from pytest_asyncio import is_async_test

    if not is_async_test(item):
        if inspect.iscoroutinefunction(getattr(item, "obj", None)):
            _refuse(
                item,
                "a test that pytest-asyncio runs, and this one it does not: mark it with "
                "@pytest.mark.asyncio, or set asyncio_mode = auto",
            )
        _refuse(
            item,
            "an `async def` test: a server answers while the event loop of its test runs. Call a "
            "blocking client with `await asyncio.to_thread(…)`",
        )
    marker = item.get_closest_marker("asyncio")
    said = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope") if marker is not None else None
    return str(said or item.config.getini("asyncio_default_test_loop_scope"))


def _refuse(item: Any, why: str) -> NoReturn:
    asked = next((name for name in getattr(item, "fixturenames", ()) if name in __all__), "apiserver")
    pytest.fail(f"the fixture {asked!r} needs {why}", pytrace=False)


# --- what they make --------------------------------------------------------------------------------------


@_on_each_loop
@asynccontextmanager
async def _get_factory(request: pytest.FixtureRequest) -> AsyncIterator[ApiServerFactory]:
    from kresilient.testing.factory import ApiServerFactory

    factory = ApiServerFactory(request.path.parent)
    request.node.stash[_factory_of] = factory
    try:
        yield factory
    finally:
        await factory.close()


@_on_each_loop
@asynccontextmanager
async def _get_server(request: pytest.FixtureRequest) -> AsyncIterator[FakeApiServer | MemoryApiServer]:
    factory: ApiServerFactory = request.getfixturevalue("apiserver_factory")
    options = _marked(request.node)
    try:
        server = await factory(**options)
    except (TypeError, ValueError, OSError) as error:
        pytest.fail(f"@pytest.mark.apiserver: {error}", pytrace=False)
    yield server


@_on_each_loop
@asynccontextmanager
async def _get_client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    import kresilient
    from kresilient.testing.server import MemoryApiServer

    server: FakeApiServer | MemoryApiServer = request.getfixturevalue("apiserver")
    if isinstance(server, MemoryApiServer):
        client = kresilient.connect(server.transport(), qps=None)
    else:
        client = kresilient.connect(kubeconfig=server.kubeconfig(), qps=None)
    async with client:
        yield client


def _marked(item: pytest.Item) -> dict[str, Any]:
    """The options in the marks of *item*, those of a closer mark in place of others'."""
    options: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("apiserver"))):
        if marker.args:
            pytest.fail(
                '@pytest.mark.apiserver takes options by name, such as token="secret", not '
                f"{', '.join(map(repr, marker.args))}",
                pytrace=False,
            )
        options |= marker.kwargs
    return options


# --- the fixtures ----------------------------------------------------------------------------------------


@pytest.fixture
def apiserver_factory(request: pytest.FixtureRequest) -> ApiServerFactory:
    """Starts API servers with options, several in one test; all are closed when it ends.

    `server = await apiserver_factory(tls=True, objects=[…])`
    """
    factory: ApiServerFactory = _get_factory(request)
    return factory


@pytest.fixture
def apiserver(request: pytest.FixtureRequest, apiserver_factory: ApiServerFactory) -> Any:
    """A fake API server that runs: over HTTP on a free port of 127.0.0.1, or with memory=True in memory.

    `@pytest.mark.apiserver(token="secret")` gives it options.
    """
    return _get_server(request)


@pytest.fixture
def kube_client(request: pytest.FixtureRequest, apiserver: Any) -> Client:
    """A kresilient client of `apiserver`, with the credentials that it takes, unpaced."""
    client: Client = _get_client(request)
    return client


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Any:
    """`kube_client` by a shorter name; where another plugin has a fixture `client`, it is that one."""
    try:
        return request.getfixturevalue("client")
    except pytest.FixtureLookupError as error:
        if error.argname != "client":
            raise
    return request.getfixturevalue("kube_client")
