"""What the server fills in where an object of a built-in kind says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


def template(**spec: Any) -> dict[str, Any]:
    whole = {"containers": [{"name": "c", "image": "i:1"}], **spec}
    return {"metadata": {"labels": {"app": "c"}}, "spec": whole}


async def test_text_of_a_secret_is_kept_encoded(api: Api) -> None:
    """Recorded: 02 secret with stringData"""
    made = await api.create("v1/secrets", {"stringData": {"p": "q"}})
    assert (made["data"], made["type"], "stringData" in made) == ({"p": "cQ=="}, "Opaque", False)


async def test_a_time_keeps_its_microseconds(api: Api) -> None:
    """Recorded: 09 create a lease"""
    spec = {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.500000Z"}
    made = await api.create("coordination.k8s.io/v1/leases", {"spec": spec})
    assert made["spec"]["renewTime"] == "2026-01-01T00:00:00.500000Z"
