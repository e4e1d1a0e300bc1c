"""The pytest plugin: light, on the loop of the test whatever its scope, clear when it cannot serve."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_ADDOPTS", None)
    environment.pop("CI", None)  # pytest says more there
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Suite:
    """Test files of somebody else, run by a pytest of their own, with this plugin and pytest-asyncio."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(dedent(text))

    def run(self, text: str, *options: str, before: str = "pass", asyncio: bool = True) -> str:
        """What pytest says of a file with *text* in it."""
        self.write("test_it.py", text)
        arguments = ["-q", "-p", "no:cacheprovider", "-p", "kresilient.testing.plugin"]
        if asyncio:
            arguments += ["-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function"]
        arguments += options
        script = f"{before}; import sys, pytest; sys.exit(pytest.main({arguments!r}))"
        run = python("-c", script, cwd=self.path)
        return run.stdout + run.stderr


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


# --- loading ---------------------------------------------------------------------------------------------


def test_it_imports_nothing_heavy() -> None:
    script = (
        "import sys, kresilient.testing.plugin; "
        "heavy = {'aiohttp', 'msgspec', 'kubernetes_asyncio', 'yaml', 'trustme', 'kresilient.client'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    light = python("-c", script)
    assert light.stdout == "[]\n", light.stderr


def test_it_loads_without_pytest_asyncio_and_says_what_is_missing(suite: Suite) -> None:
    said = suite.run(
        """
        def test_it_runs(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("kresilient.testing.plugin")

        def test_it_serves(apiserver):
            pass
        """,
        asyncio=False,
    )
    assert "1 passed" in said, said
    assert "the fixture 'apiserver' needs pytest-asyncio: install it, and let pytest load it" in said


# --- modes and loops -------------------------------------------------------------------------------------

ROUND = """
import asyncio
import pytest
import pytest_asyncio

{mark}
async def test_a_round(apiserver, kube_client):
    apiserver.create("v1/configmaps", {{"metadata": {{"name": "one"}}}})
    async with asyncio.timeout(10):
        assert [one.key async for one in kube_client.list("v1/configmaps")] == ["default/one"]

{mark}
async def test_another_server(apiserver, kube_client):
    async with asyncio.timeout(10):
        assert [one.key async for one in kube_client.list("v1/configmaps")] == []
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_it_serves_on_a_marked_test_s_loop_of_any_scope(suite: Suite, mode: str, scope: str) -> None:
    text = ROUND.format(mark=f'@pytest.mark.asyncio(loop_scope="{scope}")')
    said = suite.run(text, "-o", f"asyncio_mode={mode}")
    assert "2 passed" in said, said


@pytest.mark.parametrize("test_scope", ["function", "class", "package", "session"])
@pytest.mark.parametrize("fixture_scope", ["function", "session"])
def test_it_serves_on_the_loop_that_is_configured_for_tests(
    suite: Suite, test_scope: str, fixture_scope: str
) -> None:
    said = suite.run(
        ROUND.format(mark=""),
        *("-o", "asyncio_mode=auto"),
        *("-o", f"asyncio_default_test_loop_scope={test_scope}"),
        *("-o", f"asyncio_default_fixture_loop_scope={fixture_scope}"),
    )
    assert "2 passed" in said, said


def test_it_serves_fixtures_and_classes_of_the_user(suite: Suite) -> None:
    said = suite.run(
        """
        import pytest, pytest_asyncio

        @pytest_asyncio.fixture
        async def seeded(apiserver, kube_client):
            await kube_client.create("v1/configmaps", {"metadata": {"name": "one"}}, namespace="default")
            yield kube_client
            assert apiserver.get("v1/configmaps", "default/one") is not None  # it still runs

        @pytest.mark.asyncio
        class TestIt:
            async def test_it(self, seeded):
                assert len([one async for one in seeded.list("v1/configmaps")]) == 1
        """
    )
    assert "1 passed" in said, said


def test_every_worker_of_xdist_has_servers_of_its_own(suite: Suite) -> None:
    said = suite.run(
        """
        import pytest

        @pytest.mark.asyncio
        @pytest.mark.parametrize("n", range(8))
        async def test_it(apiserver, kube_client, worker_id, n):
            assert worker_id.startswith("gw")
            apiserver.create("v1/configmaps", {"metadata": {"name": f"one-{n}"}})
            assert [one.key async for one in kube_client.list("v1/configmaps")] == [f"default/one-{n}"]

        @pytest.mark.asyncio
        async def test_that_fails(apiserver, kube_client):
            await kube_client.list("v1/configmaps")
            assert False
        """,
        *("-p", "xdist", "-n", "2"),
    )
    assert "8 passed" in said, said
    assert "1 failed" in said, said
    assert "list  v1/configmaps  200" in said, said


def test_a_user_s_own_apiserver_is_the_one_that_the_client_uses(suite: Suite) -> None:
    suite.write(
        "conftest.py",
        """
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def apiserver(apiserver):
            apiserver.create("v1/configmaps", {"metadata": {"name": "seeded"}})
            return apiserver
        """,
    )
    said = suite.run(
        """
        import pytest

        @pytest.mark.asyncio
        async def test_it(kube_client):
            assert [one.key async for one in kube_client.list("v1/configmaps")] == ["default/seeded"]
        """
    )
    assert "1 passed" in said, said


# --- what it says when it cannot serve -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("def test_it(apiserver): pass", "'apiserver' needs an `async def` test: a server answers while"),
        ("def test_it(kube_client): pass", "'kube_client' needs an `async def` test"),
        ("def test_it(apiserver_factory): pass", "'apiserver_factory' needs an `async def` test"),
        ("async def test_it(apiserver): pass", "'apiserver' needs a test that pytest-asyncio runs"),
        (
            "@pytest.mark.asyncio\n@pytest.mark.apiserver(tokn='x')\nasync def test_it(apiserver): pass",
            "@pytest.mark.apiserver: an API server takes no option 'tokn': did you mean 'token'?",
        ),
        (
            "@pytest.mark.asyncio\n@pytest.mark.apiserver(zzzz=1)\nasync def test_it(apiserver): pass",
            "an API server takes no option 'zzzz': there are audit, ",
        ),
        (
            "@pytest.mark.asyncio\n@pytest.mark.apiserver('x')\nasync def test_it(apiserver): pass",
            "@pytest.mark.apiserver takes options by name, such as token=\"secret\", not 'x'",
        ),
        (
            "@pytest.mark.asyncio\n@pytest.mark.apiserver(memory=True, tls=True)\n"
            "async def test_it(apiserver): pass",
            "a server in memory has no socket, and so takes no 'tls': leave out one of them",
        ),
        (
            "@pytest.mark.asyncio\n@pytest.mark.apiserver(objects=[{'kind': 'Pod'}])\n"
            "async def test_it(apiserver): pass",
            "object 1 is no Kubernetes object: a manifest needs apiVersion and kind",
        ),
        (
            "@pytest.mark.asyncio\n@pytest.mark.apiserver(manifests=['none.yaml'])\n"
            "async def test_it(apiserver): pass",
            "none.yaml",
        ),
        (
            "@pytest.mark.asyncio\n@pytest.mark.apiserver(gone='never')\nasync def test_it(apiserver): pass",
            '@pytest.mark.apiserver: gone must be "event" or "status"',
        ),
    ],
)
def test_what_cannot_work_is_said(suite: Suite, test: str, message: str) -> None:
    said = suite.run(f"import pytest\n{test}\n")
    assert "1 error" in said, said
    assert message in said, said


# --- what a test that failed says ------------------------------------------------------------------------


def test_the_report_of_a_failed_test_shows_what_the_server_saw(suite: Suite) -> None:
    said = suite.run(
        """
        import asyncio, pytest

        @pytest.mark.asyncio
        async def test_it(apiserver, kube_client):
            apiserver.faults.next("delete", "v1/pods").status(409)
            for n in range(25):
                with pytest.raises(Exception):
                    await kube_client.get("v1/pods", f"default/web-{n}")
            assert not "what it ought to be"
        """
    )
    report = said[said.index("Captured apiserver call") :]
    assert "25 requests came, the last 20 of them:" in report, said
    lines = [line for line in report.splitlines() if "v1/pods default/web-" in line]
    assert len(lines) == 20, said
    assert "web-24" in lines[-1]
    assert "404" in lines[-1]
    assert "faults that no request has met:\n  next('delete', 'v1/pods').status(409)" in report


def test_a_failed_fixture_of_the_user_shows_it_too_and_a_passed_test_shows_nothing(suite: Suite) -> None:
    said = suite.run(
        """
        import pytest, pytest_asyncio

        @pytest_asyncio.fixture
        async def broken(kube_client):
            await kube_client.get("v1/pods", "default/none")

        @pytest.mark.asyncio
        async def test_it(broken): pass

        @pytest.mark.asyncio
        async def test_good(kube_client): await kube_client.list("v1/pods")

        @pytest.mark.asyncio
        async def test_skipped(kube_client): pytest.skip("not now")
        """,
        "-rA",
    )
    assert "1 passed, 1 skipped, 1 error" in said, said
    assert said.count("Captured apiserver") == 1
    assert "Captured apiserver setup" in said


def test_virtual_time_over_http_is_pointed_out_where_it_failed(suite: Suite) -> None:
    said = suite.run(
        """
        import asyncio, pytest

        @pytest.mark.asyncio
        @pytest.mark.looptime
        async def test_it(apiserver): assert False
        """,
        *("-p", "looptime_plugin"),
    )
    assert "virtual time does not wait for sockets: @pytest.mark.apiserver(memory=True) has none" in said


# --- the short name --------------------------------------------------------------------------------------

OTHER = """
import pytest

@pytest.fixture
def client():
    return "another's"
"""
SHORT = """
def test_it(client):
    assert client == "another's"
"""


@pytest.mark.parametrize("first", [True, False])
def test_the_short_name_gives_way_to_another_plugin(suite: Suite, first: bool) -> None:
    suite.write("other.py", OTHER)
    options = ["-p", "other"]
    before = "import sys; sys.path.insert(0, '.')"
    if first:
        before += "; import pytest; main = pytest.main; pytest.main = lambda a: main(['-p', 'other', *a])"
        options = []
    said = suite.run(SHORT, *options, before=before)
    assert "1 passed" in said, said


def test_the_short_name_gives_way_to_a_conftest(suite: Suite) -> None:
    suite.write("conftest.py", OTHER)
    said = suite.run(SHORT)
    assert "1 passed" in said, said


def test_the_short_name_is_the_client_of_the_server(suite: Suite) -> None:
    said = suite.run(
        """
        import pytest

        @pytest.mark.asyncio
        async def test_it(client, kube_client, apiserver):
            assert client is kube_client
            await client.list("v1/pods")
            assert apiserver.requests.count(verb="list") == 1
        """
    )
    assert "1 passed" in said, said
