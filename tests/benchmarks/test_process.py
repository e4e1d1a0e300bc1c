"""The processes of a benchmark: what they print is found, and one that fails says why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.process import BenchmarkFailed, Server, measured


def test_a_measured_process_reports_by_its_last_line() -> None:
    assert measured("-c", "print('noise'); print('{\"cpu_s\": 1}')", timeout=30) == {"cpu_s": 1}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('no such pods')", "failed with 1: no such pods"),
        ("import os; os._exit(3)", "failed with 3: it said nothing"),
        ("print('hello')", "printed no JSON line but 'hello"),
        ("pass", "printed no JSON line"),
    ],
)
def test_one_that_does_not_do_its_part_is_a_failure_with_what_it_said(code: str, said: str) -> None:
    with pytest.raises(BenchmarkFailed, match=said):
        measured("-c", code, timeout=30)


def test_one_that_takes_too_long_is_killed() -> None:
    with pytest.raises(BenchmarkFailed, match="took more than 0 s and was killed"):
        measured("-c", "import threading; threading.Event().wait()", timeout=0.2)


def test_another_python_can_be_measured(tmp_path: object) -> None:
    with pytest.raises(FileNotFoundError):
        measured("-c", "pass", timeout=30, python=f"{tmp_path}/python")


def test_a_server_that_does_not_start_is_a_failure() -> None:
    with (
        pytest.raises(BenchmarkFailed, match="did not start; it said 'no port'"),
        Server("-c", "print('no port')", patience=30),
    ):
        pass


def test_a_server_is_told_lines_and_ends_with_its_stdin() -> None:
    code = "import sys; print('listening on x', flush=True); print(sys.stdin.read(), file=sys.stderr)"
    with Server("-c", code, patience=30) as server:
        server.tell("3")
        assert (server.url, server.ca) == ("x", "")


def test_the_authority_of_a_server_over_https_is_there_while_it_runs() -> None:
    with Server.seeded(1, tls=True) as server:
        assert server.url.startswith("https://")
        assert "BEGIN CERTIFICATE" in Path(server.ca).read_text()
    assert not Path(server.ca).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="memory of a process is read from /proc")
def test_a_span_tells_time_memory_and_objects() -> None:
    code = (
        "from benchmarks.process import Span\n"
        "span = Span(); held = bytearray(50_000_000); span.end(objects=3, size=2_000_000, extra=1.5)"
    )
    found = measured("-c", code, timeout=30)
    assert (found["objects"], found["body_mb"], found["extra"]) == (3, 2, 1.5)
    assert found["cpu_s"] > 0 and found["sync_s"] > 0
    assert 45 < found["grown_mb"] < 60
