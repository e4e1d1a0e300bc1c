"""What workloads report: the figures of every case, and claims that are met or not."""

from __future__ import annotations

import json

import pytest

from benchmarks.process import BenchmarkFailed
from benchmarks.report import Options, Report, Row, ratios


class TestRow:
    def test_is_met_up_to_its_limit(self) -> None:
        assert [Row("c", value, 1.5).met for value in (1.4, 1.5, 1.6)] == [True, True, False]

    def test_may_ask_for_at_least(self) -> None:
        assert [Row("c", value, 25, at_least=True).met for value in (24, 25, 26)] == [False, True, True]

    def test_of_rounds_has_their_median_and_spread(self) -> None:
        row = Row.of("c", [3.0, 1.0, 2.5], 2)
        assert (row.value, row.least, row.most, row.met) == (2.5, 1.0, 3.0, False)

    def test_says_what_was_wanted_and_whether_it_is_met(self) -> None:
        assert Row.of("peak", [0.5, 0.25, 0.75], 1.3).cells() == (
            "peak",
            "0.5 × (0.25–0.75)",
            "≤ 1.3 ×",
            "met",
        )
        assert Row("ahead", 24, 25, at_least=True).cells() == ("ahead", "24 ×", "≥ 25 ×", "not met")


class TestReport:
    @pytest.fixture
    def report(self) -> Report:
        report = Report("sync")
        for cpu in (1.0, 3.0, 2.0):
            report.add({"side": "ours", "pods": 3000}, {"cpu_s": cpu, "peak_mb": 20})
        report.add({"side": "floor", "pods": 3000}, {"cpu_s": 0.5})
        return report

    def test_keeps_the_rounds_of_a_case_in_order(self, report: Report) -> None:
        assert report.samples("cpu_s", side="ours", pods=3000) == [1, 3, 2]
        assert report.median("cpu_s", side="ours", pods=3000) == 2

    def test_knows_no_case_by_a_part_of_it(self, report: Report) -> None:
        with pytest.raises(KeyError):
            report.samples("cpu_s", side="ours")

    def test_is_met_where_all_of_its_rows_are(self, report: Report) -> None:
        report.rows = [Row("a", 1, 2)]
        assert report.met
        report.rows.append(Row("b", 3, 2))
        assert not report.met

    def test_as_json_has_median_least_and_most_of_each_figure(self, report: Report) -> None:
        report.rows = [Row("ahead", 30.12345, 25, at_least=True)]
        assert json.loads(json.dumps(report.as_dict())) == {
            "title": "sync",
            "cases": [
                {
                    "case": {"side": "ours", "pods": 3000},
                    "runs": 3,
                    "figures": {"cpu_s": [2, 1, 3], "peak_mb": [20, 20, 20]},
                },
                {"case": {"side": "floor", "pods": 3000}, "runs": 1, "figures": {"cpu_s": [0.5, 0.5, 0.5]}},
            ],
            "rows": [
                {
                    "claim": "ahead",
                    "value": 30.12,
                    "limit": 25,
                    "at_least": True,
                    "unit": "×",
                    "met": True,
                }
            ],
        }

    def test_as_a_table_has_a_line_for_each_case_and_row(self, report: Report) -> None:
        report.rows = [Row("ahead", 30, 25, at_least=True)]
        table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.table().splitlines()]
        assert table[2] == ["side", "pods", "runs", "cpu s", "peak MB"]
        assert table[4:6] == [
            ["ours", "3,000", "3", "2 (1–3)", "20"],
            ["floor", "3,000", "1", "0.5", ""],
        ]
        assert table[-1] == ["ahead", "30 ×", "≥ 25 ×", "met"]


class TestOptions:
    def test_leave_sizes_to_the_workload(self) -> None:
        assert (Options().pods_of(30_000), Options().rounds_of(5)) == (30_000, 5)

    def test_quick_is_a_fraction_of_them(self) -> None:
        quick = Options(quick=True)
        assert (quick.pods_of(30_000), quick.rounds_of(5)) == (3000, 1)

    def test_are_what_was_asked_for_even_if_quick(self) -> None:
        asked = Options(quick=True, rounds=2, pods=60)
        assert (asked.pods_of(30_000), asked.rounds_of(5)) == (60, 2)


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([3, 8], [2, 4]) == [1.5, 2]


def test_there_is_no_ratio_to_nothing() -> None:
    with pytest.raises(BenchmarkFailed, match="too little was asked for"):
        ratios([3, 8], [2, 0])
