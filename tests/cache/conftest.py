from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from .world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    async with made.server, made.client:
        yield made


@pytest.fixture
def make_world() -> Callable[..., World]:
    return World
