"""What the benchmarks report: claims with their figures, and the machine."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

__all__ = ["Row", "machine", "progress"]


@dataclass(frozen=True, slots=True)
class Row:
    """One claim: *value* has to stay below *limit*."""

    claim: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value < self.limit


def machine(*packages: str) -> dict[str, Any]:
    """The machine, and the versions of *packages*."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        **{package: version(package) for package in packages},
    }


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
