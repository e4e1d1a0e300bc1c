"""The table: objects in key order, by namespace and by index, whatever comes and goes and whoever reads."""

from __future__ import annotations

import builtins
import itertools
import sys
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.api.errors import PoisonObject
from kresilient.api.objects import KubeObject
from kresilient.cache import store as store_module
from kresilient.cache.index import IndexSpec, parse_indexes
from kresilient.cache.store import Store, Table, differences

Failure = tuple[str, str, Exception]


def obj(name: str, namespace: str = "default", *, version: int = 1, **body: Any) -> KubeObject:
    meta = {"name": name, "namespace": namespace, "uid": f"u-{name}", "resourceVersion": str(version)}
    return KubeObject.from_dict({"metadata": meta, **body})


def table(index: IndexSpec = (), failures: list[Failure] | None = None) -> Table:
    reported = [] if failures is None else failures
    return Table(parse_indexes(index), lambda name, key, error: reported.append((name, key, error)))


def filled(*objects: KubeObject, index: IndexSpec = ()) -> Table:
    made = table(index)
    for one in objects:
        made.put(one.key, one)
    return made


# --- relists ---


@pytest.mark.parametrize("typed", [False, True])
def test_a_relist_holds_on_to_what_is_held_already(typed: bool) -> None:
    held = filled(obj("a"), obj("b"), obj("gone"))
    made = table()
    kind = {"kind": "Pod", "apiVersion": "v1"} if typed else {}
    for one in (obj("a", **kind), obj("b", version=2, **kind), obj("new", **kind)):
        made.adopt(one.key, one, held)
    assert made.objects["default/a"] is held.objects["default/a"]
    assert made.objects["default/b"].resource_version == "2"
    assert list(made.objects) == ["default/a", "default/b", "default/new"]


def test_a_relist_asks_no_extractor_again_of_what_has_not_changed() -> None:
    asked: list[tuple[str, str]] = []

    def node(one: KubeObject) -> list[str]:
        asked.append((one.name, one.resource_version))
        return [one["spec"]["node"]]

    held = filled(*(obj(name, spec={"node": "n1"}) for name in "ab"), index={"node": node})
    asked.clear()
    made = table({"node": node})
    for one in (
        obj("a", spec={"node": "n1"}),
        obj("b", spec={"node": "n2"}, version=2),
        obj("a", spec={"node": "n3"}, version=3),
        obj("a", spec={"node": "n1"}),
    ):
        made.adopt(one.key, one, held)
    assert asked == [("b", "2"), ("a", "3")]
    assert {value: made.by_index("node", value) for value in made.index_values("node")} == {
        "n1": ["default/a"],
        "n2": ["default/b"],
    }


def test_a_relist_asks_again_what_an_extractor_failed_at() -> None:
    failures: list[Failure] = []
    held, made = (
        table({"node": lambda one: one["spec"]}, []),
        table({"node": lambda one: one["spec"]}, failures),
    )
    for kept in (held, made):
        kept.adopt("default/a", obj("a"), held)
    assert [(name, key) for name, key, _ in failures] == [("node", "default/a")]


# --- order ---

steps = st.tuples(st.sampled_from(["put", "remove", "read"]), st.sampled_from("abc"), st.sampled_from("xyzw"))


@given(st.lists(steps, max_size=40))
def test_the_keys_are_in_order_whatever_comes_and_goes(script: list[tuple[str, str, str]]) -> None:
    made = table()
    for what, namespace, name in script:
        if what == "put":
            made.put(f"{namespace}/{name}", obj(name, namespace))
        elif what == "remove":
            made.remove(f"{namespace}/{name}")
        else:
            assert made.keys() == sorted(made.objects)
    assert made.keys() == sorted(made.objects)
    for namespace in "abc":
        assert made.keys(namespace) == [
            key for key in sorted(made.objects) if key.startswith(f"{namespace}/")
        ]


def test_the_list_of_keys_is_the_callers_own() -> None:
    made = filled(obj("a"), obj("b"))
    made.keys().clear()
    assert made.keys() == ["default/a", "default/b"]


def test_keys_sorted_by_a_thread_while_one_came_are_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = filled(obj("b"))

    def interrupted(keys: Iterable[str]) -> list[str]:
        ordered = builtins.sorted(keys)
        monkeypatch.undo()
        made.put("default/a", obj("a"))  # the loop's turn comes before the thread has stored what it sorted
        return ordered

    monkeypatch.setattr(store_module, "sorted", interrupted, raising=False)
    made.keys()
    assert made.keys() == ["default/a", "default/b"]
    made.remove("default/b")
    assert made.keys() == ["default/a"]


def test_threads_that_read_while_the_table_changes_see_keys_in_order() -> None:
    made = filled(*(obj(f"p{number:03}") for number in range(200)))
    over = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not over.is_set():
            try:
                keys = made.keys()
                if any(one >= other for one, other in itertools.pairwise(keys)):
                    wrong.append(keys)
            except Exception as error:
                wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    readers = [threading.Thread(target=read) for _ in range(2)]
    try:
        for reader in readers:
            reader.start()
        for turn in range(3000):
            name = f"p{turn * 7 % 200:03}"
            if made.remove(f"default/{name}") is None:
                made.put(f"default/{name}", obj(name))
    finally:
        over.set()
        for reader in readers:
            reader.join()
        sys.setswitchinterval(interval)
    assert wrong == []
    assert made.keys() == sorted(made.objects)


