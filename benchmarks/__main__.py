"""Every workload, or those that are named: `python -m benchmarks [NAME ...] [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from .peer_environment import versions_of_peers
from .process import BenchmarkFailed
from .report import Options, Report, machine, progress
from .workloads import ASIDE, WHOLE, load

_FORM: Final = 1
"""Of the JSON; it changes with the meaning of what a reader finds there."""

_CASE: Final = 4
"""How deep a case, or a row, is in it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them; 0 where every row is met, 1 where one is not, 2 where a workload could not be run."""
    asked = _parser().parse_args(arguments)
    options = Options(asked.quick, asked.rounds, asked.pods)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    on = machine(versions_of_peers())
    print("{system}, {cpu}, {cpus} CPUs, Python {python}, load {load}".format(**on), end="\n\n", flush=True)
    reports: dict[str, tuple[Report, float]] = {}
    failed: dict[str, str] = {}
    try:
        for name in asked.names or WHOLE:
            progress(f"--- {name}")
            begun = time.monotonic()
            try:
                report = load(name).run(options)
            except BenchmarkFailed as error:
                failed[name] = str(error)
                print(f"benchmarks: {name}: {error}", file=sys.stderr)
            else:
                reports[name] = report, time.monotonic() - begun
                print(report.table(), end="\n\n", flush=True)
            if asked.json is not None:  # after each, so that what was measured is kept, whatever comes
                asked.json.write_text(_json(on, asked.quick, reports, failed))
    except KeyboardInterrupt:
        return 130
    if failed:
        return 2
    return 0 if all(report.met for report, _ in reports.values()) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        type=_workload,
        metavar="NAME",
        help=f"of {', '.join(WHOLE)} (all of these); alone: {', '.join(ASIDE)}",
    )
    parser.add_argument("--quick", action="store_true", help="a fraction of the size and of the rounds")
    parser.add_argument("--rounds", type=_positive, metavar="R", help="how often each thing is measured")
    parser.add_argument("--pods", type=_positive, metavar="N", help="the most that a server holds")
    parser.add_argument("--json", type=_file, metavar="FILE", help="write all figures and rows here")
    return parser


def _workload(name: str) -> str:
    if name not in (*WHOLE, *ASIDE):
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join((*WHOLE, *ASIDE))}")
    return name


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be a file: is its directory there?")
    return path


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def _json(
    on: dict[str, Any], quick: bool, reports: dict[str, tuple[Report, float]], failed: dict[str, str]
) -> str:
    found: dict[str, Any] = {
        "form": _FORM,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": on,
        "benchmarks": {
            name: {**report.as_dict(), "seconds": round(seconds)}
            for name, (report, seconds) in reports.items()
        },
        "failed": failed,
    }
    return _lines(found) + "\n"


def _lines(value: Any, depth: int = 0) -> str:
    """JSON with a line for each case and each row, so that a person can read what has changed."""
    if depth == _CASE or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    below = depth + 1
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_lines(part, below)}" for name, part in value.items()]
    else:
        parts = [_lines(part, below) for part in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    between = "\n" + " " * below
    return f"{begin}{between}{f',{between}'.join(parts)}\n{' ' * depth}{end}"


if __name__ == "__main__":
    sys.exit(main())
