"""The backlog: lossless up to its bound, then merged per key, never losing the last state."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.api.objects import KubeObject
from kresilient.cache.backlog import Backlog, SerialBacklog, merge
from kresilient.cache.events import Event, EventType, Source

ADDED, UPDATED, DELETED = EventType


def obj(name: str, uid: str, version: int) -> KubeObject:
    return KubeObject.decode(
        b'{"metadata":{"name":"%s","uid":"%s","resourceVersion":"%d"}}'
        % (name.encode(), uid.encode(), version)
    )


def event(kind: EventType, new: KubeObject, old: KubeObject | None = None) -> Event[KubeObject]:
    return Event(kind, new.key, new, new if kind is DELETED else old, False, Source.WATCH)


A1, A2, A3, B4 = obj("x", "a", 1), obj("x", "a", 2), obj("x", "a", 3), obj("x", "b", 4)


@pytest.mark.parametrize(
    ("first", "then", "merged"),
    [
        (event(ADDED, A1), event(UPDATED, A2, A1), [(ADDED, A2, None)]),
        (event(ADDED, A1), event(DELETED, A1), []),
        (event(UPDATED, A2, A1), event(UPDATED, A3, A2), [(UPDATED, A3, A1)]),
        (event(UPDATED, A2, A1), event(DELETED, A2), [(DELETED, A2, A1)]),
        (event(DELETED, A1), event(ADDED, B4), [(DELETED, A1, A1), (ADDED, B4, None)]),
        (event(DELETED, A1), event(ADDED, A3), [(UPDATED, A3, A1)]),
        (event(UPDATED, A2, A1), event(UPDATED, obj("x", "a", 1), A2), []),
        (event(DELETED, A1), event(ADDED, obj("x", "a", 1)), []),
    ],
    ids=[
        "add+update",
        "add+delete",
        "update+update",
        "update+delete",
        "delete+add other",
        "delete+add same",
        "update+update back",
        "delete+add back",
    ],
)
def test_two_events_merge_into_what_leads_to_the_same_state(
    first: Event[KubeObject], then: Event[KubeObject], merged: list[tuple[EventType, KubeObject, KubeObject]]
) -> None:
    assert [(one.type, one.object, one.old) for one in merge(first, then)] == merged


def test_below_the_bound_every_event_comes_in_the_order_of_arrival() -> None:
    backlog: Backlog[KubeObject] = Backlog(10)
    events = [
        event(ADDED, A1),
        event(ADDED, obj("y", "c", 2)),
        event(UPDATED, A2, A1),
        event(UPDATED, A3, A2),
    ]
    for one in events:
        backlog.push(one)
    taken = []
    while (one_taken := backlog.pop()) is not None:
        taken.append(one_taken)
        assert backlog.done(one_taken.key) is None
    assert taken == events
    assert not backlog.merging


def test_a_key_that_is_out_is_handed_on_only_when_it_is_given_back() -> None:
    backlog: Backlog[KubeObject] = Backlog(10)
    second = event(UPDATED, A2, A1)
    backlog.push(event(ADDED, A1))
    backlog.push(second)
    backlog.push(event(ADDED, obj("y", "c", 2)))
    first = backlog.pop()
    assert first is not None and first.object is A1
    other = backlog.pop()
    assert other is not None and other.key == "y"
    assert backlog.pop() is None
    assert backlog.done("x") is second
    assert backlog.done("x") is None and backlog.done("y") is None


def test_a_single_consumer_is_given_what_merges_above_the_bound_and_then_a_queue_again() -> None:
    backlog: SerialBacklog[KubeObject] = SerialBacklog(2)
    other = event(ADDED, obj("y", "c", 2))
    backlog.extend([event(ADDED, A1), other])
    assert (backlog.pending, backlog.merging) == (2, False)
    backlog.extend([event(UPDATED, A2, A1), event(UPDATED, A3, A2)])
    assert (backlog.pending, backlog.merging) == (2, True)
    first = backlog.pop()
    assert first is not None and (first.type, first.object) == (ADDED, A3)
    assert backlog.pop() is other
    assert (backlog.pop(), backlog.pending, backlog.merging) == (None, 0, False)
    again = [event(UPDATED, A2, A1), event(UPDATED, A3, A2)]
    backlog.extend(again)
    assert [backlog.pop(), backlog.pop()] == again


def test_churn_behind_a_stuck_handler_costs_no_memory() -> None:
    backlog: Backlog[KubeObject] = Backlog(1)
    backlog.push(event(ADDED, A1))
    for number in range(20_000):
        short = obj(f"short-{number}", f"u{number}", number)
        backlog.push(event(ADDED, short))
        backlog.push(event(DELETED, short))
    assert backlog.pending == 1
    assert len(backlog._queue) < 2_000 and len(backlog._by_key) < 2_000


class World:
    """A few keys that come, change and go, as a stream of true events."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.live: dict[str, KubeObject] = {}
        self.version = 0

    def change(self) -> Event[KubeObject]:
        self.version += 1
        key = self.rng.choice("abcd")
        held = self.live.get(key)
        if held is None:
            self.live[key] = obj(key, f"u{self.version}", self.version)
            return event(ADDED, self.live[key])
        if self.rng.random() < 0.4:
            return event(DELETED, self.live.pop(key))
        self.live[key] = obj(key, held.uid, self.version)
        return event(UPDATED, self.live[key], held)


