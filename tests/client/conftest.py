from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kresilient.client import Client

from .cluster import Cluster


@pytest.fixture
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """A running server; `@pytest.mark.apiserver(...)` gives it options."""
    marker = request.node.get_closest_marker("apiserver")
    made = Cluster(**(marker.kwargs if marker is not None else {}))
    async with made.server:
        yield made


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    async with cluster.client() as client:
        yield client
