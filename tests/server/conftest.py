"""A server over HTTP, and kubectl to talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kresilient.testing.server import FakeApiServer

from .kubectl import Kubectl


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        yield server


@pytest.fixture
def kubectl(server: FakeApiServer, tmp_path: Path) -> Kubectl:
    return Kubectl(server, tmp_path)
