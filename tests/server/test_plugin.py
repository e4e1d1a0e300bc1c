"""The pytest plugin is light, loads without pytest-asyncio, and gives a running server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_imports_nothing_heavy() -> None:
    script = (
        "import sys, kresilient.testing.plugin; "
        "heavy = {'aiohttp', 'msgspec', 'kubernetes_asyncio', 'yaml', 'trustme', 'kresilient.client'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    light = python("-c", script)
    assert light.stdout == "[]\n", light.stderr


SUITE = """
import urllib.request
import pytest

def test_it_runs(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("kresilient.testing.plugin")

@pytest.mark.apiserver(history=10)
async def test_it_serves(apiserver):
    import asyncio
    url = apiserver.url + "/readyz"
    body = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())
    assert body == b"ok"
"""


def suite(tmp_path: Path, before: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `SUITE` in a pytest of its own, with this plugin and no other but what *options* name."""
    (tmp_path / "test_it.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "kresilient.testing.plugin", *options]
    return python("-c", f"{before}; import sys, pytest; sys.exit(pytest.main({arguments!r}))", cwd=tmp_path)


def test_the_server_fixture_runs_one(tmp_path: Path) -> None:
    run = suite(tmp_path, "pass", "-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto")
    assert "2 passed" in run.stdout, run.stdout + run.stderr


def test_it_loads_without_pytest_asyncio_and_says_what_is_missing(tmp_path: Path) -> None:
    hidden = "import importlib.util as u; f = u.find_spec; "
    hidden += "u.find_spec = lambda name, *a: None if name == 'pytest_asyncio' else f(name, *a)"
    run = suite(tmp_path, hidden)
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    assert "needs pytest-asyncio: install it" in run.stdout
