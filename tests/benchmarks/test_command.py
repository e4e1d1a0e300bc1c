"""`python -m benchmarks`: which workloads it runs, what it writes, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import benchmarks.__main__ as command
from benchmarks.process import BenchmarkFailed
from benchmarks.report import Options, Report, Row

Run = Callable[[Options], Report]


@pytest.fixture
def workloads(monkeypatch: pytest.MonkeyPatch) -> dict[str, Run]:
    """In place of what the names stand for; a name that is not in it must not be run."""
    found: dict[str, Run] = {}
    monkeypatch.setattr(command, "load", lambda name: SimpleNamespace(run=found[name]))
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    return found


def reports(value: float) -> Run:
    def run(options: Options) -> Report:
        report = Report("a title", [Row("a claim", value, 2)])
        report.add({"side": "ours"}, {"cpu_s": value})
        return report

    return run


def fails(options: Options) -> Report:
    raise BenchmarkFailed("the server did not start")


def test_without_names_runs_all_but_those_aside(workloads: dict[str, Run]) -> None:
    ran: list[str] = []
    for name in command.WHOLE:
        workloads[name] = lambda options, name=name: (ran.append(name), Report(name))[1]
    assert command.main([]) == 0
    assert ran == list(command.WHOLE)


def test_every_name_has_a_module_with_run() -> None:
    from benchmarks.workloads import ASIDE, WHOLE, load

    assert all(callable(load(name).run) for name in (*WHOLE, *ASIDE))


def test_hands_its_options_to_the_workload(workloads: dict[str, Run]) -> None:
    asked: list[Options] = []
    workloads["sync"] = lambda options: (asked.append(options), Report("sync"))[1]
    command.main(["sync", "--quick", "--rounds", "2", "--pods", "60"])
    assert asked == [Options(quick=True, rounds=2, pods=60)]


@pytest.mark.parametrize(("value", "code", "said"), [(1.0, 0, "| met"), (3.0, 1, "| not met")])
def test_its_exit_code_says_whether_every_row_is_met(
    workloads: dict[str, Run],
    capsys: pytest.CaptureFixture[str],
    value: float,
    code: int,
    said: str,
) -> None:
    workloads["sync"] = reports(value)
    assert command.main(["sync"]) == code
    assert said in capsys.readouterr().out


def test_a_workload_that_fails_ends_with_2_and_does_not_stop_the_others(
    workloads: dict[str, Run], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    workloads |= {"sync": fails, "limiter": reports(1.0)}
    file = tmp_path / "bench.json"
    assert command.main(["sync", "limiter", "--json", str(file)]) == 2
    said = capsys.readouterr()
    assert "benchmarks: sync: the server did not start" in said.err
    assert "a claim" in said.out
    found = json.loads(file.read_text())
    assert found["failed"] == {"sync": "the server did not start"}
    assert list(found["benchmarks"]) == ["limiter"]


def test_its_json_has_the_form_that_the_readme_describes(workloads: dict[str, Run], tmp_path: Path) -> None:
    workloads["sync"] = reports(1.0)
    file = tmp_path / "bench.json"
    command.main(["sync", "--quick", "--json", str(file)])
    found: dict[str, Any] = json.loads(file.read_text())
    assert list(found) == ["form", "date", "quick", "machine", "benchmarks", "failed"]
    assert (found["form"], found["quick"], found["failed"]) == (1, True, {})
    assert list(found["machine"]) == ["system", "cpu", "cpus", "load", "python", "versions"]
    assert "aiohttp" in found["machine"]["versions"]
    assert list(found["benchmarks"]["sync"]) == ["title", "cases", "rows", "seconds"]


def test_what_was_measured_is_kept_when_a_later_workload_breaks(
    workloads: dict[str, Run], tmp_path: Path
) -> None:
    def breaks(options: Options) -> Report:
        raise ZeroDivisionError

    workloads |= {"sync": reports(1.0), "limiter": breaks}
    file = tmp_path / "bench.json"
    with pytest.raises(ZeroDivisionError):
        command.main(["sync", "limiter", "--json", str(file)])
    assert list(json.loads(file.read_text())["benchmarks"]) == ["sync"]


def test_each_case_and_row_is_a_line_of_its_json(workloads: dict[str, Run], tmp_path: Path) -> None:
    workloads["sync"] = reports(1.0)
    file = tmp_path / "bench.json"
    command.main(["sync", "--json", str(file)])
    lines = [line.strip() for line in file.read_text().splitlines()]
    assert '{"case": {"side": "ours"}, "runs": 1, "figures": {"cpu_s": [1.0, 1.0, 1.0]}}' in lines
    assert [json.loads(line)["claim"] for line in lines if line.startswith('{"claim"')] == ["a claim"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--pods", "0"],
        ["--pods", "many"],
        ["--rounds", "-1"],
        ["--unknown"],
        ["--json", "/no/such/place"],
    ],
    ids=" ".join,
)
def test_refuses_what_it_does_not_know(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert arguments[-1] in capsys.readouterr().err
