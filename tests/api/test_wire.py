"""Lists and watch streams, cut from pieces of any size."""

from __future__ import annotations

import gc
import itertools
import json
import random
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.api.errors import NotAKubernetesAnswer, WireError
from kresilient.api.objects import KubeObject
from kresilient.api.wire import (
    Bookmark,
    Item,
    ListDecoder,
    ListMeta,
    Poison,
    WatchDecoder,
    WatchError,
    WatchEvent,
    WatchFrame,
)


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def pod(name: str, **extra: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "uid": f"u-{name}"}, **extra}


def pod_list(*items: bytes, version: str = "7", token: str = "") -> bytes:
    head = {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": version, "continue": token},
    }
    return compact(head)[:-1] + b',"items":[' + b",".join(items) + b"]}\n"


def read(body: bytes, cuts: list[int] | None = None) -> tuple[list[Item], ListMeta]:
    decoder = ListDecoder()
    items: list[Item] = []
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts or [])})
    for start, end in itertools.pairwise(edges):
        items += decoder.feed(body[start:end])
    last, meta = decoder.close()
    return items + last, meta


def keys(items: list[Item]) -> list[str]:
    return [item.key for item in items]


TRICKY = (
    pod("plain"),
    pod("braces", spec={"text": '}{][,"}\\"{', "deep": [{"metadata": {"name": "inner"}}] * 3}),
    pod("utf8", spec={"text": "ünïcödé 日本 🎉"}),
    pod("empty", spec={}, items=[{"items": [1]}]),
)


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_a_list_may_be_split_anywhere(cuts: list[int]) -> None:
    items, meta = read(pod_list(*map(compact, TRICKY), version="42", token="next"), cuts)
    assert [json.loads(item.raw) for item in items if isinstance(item, KubeObject)] == list(TRICKY)
    assert (meta.resource_version, meta.continue_token) == ("42", "next")


def test_items_of_a_built_in_list_take_kind_and_version_from_their_list() -> None:
    items, _ = read(pod_list(compact(pod("a"))))
    assert isinstance(items[0], KubeObject)
    assert (items[0].kind, items[0].api_version) == ("Pod", "v1")
    assert items[0].to_dict()["kind"] == "Pod"
    assert b"kind" not in items[0].raw


@given(st.lists(st.integers(0, 10_000), max_size=40))
def test_a_list_of_custom_resources_has_its_metadata_behind_the_items(cuts: list[int]) -> None:
    objects = [{"apiVersion": "e.com/v1", "kind": "Thing", **pod(f"t{i}")} for i in range(9)]
    body = compact(
        {
            "apiVersion": "e.com/v1",
            "items": objects,
            "kind": "ThingList",
            "metadata": {"resourceVersion": "9"},
        }
    )
    items, meta = read(body, cuts)
    assert keys(items) == [f"default/t{i}" for i in range(9)]
    assert meta.resource_version == "9"


def test_the_word_items_elsewhere_is_not_the_list() -> None:
    body = (
        b'{"kind":"PodList","metadata":{"annotations":{"a":"\\"items\\":["},"x":{"items":[1]},'
        b'"resourceVersion":"3"},"items":[' + compact(pod("a")) + b"]}"
    )
    items, meta = read(body)
    assert keys(items) == ["default/a"]
    assert meta.resource_version == "3"


@pytest.mark.parametrize("items", [b"[]", b"null", b"[ \n ]"])
def test_an_empty_list_is_a_list(items: bytes) -> None:
    assert read(b'{"kind":"PodList","metadata":{"resourceVersion":"5"},"items":%s}' % items) == (
        [],
        ListMeta(resource_version="5"),
    )


def test_a_list_written_with_white_space_is_read() -> None:
    body = json.dumps(
        {"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": list(TRICKY)}, indent=2
    )
    items, _ = read(body.encode(), [100, 200, 300])
    assert len(items) == len(TRICKY)
    assert all(isinstance(item, KubeObject) for item in items)


