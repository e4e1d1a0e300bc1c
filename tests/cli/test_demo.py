from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import signal
from pathlib import Path

import pytest
from rich.console import Console

from kresilient.cli.demo.command import finish
from kresilient.cli.demo.figures import Figures, Phase, Sample
from kresilient.cli.demo.report import charts
from kresilient.cli.demo.truth import NODES, PODS, Identity, Ledger, Snapshot, StaleReads, divergent
from kresilient.testing.server import FakeApiServer
from kresilient.testing.server.seed import seed_nodes, seed_pods, seed_services

from .commands import PATIENCE, Command, run, running

SMALL = ("--agents", 4, "--seconds", 1.2, "--poll-interval", 0.2)


# --- the whole story -------------------------------------------------------------------------------------


async def test_the_demo_ends_well_and_writes_what_it_found(tmp_path: Path) -> None:
    files = ("--json", tmp_path / "demo.json", "--report", tmp_path / "report.html")
    ended = await run("demo", *SMALL, *files)
    assert (ended.code, ended.err) == (0, ""), ended
    for said in ("polling: 4 agents", "outage: the server is killed", "requests/s", "divergent objects"):
        assert said in ended.out
    found = json.loads((tmp_path / "demo.json").read_text())
    assert 0.5 * 60 < found["polling_rps"] <= 1.1 * 60  # 4 agents, 3 lists, 5 times a second
    assert found["informer_rps"] < 0.1 * found["polling_rps"]
    assert found["reduction_percent"] == pytest.approx(
        100 * (1 - found["informer_rps"] / found["polling_rps"]), abs=0.1
    )
    assert found["initial_requests"] >= 12  # a list that goes on as a watch, for each of three resources
    assert (found["recovered"], found["divergent_objects"], found["lost_writes"]) == (True, 0, 0)
    assert found["cached_objects"] > 4 * 30
    assert found["relists"] >= 8  # all but those that had seen the very last write
    assert found["recovery_writes"] >= 4
    assert found["outage_reads_answered"] == found["outage_reads"] > 0
    assert found["polling_stale_reads"] >= found["informer_stale_reads"]
    assert (found["counted_by"], found["ok"], found["failure"]) == ("server", True, "")
    report = (tmp_path / "report.html").read_text()
    assert report.startswith("<!doctype html>")
    assert "<svg" in report
    assert not re.search(r"<script|<link|<img|(?:src|href)=\"(?!#)", report), "it needs nothing else"


async def until_polling(demo: Command) -> int:
    """Wait until the fleet polls; returns the port of its server."""
    url = re.search(r"http://127\.0\.0\.1:(\d+)", await demo.line_with("http://"))
    assert url is not None
    await demo.line_with("polling")
    return int(url[1])


