"""The figures of docs/outage.md are those of docs/outage.json, and these keep what was promised."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kresilient.cli.simulate.record import BEGIN, END, as_json, as_markdown
from kresilient.testing.simulation import POLICIES, Measures, goals

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "outage.md").read_text(encoding="utf-8")
RECORD = (ROOT / "docs" / "outage.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORD)
    return found


@pytest.fixture(scope="module")
def measured(record: dict[str, Any]) -> dict[str, Measures]:
    return {one["policy"]: Measures.from_json(one) for one in record["policies"]}


def test_the_table_is_what_the_tool_makes_of_the_figures(measured: dict[str, Measures]) -> None:
    _, _, rest = PAGE.partition(f"{BEGIN}\n")
    assert rest.partition(END)[0] == as_markdown(list(measured.values()))


def test_the_record_says_what_made_it_and_make_outage_is_that(record: dict[str, Any]) -> None:
    made = "kresilient simulate outage --nodes 2500 --seed 1"
    assert record["command"] == f"{made} --limit 300"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", record["version"])
    readme, makefile = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile"))
    assert f"$ {made} " in readme and f"$ {made} " in PAGE
    assert f"{made.replace(' ', '.cli ', 1)} --json docs/outage.json --page docs/outage.md" in makefile


def test_the_record_is_whole_and_as_the_tool_writes_it(
    record: dict[str, Any], measured: dict[str, Measures]
) -> None:
    assert list(measured) == [policy.name for policy in POLICIES]
    for one in measured.values():
        assert (one.nodes, one.informers, one.seed, one.limit) == (2_500, 7_500, 1, 300.0)
        assert len(one.attempts) == len(one.reached) > one.lead
    written = json.loads(as_json(record["command"], list(measured.values())))
    assert written["policies"] == record["policies"]


def test_every_promise_is_kept_and_by_the_figures_of_the_page(measured: dict[str, Measures]) -> None:
    promises = goals(list(measured.values()))
    assert len(promises) == 6 and all(goal.kept for goal in promises)
    ours, theirs = measured["kresilient"], measured["client-go"]
    assert ours.kills == 0
    assert ours.right_after is not None and ours.right_after <= 90.0
    assert ours.peak_asked <= 2 * 2 * ours.informers / 30
    assert ours.spent <= theirs.spent / 2 and ours.spent_in_all <= theirs.spent_in_all / 2


def test_unbounded_retry_multiplies_the_load_and_kills_the_server_again_and_again(
    measured: dict[str, Measures],
) -> None:
    unbounded = measured["unbounded"]
    assert unbounded.peak_attempts >= 7 * unbounded.steady
    assert unbounded.kills >= 2
    assert unbounded.right_after is None


def test_the_prose_has_the_figures_of_the_record(measured: dict[str, Measures]) -> None:
    (even,) = {one.even for one in measured.values()}
    assert f"({even:,.0f} a second)" in PAGE
    assert f"each of {measured['kresilient'].informers:,} caches" in PAGE
    fields = set(re.findall(r"`(\w+)`", PAGE.partition("## The JSON")[2]))
    assert fields >= set(measured["kresilient"].to_json())