def test_items_that_begin_differently_are_all_found() -> None:
    items = [compact(pod(f"p{i}")) for i in range(50)]
    items[10] = b'{"spec":{},"metadata":{"name":"odd","namespace":"default"}}'
    items[20] = b'{ "metadata": {"name":"spaced","namespace":"default"} }'
    found, _ = read(pod_list(*items), [333, 777, 1111])
    assert len(found) == 50
    assert {"default/odd", "default/spaced"} <= set(keys(found))


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30), st.lists(st.integers(0, 60_000), max_size=20))
def test_items_of_any_sizes_are_all_found(sizes: list[int], cuts: list[int]) -> None:
    items = [pod(f"p{number}", spec={"text": "x" * size}) for number, size in enumerate(sizes)]
    found, _ = read(pod_list(*map(compact, items)), cuts)
    assert [json.loads(item.raw) for item in found if isinstance(item, KubeObject)] == items


@pytest.mark.parametrize(
    "poison",
    [
        b'{"metadata":{"name":"bad","namespace":"default","labels":7}}',
        b'{"metadata":{"name":"bad","namespace":"default"},"spec":{"x":\xff\xfe}}',
        b'{"metadata":{"name":"bad","namespace":"default"},"spec":{"x":"\xff\xfe"}}',
        b'{"metadata":{"name":"bad","namespace":"default"},"spec":{"x":nope}}',
        b'{"metadata":{"name":"bad","namespace":"default","uid":{}}}',
    ],
)
def test_a_poison_item_is_set_aside_under_its_key_and_the_rest_is_read(poison: bytes) -> None:
    items, _ = read(pod_list(compact(pod("a")), poison, compact(pod("b"))))
    assert keys(items) == ["default/a", "default/bad", "default/b"]
    assert [isinstance(item, Poison) for item in items] == [False, True, False]


def test_what_was_set_aside_keeps_nothing_of_the_list_it_was_read_from() -> None:
    poison = b'{"metadata":{"name":"bad","namespace":"default","labels":7}}'
    decoder = ListDecoder()
    items = [*decoder.feed(pod_list(compact(pod("a")), poison)), *decoder.close()[0]]
    (kept,) = (item for item in items if isinstance(item, Poison))
    list_read = weakref.ref(decoder)
    del decoder, items
    gc.collect()
    assert list_read() is None
    assert "an object does not decode: Expected `object" in str(kept.error)


def test_an_object_without_metadata_is_poison_without_a_key() -> None:
    items, _ = read(pod_list(b'{"spec":{}}', compact(pod("b")), b'{"metadata":{}}'))
    assert keys(items) == ["", "default/b", ""]


def test_an_object_of_20_megabytes_is_read_whole() -> None:
    big = compact(pod("big", spec={"text": "x" * 20_000_000, "list": [{"metadata": {"name": "i"}}] * 100}))
    body = pod_list(compact(pod("a")), big, compact(pod("b")))
    decoder, items = ListDecoder(), []
    for start in range(0, len(body), 1 << 16):
        items += decoder.feed(body[start : start + (1 << 16)])
    items += decoder.close()[0]
    assert keys(items) == ["default/a", "default/big", "default/b"]
    assert isinstance(items[1], KubeObject) and items[1].raw == big


def test_an_object_above_the_bound_is_an_error() -> None:
    decoder = ListDecoder(max_object_bytes=100_000)
    with pytest.raises(WireError, match="larger than 100000"):
        decoder.feed(pod_list(compact(pod("big", spec={"text": "x" * 300_000})))[:250_000])


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"", NotAKubernetesAnswer, "empty"),
        (b"  \n", NotAKubernetesAnswer, "empty"),
        (b"<html>login</html>", NotAKubernetesAnswer, "no JSON"),
        (b'{"kind":"Status","status":"Failure","code":500}', NotAKubernetesAnswer, "Status"),
        (b'{"kind":"Pod","metadata":{"name":"x"}}', NotAKubernetesAnswer, "Pod"),
        (b'{"kind":"Status","items":[]}', NotAKubernetesAnswer, "Status"),
        (b'{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[', WireError, "early"),
        (b'{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[]', WireError, "does not decode"),
        (pod_list(compact(pod("a")))[:-40], WireError, "early"),
        (pod_list(compact(pod("a"))) + b"junk", WireError, "does not decode"),
        (b'{"kind":"PodList","items":[7]}', WireError, "brace"),
        (b'{"kind":"Pod', WireError, "early"),
    ],
)
def test_a_body_that_is_no_whole_list_is_an_error_never_an_empty_list(
    body: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["kind", "items", "metadata", "spec", "x"]), inner, max_size=5)
    ),
    max_leaves=12,
)