# --- indexes ---


def test_an_object_moves_from_bucket_to_bucket() -> None:
    made = filled(obj("a", spec={"nodeName": "n1"}), index=["spec.nodeName"])
    made.put("default/a", obj("a", version=2, spec={"nodeName": "n2"}))
    assert made.by_index("spec.nodeName", "n1") == []
    assert made.by_index("spec.nodeName", "n2") == ["default/a"]
    assert made.index_values("spec.nodeName") == ["n2"]


def test_a_removed_object_is_in_no_bucket() -> None:
    made = filled(*(obj(name, spec={"nodeName": "n1"}) for name in "ab"), index=["spec.nodeName"])
    made.remove("default/a")
    assert made.by_index("spec.nodeName", "n1") == ["default/b"]
    made.remove("default/b")
    assert made.index_values("spec.nodeName") == []


def test_the_keys_of_a_bucket_are_in_order() -> None:
    made = filled(*(obj(name, spec={"nodeName": "n1"}) for name in "hbeacdgf"), index=["spec.nodeName"])
    assert made.by_index("spec.nodeName", "n1") == [f"default/{name}" for name in "abcdefgh"]


def test_an_object_may_be_in_several_buckets_and_a_text_is_one_value() -> None:
    spec: IndexSpec = {
        "image": lambda one: [c["image"] for c in one["spec"]["containers"]],
        "name": lambda one: one.name,
    }
    made = filled(
        obj("ab", spec={"containers": [{"image": "i"}, {"image": "j"}, {"image": "i"}]}), index=spec
    )
    assert made.by_index("image", "i") == made.by_index("image", "j") == ["default/ab"]
    assert made.by_index("name", "ab") == ["default/ab"]
    assert made.by_index("name", "a") == []


def test_an_extractor_that_fails_is_reported_and_leaves_the_object_in_no_bucket_but_held() -> None:
    failures: list[Failure] = []
    made = table({"n": lambda one: [one["spec"]["n"]]}, failures)
    made.put("default/a", obj("a", spec={"n": 1}))
    made.put("default/a", obj("a", version=2))
    assert made.by_index("n", 1) == []
    assert made.objects["default/a"].resource_version == "2"
    ((name, key, error),) = failures
    assert (name, key, type(error)) == ("n", "default/a", KeyError)


# --- poison ---


@pytest.mark.parametrize("change", ["put", "remove"])
def test_a_good_state_or_a_delete_ends_a_quarantine(change: str) -> None:
    made = table()
    made.quarantined["default/a"] = PoisonObject("bad")
    if change == "put":
        made.put("default/a", obj("a"))
    else:
        made.remove("default/a")
    assert made.quarantined == {}


# --- from one table to the next ---


def test_a_swap_makes_the_new_table_the_state() -> None:
    store = Store({}, lambda *_: None)
    fresh = store.new_table()
    fresh.put("default/a", obj("a"))
    assert not store.synced and store.table.objects == {}
    store.swap(fresh, "7")
    assert (store.synced, store.version, store.table.keys()) == (True, "7", ["default/a"])


def test_differences_are_by_bytes_and_deletes_come_first() -> None:
    old = filled(obj("stays"), obj("goes"), obj("same-version", v=1))
    new = filled(obj("comes"), obj("same-version", v=2), obj("stays"))
    found = [(key, before is None, after is None) for key, before, after in filter(None, _all(old, new))]
    assert found == [
        ("default/goes", False, True),
        ("default/comes", True, False),
        ("default/same-version", False, False),
    ]


@pytest.mark.parametrize(
    "head", [b'{"kind":"Pod","apiVersion":"v1",', b'{ "apiVersion":"v1", "kind":"Pod", ']
)
def test_an_object_that_says_of_what_type_it_is_differs_from_none_that_does_not(head: bytes) -> None:
    body = b'"metadata":{"name":"a","namespace":"default","uid":"u","resourceVersion":"1"},"spec":{"v":1}}'
    watched, listed = KubeObject.decode(head + body), KubeObject.decode(b"{" + body, kind="Pod")
    assert _all(filled(watched), filled(listed)) == _all(filled(listed), filled(watched)) == []
    fresh = filled(listed)
    assert _all(filled(watched), fresh) == []
    assert fresh.objects["default/a"] is watched, "what subscribers were given stays"
    other = KubeObject.decode(b"{" + body.replace(b'"v":1', b'"v":2'))
    assert _all(filled(watched), filled(other)) == [("default/a", watched, other)]


def _all(old: Table, new: Table, pause_every: int = 1000) -> list[Any]:
    return list(differences(old, new, pause_every=pause_every))


def test_comparing_pauses_for_others_even_where_nothing_differs() -> None:
    one = filled(*(obj(name) for name in "abcdef"))
    other = filled(*(obj(name) for name in "abcdef"))
    assert _all(one, other, 2) == [None] * 6
