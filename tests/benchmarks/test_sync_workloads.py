"""The workloads about first lists, with few pods: every side runs, and every row is there.

What the rows say of so few pods says nothing; whether they are met is not asked.
"""

from __future__ import annotations

import sys

import pytest

from benchmarks import growth, memory, peers, relist, sync
from benchmarks.process import BenchmarkFailed, Server
from benchmarks.report import Options, Report
from benchmarks.sides import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory of a process is read from /proc")

PODS = 60
OPTIONS = Options(rounds=1, pods=PODS)


def claims(report: Report) -> list[str]:
    return [row.claim for row in report.rows]


def test_sync_has_a_row_for_each_way_to_list_with_both_floors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "_WANTED", {"TLS": 1.3})
    report = sync.run(OPTIONS)
    assert claims(report) == [
        "TLS, a streaming list: client CPU, in that of both floors",
        "TLS, one list: client CPU, in that of both floors",
        "TLS, one compressed list: client CPU, in that of both floors",
    ]
    for form in ("stream", "list", "gzip"):
        ours, read, split = (
            report.median("body_mb", side=side, over="TLS", form=form)
            for side in ("kresilient", "aiohttp", "pass")
        )
        assert ours == read == split > 0.4  # the same bytes for all
    assert report.median("cpu_s", side="socket", over="TLS", form="stream") > 0


def test_memory_has_a_row_for_each_variant_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "why_not_compact", lambda: "there is no such option")
    report = memory.run(OPTIONS)
    assert [dict(case) for case in report.cases()] == [
        {"holds": "whole", "form": "stream"},
        {"holds": "whole", "form": "list"},
        {"holds": "whole", "form": "gzip"},
        {"holds": "strip", "form": "stream"},
        {"holds": "view", "form": "stream"},
    ]
    assert len(report.rows) == 5
    assert "there is no such option: left out" in capsys.readouterr().err


def test_a_relist_is_measured_for_memory_and_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relist, "_FORMS", {"list": "one list"})
    report = relist.run(OPTIONS)
    assert claims(report) == [
        "relist by one list: peak above steady, in the memory of what is held",
        "sync by one list: longest stall of the loop, beyond that of an idle one",
        "relist by one list: longest stall of the loop, beyond that of an idle one",
    ]
    (case,) = report.cases()
    assert case["strategy"] == "not-older"


def test_growth_compares_the_most_with_a_tenth_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_SHARES", (0.1, 1))
    report = growth.run(Options(rounds=1, pods=600))
    assert [case["pods"] for case in report.cases()] == [60, 600]
    assert claims(report) == [
        "client CPU of a pod among 600, in that among 60",
        "memory of a pod among 600, in that among 60",
    ]


def test_peers_come_to_hold_what_kresilient_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {name: side for name, side in peers._PEERS.items() if side != "parsed_list"}
    monkeypatch.setattr(peers, "_PEERS", installed)
    monkeypatch.setattr(peers, "_AT_MOST", {"lightkube, a list": 6})
    monkeypatch.setattr(peers, "_PARTS", (10, 1))
    monkeypatch.setattr(peers, "python_of_peers", lambda: sys.executable)
    report = peers.run(OPTIONS)
    sizes = {name: [case["pods"] for case in report.cases() if case["side"] == name] for name in installed}
    assert sizes == {name: [6] if "lightkube" in name else [6, 60] for name in installed}
    assert [row.at_least for row in report.rows] == [True] * 4
    assert claims(report)[0] == "kubernetes, its informer, 60 pods: sync time, in that of kresilient"


def test_a_side_that_does_not_hold_every_pod_is_a_failure() -> None:
    with Server.seeded(3) as server, pytest.raises(BenchmarkFailed, match="came to hold 3 pods, where 4"):
        run.informer(server, 4)
