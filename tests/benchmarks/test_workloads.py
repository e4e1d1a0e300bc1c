"""Each workload, run with small numbers: it works, and yields its rows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks import agent, events, informers, limiter, peer_events, reads, write_through
from benchmarks.process import BenchmarkFailed, Server
from benchmarks.report import Options, Report

SMALL = Options(quick=True, rounds=1)


def claims(report: Report) -> list[str]:
    assert all(row.value > 0 for row in report.rows)
    return [row.claim for row in report.rows]


def test_events() -> None:
    assert claims(events.run(SMALL)) == [
        "CPU of an event to 1 handler, in that of the floor",
        "CPU of an event to 10 handlers, in that of the floor",
    ]


def test_events_of_peers_and_of_handlers_that_read_bodies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Here the peers are in this environment, but for the parser.
    (tmp_path / "orjson.py").write_text("from json import loads\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(peer_events, "python_of_peers", lambda: sys.executable)
    report = peer_events.run(SMALL)
    assert claims(report) == [
        "CPU of an event whose body 1 handler read, in that of the floor",
        "CPU of an event whose body 10 handlers read, in that of the floor",
    ]
    for peer in (
        "kubernetes, its informer",
        "kubernetes_asyncio, a typed watch",
        "lightkube, a watch",
        "kr8s, a watch",
    ):
        assert report.median("per_s", side=peer, handlers=1) > 0


def test_reads() -> None:
    assert claims(reads.run(Options(quick=True, rounds=1, pods=600))) == [
        "get by key, of 600, in dict look-ups",
        "by index 30 of 600, in 30 of 300",
        "by index 60 of 600, in 30 of them",
    ]


def test_agent() -> None:
    report = agent.run(SMALL)
    assert claims(report) == [
        "an agent at rest, RSS",
        "import all that an agent loads, above import aiohttp: memory",
        "import all that an agent loads, above import aiohttp: CPU time",
    ]
    assert report.median("rss_mb", what="agent") <= report.median("peak_mb", what="agent")


def test_an_agent_that_does_not_hold_its_pods_is_no_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent, "node_name", lambda number: f"node-of-another-cluster-{number}")
    with pytest.raises(BenchmarkFailed, match="does not hold the 30 pods of node-of-another-cluster-1"):
        agent.run(SMALL)


def test_informers() -> None:
    report = informers.run(SMALL)
    assert claims(report) == [
        "requests until a node's informer is synced",
        "requests for each of equal informers",
        "memory of an informer, in the bytes of its pods",
    ]
    assert [row.value for row in report.rows[:2]] == [1, 1 / 20]


def test_limiter() -> None:
    assert claims(limiter.run(SMALL)) == ["an uncontended pass, in those of aiolimiter alone"]


def test_write_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_through, "_WRITES", 20)
    report = write_through.run(Options(quick=True, rounds=1, pods=600))
    kinds = ("patch", "create", "delete")
    assert claims(report) == [
        *(f"a {kind} shown by 600 objects, in one shown by 300" for kind in kinds),
        *(f"a {kind} shown, as a share of its own request" for kind in kinds),
    ]


def test_events_that_cannot_come_are_no_measurement() -> None:
    with (
        Server("-m", "benchmarks.prepared_server", "3", "5", patience=60) as server,
        pytest.raises(BenchmarkFailed, match="6 events cannot be sent: 5 events were prepared"),
    ):
        events.side(server, "events", 6)
