"""`kresilient simulate outage`: what an outage does under several ways to retry."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

from .. import arguments as typed
from ..failures import CommandFailed, require_extra

__all__ = ["add_command"]

_DESCRIPTION: Final = r"""\ An outage in virtual time: an API server that serves a fleet of nodes is killed
for want of memory, and comes back after 30 s with nothing of its history. What the fleet does then decides
whether it is killed again. Each policy runs in a process of its own, against the same machine; one of them
is this library, as it is. Exit code 1 if that does not keep what it promises."""

_EPILOG: Final = "The model, its figures and where they come from: docs/outage.md."


def add_command(commands: Any) -> None:
    """Add `simulate` to *commands*."""
    simulate: argparse.ArgumentParser = commands.add_parser(
        "simulate", help="play an outage through in virtual time"
    )
    worlds = simulate.add_subparsers(dest="world", metavar="WORLD", required=True, title="worlds")
    parser = worlds.add_parser(
        "outage",
        help="a killed API server, under several ways to retry",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--nodes",
        type=typed.positive,
        default=2_500,
        metavar="N",
        help="nodes, each with three informers and a lease (2500); the server's machine grows with them",
    )
    parser.add_argument(
        "--policy",
        action="append",
        choices=["unbounded", "fixed-1s", "fixed-5s", "client-go", "kresilient"],
        metavar="P",
        help="unbounded, fixed-1s, fixed-5s, client-go or kresilient; again for several (all)",
    )
    parser.add_argument(
        "--seed",
        type=typed.count,
        default=1,
        metavar="S",
        help="of every random draw (1)",
    )
    parser.add_argument(
        "--limit",
        type=typed.rate,
        default=300.0,
        metavar="S",
        help="virtual seconds from the server's return after which a policy is given up (300)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a page with charts to this file")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="put table and promises into this Markdown page, between its comments `<!-- outage -->` and"
        " `<!-- /outage -->`",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    require_extra("cli", "rich")
    if arguments.report is not None:
        require_extra("demo", "matplotlib")
    for path in (arguments.report, arguments.json):
        if path is not None and not path.absolute().parent.is_dir():
            raise CommandFailed(f"{path} cannot be written: there is no directory {path.absolute().parent}")
    from rich.console import Console

    from ...testing.simulation import POLICIES, OutageOptions, goals
    from .progress import Shown
    from .record import as_json, check_page, put_into_page
    from .runs import run_policies
    from .table import markdown, table, title

    def told(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, told)  # so that the processes of the policies end too
    if arguments.page is not None:
        check_page(arguments.page)
    chosen = arguments.policy or [policy.name for policy in POLICIES]
    names = list(dict.fromkeys(chosen))
    options = OutageOptions(nodes=arguments.nodes, seed=arguments.seed, limit=arguments.limit)
    with Shown(Console(stderr=True), names) as shown:
        measures = run_policies(names, options, shown)
    if arguments.json is not None:
        arguments.json.write_text(as_json(_command(arguments), measures), encoding="utf-8")
    if arguments.page is not None:
        put_into_page(measures, arguments.page)
    if arguments.markdown:
        sys.stdout.write(markdown(measures))
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=150)
        console.print(title(measures), highlight=False)
        console.print(table(measures))
    if arguments.report is not None:
        from .report import write_report

        write_report(measures, arguments.report)
        print(f"charts: {arguments.report}", file=sys.stderr)
    promises = goals(measures)
    for goal in promises:
        print(goal, file=sys.stderr)
    return 0 if all(goal.kept for goal in promises) else 1


def _command(arguments: argparse.Namespace) -> str:
    """The command that gives the same figures again."""
    policies = "".join(f" --policy {name}" for name in arguments.policy or ())
    return (
        f"kresilient simulate outage --nodes {arguments.nodes} --seed {arguments.seed}"
        f" --limit {arguments.limit:g}{policies}"
    )
