"""The environment of the peers is made once, for the versions that are pinned."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import peer_environment
from benchmarks.peer_environment import python_of_peers, versions_of_peers
from benchmarks.process import BenchmarkFailed


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """What is run instead of running it; `venv` makes an interpreter."""
    ran: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        if "venv" in command:
            (tmp_path / "env" / "bin").mkdir(parents=True, exist_ok=True)
            (tmp_path / "env" / "bin" / "python").touch()
        refused = "nowhere" in (tmp_path / "pins.txt").read_text() and "pip" in command
        return subprocess.CompletedProcess(command, int(refused), "", "no matching distribution" * refused)

    monkeypatch.setattr(peer_environment.subprocess, "run", run)
    return ran


def made(tmp_path: Path, pins: str) -> str:
    (tmp_path / "pins.txt").write_text(pins)
    return python_of_peers(tmp_path / "env", tmp_path / "pins.txt")


def test_it_is_made_once(
    commands: list[tuple[str, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(tmp_path, "a==1\n") == made(tmp_path, "a==1\n") == str(tmp_path / "env" / "bin" / "python")
    assert [command[2] for command in commands] == ["venv", "pip"]
    assert capsys.readouterr().err == "installing the peers into env (once) …\n"


def test_it_is_made_anew_for_other_versions(commands: list[tuple[str, ...]], tmp_path: Path) -> None:
    made(tmp_path, "a==1\n")
    made(tmp_path, "a==2\n")
    assert [command[2] for command in commands] == ["venv", "pip", "venv", "pip"]


def test_one_that_cannot_be_made_says_what_it_needs_and_is_tried_again(
    commands: list[tuple[str, ...]], tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(BenchmarkFailed, match=r"peers.txt names.*no matching distribution"):
            made(tmp_path, "nowhere==1\n")
    assert len(commands) == 4


def test_the_versions_are_those_that_are_pinned(tmp_path: Path) -> None:
    (tmp_path / "pins.txt").write_text("# some\na==1\nb-c==2.3\n")
    assert versions_of_peers(tmp_path / "pins.txt") == {"a": "1", "b-c": "2.3"}
    assert set(versions_of_peers()) >= {"kubernetes", "kubernetes-asyncio", "kr8s", "lightkube", "orjson"}
