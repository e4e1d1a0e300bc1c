"""Read, modify, write, and again where somebody else was faster."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState

from ..api.errors import AlreadyExists, ConfigError, Conflict

__all__ = ["retry_on_conflict"]

T = TypeVar("T")


async def retry_on_conflict(
    fn: Callable[[], Awaitable[T]],
    *,
    attempts: int = 5,
    base: float = 0.01,
    cap: float = 1.0,
    random: Callable[[], float] = _random.random,
) -> T:
    """Call `fn()` until it ends without a `Conflict`; return its result.

    *fn* reads the object afresh, changes it and writes it with the resource version it was read at. It must
    read from the server, or from a cache that has the conflicting write: the same stale object would only
    conflict again. `AlreadyExists` is no conflict of this kind.

    Args:
        attempts: calls in all.
        base: seconds of the first wait, doubled each time up to *cap*, with as much again of jitter.
        random: uniform in [0, 1).

    Raises the last `Conflict`, with the number of calls in `attempts` and the seconds in `elapsed`, and
    whatever else *fn* raises, at once. Each call of *fn* is admitted and retried as its requests are.
    Cancelled: the running call or wait is.

        async def scale_up() -> None:
            deployment = (await client.get("apps/v1/deployments", key)).to_dict()
            deployment["spec"]["replicas"] += 1
            await client.update("apps/v1/deployments", deployment)

        await kr.retry_on_conflict(scale_up)
    """
    if attempts < 1 or not 0 <= base <= cap:
        raise ConfigError(
            f"retry_on_conflict needs attempts >= 1 and 0 <= base <= cap; got {attempts}, {base}, {cap}"
        )
    clock = asyncio.get_running_loop().time
    started = clock()

    def conflicted(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        return isinstance(error, Conflict) and not isinstance(error, AlreadyExists)

    def wait(state: RetryCallState) -> float:
        return min(cap, base * 2.0 ** min(state.attempt_number - 1, 32)) * (1.0 + random())

    tries = 0

    async def once() -> T:
        nonlocal tries
        tries += 1
        return await fn()

    controller = AsyncRetrying(
        sleep=asyncio.sleep,
        stop=lambda state: state.attempt_number >= attempts,
        wait=wait,
        retry=conflicted,
        reraise=True,
    )
    try:
        return await controller(once)
    except Conflict as error:
        error.attempts, error.elapsed = tries, clock() - started
        raise