def is_list(value: Any) -> bool:
    """Whether *value* is what a server may call a list, said without the decoder."""
    if not isinstance(value, dict) or not isinstance(value.get("items", False), list | None):
        return False
    kind, metadata = value.get("kind", ""), value.get("metadata", {})
    if not isinstance(kind, str) or not isinstance(metadata, dict):
        return False
    return kind.endswith("List") or "resourceVersion" in metadata


@given(json_values, st.lists(st.integers(0, 1000), max_size=5))
def test_arbitrary_json_is_no_list_unless_it_has_the_shape_of_one(value: Any, cuts: list[int]) -> None:
    if not is_list(value):
        with pytest.raises(WireError):
            read(compact(value), cuts)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_list(junk: bytes) -> None:
    try:
        value = json.loads(junk)
    except ValueError:
        value = None
    if not is_list(value):
        with pytest.raises(WireError):
            read(junk, [10, 50])


@pytest.mark.parametrize("metadata_first", [True, False])
def test_a_list_cut_short_anywhere_is_no_list(metadata_first: bool) -> None:
    body = pod_list(*map(compact, TRICKY[:3]), version="42", token="next").rstrip()
    if not metadata_first:
        body = compact(dict(reversed(json.loads(body).items())))
    assert len(read(body)[0]) == 3
    for end in range(len(body)):
        with pytest.raises(WireError):
            read(body[:end], [end // 2])


# --- watches ---


def frame(kind: str, obj: Any) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), compact(obj))


def frames(stream: bytes, cuts: list[int] | None = None) -> tuple[list[WatchFrame], WatchDecoder]:
    decoder = WatchDecoder()
    found: list[WatchFrame] = []
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts or [])})
    for start, end in itertools.pairwise(edges):
        found += decoder.feed(stream[start:end])
    return found, decoder


