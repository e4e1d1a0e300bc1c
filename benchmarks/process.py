"""The processes of a benchmark: each is bounded in time and ends with the one that started it."""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self

__all__ = [
    "BenchmarkFailed",
    "Clock",
    "Server",
    "Span",
    "end_with_stdin",
    "forget_peak",
    "measured",
    "peak_rss_mb",
    "rss_mb",
]

_ROOT: Final = Path(__file__).resolve().parent.parent
_LISTENING: Final = "listening on "


class BenchmarkFailed(Exception):
    """A process of the benchmark did not do its part."""


def _environment() -> dict[str, str]:
    # An installed package is compiled; without this each process would compile the one that is measured anew.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def measured(*arguments: str, timeout: float, python: str = sys.executable) -> dict[str, Any]:
    """Run *python* (this one) with *arguments*, within *timeout* seconds; the JSON line that it prints.

    Raises `BenchmarkFailed` with what it said where it fails or takes longer; it is killed then.
    """
    what = " ".join(arguments)
    # Its stdin stays open until it has ended: that is how it knows that somebody waits for it.
    theirs, ours = os.pipe()
    try:
        process = subprocess.Popen(
            [python, *arguments],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=_ROOT,
            env=_environment(),
            text=True,
        )
        os.close(theirs)
        with process:
            try:
                said, complaint = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                raise BenchmarkFailed(f"{what} took more than {timeout:.0f} s and was killed") from None
            finally:
                process.kill()
    finally:
        os.close(ours)
    if process.returncode:
        reason = complaint.strip()[-1000:] or "it said nothing"
        raise BenchmarkFailed(f"{what} failed with {process.returncode}: {reason}")
    try:
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise BenchmarkFailed(f"{what} printed no JSON line but {said[-200:]!r}") from error
    return found


class Server:
    """A server in a process of its own, as a context manager: this Python with *arguments*, within *patience*
    seconds until it listens."""

    def __init__(self, *arguments: str, patience: float) -> None:
        self._arguments = arguments
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None
        self._files: TemporaryDirectory[str] | None = None
        self.url = ""
        self.ca = ""
        """The file with the certificate of its authority, where it serves HTTPS."""

    @classmethod
    def seeded(cls, pods: int, *, tls: bool = False) -> Self:
        """The fake API server with *pods* seeded pods, over HTTP or HTTPS."""
        options = ["--exit-with-stdin", "--port", "0", "--seed-pods", str(pods)]
        files = TemporaryDirectory(prefix="kresilient-bench-") if tls else None
        ca = f"{files.name}/ca.pem" if files else ""
        if tls:
            options += ["--tls", "--ca-out", ca]
        server = cls("-m", "kresilient.cli", "fake-apiserver", *options, patience=30 + pods / 500)
        server._files, server.ca = files, ca
        return server

    @classmethod
    def bare(cls, size: int) -> Self:
        """aiohttp, which answers everything with *size* bytes."""
        return cls("-m", "benchmarks.bare_server", str(size), patience=30)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            (sys.executable, *self._arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            env=_environment(),
            text=True,
        )
        assert self._process.stdout is not None
        deadline = threading.Timer(self._patience, self._process.kill)
        deadline.start()
        try:
            line = self._process.stdout.readline().strip()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        finally:
            deadline.cancel()
        if not line.startswith(_LISTENING):
            self.__exit__(None, None, None)
            raise BenchmarkFailed(f"the server did not start; it said {line!r}")
        self.url = line.removeprefix(_LISTENING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        assert process is not None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._files is not None:
            self._files.cleanup()

    def tell(self, line: str) -> None:
        """Write a *line* to its stdin, for a server that reads what it is told."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def cpu_s(self) -> float:
        """Seconds of CPU that the server has used so far; 0 where there is no /proc."""
        assert self._process is not None
        with suppress(OSError):
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def memory_mb(self, *, peak: bool = False) -> float:
        """The memory that the server holds, or ever held, in MB (10⁶ bytes); 0 where there is no /proc."""
        assert self._process is not None
        return _memory_mb(f"/proc/{self._process.pid}/status", "VmHWM:" if peak else "VmRSS:")


# --- within a measured process -----------------------------------------------------------------------


def end_with_stdin() -> None:
    """End this process when its stdin is closed, so with the benchmark, whatever it is busy with."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def peak_rss_mb() -> float:
    """The most memory this process ever held, in MB (10⁶ bytes)."""
    if found := _memory_mb("/proc/self/status", "VmHWM:"):  # across exec ru_maxrss inherits the parent's peak
        return found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def rss_mb() -> float:
    """The memory that this process holds, in MB (10⁶ bytes); 0 where there is no /proc."""
    return _memory_mb("/proc/self/status", "VmRSS:")


def forget_peak() -> None:
    """Let `peak_rss_mb` begin anew. Raises `BenchmarkFailed` where the system has no such thing."""
    try:
        Path("/proc/self/clear_refs").write_text("5\n")
    except OSError as error:
        raise BenchmarkFailed(f"the peak of memory cannot be measured anew here: {error}") from error


def _memory_mb(path: str, field: str) -> float:
    with suppress(OSError):
        for line in Path(path).read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


class Clock:
    """Wall and CPU time since it was made, in seconds."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


class Span:
    """What a side does, from an idle client on: its time, and the growth of its peak of memory.

    What was imported is collected before, for none of it is the side's doing.
    """

    def __init__(self) -> None:
        gc.collect()
        self.begun = time.monotonic()
        self._idle = peak_rss_mb()
        self._clock = Clock()

    def end(self, *, objects: int, size: int = 0, **figures: float) -> None:
        """It is done: print the JSON line. *objects* are held; *size* bytes of JSON were received."""
        wall, cpu = self._clock.read()
        found = {
            "objects": objects,
            "body_mb": size / 1e6,
            "sync_s": wall,
            "cpu_s": cpu,
            "idle_mb": self._idle,
            "grown_mb": peak_rss_mb() - self._idle,
            **figures,
        }
        print(json.dumps(found))
