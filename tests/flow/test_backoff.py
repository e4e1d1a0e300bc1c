"""Backoff: how the waits grow, what bounds them, and when failures are forgotten."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from kresilient.api.errors import ConfigError
from kresilient.flow.backoff import Backoff


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def zero() -> float:
    return 0.0


def test_waits_double_from_800_ms_to_30_s() -> None:
    backoff = Backoff(clock=Clock(), random=zero)
    assert [backoff.delay() for _ in range(8)] == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert backoff.failures == 8


def test_the_jitter_adds_up_to_as_much_again_also_at_the_cap() -> None:
    backoff = Backoff(clock=Clock(), random=lambda: 0.5)
    waits = [backoff.delay() for _ in range(8)]
    assert waits[0] == pytest.approx(1.2) and waits[-1] == pytest.approx(45.0)


def test_a_wait_is_never_below_the_servers_and_never_the_same_for_a_fleet() -> None:
    draw = random.Random(7).random
    waits = sorted(Backoff(clock=Clock(), random=draw).delay(floor=10.0) for _ in range(200))
    assert waits[0] >= 10.0 and waits[-1] <= 20.0
    assert waits[-1] - waits[0] > 8.0
    assert all(one != other for one, other in pairwise(waits))


def test_a_floor_below_the_backoff_changes_nothing() -> None:
    backoff = Backoff(base=20.0, clock=Clock(), random=zero)
    assert backoff.delay(floor=1.0) == 20.0


def test_a_long_floor_is_spread_over_the_cap_at_most() -> None:
    assert Backoff(clock=Clock(), random=lambda: 1.0).delay(floor=600.0) == 630.0


@pytest.mark.parametrize("floor", [0.0, -5.0, None])
def test_a_floor_that_asks_for_nothing_is_none(floor: float | None) -> None:
    assert Backoff(clock=Clock(), random=zero).delay(floor) == 0.8


def test_failures_are_forgotten_after_two_healthy_minutes() -> None:
    clock = Clock()
    backoff = Backoff(clock=clock, random=zero)
    backoff.delay()
    backoff.delay()
    clock.now = 10.0
    backoff.healthy()
    clock.now = 130.0
    assert backoff.delay() == 0.8


def test_failures_are_kept_when_it_was_healthy_for_less() -> None:
    clock = Clock()
    backoff = Backoff(clock=clock, random=zero)
    backoff.delay()
    clock.now = 10.0
    backoff.healthy()
    clock.now = 129.9
    backoff.healthy()
    assert backoff.delay() == 1.6


def test_health_before_a_failure_does_not_count_after_it() -> None:
    clock = Clock()
    backoff = Backoff(clock=clock, random=zero)
    backoff.healthy()
    backoff.delay()
    clock.now = 500.0
    assert backoff.delay() == 1.6
    backoff.healthy()
    clock.now = 501.0
    assert backoff.delay() == 3.2


def test_time_alone_is_no_health() -> None:
    clock = Clock()
    backoff = Backoff(clock=clock, random=zero)
    backoff.delay()
    clock.now = 10_000.0
    assert backoff.delay() == 1.6


@pytest.mark.parametrize(
    "options", [{"base": 0.0}, {"base": 9.0, "cap": 3.0}, {"factor": 0.5}, {"reset_after": -1.0}]
)
def test_numbers_that_make_no_backoff_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Backoff(clock=Clock(), random=zero, **options)  # type: ignore[arg-type]


def test_a_million_failures_do_not_overflow() -> None:
    backoff = Backoff(factor=1e300, clock=Clock(), random=zero)
    assert [backoff.delay() for _ in range(5)][-1] == 30.0
