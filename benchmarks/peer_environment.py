"""The environment of the peers: made once, with the versions of `peers.txt`, apart from this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .process import BenchmarkFailed
from .report import progress

__all__ = ["python_of_peers", "versions_of_peers"]

_PINS: Final = Path(__file__).parent / "peers.txt"
_ENVIRONMENT: Final = Path(__file__).resolve().parent.parent / ".venv-peers"
_WITHIN: Final = 600.0


def python_of_peers(environment: Path = _ENVIRONMENT, pins: Path = _PINS) -> str:
    """The interpreter of *environment*, which is made where it is not there, or is of other *pins*.

    Raises `BenchmarkFailed` with what was said where it cannot be made.
    """
    python, stamp = environment / "bin" / "python", environment / "installed.txt"
    wanted = f"{sys.version}\n{pins.read_text()}"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    progress(f"installing the peers into {environment.name} (once) …")
    _run(sys.executable, "-m", "venv", "--clear", str(environment))
    _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(pins))
    stamp.write_text(wanted)
    return str(python)


def versions_of_peers(pins: Path = _PINS) -> Mapping[str, str]:
    """The versions in *pins*, by package."""
    lines = (line.partition("==") for line in pins.read_text().splitlines() if not line.startswith("#"))
    return {package: version for package, _, version in lines if version}


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkFailed(f"the peers cannot be installed: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-1000:]
        raise BenchmarkFailed(
            f"the peers cannot be installed ({' '.join(command[1:4])} failed with {done.returncode}): a"
            f" package index has to have what {_PINS.name} names; other workloads need none. It said: {said}"
        )
