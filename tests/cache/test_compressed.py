"""An object that is held compressed: whoever reads it can tell no difference, but for what it weighs."""

from __future__ import annotations

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import msgspec
import pytest

from kresilient.api.objects import KubeObject
from kresilient.cache.compressed import Codec, CompactObject, held_bytes, zstd
from kresilient.cache.store import same

pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def pods(count: int, **spec: Any) -> list[KubeObject]:
    random = Random(3)
    return [
        KubeObject.decode(
            msgspec.json.encode(
                {
                    "metadata": {
                        "name": f"web-{number}",
                        "namespace": "default",
                        "uid": f"{random.getrandbits(128):032x}",
                        "resourceVersion": str(1000 + number),
                        "labels": {"app": "web"},
                        "annotations": {"note": "ünïcode"},
                    },
                    "spec": {
                        "nodeName": f"node-{number % 7}",
                        "containers": [
                            {"name": f"c{n}", "image": f"example.com/{n}", "args": ["--verbose"] * 5}
                            for n in range(20)
                        ],
                        **spec,
                    },
                    "status": {"phase": "Running"},
                }
            ),
            kind="Pod",
            api_version="v1",
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.trained(pods(300))


def test_an_object_reads_the_same_and_is_much_smaller(codec: Codec) -> None:
    for plain in pods(20):
        packed = codec.pack(plain)
        assert isinstance(packed, CompactObject)
        assert 10 * held_bytes(packed) < held_bytes(plain) == len(plain.raw)
        assert packed.raw == plain.raw
        assert packed["spec"] == plain["spec"]
        assert packed.field("spec.containers[3].image") == "example.com/3"
        assert packed.annotations == {"note": "ünïcode"}
        assert packed.to_dict() == plain.to_dict()
        assert list(packed) == list(plain)
        assert repr(packed) == repr(plain)
        assert (packed.key, packed.uid, packed.labels) == (plain.key, plain.uid, plain.labels)


def test_equality_is_that_of_the_bytes_however_they_are_held(codec: Codec) -> None:
    one, other = pods(2)
    packed, elsewhere = codec.pack(one), Codec().pack(one)
    assert packed == one and one == packed and packed == elsewhere
    assert packed != other and other != packed and packed != codec.pack(other)
    assert len({one, packed, elsewhere}) == 1
    assert packed != one.raw


def test_what_tells_two_versions_apart_is_their_header_alone(codec: Codec) -> None:
    one, other = (codec.pack(obj) for obj in pods(2))
    unread = Unreadable(one)
    assert unread != other
    assert not same(unread, other)


def test_equal_objects_of_one_dictionary_are_equal_without_being_read(codec: Codec) -> None:
    one = pods(30)[29]
    first = codec.pack(one)
    for obj in pods(29):  # what it compressed meanwhile makes no difference
        codec.pack(obj)
    assert Unreadable(first) == Unreadable(codec.pack(one))


def Unreadable(obj: KubeObject) -> KubeObject:  # noqa: N802  # reads as the type that it stands for
    """*obj*, of which nothing but its header can be read."""
    assert isinstance(obj, CompactObject)

    class Raising(CompactObject, frozen=True, gc=False, eq=False, kw_only=True):
        @property
        def raw(self) -> bytes:  # type: ignore[override]
            raise AssertionError("it was decompressed")

    return Raising(KubeObject.__dict__["raw"].__get__(obj), obj.meta, codec=obj.codec)


def test_one_that_is_the_same_but_for_its_type_is_the_same(codec: Codec) -> None:
    listed = pods(1)[0]
    watched = KubeObject.decode(b'{"kind":"Pod","apiVersion":"v1",' + listed.raw[1:])
    assert same(codec.pack(listed), codec.pack(watched))
    assert codec.pack(listed) != codec.pack(watched)


def test_what_compression_makes_no_smaller_is_held_as_it_is(codec: Codec) -> None:
    noise = KubeObject.decode(b'{"metadata":{"name":"a"}}')
    assert Codec().pack(noise) is noise


def test_a_copy_needs_no_dictionary(codec: Codec) -> None:
    plain = pods(1)[0]
    packed = codec.pack(plain)
    for other in (pickle.loads(pickle.dumps(packed)), copy.deepcopy(packed)):
        assert type(other) is KubeObject
        assert other == plain
        assert (other.meta, other.kind) == (plain.meta, "Pod")


def test_the_object_that_was_read_last_is_not_decompressed_again(codec: Codec) -> None:
    one, other = (codec.pack(obj) for obj in pods(2))
    assert one.raw is one.raw
    assert other.raw is other.raw
    assert one.raw is not other.raw


def test_threads_read_at_once(codec: Codec) -> None:
    plain = pods(50)
    packed = [codec.pack(obj) for obj in plain]

    def reads(number: int) -> bool:
        order = [*range(50)] * 20
        Random(number).shuffle(order)
        return all(packed[at].raw == plain[at].raw for at in order)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(reads, range(4)))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_objects_make_no_dictionary_and_are_compressed_without(count: int) -> None:
    plain = pods(1)[0]
    packed = Codec.trained(pods(count)).pack(plain)
    assert isinstance(packed, CompactObject)
    assert packed.raw == plain.raw


def test_a_dictionary_is_trained_on_a_part_of_huge_objects(codec: Codec) -> None:
    huge = pods(300, blob="x" * 200_000)
    packed = Codec.trained(huge).pack(huge[7])
    assert packed.raw == huge[7].raw
    assert held_bytes(packed) < 1000


def test_zstd_has_what_is_used_of_it() -> None:
    module = zstd()
    assert module.decompress(module.compress(b"abc")) == b"abc"
