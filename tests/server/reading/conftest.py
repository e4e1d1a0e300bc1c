from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kresilient.testing.server import MemoryApiServer


@pytest.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    async with MemoryApiServer() as server:
        yield server
