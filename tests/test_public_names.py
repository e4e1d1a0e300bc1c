"""The public face: every name loads, and importing the package loads next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kresilient


@pytest.mark.parametrize("name", kresilient.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(kresilient, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Connection"):
        kresilient.Connection  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("kresilient", "aiohttp msgspec structlog kubernetes_asyncio asyncio"),
        ("kresilient.testing.plugin", "aiohttp msgspec kubernetes_asyncio trustme"),
        ("kresilient.client", "kubernetes_asyncio yaml rich matplotlib trustme"),
        ("kresilient.transport.http", "kubernetes_asyncio yaml"),
        (
            "kresilient.connection, kresilient.transport.http, kresilient.transport.load",
            "kresilient.transport.kubeconfig kresilient.transport.exec_plugin kresilient.transport.oidc "
            "structlog yaml kresilient.adapters kresilient.testing kresilient.cli",
        ),
        ("kresilient.connection, kresilient.adapters.request_info", "kubernetes_asyncio"),
    ],
)
def test_importing_loads_only_what_it_needs(module: str, absent: str) -> None:
    program = f"import sys, {module}; print(' '.join(set({absent.split()!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(found.stdout.split())
    if module == "kresilient.testing.plugin":
        loaded -= {"asyncio"}
    assert not loaded
