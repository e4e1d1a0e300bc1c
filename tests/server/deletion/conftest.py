from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from kresilient.testing.server import MemoryApiServer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    """A cluster, in which controllers run."""
    async with MemoryApiServer() as server:
        yield server


@pytest_asyncio.fixture
async def bare() -> AsyncIterator[MemoryApiServer]:
    """An API server alone."""
    async with MemoryApiServer(controllers=False, strict_namespaces=True) as server:
        yield server
