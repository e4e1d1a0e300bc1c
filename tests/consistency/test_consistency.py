"""What a cache promises holds after every step of whatever may happen."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Machine

_PARTS = 8
"""Tests among which the examples of a soak are divided, so that they run side by side."""
_BRIEF = 100
_STEPS = 30


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    soak = metafunc.config.getoption("--hypothesis-profile") == "soak"
    examples = [settings.get_profile("soak").max_examples // _PARTS] * _PARTS if soak else [_BRIEF]
    metafunc.parametrize("examples", examples)


def test_all_that_is_promised_holds_after_every_step(examples: int) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            derandomize=examples == _BRIEF,  # the soak tells new stories
            stateful_step_count=_STEPS,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
