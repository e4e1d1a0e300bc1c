"""The guard: what has become slow is found, and noise is not taken for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest

from benchmarks import guard, guarded
from benchmarks.guard import due, judge
from benchmarks.guarded import Guarded
from kresilient.api.wire import WatchDecoder, WatchFrame

ROOT = Path(__file__).parents[2]


def test_nothing_has_become_slow() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.guard"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, f"\n{ran.stdout}\n{ran.stderr}"


def test_a_wire_decoder_that_takes_a_third_longer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(WatchDecoder):
        def feed(self, chunk: bytes) -> Iterator[WatchFrame]:
            begun = time.process_time()
            frames = list(super().feed(chunk))
            end = time.process_time() + (time.process_time() - begun) / 3
            while time.process_time() < end:
                pass
            return iter(frames)

    [part] = [one for one in guarded.guarded() if one.name == "a watch stream, cut and decoded"]
    recorded = due(json.loads((ROOT / "benchmarks" / "guard.json").read_text()), sys.version_info[:2])
    assert judge([part], recorded)[0].met
    monkeypatch.setattr(guarded, "WatchDecoder", Slow)
    assert not judge([part], recorded)[0].met


def taking(times: Iterable[float]) -> Callable[[], float]:
    """What takes so long, one time after the other, and the last of them ever after."""
    listed = list(times)
    left = chain(listed, repeat(listed[-1]))
    return lambda: next(left)


def a_part(ours: Iterable[float], floor: Iterable[float] = (1.0,), *, rounds: int = 3) -> Guarded:
    return Guarded("a part", taking(ours), taking(floor), rounds, 1.25)


def test_what_costs_no_more_than_recorded_is_met() -> None:
    report, gained = judge([a_part([2.0])], {"a part": 2.0})
    assert report.met
    assert not gained


def test_the_margin_is_allowed_and_no_more() -> None:
    assert judge([a_part([2.5])], {"a part": 2.0})[0].met
    assert not judge([a_part([2.51])], {"a part": 2.0})[0].met


def test_the_best_of_the_rounds_counts_on_both_sides() -> None:
    report, _ = judge([a_part([9.0, 2.0, 9.0], [4.0, 4.0, 1.0])], {"a part": 2.0})
    assert report.rows[0].value == 2


def test_what_seems_lost_is_measured_again() -> None:
    noise = [9.0] * 10
    report, _ = judge([a_part([*noise, 2.0])], {"a part": 2.0})
    assert report.met


def test_what_stays_lost_is_lost() -> None:
    report, _ = judge([a_part([3.0])], {"a part": 2.0})
    assert [(row.claim, row.value, row.limit) for row in report.rows] == [("a part", 3, 2.5)]
    assert not report.met


def test_what_is_faster_by_far_is_named() -> None:
    assert judge([a_part([1.5])], {"a part": 2.0})[1] == ["a part"]


def test_a_python_is_due_what_it_or_the_one_before_it_recorded() -> None:
    record = {"3.9": {"a": 9.0}, "3.11": {"a": 1.0}, "3.13": {"a": 3.0}}
    found = [due(record, version)["a"] for version in [(3, 8), (3, 9), (3, 11), (3, 12), (3, 13), (3, 20)]]
    assert found == [9, 9, 1, 1, 3, 3]


class TestCommand:
    @pytest.fixture
    def record(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """Where the ratios are; what is guarded is one part that costs two floors."""
        file = tmp_path / "guard.json"
        monkeypatch.setattr(guard, "_RECORD", file)
        monkeypatch.setattr(guard, "guarded", lambda: [a_part([2.0])])
        monkeypatch.setattr(guard.gc, "freeze", lambda: None)  # it would be for all tests that follow
        return file

    def test_what_it_records_is_what_it_expects(
        self, record: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert guard.main(["--record"]) == 0
        assert guard.main([]) == 0
        assert "| a part | 2 × " in capsys.readouterr().out

    def test_records_for_this_python_and_keeps_the_others(self, record: Path) -> None:
        record.write_text('{"3.99": {"a part": 7.0}, "3.2": {"a part": 5.0}}')
        guard.main(["--record"])
        found = json.loads(record.read_text())
        assert list(found) == ["3.2", guard._PYTHON, "3.99"]
        assert (found["3.2"], found[guard._PYTHON]) == ({"a part": 5}, {"a part": 2})

    def test_a_loss_ends_it_with_1(self, record: Path) -> None:
        record.write_text(json.dumps({guard._PYTHON: {"a part": 1.0}}))
        assert guard.main([]) == 1

    def test_a_gain_is_to_be_recorded(self, record: Path, capsys: pytest.CaptureFixture[str]) -> None:
        record.write_text(json.dumps({guard._PYTHON: {"a part": 9.0}}))
        assert guard.main([]) == 0
        assert "faster by far than recorded, record it: a part" in capsys.readouterr().out

    def test_what_was_never_recorded_ends_it_with_2(
        self, record: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert guard.main([]) == 2
        assert "never recorded: a part (python -m benchmarks.guard --record)" in capsys.readouterr().err
