"""What the benchmarks report: the figures of each case, what is claimed of them, and the machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

from .process import BenchmarkFailed

__all__ = ["Case", "Options", "Report", "Row", "machine", "progress", "ratios"]

Case = Mapping[str, str | int]
"""What sets one line of a table apart from the others: `{"side": "kresilient", "pods": 30000}`."""

_UNITS: Final = {"per_s": "/s", "us": "µs", "ms": "ms", "s": "s", "mb": "MB", "kb": "kB", "x": "×"}
_PACKAGES: Final = ("aiohttp", "aiolimiter", "backports.zstd", "kresilient", "msgspec")


@dataclass(frozen=True, slots=True)
class Options:
    """How a workload is asked to run.

    Attributes:
        quick: a fraction of the full size, to see that all works.
        rounds: how often each thing is measured; None leaves it to the workload.
        pods: the most pods that a server holds; None leaves it to the workload.
    """

    quick: bool = False
    rounds: int | None = None
    pods: int | None = None

    def rounds_of(self, full: int, quick: int = 1) -> int:
        """The rounds asked for, or else *full* or *quick*."""
        return self.rounds or (quick if self.quick else full)

    def pods_of(self, full: int, quick: int = 3000) -> int:
        """The pods asked for, or else *full* or *quick*."""
        return self.pods or (quick if self.quick else full)


@dataclass(frozen=True, slots=True)
class Row:
    """One claim: *value* is at most *limit*; or at least, where it says so.

    `least` and `most` are the spread of the rounds that value is the median of.
    """

    claim: str
    value: float
    limit: float
    unit: str = "×"
    at_least: bool = False
    least: float | None = None
    most: float | None = None

    @classmethod
    def of(
        cls, claim: str, values: Sequence[float], limit: float, unit: str = "×", *, at_least: bool = False
    ) -> Self:
        """The row of a value that each round measured."""
        return cls(claim, median(values), limit, unit, at_least, min(values), max(values))

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"claim": self.claim, "value": _rounded(self.value)}
        if self.least is not None and self.most is not None:
            found |= {"least": _rounded(self.least), "most": _rounded(self.most)}
        return found | {
            "limit": self.limit,
            "at_least": self.at_least,
            "unit": self.unit,
            "met": self.met,
        }

    def cells(self) -> tuple[str, str, str, str]:
        """For a table: the claim, the value, the limit, and whether it is met."""
        value = f"{number(self.value)} {self.unit}".rstrip()
        if self.least is not None and self.most is not None and self.least != self.most:
            value += f" ({number(self.least)}–{number(self.most)})"
        bound = f"{'≥' if self.at_least else '≤'} {number(self.limit)} {self.unit}".rstrip()
        return self.claim, value, bound, "met" if self.met else "not met"


@dataclass(slots=True)
class Report:
    """What one workload measured, case by case and round by round, and the rows that it claims of it."""

    title: str
    rows: list[Row] = field(default_factory=list)
    _cases: dict[frozenset[tuple[str, str | int]], tuple[Case, dict[str, list[float]]]] = field(
        default_factory=dict
    )

    def add(self, case: Case, figures: Mapping[str, float]) -> None:
        """Note what a round of *case* measured. The name of a figure ends in its unit: `cpu_s`, `peak_mb`,
        `get_us`, `stall_ms`, `events_per_s`, `cpu_x` (a multiple); one without is a plain number."""
        _, samples = self._cases.setdefault(frozenset(case.items()), (dict(case), {}))
        for name, value in figures.items():
            samples.setdefault(name, []).append(float(value))

    def samples(self, figure: str, **case: str | int) -> list[float]:
        """What the rounds of *case* measured, in their order. *case* is given whole.

        Raises `KeyError` where there is no such case, or no such figure of it.
        """
        return self._cases[frozenset(case.items())][1][figure]

    def median(self, figure: str, **case: str | int) -> float:
        """The median of `samples`."""
        return median(self.samples(figure, **case))

    def cases(self) -> list[Case]:
        """All of them, in the order in which they were first added."""
        return [case for case, _ in self._cases.values()]

    @property
    def met(self) -> bool:
        return all(row.met for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, in the form that `benchmarks/README.md` describes."""
        cases = [
            {
                "case": dict(case),
                "runs": max(len(values) for values in samples.values()),
                "figures": {
                    name: [_rounded(value) for value in (median(values), min(values), max(values))]
                    for name, values in samples.items()
                },
            }
            for case, samples in self._cases.values()
        ]
        return {"title": self.title, "cases": cases, "rows": [row.as_dict() for row in self.rows]}

    def table(self) -> str:
        """The figures and the rows, for people, as tables of Markdown."""
        labels = list(dict.fromkeys(label for case, _ in self._cases.values() for label in case))
        figures = list(dict.fromkeys(name for _, samples in self._cases.values() for name in samples))
        head = [*labels, "runs", *(titled(name) for name in figures)]
        body = [
            [
                *(labelled(case.get(label, "")) for label in labels),
                str(max(len(values) for values in samples.values())),
                *(spread(samples.get(name, [])) for name in figures),
            ]
            for case, samples in self._cases.values()
        ]
        tables = [f"## {self.title}"]
        if body:
            tables += ["", *aligned(head, body)]
        if self.rows:
            tables += ["", *aligned(("row", "value", "wanted", ""), [row.cells() for row in self.rows])]
        return "\n".join(tables)


def machine(others: Mapping[str, str]) -> dict[str, Any]:
    """The machine, and the versions of what is measured on it; *others* are those of other environments."""
    versions = dict(others)
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "load": _load(),
        "python": platform.python_version(),
        "versions": dict(sorted(versions.items())),
    }


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Each of *values* in its other, round by round. Raises `BenchmarkFailed` where that is nothing."""
    if min(others) <= 0:
        raise BenchmarkFailed("a figure that others are measured by is nothing: too little was asked for")
    return [value / other for value, other in zip(values, others, strict=True)]


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- figures as text ------------------------------------------------------------------------------------


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _load() -> float:
    """How many processes wanted a CPU within the last minute; 0 where the system does not tell."""
    with suppress(OSError, AttributeError):
        return round(os.getloadavg()[0], 1)
    return 0.0


def _rounded(value: float) -> float:
    """Four digits: more would be noise, and every run would change the file everywhere."""
    return float(f"{value:.4g}")


def number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    middle, least, most = (number(value) for value in (median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least}–{most})"


def labelled(label: str | int) -> str:
    return f"{label:,}" if isinstance(label, int) else label


def titled(name: str) -> str:
    for suffix, unit in _UNITS.items():
        if name.endswith(f"_{suffix}"):
            return f"{name.removesuffix(f'_{suffix}').replace('_', ' ')} {unit}"
    return name.replace("_", " ")


def aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return [line(head), f"|{'|'.join('-' * (width + 2) for width in widths)}|", *map(line, body)]
