"""Which controllers run, and how they go on after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from kresilient.testing.server import MemoryApiServer

from .cluster import PODS, asked, bound, change, delete, owned, refused

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

HELD = {"finalizers": ["example.com/hold"]}
TEAM = "/api/v1/namespaces/team"


async def test_they_are_switched_on_by_name() -> None:
    async with MemoryApiServer(controllers=["garbage-collector"]) as server:
        first = server.create("v1/configmaps", {"metadata": {"name": "owner"}})
        owned(server, "child", first)
        bound(server)
        server.delete("v1/configmaps", "default/owner")
        server.delete("v1/pods", "default/p")
        assert list(server.objects("v1/configmaps")) == []
        assert list(server.objects("v1/pods")) == ["default/p"]


async def test_a_name_that_is_none_says_which_there_are() -> None:
    said = "no controller 'scheduler': there are garbage-collector, namespace, kubelet"
    with pytest.raises(ValueError, match=said):
        MemoryApiServer(controllers=["scheduler"])


async def test_a_server_that_comes_back_goes_on_where_it_was(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    async with MemoryApiServer(journal=journal, controllers=False) as alone:
        bound(alone)
        alone.create("v1/namespaces", {"metadata": {"name": "team"}})
        alone.create("v1/configmaps", {"metadata": {"name": "c", "namespace": "team", **HELD}})
        first = alone.create("v1/configmaps", {"metadata": {"name": "owner"}})
        owned(alone, "child", first)
        await delete(alone, f"{PODS}/p")
        await delete(alone, TEAM)
        alone.delete("v1/configmaps", "default/owner", propagation="Foreground")
    async with MemoryApiServer(journal=journal) as server:
        assert refused(await asked(server, f"{PODS}/p"))[0] == 404
        assert list(server.objects("v1/configmaps")) == ["team/c"]
        await change(server, f"{TEAM}/configmaps/c", {"metadata": {"finalizers": None}})
        assert server.get("v1/namespaces", "team") is None