async def wait_until_gone(reader: asyncio.StreamReader) -> None:
    """Wait until the other end of a connection is no more."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
async def test_however_the_demo_ends_its_server_ends_too(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    async with running("demo", "--agents", 4, "--report", tmp_path / "report.html") as demo:
        port = await until_polling(demo)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        demo.send(number)
        ended = await demo.ended()
        assert (ended.code, ended.err) == (code, "")
        await wait_until_gone(reader)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_a_report_that_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    ended = await run("demo", "--report", tmp_path / "none" / "report.html")
    assert (ended.code, ended.out) == (1, "")
    assert "there is no directory" in ended.err


@pytest.mark.apiserver(token="secret")
async def test_on_a_cluster_it_only_reads(apiserver: FakeApiServer, tmp_path: Path) -> None:
    seed_pods(apiserver.state, 60, nodes=3)
    seed_nodes(apiserver.state, 3)
    seed_services(apiserver.state, 5)
    kubeconfig = apiserver.kubeconfig_file(tmp_path / "kubeconfig")
    options = ("--seconds", 1, "--poll-interval", 0.5, "--agents", 2, "--kubeconfig", kubeconfig)
    files = ("--json", tmp_path / "demo.json", "--report", tmp_path / "report.html")
    ended = await run("demo", *options, *files)
    assert (ended.code, ended.err) == (0, ""), ended
    found = json.loads((tmp_path / "demo.json").read_text())
    assert (found["counted_by"], found["divergent_objects"], found["recovered"]) == ("client", 0, None)
    assert (found["agents"], found["pods"], found["nodes"], found["services"]) == (2, 40, 3, 5)
    assert found["polling_rps"] > 4
    assert {record.verb for record in apiserver.requests} <= {"list", "watch"}
    assert "The clients counted the requests" in (tmp_path / "report.html").read_text()


@pytest.mark.apiserver(token="secret")
async def test_a_cluster_that_refuses_is_the_reason(apiserver: FakeApiServer, tmp_path: Path) -> None:
    files = ("--report", tmp_path / "report.html")
    ended = await run("demo", "--server", apiserver.url, *files)
    assert ended.code == 1
    assert ended.err.startswith("kresilient demo: list v1/nodes")
    assert "403 Forbidden" in ended.err
    assert ended.err.count("\n") == 1


# --- what counts as a success ----------------------------------------------------------------------------


def figures(**more: object) -> Figures:
    made = Figures(
        counted_by="server", agents=2, pods=60, services=2, nodes=2, poll_interval_s=1.0, phase_s=1.0
    )
    made.polling_rps, made.informer_rps_renewals = 6.0, 0.01
    made.recovered, made.recovery_s, made.outage_s = True, 1.0, 1.0
    made.outage_attempts = made.outage_reads = made.outage_reads_answered = 3
    made.phases = [Phase("polling", 0.0, 1.0), Phase("outage", 1.0, 2.0)]
    made.samples = [Sample(0.0, 0, 0, 0, 0), Sample(1.0, 6, 6, 9, 9), Sample(2.0, None, 9, 9, 9)]
    for name, value in more.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"divergent_objects": 3}, "3 cached objects are not as the server has them"),
        ({"recovered": False, "recovery_s": 20.0}, "not every cache was right again 20 s after"),
        ({"lost_writes": 1}, "1 acknowledged writes were lost"),
    ],
)
def test_caches_that_are_wrong_are_a_failure(
    found: dict[str, object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, file = tmp_path / "report.html", tmp_path / "demo.json"
    code = finish(figures(**found), Console(file=io.StringIO()), report=report, figures_file=file)
    assert code == 1
    assert said in capsys.readouterr().err
    assert report.exists()
    assert json.loads(file.read_text())["ok"] is False


def test_caches_that_are_right_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO())
    assert finish(figures(), console, report=tmp_path / "report.html", figures_file=None) == 0
    assert capsys.readouterr().err == ""


def test_the_charts_stand_also_where_there_is_nothing_to_show() -> None:
    assert charts(figures(samples=[], phases=[], polling_stale=StaleReads())).startswith("<svg")


def test_rates_are_taken_between_samples_and_unknown_where_the_server_was_gone() -> None:
    rates = figures().rates()
    assert [(one.at, one.requests, one.attempts, one.wire_bytes) for one in rates] == [
        (0.5, 6.0, 6.0, 9.0),
        (1.5, None, 3.0, 0.0),
    ]


# --- what is true ----------------------------------------------------------------------------------------


def test_objects_diverge_by_key_version_and_uid() -> None:
    truth = {name: Identity("u", "1") for name in ("same", "older", "other", "missing")}
    held = {
        "same": Identity("u", "1"),
        "older": Identity("u", "0"),
        "other": Identity("v", "1"),
        "ghost": Identity("u", "1"),
    }
    assert divergent(held, truth) == {"older", "other", "missing", "ghost"}
    assert divergent(truth, dict(truth)) == set()


@pytest.fixture
def ledger() -> Ledger:
    start = Snapshot()
    start.add(PODS, "a/p", Identity("u", "5"), node="n")
    start.add(NODES, "n", Identity("u", "6"))
    return Ledger(start)


def test_a_read_is_as_old_as_the_first_write_it_missed(ledger: Ledger) -> None:
    assert ledger.age(PODS, "a/p", 5, 10.0) is None
    ledger.written(PODS, "a/p", 7, 11.0)
    ledger.written(PODS, "a/p", 8, 13.0)
    assert ledger.age(PODS, "a/p", 5, 14.0) == 3.0
    assert ledger.age(PODS, "a/p", 7, 14.0) == 1.0
    assert ledger.age(PODS, "a/p", 8, 14.0) is None
    assert ledger.age(PODS, "a/p", 9, 14.0) is None, "a watch may be ahead of the answer"


def test_what_is_deleted_is_stale_to_hold_and_right_to_miss(ledger: Ledger) -> None:
    ledger.deleted(PODS, "a/p", 11.0)
    assert ledger.age(PODS, "a/p", 5, 12.0) == 1.0
    assert ledger.age(PODS, "a/p", 0, 12.0) is None
    assert ledger.keys(PODS, "n") == ["a/p"]
    ledger.written(PODS, "a/q", 9, 13.0, node="n")
    assert ledger.age(PODS, "a/q", 0, 15.0) == 2.0
    ledger.deleted(PODS, "a/q", 20.0)
    assert ledger.keys(PODS, "n") == ["a/q"], "what went long ago is asked for no more"


def test_a_write_in_flight_makes_nothing_stale(ledger: Ledger) -> None:
    ledger.written(PODS, "a/p", 7, 11.0)
    ledger.in_flight.add((PODS, "a/p"))
    assert ledger.age(PODS, "a/p", 5, 14.0) is None


@pytest.mark.parametrize(
    ("pods", "lost"),
    [
        ({"a/p": "7"}, 0),
        ({"a/p": "9"}, 0),
        ({"a/p": "5"}, 1),
        ({}, 1),
        ({"a/p": "7", "a/gone": "3"}, 1),
    ],
)
def test_a_write_is_lost_where_the_server_has_an_older_state(
    ledger: Ledger, pods: dict[str, str], lost: int
) -> None:
    ledger.written(PODS, "a/p", 7, 11.0)
    ledger.written(PODS, "a/gone", 3, 11.0, node="n")
    ledger.deleted(PODS, "a/gone", 12.0)
    now = Snapshot()
    now.add(NODES, "n", Identity("u", "6"))
    for key, version in pods.items():
        now.add(PODS, key, Identity("u", version), node="n")
    assert ledger.lost(now) == lost
