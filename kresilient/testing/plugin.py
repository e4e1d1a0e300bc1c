"""The pytest plugin: the fixtures `apiserver` and `kube_client`.

It loads in every pytest run where kresilient is installed, so it imports nothing but pytest until a fixture
is used. The fixtures need pytest-asyncio.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kresilient import Client
    from kresilient.testing.server import FakeApiServer

__all__ = ["apiserver", "kube_client"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "apiserver(**options): options of the FakeApiServer that the `apiserver` fixture starts, "
        'for example token="secret", tls=True or history=10',
    )


def _async_fixture(function: Callable[..., AsyncIterator[Any]]) -> Any:
    """*function* as a fixture of pytest-asyncio, or one that says that it is missing."""
    if importlib.util.find_spec("pytest_asyncio") is not None:
        import pytest_asyncio

        return pytest_asyncio.fixture(function)

    def missing() -> None:
        pytest.fail(f"the fixture {function.__name__!r} needs pytest-asyncio: install it", pytrace=False)

    missing.__doc__ = function.__doc__
    return pytest.fixture(name=function.__name__)(missing)


@_async_fixture
async def apiserver(request: pytest.FixtureRequest) -> AsyncIterator[FakeApiServer]:
    """A running fake API server over HTTP on a free port of 127.0.0.1.

    `@pytest.mark.apiserver(token="secret")` gives it options.
    """
    from kresilient.testing.server import FakeApiServer

    marker = request.node.get_closest_marker("apiserver")
    server = FakeApiServer(**(marker.kwargs if marker is not None else {}))
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@_async_fixture
async def kube_client(apiserver: FakeApiServer) -> AsyncIterator[Client]:
    """A client of `apiserver`, with the credentials that it takes, unpaced."""
    import kresilient

    async with kresilient.connect(kubeconfig=apiserver.kubeconfig(), qps=None) as client:
        yield client
