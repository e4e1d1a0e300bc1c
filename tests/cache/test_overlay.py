"""The overlay by itself: one store, its base, and own writes over it."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.api.errors import PoisonObject
from kresilient.api.objects import KubeObject
from kresilient.cache.overlay import Change, Overlay
from kresilient.cache.store import Store

KEY = "default/a"


def obj(version: int | str, uid: str = "u1", **labels: str) -> KubeObject:
    meta: dict[str, Any] = {"name": "a", "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    return KubeObject.from_dict({"metadata": {**meta, "labels": labels}})


class Cache:
    """A store that has synced at a version, and its overlay."""

    def __init__(self, version: str = "10", *held: KubeObject) -> None:
        self.store = Store({"label": lambda one: one.labels.values()}, lambda *_: None)
        self.overlay = Overlay(self.store)
        self.list(version, *held)

    def list(self, version: str, *held: KubeObject, consistent: bool = False) -> None:
        self.overlay.begin_list(consistent=consistent)
        self.swap(version, *held)

    def swap(self, version: str, *held: KubeObject, rewind: bool = False) -> None:
        table = self.store.new_table()
        for one in held:
            table.put(one.key, one)
        if rewind:
            self.overlay.forget()
        else:
            self.overlay.rebase(table, version)
        self.store.swap(table, version)

    def put(self, one: KubeObject) -> list[Change]:
        """An ADDED or MODIFIED event."""
        return self._event(self.overlay.put(one.key, one), one.resource_version)

    def remove(self, version: int, uid: str = "u1") -> list[Change]:
        """A DELETED event."""
        return self._event(self.overlay.remove(KEY, uid, str(version)), str(version))

    def bookmark(self, version: str) -> list[Change]:
        return self._event(None, version)

    def wrote(self, one: KubeObject) -> Change | None:
        return self.overlay.wrote(one.key, one.uid, one.resource_version, one)

    def _event(self, change: Change | None, version: str) -> list[Change]:
        self.store.version = version
        return [*([change] if change is not None else []), *self.overlay.advance(version)]

    @property
    def shown(self) -> str | None:
        """The version that readers see under the key."""
        held = self.store.table.objects.get(KEY)
        return None if held is None else held.resource_version


def test_a_write_is_shown_at_once_and_its_echo_changes_nothing() -> None:
    cache = Cache("10", obj(5))
    change = cache.wrote(obj(12, colour="red"))
    assert change is not None
    assert (change.before, change.after) == (obj(5), obj(12, colour="red"))
    assert cache.store.table.by_index("label", "red") == [KEY]
    assert cache.overlay.base(KEY) == obj(5)
    assert cache.put(obj(12, colour="red")) == []
    assert (cache.shown, cache.overlay.pending) == ("12", 0)


@pytest.mark.parametrize("version", ["10", "7", "", "opaque"])
def test_a_write_that_the_base_has_reached_or_that_does_not_compare_changes_nothing(version: str) -> None:
    cache = Cache("10", obj(5))
    assert cache.wrote(obj(version)) is None
    assert (cache.shown, cache.overlay.pending) == ("5", 0)


def test_of_two_writes_the_later_one_is_shown_whatever_the_order_of_their_answers() -> None:
    cache = Cache("10", obj(5))
    cache.wrote(obj(13))
    assert cache.wrote(obj(12)) is None
    assert cache.shown == "13"
    assert cache.put(obj(12)) == [], "the first echo is older than what is shown"
    assert cache.shown == "13"
    assert cache.put(obj(13)) == []


def test_a_foreign_write_before_ours_is_older_than_what_is_shown_and_one_after_it_is_shown() -> None:
    cache = Cache("10", obj(5))
    cache.wrote(obj(12))
    assert cache.put(obj(11)) == []
    assert (cache.shown, cache.overlay.base(KEY)) == ("12", obj(11))
    cache.put(obj(12))
    (change,) = cache.put(obj(14))
    assert change.after == obj(14)
    assert cache.shown == "14"


def test_a_foreign_write_after_ours_is_shown_even_where_our_echo_was_merged_into_it() -> None:
    cache = Cache("10", obj(5))
    cache.wrote(obj(12))
    assert [change.after for change in cache.put(obj(14))] == [obj(14)]
    assert cache.overlay.pending == 0


def test_a_write_outside_of_the_selector_hides_the_object_until_the_watch_says_so() -> None:
    cache = Cache("10", obj(5))
    change = cache.overlay.wrote(KEY, "u1", "12", None)
    assert change == Change(KEY, obj(5), None)
    assert cache.put(obj(11)) == [], "an older state does not bring it back"
    assert cache.shown is None
    assert cache.remove(12) == []
    assert [one.after for one in cache.put(obj(15))] == [obj(15)], "somebody selected it again"


def test_a_write_that_leaves_and_returns_shows_the_last_one() -> None:
    cache = Cache("10", obj(5))
    cache.overlay.wrote(KEY, "u1", "12", None)
    cache.wrote(obj(13))
    assert cache.shown == "13"
    assert cache.remove(12) == [], "the DELETED of the write that left"
    assert cache.shown == "13"
    assert cache.put(obj(13)) == []


def test_what_the_server_never_selected_goes_once_the_watch_has_passed_its_version() -> None:
    cache = Cache("10")
    cache.wrote(obj(12))
    assert cache.bookmark("11") == []
    assert cache.bookmark("12") == [Change(KEY, obj(12), None)]
    assert (cache.shown, cache.overlay.pending) == (None, 0)


def test_a_deleted_uid_stays_deleted_through_late_events_until_its_end() -> None:
    cache = Cache("10", obj(5))
    assert cache.overlay.deleted(KEY, "u1") == Change(KEY, obj(5), None)
    assert cache.put(obj(11)) == []
    assert cache.shown is None
    assert cache.wrote(obj(13)) is None, "the late answer of an update before the delete"
    assert cache.shown is None
    assert cache.remove(14) == []
    assert (cache.shown, cache.overlay.pending) == (None, 0)


def test_a_deleted_uid_stays_deleted_through_a_list_that_still_has_it() -> None:
    cache = Cache("10", obj(5))
    cache.overlay.deleted(KEY, "u1", "12")
    cache.list("11", obj(11))
    assert (cache.shown, cache.overlay.pending) == (None, 1)
    cache.list("20")
    assert (cache.shown, cache.overlay.pending) == (None, 0)


def test_a_stale_list_that_was_made_before_the_object_does_not_confirm_its_delete() -> None:
    cache = Cache("10", obj(5))
    cache.overlay.deleted(KEY, "u1", "12")
    cache.list("11")
    assert cache.put(obj(12)) == [], "the object appears to the lagging watch only now"
    assert cache.shown is None


def test_a_delete_of_unknown_version_is_confirmed_by_a_consistent_list_that_was_begun_later() -> None:
    cache = Cache("10")
    cache.overlay.begin_list(consistent=True)
    cache.overlay.deleted(KEY, "u1")
    cache.swap("11", obj(9))
    assert (cache.shown, cache.overlay.pending) == (None, 1), "that list was begun before"
    cache.overlay.begin_list(consistent=True)
    cache.list("12")
    assert cache.overlay.pending == 1, "that one was no consistent one, though one was begun"
    cache.list("13", consistent=True)
    assert cache.overlay.pending == 0


@pytest.mark.parametrize("ours", [True, False], ids=["made by us", "made by another"])
def test_a_list_that_is_older_than_the_object_confirms_no_delete_of_unknown_version(ours: bool) -> None:
    cache = Cache("10")
    if ours:
        cache.wrote(obj(12))
    cache.overlay.deleted(KEY, "u1")
    cache.list("11")
    assert cache.put(obj(12)) == [], "the object appears to the lagging watch only now"
    assert cache.shown is None
    assert cache.remove(13) == []
    assert cache.overlay.pending == 0


def test_a_list_in_which_a_deleted_object_had_left_the_selector_does_not_bring_it_back() -> None:
    cache = Cache("10", obj(9))
    cache.overlay.deleted(KEY, "u1")
    cache.list("11")
    assert cache.put(obj(12)) == [], "it returned before its end"
    assert cache.shown is None


def test_what_lists_do_not_confirm_is_bounded_too() -> None:
    held = [
        KubeObject.from_dict(
            {"metadata": {"name": f"a{n}", "namespace": "default", "uid": f"u{n}", "resourceVersion": "5"}}
        )
        for n in range(5000)
    ]
    cache = Cache("10", *held)
    for one in held:
        cache.overlay.deleted(one.key, one.uid)
    assert cache.overlay.pending == 5000, "the base holds them all"
    cache.list("11")
    assert cache.overlay.pending == 4096
    cache.list("12", *held[-10:])
    assert len(cache.store.table.objects) == 0
    cache.list("13", consistent=True)
    assert cache.overlay.pending == 0


def test_a_recreate_under_the_same_name_is_shown_and_the_old_uid_is_not() -> None:
    cache = Cache("10", obj(5))
    cache.overlay.deleted(KEY, "u1", "12")
    cache.wrote(obj(13, uid="u2"))
    assert cache.shown == "13"
    assert cache.put(obj(11)) == []
    assert cache.shown == "13"
    assert cache.remove(12) == []
    assert cache.put(obj(13, uid="u2")) == []
    assert (cache.shown, cache.overlay.pending) == ("13", 0)


def test_a_foreign_recreate_is_shown_after_our_delete() -> None:
    cache = Cache("10", obj(5))
    cache.overlay.deleted(KEY, "u1")
    cache.remove(12)
    assert [one.after for one in cache.put(obj(14, uid="u2"))] == [obj(14, uid="u2")]


def test_our_delete_of_our_own_create_leaves_nothing_though_the_base_saw_neither() -> None:
    cache = Cache("10")
    cache.wrote(obj(12))
    assert cache.overlay.deleted(KEY, "u1", "12") == Change(KEY, obj(12), None)
    assert cache.put(obj(12)) == []
    assert cache.shown is None
    assert cache.remove(13) == []
    assert cache.overlay.pending == 0


def test_our_delete_hides_an_earlier_object_of_that_name_that_the_base_still_has() -> None:
    cache = Cache("10", obj(5, uid="u0"))
    assert cache.overlay.deleted(KEY, "u1", "12") == Change(KEY, obj(5, uid="u0"), None)
    assert cache.remove(11, uid="u0") == []
    assert cache.put(obj(12)) == []
    assert cache.remove(13) == []
    assert (cache.shown, cache.overlay.pending) == (None, 0)


def test_our_delete_hides_an_own_write_of_an_earlier_object_of_that_name() -> None:
    cache = Cache("10")
    cache.wrote(obj(12))
    cache.overlay.deleted(KEY, "u2", "15")  # others have replaced u1 meanwhile
    assert (cache.shown, cache.put(obj(12)), cache.remove(13)) == (None, [], [])


def test_a_write_answered_after_its_uid_was_deleted_hides_what_it_followed_upon_and_is_not_shown() -> None:
    cache = Cache("10")
    cache.wrote(obj(11, uid="old"))
    cache.overlay.deleted(KEY, "new")  # by its name alone: the answer tells no version
    cache.wrote(obj(13, uid="new"))
    assert cache.shown is None
    assert cache.put(obj(11, uid="old")) == []
    assert cache.put(obj(13, uid="new")) == []
    assert cache.shown is None


def test_our_delete_hides_every_earlier_object_of_that_name_that_the_base_is_yet_to_see() -> None:
    cache = Cache("10", obj(5))
    cache.overlay.deleted(KEY, "u3", "15")
    assert (cache.remove(11), cache.put(obj(12, uid="u2")), cache.shown) == ([], [], None)
    assert cache.remove(13, uid="u2") == []
    cache.put(obj(14, uid="u3"))
    assert (cache.remove(16, uid="u3"), cache.shown, cache.overlay.pending) == ([], None, 0)


def test_a_delete_that_the_base_has_seen_already_is_no_news() -> None:
    cache = Cache("10", obj(9, uid="u2"))
    assert cache.overlay.deleted(KEY, "u1", "8") is None
    assert (cache.shown, cache.overlay.pending) == ("9", 0)


def test_a_deleted_object_that_leaves_the_selector_and_returns_is_not_shown_again() -> None:
    cache = Cache("10", obj(5))
    cache.overlay.deleted(KEY, "u1", "14")
    assert cache.remove(11) == []
    assert cache.put(obj(12)) == []
    assert cache.shown is None
    assert cache.remove(15) == []
    assert cache.overlay.pending == 0


def test_a_list_older_than_a_write_is_shown_with_the_write_over_it() -> None:
    cache = Cache("10", obj(5))
    cache.wrote(obj(14))
    cache.list("12", obj(11))
    assert (cache.shown, cache.overlay.base(KEY)) == ("14", obj(11))
    cache.list("15", obj(13, uid="u2"))
    assert (cache.shown, cache.overlay.pending) == ("13", 0)


def test_a_write_before_the_first_list_is_shown_with_it() -> None:
    store = Store({}, lambda *_: None)
    overlay = Overlay(store)
    assert overlay.wrote(KEY, "u1", "12", obj(12)) is None
    assert not store.table.objects
    overlay.begin_list(consistent=False)
    table = store.new_table()
    assert overlay.rebase(table, "11") == {KEY}
    store.swap(table, "11")
    assert store.table.objects[KEY] == obj(12)


def test_a_rewind_undoes_nothing_that_was_sent_since() -> None:
    cache = Cache(
        "10",
        obj(5),
    )
    cache.overlay.wrote("default/b", "b", "12", None, sent=1.0)
    cache.overlay.wrote(KEY, "u1", "13", obj(13), sent=3.0)
    cache.overlay.deleted("default/c", "c", "14", sent=3.0)
    table = cache.store.new_table()
    table.put(KEY, obj(8, uid="u1"))
    assert cache.overlay.forget(since=2.0) == {"default/b"}
    assert cache.overlay.rebase(table, "9") == {KEY, "default/c"}
    cache.store.swap(table, "9")
    assert (cache.shown, cache.overlay.seen, cache.overlay.is_gone("c")) == ("13", "14", True)
    assert [one.after for one in cache.put(obj(15))] == [obj(15)]
    cache.bookmark("15")
    assert cache.overlay.pending == 0


@pytest.mark.parametrize("whose", ["its key's", "a nameless one's"])
def test_a_write_that_is_behind_what_could_not_be_read_replaces_an_older_state(whose: str) -> None:
    cache = Cache("10", obj(5))
    table, error = cache.store.table, PoisonObject("spoilt")
    if whose == "its key's":
        table.quarantined[KEY] = error
    else:
        table.nameless = True
    assert cache.wrote(obj(4)) is None
    assert cache.wrote(obj(7)) == Change(KEY, obj(5), obj(7))
    assert table.quarantined == ({KEY: error} if whose == "its key's" else {}), "it is as unread as before"
    assert cache.overlay.pending == 0


def test_a_rewind_undoes_writes_and_deletes() -> None:
    cache = Cache("10", obj(5))
    cache.wrote(obj(12))
    other = KubeObject.from_dict({"metadata": {"name": "b", "uid": "u9", "resourceVersion": "6"}})
    cache.overlay.deleted("b", "u9")
    cache.swap("7", obj(5), other, rewind=True)
    assert (cache.shown, cache.overlay.pending) == ("5", 0)
    assert "b" in cache.store.table.objects


def test_versions_that_stop_being_numbers_leave_the_base_alone() -> None:
    cache = Cache("10", obj(5))
    cache.wrote(obj(12))
    assert cache.bookmark("opaque") == [Change(KEY, obj(12), obj(5))]
    assert cache.overlay.pending == 0


def test_what_an_outage_costs_is_bounded_by_the_keys_written() -> None:
    cache = Cache("10", obj(5))
    for version in range(11, 5000):
        cache.wrote(obj(version))
    assert cache.overlay.pending == 1
    assert len(cache.overlay._settling) < 100


def test_deletes_that_nothing_can_confirm_are_bounded() -> None:
    cache = Cache("10")
    for number in range(5000):
        cache.overlay.deleted(f"default/{number}", f"u{number}")
    assert cache.overlay.pending == 4096
    cache.overlay.deleted(KEY, "u")
    assert cache.put(obj(11, uid="u")) == [], "the last ones are those that count"
    assert cache.shown is None


def test_what_was_made_and_deleted_is_bounded_while_the_watch_brings_nothing() -> None:
    cache = Cache("10", obj(5, uid="u"))
    cache.overlay.deleted(KEY, "u", "11")
    for number in range(20_000):
        key, made, deleted = f"default/{number}", obj(2 * number + 12), str(2 * number + 13)
        cache.overlay.wrote(key, f"u{number}", made.resource_version, made)
        cache.overlay.deleted(key, f"u{number}", deleted)
    assert cache.overlay.pending <= 4 * 4096 + 1
    assert len(cache.overlay._settling) <= 2 * cache.overlay.pending + 64
    assert cache.shown is None, "what the base holds is hidden however old"
    assert cache.overlay.put(key, made) is None, "the last ones are those that count"
    assert list(cache.store.table.objects) == []


def test_keys_that_are_written_while_tables_are_compared_are_told() -> None:
    cache = Cache("10", obj(5))
    cache.overlay.touched = set()
    cache.wrote(obj(12))
    assert cache.overlay.touched == {KEY}
