"""`python -m benchmarks [sync] [--pods N] [--rounds R] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from statistics import median

from .process import BenchmarkFailed
from .sync import Report, compare


def main() -> int:
    """Run the benchmark; 0 where every row is met, 1 where one is not, 2 where it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", nargs="?", choices=["sync"], default="sync")
    parser.add_argument("--pods", type=_positive, default=30_000, metavar="N", help="of about 7 KB (30000)")
    parser.add_argument("--rounds", type=_positive, default=1, metavar="R", help="(1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        report = compare(pods=arguments.pods, rounds=arguments.rounds)
    except BenchmarkFailed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(_table(report))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.as_dict(), indent=2) + "\n")
    return 0 if report.met else 1


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


_COLUMNS = (
    ("sync s", "sync_s", ",.2f"),
    ("client CPU s", "cpu_s", ",.2f"),
    ("server CPU s", "server_cpu_s", ",.2f"),
    ("peak MB", "peak_rss_mb", ",.0f"),
    ("body MB", "bytes", ",.0f"),
)


def _table(report: Report) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    lines = [f"{report.pods:,} pods; medians, with the least and the most where they differ", machine, ""]
    lines.append(f"{'':<20}{'runs':>5}" + "".join(f"{title:>24}" for title, _, _ in _COLUMNS))
    for side, samples in report.samples.items():
        cells = [
            _cell([sample[figure] / (1e6 if figure == "bytes" else 1) for sample in samples], form)
            for _, figure, form in _COLUMNS
        ]
        lines.append(f"{side:<20}{len(samples):>5}" + "".join(f"{cell:>24}" for cell in cells))
    lines.append("")
    for row in report.rows:
        form = ",.0f" if row.unit else ".4f"
        value, limit = (f"{number:{form}} {row.unit}".rstrip() for number in (row.value, row.limit))
        lines.append(f"{'met' if row.met else 'not met':<9}{row.claim}: {value}, allowed {limit}")
    return "\n".join(lines)


def _cell(values: list[float], form: str) -> str:
    middle, least, most = (f"{value:{form}}" for value in (median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least}–{most})"


if __name__ == "__main__":
    sys.exit(main())
