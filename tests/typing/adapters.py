"""Existing code, with its one changed line."""

from __future__ import annotations

from typing import Any, assert_type

from kubernetes_asyncio.client import ApiClient, V1Pod

import kresilient as kr
from kresilient.adapters.kubernetes_asyncio import AnswerFailed, ResilientApiClient, to_model


def client() -> ApiClient:
    ResilientApiClient(strict=True, budget=kr.RetryBudget(), max_in_flight=8, impersonate="jane")
    ResilientApiClient(start_jitter=30)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    return ResilientApiClient(qps=20, burst=40)


async def on_a_client(client: kr.Client) -> None:
    ResilientApiClient(client=client, read_through=True)


def models(pod: kr.KubeObject) -> None:
    assert_type(to_model(pod, V1Pod), V1Pod)
    assert_type(to_model(pod, "V1Pod"), Any)


def attempts(error: AnswerFailed) -> None:
    assert_type(error.attempts, int)
