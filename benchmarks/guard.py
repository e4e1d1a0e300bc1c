"""Has something become slow? `python -m benchmarks.guard`; `--record` keeps what is measured for what is due.

Each guarded part of the library is measured beside its floor, in turn, several times; the ratio of the best
times is compared with the one in `guard.json`. Machines differ, and are busy: a ratio of two things that are
measured at the same moment differs little, and the best of many less. What seems lost is measured again,
several times over, before it is called lost. Pythons differ too: each has ratios of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from .guarded import Guarded, guarded
from .report import Report, Row, progress

__all__ = ["Measured", "due", "judge", "main"]

_RECORD: Final = Path(__file__).with_name("guard.json")
_PYTHON: Final = "{}.{}".format(*sys.version_info)
_MORE: Final = 3
"""How many times over a suspect is measured."""

_RUNS: Final = 3
"""Of as many runs the median is recorded."""

_GAIN: Final = 1.25
"""What has become faster by that much should be recorded: else it could be lost again unseen."""


class Measured:
    """The best that was seen of one guarded part and of its floor."""

    def __init__(self, part: Guarded) -> None:
        self._part = part
        self._ours = self._floor = float("inf")

    def again(self, rounds: int) -> None:
        """Measure both so many times more, in turn."""
        for _ in range(rounds):
            self._ours = min(self._ours, self._part.ours())
            self._floor = min(self._floor, self._part.floor())

    @property
    def ratio(self) -> float:
        return self._ours / self._floor


def judge(parts: Sequence[Guarded], recorded: Mapping[str, float]) -> tuple[Report, list[str]]:
    """Measure *parts*: a row for each, met where its ratio is not lost against the *recorded* one; and the
    names of those that are faster by far than recorded.

    Raises `KeyError` for a part that was never recorded.
    """
    limits = {part.name: recorded[part.name] * part.margin for part in parts}
    found = _measured(parts)
    for _ in range(_MORE):
        for part in parts:
            if found[part.name].ratio > limits[part.name]:
                progress(f"{part.name}: again")
                found[part.name].again(part.rounds)
    report = Report("guard: in floors, as recorded and with a margin")
    report.rows = [Row(name, one.ratio, limits[name]) for name, one in found.items()]
    return report, [name for name, one in found.items() if one.ratio * _GAIN < recorded[name]]


def _measured(parts: Sequence[Guarded]) -> dict[str, Measured]:
    found = {part.name: Measured(part) for part in parts}
    for number in range(max(part.rounds for part in parts)):
        for part in parts:
            if number < part.rounds:
                found[part.name].again(1)
    return found


# --- the record -------------------------------------------------------------------------------------------


def due(record: Mapping[str, Mapping[str, float]], version: tuple[int, ...]) -> Mapping[str, float]:
    """The ratios that are due with a *version* of Python: its own, or those of the one before it.

    Those of the oldest where there is none before it; none where nothing was recorded.
    """
    known = sorted((_version(text), ratios) for text, ratios in record.items())
    before = [ratios for recorded, ratios in known if recorded <= version]
    return before[-1] if before else known[0][1] if known else {}


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _recorded() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads(_RECORD.read_text()) if _RECORD.exists() else {}
    return found


def _record(parts: Sequence[Guarded]) -> None:
    runs = [_measured(parts) for _ in range(_RUNS)]
    ratios = {part.name: float(f"{median(run[part.name].ratio for run in runs):.3g}") for part in parts}
    record = _recorded() | {_PYTHON: ratios}
    ordered = {text: record[text] for text in sorted(record, key=_version)}
    _RECORD.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where nothing was lost, 1 where something was, 2 where something was never recorded."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guard", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--record", action="store_true", help="keep the ratios as they are now")
    asked = parser.parse_args(arguments)
    parts = guarded()
    gc.collect()
    gc.freeze()  # each measurement begins with a collection, which need not look through all this
    if asked.record:
        _record(parts)
        return 0
    recorded = due(_recorded(), _version(_PYTHON))
    if missing := [part.name for part in parts if part.name not in recorded]:
        print(f"never recorded: {', '.join(missing)} (python -m benchmarks.guard --record)", file=sys.stderr)
        return 2
    report, gained = judge(parts, recorded)
    print(report.table())
    if gained:
        print(f"\nfaster by far than recorded, record it: {', '.join(gained)}")
    return 0 if report.met else 1


if __name__ == "__main__":
    sys.exit(main())
