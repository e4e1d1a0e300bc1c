"""An audience: who hears of what several clients share, and how often."""

from __future__ import annotations

import gc
import weakref

from kresilient.observe.audience import Audience
from kresilient.observe.events import Event, Observers, OutageBegan, PressureChanged


class Unhashable:
    """An observer that is equal to all of its kind, and has no hash."""

    def __init__(self) -> None:
        self.seen: list[Event] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable)

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, event: Event) -> None:
        self.seen.append(event)


def began(_: float) -> Event:
    return OutageBegan("s", "refused")


def changed(rate: float) -> Event:
    return PressureChanged("lane read", rate, 0.0, "429")


def test_each_hub_hears_what_was_made_for_it_in_the_order_they_joined() -> None:
    seen: list[tuple[str, Event]] = []
    audience: Audience[float] = Audience()
    first = Observers(lambda event: seen.append(("first", event)))
    second = Observers(lambda event: seen.append(("second", event)))
    audience.join(first, 1.0)
    audience.join(second, 2.0)
    audience.tell(changed)
    assert seen == [("first", changed(1.0)), ("second", changed(2.0))]


def test_an_observer_of_several_hubs_hears_the_same_event_once_and_others_each() -> None:
    seen: list[Event] = []
    audience: Audience[float] = Audience()
    hubs = [Observers(seen.append) for _ in range(3)]
    for hub, rate in zip(hubs, (1.0, 1.0, 2.0), strict=True):
        audience.join(hub, rate)
    audience.tell(began)
    assert seen == [began(0.0)]
    audience.tell(began)
    assert seen == [began(0.0)] * 2, "it happened again"
    audience.tell(changed)
    assert seen[2:] == [changed(1.0), changed(2.0)]


def test_observers_without_a_hash_are_told_apart_by_what_they_are() -> None:
    one, other = Unhashable(), Unhashable()
    audience: Audience[float] = Audience()
    hubs = [Observers(one), Observers(other, one)]
    for hub in hubs:
        audience.join(hub, 1.0)
    audience.tell(began)
    assert one.seen == other.seen == [began(0.0)]


def test_a_hub_that_left_hears_nothing_and_may_leave_twice() -> None:
    seen: list[Event] = []
    audience: Audience[float] = Audience()
    hub = Observers(seen.append)
    audience.join(hub, 1.0)
    audience.leave(hub)
    audience.leave(hub)
    audience.tell(began)
    assert seen == []


def test_a_hub_whose_client_is_gone_has_left() -> None:
    seen: list[Event] = []
    audience: Audience[float] = Audience()
    hub = Observers(seen.append)
    audience.join(hub, 1.0)
    gone = weakref.ref(hub)
    del hub
    gc.collect()
    audience.tell(began)
    assert gone() is None and seen == []


def test_an_observer_that_raises_keeps_no_other_from_hearing() -> None:
    def fail(_: Event) -> None:
        raise RuntimeError("a bug")

    seen: list[Event] = []
    audience: Audience[float] = Audience()
    hubs = [Observers(fail, seen.append), Observers(fail)]
    for hub in hubs:
        audience.join(hub, 1.0)
    audience.tell(began)
    assert seen == [began(0.0)]
