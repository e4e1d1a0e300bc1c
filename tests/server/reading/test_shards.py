"""Shard selectors (KEP-5866)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.selectors import ShardQuery
from kresilient.testing.server.selectors.shards import fnv1a_64
from kresilient.testing.server.statuses import Refused

from .asking import CONFIGMAPS, ask, names, refusal, shown, watching

FIRST = "0x0000000000000000"
MIDDLE = "0x8000000000000000"
LAST = "0x10000000000000000"

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


def shard(start: str, end: str, field: str = "uid") -> str:
    return f"shardRange(object.metadata.{field}, '{start}', '{end}')"


@pytest.mark.parametrize(
    ("uid", "in_the_lower_half"),
    [
        ("1527c55d-85d2-4f15-a9f7-1930174db4fc", True),
        ("5ccfaed8-98ec-472f-8f7f-7e4330fc9a80", False),
        ("4877f9a8-e112-4e55-8a9e-209d12a0ce1b", True),
        ("abcba327-9d23-4046-a2bc-f27b4a6d3ac7", False),
    ],
)
async def test_the_hash_is_that_of_the_recorded_server(uid: str, in_the_lower_half: bool) -> None:
    assert (fnv1a_64(uid) < 1 << 63) is in_the_lower_half


async def test_the_start_is_in_a_range_and_the_end_is_not() -> None:
    class At:
        uid = "1527c55d-85d2-4f15-a9f7-1930174db4fc"
        namespace = ""

    at = fnv1a_64(At.uid)
    assert ShardQuery.parse(shard(f"0x{at:016x}", LAST)).matches(At())
    assert not ShardQuery.parse(shard(FIRST, f"0x{at:016x}")).matches(At())


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (" ", "empty shard selector is not allowed; omit the parameter for unfiltered lists"),
        (
            shard("0x0", MIDDLE),
            f'hexStart must be a 0x-prefixed 16-digit hex value, got "0x0" (did you mean "{FIRST}"?)',
        ),
        (shard("0", MIDDLE), "hexStart must have '0x' prefix, got \"0\""),
        (shard(FIRST, "0x"), "hexEnd: hex value is required after '0x'"),
        (shard("0x000000000000000g", MIDDLE), 'hexStart: invalid hex character "g" in "0x000000000000000g"'),
        (
            shard(FIRST, "0x20000000000000000"),
            "hexEnd: 17-digit hex value must be '0x10000000000000000' (2^64), got \"0x20000000000000000\"",
        ),
        (
            shard("0x000000000000000000", MIDDLE),
            'hexStart: hex value too long (18 chars, max 17): "000000000000000000"',
        ),
        (shard(MIDDLE, MIDDLE), f"shard range start {MIDDLE} must be less than end {MIDDLE}"),
        (
            shard(FIRST, MIDDLE, "name"),
            'unsupported field path "object.metadata.name"; supported: object.metadata.uid, '
            "object.metadata.namespace",
        ),
        (
            f"{shard(FIRST, MIDDLE)} || {shard(MIDDLE, LAST, 'namespace')}",
            'all shard ranges must use the same field, got "object.metadata.uid" and '
            '"object.metadata.namespace"',
        ),
        (
            f"{shard(FIRST, MIDDLE)} && {shard(MIDDLE, LAST)}",
            'unsupported function "_&&_"; only shardRange() and || are allowed',
        ),
        ("other(a)", 'unsupported function "other"; only shardRange() and || are allowed'),
        ("shardRange(object.metadata.uid, '0x0')", "shardRange() requires exactly 3 arguments, got 2"),
        ("object", "unexpected expression kind 3; expected shardRange() call or || operator"),
        (
            "shardRange(object.metadata.uid, 0, 8)",
            "hexStart must be a string literal, got int64",
        ),
        (
            "shardRange(object.metadata.uid, hex(0), '0x8')",
            "hexStart must be a string literal (e.g. '0xff'), got expression kind 1",
        ),
        (
            "shardRange('a', '0x0', '0x8')",
            "shardRange() first argument: expected field path (e.g. object.metadata.uid), "
            "got expression kind 5",
        ),
    ],
)
async def test_a_selector_that_is_none_is_refused(selector: str, message: str) -> None:
    with pytest.raises(Refused) as refused:
        ShardQuery.parse(selector)
    assert (refused.value.code, refused.value.message) == (400, f"invalid shard selector: {message}")


@pytest.mark.parametrize("selector", ["shardRange(", "a ||", "'a", "shardRange(a b)", "[1]"])
async def test_what_is_no_expression_is_refused(selector: str) -> None:
    with pytest.raises(Refused, match="CEL parse error: Syntax error"):
        ShardQuery.parse(selector)


async def test_the_shards_of_a_list_are_disjoint_and_make_it_up() -> None:
    async with MemoryApiServer(sharding=True) as server:
        for index in range(40):
            server.create("v1/configmaps", {"metadata": {"name": f"c{index:02}"}})
        quarter = [FIRST, "0x4000000000000000", MIDDLE, LAST]
        found: list[str] = []
        for start, end in pairwise(quarter):
            _, body = await ask(server, CONFIGMAPS, shardSelector=shard(start, end))
            assert list(body["metadata"]) == ["resourceVersion", "shardInfo"]
            assert body["metadata"]["shardInfo"] == {"selector": shard(start, end)}
            found += names(body)
        assert sorted(found) == sorted(f"c{index:02}" for index in range(40))
        joined = f"{shard(FIRST, MIDDLE)}||{shard(MIDDLE, LAST)}"
        _, body = await ask(server, CONFIGMAPS, shardSelector=joined)
        assert len(body["items"]) == 40
        assert body["metadata"]["shardInfo"]["selector"] == joined.replace("||", " || ")


async def test_a_page_of_a_shard_does_not_count_what_remains() -> None:
    async with MemoryApiServer(sharding=True) as server:
        for index in range(9):
            server.create("v1/configmaps", {"metadata": {"name": f"c{index}"}})
        _, body = await ask(server, CONFIGMAPS, shardSelector=shard(FIRST, LAST), limit=2)
        assert list(body["metadata"]) == ["resourceVersion", "continue", "shardInfo"]


async def test_a_watch_of_a_shard_sees_its_objects_alone() -> None:
    async with MemoryApiServer(sharding=True) as server:
        version = server.state.version
        halves = [shard(FIRST, MIDDLE), shard(MIDDLE, LAST)]
        made = [server.create("v1/configmaps", {"metadata": {"name": f"c{index}"}}) for index in range(20)]
        for half, low in zip(halves, (True, False), strict=True):
            mine = [
                one["metadata"]["name"] for one in made if (fnv1a_64(one["metadata"]["uid"]) < 1 << 63) is low
            ]
            async with watching(server, CONFIGMAPS, resourceVersion=version, shardSelector=half) as watch:
                seen = await watch.events(len(mine))
                assert [shown(event) for event in seen] == [f"ADDED {name}" for name in mine]
                assert await watch.silent(1.0)


async def test_all_objects_of_a_namespace_are_in_one_shard() -> None:
    async with MemoryApiServer(sharding=True) as server:
        for namespace in ("a", "b", "c", "d"):
            for name in ("x", "y"):
                server.create("v1/configmaps", {"metadata": {"name": name, "namespace": namespace}})
        half = shard(FIRST, MIDDLE, "namespace")
        _, body = await ask(server, "/api/v1/configmaps", shardSelector=half)
        assert {item["metadata"]["namespace"] for item in body["items"]} == {
            one for one in "abcd" if fnv1a_64(one) < 1 << 63
        }


async def test_without_the_feature_the_parameter_is_ignored(server: MemoryApiServer) -> None:
    server.create("v1/configmaps", {"metadata": {"name": "a"}})
    _, body = await ask(server, CONFIGMAPS, shardSelector="nonsense")
    assert names(body) == ["a"]
    assert "shardInfo" not in body["metadata"]


async def test_a_bad_selector_is_refused_over_the_api() -> None:
    async with MemoryApiServer(sharding=True) as server:
        assert await refusal(server, CONFIGMAPS, shardSelector="x()") == (
            400,
            "BadRequest",
            'invalid shard selector: unsupported function "x"; only shardRange() and || are allowed',
        )
