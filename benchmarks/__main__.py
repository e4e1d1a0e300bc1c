"""`python -m benchmarks [sync|scale|limiter|write_through] [--pods N] [--rounds R] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from .limiter import LimiterReport, measure
from .process import BenchmarkFailed
from .scale import ScaleReport, carry
from .sync import Report, compare
from .write_through import WriteThroughReport
from .write_through import measure as write_through

_BENCHMARKS = ["sync", "scale", "limiter", "write_through"]


def main() -> int:
    """Run the benchmark; 0 where every row is met, 1 where one is not, 2 where it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", nargs="?", choices=_BENCHMARKS, default="sync")
    pods = "of about 7 KB (sync, write_through: 30000, scale: 100000)"
    parser.add_argument("--pods", type=_positive, metavar="N", help=pods)
    parser.add_argument(
        "--rounds", type=_positive, metavar="R", help="of sync (1), write_through (5), limiter (15)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        report: Report | ScaleReport | LimiterReport | WriteThroughReport
        if arguments.benchmark == "scale":
            report = carry(pods=arguments.pods or 100_000)
        elif arguments.benchmark == "limiter":
            report = measure(rounds=arguments.rounds or 15)
        elif arguments.benchmark == "write_through":
            report = write_through(pods=arguments.pods or 30_000, rounds=arguments.rounds or 5)
        else:
            report = compare(pods=arguments.pods or 30_000, rounds=arguments.rounds or 1)
    except BenchmarkFailed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(report.table())
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.as_dict(), indent=2) + "\n")
    return 0 if report.met else 1


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
