"""Lists and watches of a share of the objects."""

from __future__ import annotations

from itertools import pairwise

import pytest

from .api import Api
from .client import names, seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


async def test_two_shards_are_the_whole(api: Api) -> None:
    """KEP-5866: sharded list and watch"""
    selector, made = await api.labelled(8)
    bounds = ["0x0000000000000000", "0x8000000000000000", "0x10000000000000000"]
    found: list[str] = []
    for start, end in pairwise(bounds):
        shard = f"shardRange(object.metadata.uid, '{start}', '{end}')"
        body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, shardSelector=shard)).ok(200)
        if "shardInfo" not in body["metadata"]:
            pytest.skip("the server does not shard: its gate is off")
        assert body["metadata"]["shardInfo"] == {"selector": shard}
        found += names(body)
    assert sorted(found) == [one["metadata"]["name"] for one in made]


async def test_a_shard_has_the_uids_whose_hash_is_in_its_range(api: Api) -> None:
    """KEP-5866: sharded list and watch"""
    selector, made = await api.labelled(8)
    shard = "shardRange(object.metadata.uid, '0x0000000000000000', '0x8000000000000000')"
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, shardSelector=shard)).ok(200)
    if "shardInfo" not in body["metadata"]:
        pytest.skip("the server does not shard: its gate is off")
    below = [one["metadata"]["name"] for one in made if fnv1a(one["metadata"]["uid"]) < 1 << 63]
    assert names(body) == below


def fnv1a(text: str) -> int:
    """The 64-bit FNV-1a hash."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value


async def test_a_shard_may_be_of_several_ranges(api: Api) -> None:
    """API concepts: shardSelector"""
    selector, made = await api.labelled(4)
    shard = (
        "shardRange(object.metadata.uid, '0x0000000000000000', '0x8000000000000000') || "
        "shardRange(object.metadata.uid, '0x8000000000000000', '0x10000000000000000')"
    )
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=selector, shardSelector=shard)).ok(200)
    if "shardInfo" not in body["metadata"]:
        pytest.skip("the server does not shard: its gate is off")
    assert names(body) == [one["metadata"]["name"] for one in made]


async def test_a_shard_is_watched(api: Api) -> None:
    """KEP-5866: sharded list and watch"""
    label = api.name()
    for _ in range(6):
        await api.configmap(labels={"app": label})
    shard = "shardRange(object.metadata.uid, '0x0000000000000000', '0x8000000000000000')"
    query = {"labelSelector": f"app={label}", "shardSelector": shard}
    listed = (await api.get(api.path(CONFIGMAPS), **query)).ok()
    if "shardInfo" not in listed["metadata"]:
        pytest.skip("the server does not shard: its gate is off")
    names = sorted(one["metadata"]["name"] for one in listed["items"])
    async with api.watch(api.path(CONFIGMAPS), **query) as watch:
        assert sorted([seen(await watch.next())[1] for _ in names]) == names
