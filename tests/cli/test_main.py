from __future__ import annotations

import pytest

from kresilient import __version__
from kresilient.cli.failures import CommandFailed, require_extra
from kresilient.cli.main import main

from .commands import run


@pytest.mark.parametrize("arguments", [[], ["watch"], ["fake-apiserver"], ["demo"]])
def test_help_explains_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: kresilient {' '.join(arguments)}".rstrip())
    assert len(shown.splitlines()) > 8


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kresilient {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["no-such-command"], "no-such-command"),
        (["watch"], "RESOURCE"),
        (["watch", "pods"], "'pods' names no resource: write \"v1/pods\""),
        (["watch", "v1/pods/status"], "subresource"),
        (["watch", "v1/pods", "-l", "a in"], "label selector 'a in'"),
        (["watch", "v1/pods", "--field-selector", "a"], "field selector 'a'"),
        (["watch", "v1/pods", "-n", "../secrets"], "cannot be a namespace"),
        (["watch", "v1/pods", "-n", "a", "-A"], "not allowed with"),
        (["watch", "v1/pods", "--stats"], "--stats goes with --once"),
        (["watch", "v1/pods", "--once", "--stats", "-o", "json"], "leave -o out"),
        (["watch", "v1/pods", "--timeout", "0"], "0 is not above 0"),
        (["watch", "v1/pods", "--qps", "nan"], "nan is not above 0"),
        (["watch", "v1/pods", "-o", "table"], "needs a terminal"),
        (["fake-apiserver", "--port", "70000"], "70000 is no port"),
        (["fake-apiserver", "--port", "http"], "'http' is no number"),
        (["fake-apiserver", "--seed-pods", "-1"], "-1 is below 0"),
        (["fake-apiserver", "--history", "0"], "0 is below 1"),
        (["demo", "--agents", "0"], "0 is below 1"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert not shown.out


def test_a_module_that_is_missing_is_named_with_its_extra() -> None:
    require_extra("cli", "json")
    with pytest.raises(
        CommandFailed, match=r"no_such_module is not installed: pip install 'kresilient\[cli\]'"
    ):
        require_extra("cli", "no_such_module")


async def test_without_rich_the_demo_says_what_to_install() -> None:
    without = "import sys; sys.modules['rich'] = None; from kresilient.cli import main; sys.exit(main())"
    ended = await run("demo", program=("-c", without))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "kresilient demo: rich is not installed: pip install 'kresilient[demo]'\n"


async def test_a_kubeconfig_that_is_not_there_is_one_line_on_stderr() -> None:
    ended = await run("watch", "v1/pods", "--kubeconfig", "no-such-file")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "kresilient watch: there is no kubeconfig at no-such-file\n"


async def test_no_cluster_at_all_is_one_line_that_says_where_it_was_looked_for() -> None:
    ended = await run("watch", "v1/pods", "--once")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("kresilient watch: no cluster is configured")
    assert ended.err.count("\n") == 1
