"""`kresilient demo`: watch a fleet of agents stop polling."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .. import arguments as typed
from ..connection import add_cluster_arguments, cluster_options, names_a_cluster
from ..failures import CommandFailed, require_extra
from ..running import run

if TYPE_CHECKING:
    from rich.console import Console

    from .display import Display
    from .figures import Figures

__all__ = ["add_command"]

_AGENTS: Final = 60
_AGENTS_ON_A_CLUSTER: Final = 5
_INTERVAL: Final = 1.0
_INTERVAL_ON_A_CLUSTER: Final = 5.0

_DESCRIPTION = """\
Watch a fleet of agents stop polling, in under a minute and without a cluster: an agent on each node first
asks for its pods, the services and the nodes every second, then follows them with informers. The API server
(a fake one, in a process of its own) counts the requests. Then it is killed, comes back, and every cache has
to be right again. Exit code 1 if one is not."""

_CLUSTER = """\
With --kubeconfig, --context or --server the first half runs against that cluster: few agents, slow polls,
reads only, and nothing is killed."""


def add_command(commands: Any) -> None:
    """Add `demo` to *commands*."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="watch a fleet of agents stop polling",
        description=_DESCRIPTION,
        epilog=_CLUSTER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--agents",
        type=typed.positive,
        metavar="N",
        help=f"nodes, each with an agent ({_AGENTS}; {_AGENTS_ON_A_CLUSTER} on a real cluster)",
    )
    parser.add_argument(
        "--seconds", type=typed.rate, default=10.0, metavar="S", help="length of each measured phase (10)"
    )
    parser.add_argument(
        "--poll-interval",
        type=typed.rate,
        metavar="S",
        help=f"how often an agent polls ({_INTERVAL:g}; {_INTERVAL_ON_A_CLUSTER:g} on a real cluster)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument(
        "--report",
        type=Path,
        default=Path("demo-report.html"),
        metavar="FILE",
        help="where the report with its charts goes (demo-report.html)",
    )
    add_cluster_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    require_extra("demo", "rich", "matplotlib")
    for path in (arguments.report, arguments.json):
        if path is not None and not path.absolute().parent.is_dir():
            raise CommandFailed(f"{path} cannot be written: there is no directory {path.absolute().parent}")
    from rich.console import Console

    from .display import Display

    console = Console()
    if not console.is_terminal:  # a log is read where it is as wide as its lines
        console = Console(width=120)
    found: list[Figures] = []

    async def told() -> int:
        with Display(console) as display:
            found.append(await _measured(arguments, display))
        return 0

    if (code := run(told())) or not found:
        return code
    return finish(found[0], console, report=arguments.report, figures_file=arguments.json)


async def _measured(arguments: argparse.Namespace, display: Display) -> Figures:
    if names_a_cluster(arguments):
        from .cluster import ClusterOptions, run_on_cluster

        on_cluster = ClusterOptions(
            agents=arguments.agents or _AGENTS_ON_A_CLUSTER,
            seconds=arguments.seconds,
            poll_interval=arguments.poll_interval or _INTERVAL_ON_A_CLUSTER,
        )
        return await run_on_cluster(on_cluster, cluster_options(arguments), display)
    from .run import DemoOptions, run_demo

    options = DemoOptions(
        agents=arguments.agents or _AGENTS,
        seconds=arguments.seconds,
        poll_interval=arguments.poll_interval or _INTERVAL,
    )
    with tempfile.TemporaryDirectory(prefix="kresilient-demo-") as directory:
        return await run_demo(options, Path(directory), display)


def finish(figures: Figures, console: Console, *, report: Path, figures_file: Path | None) -> int:
    """Show and write what was found; returns the exit code of the demo. Raises `OSError`."""
    from .report import write_report
    from .table import fact_table, table, title

    console.print()
    console.print(title(figures), style="bold", highlight=False)
    console.print(table(figures))
    console.print(fact_table(figures))
    console.print()
    if figures_file is not None:
        figures_file.write_text(json.dumps(figures.to_json(), indent=2) + "\n", encoding="utf-8")
    write_report(figures, report)
    console.print(f"charts: {report}", highlight=False, soft_wrap=True)
    if figures.failure:
        print(f"kresilient demo: {figures.failure}", file=sys.stderr)
        return 1
    return 0
