"""What importing costs in a new process: `python -m benchmarks.sides.imports MODULE …`.

It imports nothing else before: what is loaded already would cost nothing.
"""

from __future__ import annotations

import sys
import time


def main(modules: list[str]) -> None:
    held, cpu, wall = _rss_mb(), time.process_time(), time.perf_counter()
    for module in modules:
        __import__(module)
    cpu, wall, held = time.process_time() - cpu, time.perf_counter() - wall, _rss_mb() - held
    print(f'{{"cpu_s": {cpu}, "import_s": {wall}, "grown_mb": {held}}}')


def _rss_mb() -> float:
    with open("/proc/self/status") as status:  # noqa: PTH123  # pathlib is not there yet
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main(sys.argv[1:])
