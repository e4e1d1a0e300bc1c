"""Where the time of imports goes: `python -m benchmarks.sides.import_times MODULE …`.

Prints the milliseconds that the modules of each package take by themselves, as `python -X importtime` sees
them in a new process: by the clock. The library's own are told apart by their floors.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

from ..process import BenchmarkFailed, end_with_stdin

__all__ = ["by_package"]

_LINE = re.compile(r"^import time: +(\d+) \| +\d+ \| *(\S+)$", re.MULTILINE)


def by_package(text: str) -> dict[str, float]:
    """The milliseconds of each package in what `-X importtime` wrote."""
    found: dict[str, float] = {}
    for microseconds, module in _LINE.findall(text):
        first, _, rest = module.partition(".")
        package = f"{first}.{rest.partition('.')[0]}" if first == "kresilient" and rest else first
        found[package] = found.get(package, 0.0) + int(microseconds) / 1000
    return found


def main(modules: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-c", f"import {', '.join(modules)}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise BenchmarkFailed(f"{modules} cannot be imported: {done.stderr[-500:]}")
    print(json.dumps(by_package(done.stderr)))


if __name__ == "__main__":
    end_with_stdin()
    main(sys.argv[1:])
