"""`_request_timeout` in all its forms."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from kubernetes_asyncio.client import ApiException, ApiValueError, CoreV1Api

from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.adapters.kubernetes_asyncio.timeouts import Timeouts
from kresilient.flow.retry import RetryPolicy
from kresilient.testing.server import FakeApiServer

from .conftest import configuration_of

FORMS = [0.3, 0.3 + 0j.real, (5, 0.3), [5, 0.3], aiohttp.ClientTimeout(total=0.3)]


@pytest.mark.parametrize("given", FORMS)
async def test_a_hanging_server_is_left_after_the_time_that_was_given(
    apiserver: FakeApiServer, given: object
) -> None:
    apiserver.faults.on("list", "v1/namespaces").hang()
    once = RetryPolicy(attempts=1)
    async with ResilientApiClient(configuration_of(apiserver), retry=once) as api:
        with pytest.raises(asyncio.TimeoutError) as late:
            await CoreV1Api(api).list_namespace(_request_timeout=given)
        assert isinstance(late.value, aiohttp.ClientError)
        assert isinstance(late.value, aiohttp.SocketTimeoutError)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Timeouts()),
        (0, Timeouts()),
        (7, Timeouts(total=7)),
        (1.5, Timeouts(total=1.5)),
        ((3, 9), Timeouts(connect=3, read=9)),
        ((3, None), Timeouts(connect=3)),
        (aiohttp.ClientTimeout(), Timeouts()),
        (aiohttp.ClientTimeout(total=4, sock_connect=1, sock_read=2), Timeouts(4, 1, 2)),
    ],
)
def test_every_form_is_read(given: object, expected: Timeouts) -> None:
    assert Timeouts.of(given) == expected


@pytest.mark.parametrize("given", ["10", (1, 2, 3), {"total": 1}])
def test_what_is_none_of_them_is_refused(given: object) -> None:
    with pytest.raises(ApiValueError, match="_request_timeout"):
        Timeouts.of(given)


async def test_the_number_bounds_the_tries_and_the_last_failure_is_told(apiserver: FakeApiServer) -> None:
    apiserver.faults.on("list", "v1/namespaces").status(503)
    patient = RetryPolicy(attempts=100, base=0.2, cap=0.2)
    async with ResilientApiClient(configuration_of(apiserver), qps=None, retry=patient) as api:
        began = time.monotonic()
        with pytest.raises(ApiException) as failed:
            await CoreV1Api(api).list_namespace(_request_timeout=1)
        assert failed.value.status == 503
        assert failed.value.attempts > 1
        assert time.monotonic() - began < 1.1


async def test_the_number_bounds_the_wait_for_admission_too(apiserver: FakeApiServer) -> None:
    async with ResilientApiClient(configuration_of(apiserver), qps=0.01, burst=1) as api:
        await CoreV1Api(api).list_namespace()
        with pytest.raises(asyncio.TimeoutError):
            await CoreV1Api(api).list_namespace(_request_timeout=0.2)
    assert apiserver.requests.total == 1