class Truth:
    """What whoever handles all events has to come to."""

    def __init__(self) -> None:
        self.seen: dict[str, KubeObject] = {}

    def handled(self, one: Event[KubeObject]) -> None:
        if one.type is ADDED:
            assert one.key not in self.seen
            self.seen[one.key] = one.object
        elif one.type is UPDATED:
            assert one.old is self.seen[one.key] and one.old.uid == one.object.uid
            self.seen[one.key] = one.object
        else:
            assert one.old is not None and one.old.uid == self.seen.pop(one.key).uid

    def is_that_of(self, world: World) -> bool:
        return {k: one.raw for k, one in self.seen.items()} == {k: one.raw for k, one in world.live.items()}


@given(st.integers(), st.integers(1, 6), st.integers(1, 3))
def test_however_slow_the_handlers_what_they_saw_adds_up_to_the_truth(
    seed: int, limit: int, workers: int
) -> None:
    rng = random.Random(seed)
    world, backlog, truth = World(rng), Backlog[KubeObject](limit), Truth()
    out: dict[str, Event[KubeObject]] = {}

    def finish(key: str) -> None:
        truth.handled(out.pop(key))
        following = backlog.done(key)
        if following is not None:
            assert key not in out
            out[key] = following

    for _ in range(200):
        if rng.random() < 0.6:
            backlog.push(world.change())
            assert backlog.pending <= limit + 2 * 4
        elif len(out) < workers and (taken := backlog.pop()) is not None:
            assert taken.key not in out
            out[taken.key] = taken
        elif out:
            finish(rng.choice(list(out)))
    while out or backlog.pending:
        for key in list(out):
            finish(key)
        if (taken := backlog.pop()) is not None:
            out[taken.key] = taken
    assert truth.is_that_of(world)


@given(st.integers(), st.integers(1, 6), st.floats(0.2, 0.8))
def test_what_a_single_consumer_saw_adds_up_to_the_truth(seed: int, limit: int, haste: float) -> None:
    rng = random.Random(seed)
    world, backlog, truth = World(rng), SerialBacklog[KubeObject](limit), Truth()
    for _ in range(200):
        if rng.random() < haste:
            before, merging = backlog.pending, backlog.merging
            changes = [world.change() for _ in range(rng.randint(1, 3))]
            backlog.extend(changes)
            assert backlog.pending <= limit + 2 * 4
            if before + len(changes) <= limit and not merging:
                assert backlog.pending == before + len(changes), "nothing merges below the bound"
        elif (taken := backlog.pop()) is not None:
            truth.handled(taken)
    while (taken := backlog.pop()) is not None:
        truth.handled(taken)
    assert truth.is_that_of(world)
    assert backlog.pending == 0 and not backlog.merging
