"""A fake API server over a socket, and existing code's client of it whose every request is observed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kubernetes_asyncio.client import Configuration

from kresilient.adapters.kubernetes_asyncio import ResilientApiClient
from kresilient.flow.retry import RetryPolicy
from kresilient.observe.events import Admitted, Event
from kresilient.testing.server import FakeApiServer

QUICK = RetryPolicy(base=0.01, cap=0.05)
"""Waits only briefly after a failure."""

MakeClient = Callable[..., ResilientApiClient]


def configuration_of(server: FakeApiServer) -> Configuration:
    """What `load_kube_config` would make of the server's kubeconfig."""
    configuration = Configuration(host=server.url)
    if server.token is not None:
        configuration.api_key = {"BearerToken": f"Bearer {server.token}"}
    return configuration


def pod(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
    }


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def widget_definition() -> dict[str, Any]:
    """A definition of custom resources, `example.com/v1/widgets`."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [version],
        },
    }


def widget(name: str, size: int) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"size": size},
    }


@pytest.fixture
def seen() -> list[Event]:
    """What was observed of `api`."""
    return []


@pytest.fixture
async def api(apiserver: FakeApiServer, seen: list[Event]) -> AsyncIterator[ResilientApiClient]:
    """The client that a test of existing code is given, unpaced.

    In every such test, what the server received is what the door let pass, request by request.
    """
    configuration = configuration_of(apiserver)
    options = {"qps": None, "retry": QUICK, "spread": 0.05, "observers": [seen.append]}
    async with ResilientApiClient(configuration, **options) as api:
        yield api
    admitted = [(one.verb, one.resource) for one in seen if isinstance(one, Admitted)]
    received = [(one.verb, full_resource(one)) for one in apiserver.requests]
    assert sorted(received) == sorted(admitted)


def full_resource(record: Any) -> str:
    """What the server took a request to be about, as the door names it: `""` for no resource."""
    if record.resource.startswith("/"):
        return ""
    return f"{record.resource}/{record.subresource}" if record.subresource else record.resource
