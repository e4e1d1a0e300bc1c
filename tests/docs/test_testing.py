"""The code in docs/testing.md is written to the files that it names, and runs."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from kresilient.testing.server import FakeApiServer
from kresilient.testing.server.server import ApiServer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"
BLOCK = re.compile(r"^```(python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"# ([\w.]+)\n")


def files() -> dict[str, str]:
    """The files that the page's blocks are parts of, by name."""
    found: dict[str, str] = defaultdict(str)
    for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        named = NAME.match(text)
        assert named, f"a block of {language} does not say which file it belongs to:\n{text[:200]}"
        found[named[1]] += f"{text}\n\n"
    return found


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    for name, text in files().items():
        (made / name).write_text(text, encoding="utf-8")
    return made


@pytest.mark.parametrize("name", sorted(name for name in files() if name.startswith("test_")))
def test_it_runs(directory: Path, name: str) -> None:
    claims = len(re.findall(r"^async def test_", files()[name], re.MULTILINE))
    options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", *options, name],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert f"{claims} passed" in run.stdout, run.stdout + run.stderr


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text(encoding="utf-8")))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (PAGE.parent / link).exists()


def test_its_contents_are_its_sections() -> None:
    text = PAGE.read_text(encoding="utf-8")
    titles = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.+)$", text, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= titles


def test_its_table_of_options_has_them_all() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    signatures = (inspect.signature(one) for one in (ApiServer, FakeApiServer))
    options = {
        one.name
        for signature in signatures
        for one in signature.parameters.values()
        if one.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert options - {"state"} <= named
