"""What the rounds of all clients stand on: a server as a cluster is, over TLS, with a token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

Blocking = Callable[[Callable[[], T]], Awaitable[T]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "real_clients":
            item.add_marker(pytest.mark.apiserver(tls=True, token="secret", strict_namespaces=True))


@pytest.fixture
def blocking() -> Blocking[T]:
    """Runs a round of a client that blocks, in a thread, for at most 30 s."""

    async def run(round_: Callable[[], T]) -> T:
        async with asyncio.timeout(30):
            return await asyncio.to_thread(round_)

    return run
