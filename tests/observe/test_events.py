"""The hub: an observer that raises harms nobody, itself included, and does not flood the log."""

from __future__ import annotations

import logging

import pytest

from kresilient.observe.events import Event, Observers, StaleEventIgnored

EVENT = StaleEventIgnored("v1/pods", "a/b", "3")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def failing(event: Event) -> None:
    raise ZeroDivisionError


def test_an_observer_that_raised_once_hears_the_next_event() -> None:
    heard: list[Event] = []
    after: list[Event] = []

    def stumbles(event: Event) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise ZeroDivisionError

    observers = Observers(stumbles, after.append)
    observers(EVENT)
    observers(EVENT)
    assert heard == after == [EVENT, EVENT]


def test_failures_are_reported_once_a_minute_for_each_observer(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    observers = Observers(failing, clock=clock)
    with caplog.at_level(logging.ERROR, "kresilient.observe"):
        for clock.now in (0.0, 1.0, 59.0, 60.0):
            observers(EVENT)
        assert len(caplog.records) == 2
        assert "2 failures since" in caplog.records[1].getMessage()
        assert caplog.records[0].exc_info is not None
        other = lambda event: failing(event)  # noqa: E731
        observers.add(other)
        observers(EVENT)
        assert len(caplog.records) == 3


def test_a_removed_observer_hears_nothing() -> None:
    heard: list[Event] = []
    hear = heard.append
    observers = Observers(hear)
    observers.remove(hear)
    observers.remove(failing)
    observers(EVENT)
    assert heard == []
