from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from kresilient.testing.server import MemoryApiServer


def now() -> float:
    """A wall clock that goes with virtual time."""
    return 1_795_000_000.0 + asyncio.get_running_loop().time()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    """A cluster, in which controllers run."""
    async with MemoryApiServer(now=now) as server:
        yield server


@pytest_asyncio.fixture
async def bare() -> AsyncIterator[MemoryApiServer]:
    """An API server alone."""
    async with MemoryApiServer(now=now, controllers=False, strict_namespaces=True) as server:
        yield server
