"""The page of the benchmarks is made from their figures, and from nothing else."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.charts import drawn
from benchmarks.page import main, page

FOUND: dict[str, Any] = {
    "form": 1,
    "date": "2026-11-25T15:00:00+00:00",
    "quick": False,
    "machine": {
        "system": "Linux",
        "cpu": "a CPU",
        "cpus": 2,
        "python": "3.11.7",
        "versions": {"aiohttp": "3"},
    },
    "benchmarks": {
        "peers": {
            "title": "peers: first syncs",
            "cases": [
                {
                    "case": {"side": side, "pods": pods},
                    "runs": 3,
                    "figures": {"sync_s": [pods * share, 0.1, 9.0], "grown_mb": [pods / 100, 1, 2]},
                }
                for side, share in (("kresilient", 0.001), ("another", 0.1))
                for pods in (1000, 3000)
            ],
            "rows": [
                {"claim": "fast", "value": 30, "limit": 25, "at_least": True, "unit": "×", "met": True},
                {"claim": "small", "value": 8, "limit": 10, "at_least": True, "unit": "×", "met": False},
            ],
        },
        "peer_events": {
            "title": "peer_events: events",
            "cases": [
                {
                    "case": {"side": "kresilient", "handlers": 1},
                    "runs": 1,
                    "figures": {"cpu_us": [40, 40, 40]},
                }
            ],
            "rows": [],
        },
    },
    "failed": {"scale": "no server"},
}
DEMO = {"phases": [["polling", 0.0], ["outage", 5.0]], "load": [[1.0, 140.0], [6.0, None], [9.0, 3.5]]}


def written(tmp_path: Path, found: Any = FOUND, demo: Any = DEMO) -> tuple[int, Path]:
    (tmp_path / "found.json").write_text(json.dumps(found), "utf-8")
    (tmp_path / "demo.json").write_text(json.dumps(demo), "utf-8")
    target = tmp_path / "page.md"
    asked = ("--json", tmp_path / "found.json", "--demo", tmp_path / "demo.json", "--page", target)
    return main([str(one) for one in asked]), target


def test_the_page_says_what_is_met_what_is_not_and_what_could_not_be_run(tmp_path: Path) -> None:
    code, target = written(tmp_path)
    text = target.read_text("utf-8")
    assert code == 0
    assert "1 of 2 rows are met." in text
    (small,) = [line for line in text.splitlines() if "| small" in line]
    assert [cell.strip() for cell in small.split("|")[3:-1]] == ["8 ×", "≥ 10 ×", "not met"]
    assert "`scale` could not be run: no server" in text
    assert "2 × a CPU, Linux, Python 3.11.7 (aiohttp 3)" in text


def test_each_chart_of_the_page_is_there_and_is_svg(tmp_path: Path) -> None:
    _, target = written(tmp_path)
    for name in ("sync-time", "sync-memory", "events", "demo"):
        assert f"(page/{name}.svg)" in target.read_text("utf-8")
        ElementTree.parse(tmp_path / "page" / f"{name}.svg")


def test_the_same_figures_make_the_same_charts_and_others_do_not() -> None:
    other = copy.deepcopy(FOUND["benchmarks"])
    other["peers"]["cases"][0]["figures"]["sync_s"][0] = 0.5
    charts = drawn(FOUND["benchmarks"], DEMO)
    assert drawn(FOUND["benchmarks"], DEMO) == charts
    changed = drawn(other, DEMO)
    assert [name for name in charts if changed[name] != charts[name]] == ["sync-time"]


def test_what_cannot_be_read_ends_it_with_2_and_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--json", str(tmp_path / "none.json")]) == 2
    assert "`make bench-page` makes both" in capsys.readouterr().err
    assert written(tmp_path, {**FOUND, "form": 2})[0] == 2
    assert "measure again" in capsys.readouterr().err


def test_figures_of_a_quick_run_say_so() -> None:
    assert "a fraction of the full size" in page({**FOUND, "quick": True}, [], "charts")