STREAM = b"".join(
    [
        frame("ADDED", {"kind": "Pod", "apiVersion": "v1", **TRICKY[1]}),
        b"\n  \n",
        frame("MODIFIED", {"kind": "Pod", "apiVersion": "v1", **TRICKY[2]}),
        frame("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "12"}}),
        frame("DELETED", {"kind": "Pod", "apiVersion": "v1", **TRICKY[0]}),
    ]
)


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_a_watch_may_be_split_anywhere_and_blank_lines_are_skipped(cuts: list[int]) -> None:
    found, decoder = frames(STREAM, cuts)
    assert [f.type if isinstance(f, WatchEvent) else f for f in found] == [
        "ADDED",
        "MODIFIED",
        Bookmark("12"),
        "DELETED",
    ]
    assert isinstance(found[1], WatchEvent)
    assert found[1].object["spec"] == TRICKY[2]["spec"]
    assert not decoder.cut


def test_a_frame_written_in_another_order_or_with_white_space_is_read() -> None:
    found, _ = frames(
        b'{ "object": %s, "type": "ADDED" }\n{"type":"ADDED","object":%s,"more":1}\n'
        % (compact(TRICKY[0]), compact(TRICKY[1]))
    )
    assert [json.loads(f.object.raw) for f in found if isinstance(f, WatchEvent)] == [TRICKY[0], TRICKY[1]]


def test_objects_of_a_kind_hold_the_names_of_their_kind_in_common() -> None:
    one, other = (
        frame.object
        for name in ("a", "b")
        for frame in WatchDecoder().feed(
            b'{"type":"ADDED","object":%s}\n'
            % compact({"kind": "Lamp", "apiVersion": "x.io/v1", **pod(name)})
        )
        if isinstance(frame, WatchEvent)
    )
    assert one.kind == "Lamp" and one.kind is other.kind
    assert one.api_version == "x.io/v1" and one.api_version is other.api_version
    listed = KubeObject.decode(compact({"kind": "Lamp", "apiVersion": "x.io/v1", **pod("c")}))
    assert listed.kind is one.kind and listed.api_version is one.api_version


def test_the_end_of_the_initial_events_is_told_from_a_plain_bookmark() -> None:
    meta = {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
    found, _ = frames(frame("BOOKMARK", {"kind": "Pod", "metadata": meta}))
    assert found == [Bookmark("9", initial_events_end=True)]


def test_an_error_event_carries_its_status() -> None:
    status = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"}
    found, _ = frames(frame("ERROR", status))
    assert isinstance(found[0], WatchError)
    assert (found[0].status.code, found[0].status.reason) == (410, "Expired")


@pytest.mark.parametrize(
    ("line", "key", "deleted"),
    [
        (b'{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"n","labels":[]}}}', "n/a", False),
        (b'{"type":"DELETED","object":{"metadata":{"name":"a","labels":[]}}}', "a", True),
        (b'{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"n"},"x":"\xff"}}', "n/a", False),
        (b'{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"n"},"x":nope}}', "n/a", False),
        (b'{"type":"ADDED","object":{}}', "", False),
        (b'{"type":"ADDED","object":null}', "", False),
        (b'{"type":"MODIFIED","object":{"metadata":', "", False),
    ],
)
def test_a_poison_event_is_set_aside_and_the_stream_goes_on(line: bytes, key: str, deleted: bool) -> None:
    found, _ = frames(line + b"\n" + frame("ADDED", TRICKY[0]))
    assert isinstance(found[0], Poison)
    assert (found[0].key, found[0].deleted) == (key, deleted)
    error = found[0].error
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)
    assert isinstance(found[1], WatchEvent)


@pytest.mark.parametrize(
    "junk", [b"<html>", b"event: ADDED", b'{"kind":"Status"}', b'{"type":"PARTY","object":{}}']
)
def test_a_line_that_is_no_frame_is_an_error_after_the_frames_before_it(junk: bytes) -> None:
    decoder, found = WatchDecoder(), []
    with pytest.raises(WireError, match="not a watch frame"):
        for one in decoder.feed(frame("ADDED", TRICKY[0]) + junk + b"\n"):
            found.append(one)  # the generator raises in between
    assert len(found) == 1


def test_an_event_holds_its_object_as_it_came_and_nothing_of_its_frame() -> None:
    objects = [compact({"kind": "Pod", "apiVersion": "v1", **pod(name)}) for name in ("a", "b")]
    found, _ = frames(b"".join(b'{"type":"ADDED","object":%s}\n' % obj for obj in objects))
    assert [one.object.raw for one in found if isinstance(one, WatchEvent)] == objects


@pytest.mark.parametrize(
    "object_",
    [b'{"metadata":{"name":"a"}},"object":{"metadata":{"name":"b"}}', b'{"metadata":{"name":"a"}}} {}'],
)
def test_a_frame_is_no_event_where_more_than_one_object_stands_in_it(object_: bytes) -> None:
    found, _ = frames(b'{"type":"ADDED","object":%s}\n' % object_)
    assert not any(isinstance(one, WatchEvent) and one.object.name == "a" for one in found)


def test_a_stream_that_ends_within_a_frame_says_so() -> None:
    found, decoder = frames(STREAM + b'{"type":"ADDED","obj')
    assert len(found) == 4
    assert decoder.cut


def test_a_frame_of_20_megabytes_is_read_and_one_above_the_bound_is_an_error() -> None:
    big = frame("ADDED", pod("big", spec={"text": "x" * 20_000_000}))
    found, _ = frames(big, [random.Random(1).randrange(len(big)) for _ in range(300)])
    assert isinstance(found[0], WatchEvent) and len(found[0].object.raw) > 20_000_000
    decoder = WatchDecoder(max_object_bytes=1000)
    with pytest.raises(WireError, match="larger than 1000"):
        list(decoder.feed(b"x" * 2000))
