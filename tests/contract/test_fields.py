"""The fields of built-in kinds: their types, their order, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


def template(**spec: Any) -> dict[str, Any]:
    whole = {"containers": [{"name": "c", "image": "i:1"}], **spec}
    return {"metadata": {"labels": {"app": "c"}}, "spec": whole}


async def test_fields_are_in_the_order_of_the_type(api: Api) -> None:
    """Recorded: 02 immutable configmap"""
    body = {"data": {"k": "v"}, "immutable": True, "metadata": {"name": api.name()}, "kind": "ConfigMap"}
    made = (await api.post(api.path(CONFIGMAPS), body)).ok(201)
    assert list(made) == ["kind", "apiVersion", "metadata", "immutable", "data"]


async def test_the_keys_of_a_map_are_in_order(api: Api) -> None:
    """Recorded: 03 JSON patch"""
    assert list((await api.configmap({"n": "1", "m": "2"}))["data"]) == ["m", "n"]
