"""The outage under several policies, at a size that a test can afford."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import kresilient
from kresilient.api.errors import ConfigError
from kresilient.testing.simulation import POLICIES, Measures, OutageOptions, goals, simulate_outage

NODES = 150
ROOT = str(Path(kresilient.__file__).parents[1])


@pytest.fixture(scope="module")
def measured() -> dict[str, Measures]:
    options = OutageOptions(nodes=NODES, seed=3, limit=120.0)
    return {policy.name: simulate_outage(policy.name, options) for policy in POLICIES}


def test_unbounded_retry_multiplies_the_load_and_kills_the_server_again_and_again(
    measured: dict[str, Measures],
) -> None:
    found = measured["unbounded"]
    assert found.peak_attempts > 5 * found.steady
    assert found.kills >= 3
    assert found.right_after is None


def test_the_library_brings_every_cache_back_and_kills_nothing(measured: dict[str, Measures]) -> None:
    found = measured["kresilient"]
    assert found.kills == 0
    assert found.right_after is not None and found.right_after <= 90.0
    assert found.turned_away == 0


def test_the_library_sends_at_most_half_of_what_client_go_does(measured: dict[str, Measures]) -> None:
    ours, theirs = measured["kresilient"], measured["client-go"]
    assert ours.spent <= theirs.spent / 2
    assert ours.spent_in_all <= theirs.spent_in_all / 2, "leases counted"


def test_the_promises_are_told_with_what_was_found(measured: dict[str, Measures]) -> None:
    kept = goals(list(measured.values()))
    assert [goal.kept for goal in kept] == [True] * 4
    assert kept[0].found == "0" and kept[1].found.endswith(" s") and kept[2].found.endswith("%")


def test_a_promise_that_is_missed_is_told_as_missed(measured: dict[str, Measures]) -> None:
    worse = replace(measured["kresilient"], kills=2, right_after=None, nodes=1_000, peak_asked=10**6)
    worse = replace(worse, peak_reached=10**6)
    equal = replace(measured["client-go"], spent=worse.spent, spent_in_all=worse.spent_in_all)
    missed = goals([worse, equal])
    assert [goal.kept for goal in missed] == [False] * 6
    assert not goals([measured["unbounded"]])


def test_client_go_recovers_too_but_later(measured: dict[str, Measures]) -> None:
    ours, theirs = measured["kresilient"], measured["client-go"]
    assert theirs.kills == 0
    assert ours.right_after is not None
    assert theirs.right_after is None or theirs.right_after > ours.right_after


def test_no_second_of_the_way_back_asks_much_more_than_an_even_spread() -> None:
    # At 150 nodes chance makes single seconds uneven; the figures of 2,500 are in docs/outage.md.
    found = simulate_outage("kresilient", OutageOptions(nodes=400, seed=3))
    assert found.unevenness <= 2.0
    assert found.unevenness_in_all <= 2.0, "leases counted"


def test_a_seed_gives_the_same_run_and_another_one_does_not() -> None:
    runs = [simulate_outage("kresilient", OutageOptions(nodes=20, seed=seed)).to_json() for seed in (5, 5, 6)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_seed_gives_the_same_run_in_another_process_whatever_its_hashes_and_addresses() -> None:
    # With kills among what is in flight: what was lost is told in the order in which it came.
    options = OutageOptions(nodes=40, seed=5, limit=100.0)
    code = (
        "import json; from kresilient.testing.simulation import OutageOptions, simulate_outage; "
        f"print(json.dumps(simulate_outage('fixed-1s', OutageOptions(nodes={options.nodes}, "
        f"seed={options.seed}, limit={options.limit})).to_json()))"
    )
    here = simulate_outage("fixed-1s", options)
    assert here.kills >= 1
    for hashes in ("1", "4711"):
        there = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": ROOT, "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(there.stdout) == json.loads(json.dumps(here.to_json()))


def test_the_measures_of_a_single_node_are_those_that_a_hand_can_count() -> None:
    found = simulate_outage("fixed-5s", OutageOptions(nodes=1, seed=1))
    # Down for 30 s; each informer tries again 5 s after a refusal, which takes 0.1 s: 5 or 6 times; then a
    # list and a watch bring each back.
    assert found.informers == 3
    assert 3 * 5 + 3 <= found.spent <= 3 * 6 + 3 * 2
    assert found.right_after is not None and found.right_after <= 6.0
    assert found.even == pytest.approx(3 * 2 / 30)
    assert len(found.attempts) == len(found.reached)
    assert all(reached <= tried for reached, tried in zip(found.reached, found.attempts, strict=True))


def test_progress_is_told() -> None:
    told: list[tuple[float, str]] = []
    simulate_outage(
        "kresilient", OutageOptions(nodes=2, seed=1), progress=lambda at, what: told.append((at, what))
    )
    assert {"starting", "steady", "down"} <= {what for _, what in told}
    assert [at for at, _ in told] == sorted(at for at, _ in told)


def test_a_policy_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="no policy 'polite'; there are unbounded, fixed-1s"):
        simulate_outage("polite", OutageOptions(nodes=1))


@pytest.mark.parametrize("options", [{"nodes": 0}, {"limit": 0.0}])
def test_sizes_that_make_no_world_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        OutageOptions(**options)  # type: ignore[arg-type]
