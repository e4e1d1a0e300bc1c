"""`kresilient simulate outage`, as a user runs it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

import kresilient

from .commands import Command, run, running


async def test_it_shows_the_policies_side_by_side_and_writes_what_it_found(tmp_path: Path) -> None:
    figures, page = tmp_path / "outage.json", tmp_path / "outage.html"
    ended = await run(
        *("simulate", "outage", "--nodes", "12", "--seed", "4", "--limit", "60"),
        *("--policy", "fixed-5s", "--policy", "kresilient", "--json", str(figures), "--report", str(page)),
    )
    assert ended.code == 0, ended
    assert "12 nodes, 36 informers" in ended.out
    assert ended.out.index("fixed-5s") < ended.out.index("kresilient")
    record = json.loads(figures.read_text())
    assert record["command"] == (
        "kresilient simulate outage --nodes 12 --seed 4 --limit 60 --policy fixed-5s --policy kresilient"
    )
    assert record["version"] == kresilient.__version__
    found = record["policies"]
    assert [one["policy"] for one in found] == ["fixed-5s", "kresilient"]
    assert found[1]["kills"] == 0 and found[1]["right_after"] <= 90
    assert {"peak_attempts", "steady", "spent", "unevenness", "attempts", "reached"} <= set(found[1])
    assert page.read_text().count("<svg") == 1


async def test_the_table_of_a_page_is_replaced_and_the_rest_of_it_left(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- outage -->\nan old table\n<!-- /outage -->\nafter\n")
    asked = ("simulate", "outage", "--nodes", "5", "--policy", "kresilient", "--page", str(page))
    assert (await run(*asked)).code == 0
    text = page.read_text()
    assert text.startswith("before\n<!-- outage -->\n5 nodes, 15 informers")
    assert text.endswith("\n<!-- /outage -->\nafter\n")
    assert "| kresilient | " in text and "kept: no further kill (0)" in text and "an old table" not in text
    assert (await run(*asked)).code == 0
    assert page.read_text() == text


@pytest.mark.parametrize("text", [None, "no place", "<!-- /outage --> the wrong way round <!-- outage -->"])
async def test_a_page_without_a_place_for_the_table_is_said_before_the_work(
    tmp_path: Path, text: str | None
) -> None:
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text)
    ended = await run("simulate", "outage", "--page", str(page))
    assert ended.code == 1
    assert (
        "cannot be read" if text is None else "has no place for the table: write <!-- outage -->"
    ) in ended.err
    assert text is None or page.read_text() == text


async def test_the_table_of_the_docs_is_markdown_and_the_same_for_a_seed() -> None:
    asked = ("simulate", "outage", "--nodes", "5", "--policy", "kresilient", "--markdown")
    first, second = await run(*asked), await run(*asked)
    assert first.code == 0
    assert first.out == second.out
    assert first.out.splitlines()[2].startswith("| policy | peak attempts/s |")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--policy", "polite"], "invalid choice: 'polite'"),
        (["--nodes", "0"], "0 is below 1"),
        (["--seed", "x"], "--seed"),
        (["--limit", "0"], "--limit"),
    ],
)
async def test_a_wrong_argument_is_named(wrong: list[str], words: str) -> None:
    ended = await run("simulate", "outage", *wrong)
    assert ended.code == 2
    assert words in ended.err


async def test_a_world_has_to_be_named() -> None:
    ended = await run("simulate")
    assert (ended.code, "WORLD" in ended.err) == (2, True)


async def test_a_file_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    ended = await run("simulate", "outage", "--json", str(tmp_path / "none" / "x.json"))
    assert ended.code == 1
    assert "there is no directory" in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_told_to_end_it_ends_with_its_processes(number: signal.Signals) -> None:
    async with running("simulate", "outage", "--policy", "kresilient", "--nodes", "2500") as one:
        assert isinstance(one, Command)
        assert one.process.stderr is not None
        assert b"kresilient" in await one.process.stderr.readline()
        one.send(number)
        ended = await one.ended()
    assert ended.code == 130
    assert "Traceback" not in ended.err
