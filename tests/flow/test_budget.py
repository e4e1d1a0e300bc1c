"""The retry budget: what it allows, what it forgets, and that it never grows."""

from __future__ import annotations

import pytest

from kresilient.api.errors import ConfigError
from kresilient.flow.budget import RetryBudget


class Clock:
    def __init__(self, at: float = 0.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def spent(budget: RetryBudget, asked: int = 1000) -> int:
    return sum(budget.spend() for _ in range(asked))


@pytest.mark.parametrize("start", [0.0, 3.7, 1e9])
def test_without_any_success_only_the_floor_is_allowed(start: float) -> None:
    clock = Clock(start)
    budget = RetryBudget(0.1, 0.5, window=10.0, clock=clock)
    allowed = 0
    for _ in range(600):
        allowed += spent(budget, 10)
        clock.at += 0.1
    assert 25 <= allowed <= 0.5 * 60 + 5
    assert budget.refused == 6000 - allowed


def test_every_success_of_the_window_is_worth_a_share_of_a_repeat() -> None:
    budget = RetryBudget(0.1, 0.0, clock=Clock())
    assert spent(budget) == 0
    for _ in range(105):
        budget.succeeded()
    assert budget.left == pytest.approx(10.5)
    assert spent(budget) == 10


def test_successes_and_repeats_are_forgotten_with_the_window() -> None:
    clock = Clock()
    budget = RetryBudget(1.0, 0.1, window=10.0, clock=clock)
    for _ in range(9):
        budget.succeeded()
    assert spent(budget) == 10
    clock.at = 8.9
    assert spent(budget) == 0
    clock.at = 10.0
    assert budget.left == 1.0, "the floor is back, the successes are no longer counted"


def test_it_keeps_no_more_than_its_window_however_long_it_runs() -> None:
    clock = Clock()
    budget = RetryBudget(clock=clock)
    for _ in range(5000):
        budget.succeeded()
        budget.spend()
        clock.at += 0.37
    assert len(budget._marks) <= 10


def test_a_clock_that_stands_elsewhere_does_not_keep_it_spent() -> None:
    clock = Clock(1e6)
    budget = RetryBudget(0.1, 0.5, clock=clock)
    assert spent(budget) == 5
    clock.at = 0.0
    assert spent(budget) == 5


@pytest.mark.parametrize(
    ("share", "floor", "window"),
    [(-0.1, 0, 1), (0, -1, 1), (0, 0, 0), (float("nan"), 0, 1), (0.1, float("inf"), 1)],
)
def test_figures_that_mean_nothing_are_refused(share: float, floor: float, window: float) -> None:
    with pytest.raises(ConfigError, match="retry budget"):
        RetryBudget(share, floor, window=window)
