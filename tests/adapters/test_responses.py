"""A body as it arrives, read like an `aiohttp.StreamReader`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.adapters.kubernetes_asyncio import responses
from kresilient.adapters.kubernetes_asyncio.responses import ContentReader
from kresilient.api.errors import WireError


class Pieces:
    """A response whose body comes in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.closed = 0

    async def _chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            await asyncio.sleep(0)
            yield piece

    def chunks(self) -> AsyncIterator[bytes]:
        return self._chunks()

    async def close(self) -> None:
        self.closed += 1


def reader(*pieces: bytes) -> ContentReader:
    return ContentReader(response=Pieces(*pieces))


async def lines(content: ContentReader) -> list[bytes]:
    return [line async for line in content]


@given(st.binary(max_size=60), st.lists(st.integers(1, 20), min_size=1))
async def test_lines_are_the_same_however_they_are_cut(body: bytes, cuts: list[int]) -> None:
    pieces, rest = [], body
    for size in cuts * 60:
        if not rest:
            break
        pieces.append(rest[:size])
        rest = rest[size:]
    assert await lines(reader(*pieces)) == body.splitlines(keepends=True) if b"\r" not in body else True
    assert b"".join(await lines(reader(*pieces))) == body


async def test_a_line_without_an_end_is_the_last() -> None:
    assert await lines(reader(b"a\nb")) == [b"a\n", b"b"]
    content = reader()
    assert (await content.readline(), await content.readline(), content.at_eof()) == (b"", b"", True)


async def test_every_way_of_reading_leaves_the_rest() -> None:
    content = reader(b"abc", b"defg", b"hi;jk", b"lm")
    assert await content.read(2) == b"ab"
    assert await content.readany() == b"c"
    assert await content.readexactly(5) == b"defgh"
    assert await content.readuntil(b";") == b"i;"
    assert await content.read() == b"jklm"
    assert await content.read(0) == b""
    assert content.at_eof()


async def test_a_separator_may_be_cut_in_two() -> None:
    content = reader(b"a;", b"-b;-")
    assert [await content.readuntil(b";-"), await content.readuntil(b";-")] == [b"a;-", b"b;-"]


async def test_pieces_come_as_they_came_or_as_asked_for() -> None:
    assert [piece async for piece in reader(b"abc", b"de").iter_any()] == [b"abc", b"de"]
    assert [piece async for piece in reader(b"abc", b"de").iter_chunked(2)] == [b"ab", b"c", b"de"]


async def test_too_few_bytes_are_asyncios_error() -> None:
    with pytest.raises(asyncio.IncompleteReadError) as short:
        await reader(b"abc").readexactly(5)
    assert (short.value.partial, short.value.expected) == (b"abc", 5)


async def test_two_readers_at_once_are_told() -> None:
    content = reader(b"a")
    first = asyncio.create_task(content.readline())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one reader"):
        await content.readline()
    assert await first == b"a"


async def test_a_line_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MAX_BODY", 10)
    with pytest.raises(WireError, match="do not end"):
        await reader(*[b"x" * 6] * 9).readline()


class Arriving:
    """A response whose pieces come when the test says so. As in real ones, a cancelled read loses none."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.taken = asyncio.Event()

    def chunks(self) -> Arriving:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.pieces.get()
        self.taken.set()
        return piece

    async def close(self) -> None:
        pass


async def test_a_read_that_is_cancelled_in_the_middle_of_a_line_loses_nothing() -> None:
    response = Arriving()
    content = ContentReader(response=response)
    response.pieces.put_nowait(b"half a ")
    reading = asyncio.create_task(content.readline())
    await response.taken.wait()
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    response.pieces.put_nowait(b"line\nand")
    assert await content.readline() == b"half a line\n"


async def test_the_deadline_ends_a_read_and_the_body() -> None:
    content = ContentReader(response=Arriving(), deadline=asyncio.get_running_loop().time() + 0.01)
    with pytest.raises(TimeoutError):
        await content.readline()
    with pytest.raises(aiohttp.ClientConnectionError):
        await content.readline()


async def test_what_was_dropped_is_closed_and_over() -> None:
    response = Pieces(b"a\n", b"b\n")
    content = ContentReader(response=response)
    assert await content.readline() == b"a\n"
    content.drop()
    content.drop()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert response.closed == 1
    with pytest.raises(aiohttp.ClientConnectionError):
        await content.readline()
    assert not content.at_eof()
