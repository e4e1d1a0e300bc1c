"""What an agent on every node costs that node: its memory, and what it imports.

The agent is a process of its own. It speaks to the fake API server over TLS with the token and the authority
of a service account, as a pod does, and holds the pods of its node. Imports are measured in new processes
too. `import kresilient` loads what is named when it is named: what counts is all that an agent loads.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from kresilient.testing.server.seed import node_name

from .process import BenchmarkFailed, Server, measured
from .report import Options, Report, Row, progress

__all__ = ["run"]

_PER_NODE: Final = 30
_NODES: Final = 100
_TOKEN: Final = "benchmark-agent"
_ALONE: Final = "import aiohttp"
_LOADS: Final = "import all that an agent loads"
_IMPORTS: Final = {
    _ALONE: ("aiohttp",),
    "import kresilient": ("kresilient",),
    _LOADS: ("kresilient.connection", "kresilient.transport.load", "kresilient.transport.http"),
}

_PARTS: Final = 10
"""Of the packages that it imports, so many that take the longest stand in the table."""

_RSS_LIMIT: Final = 48.0
_IMPORT_MB: Final = 8.0
_IMPORT_S: Final = 0.15


def run(options: Options) -> Report:
    """Start agents, and import, round by round."""
    rounds = options.rounds_of(7, quick=2)
    report = Report(f"agent: in a cluster, with the {_PER_NODE} pods of its node")
    nodes = 10 if options.quick else _NODES
    parts: list[dict[str, float]] = []
    with TemporaryDirectory(prefix="kresilient-bench-") as directory:
        Path(directory, "token").write_text(_TOKEN)
        Path(directory, "namespace").write_text("default")
        progress(f"seeding a server with {nodes * _PER_NODE:,} pods")
        with _server(nodes * _PER_NODE, directory) as server:
            for number in range(1, rounds + 1):
                progress(f"round {number}/{rounds}")
                report.add({"what": "agent"}, _agent(server, directory, node_name(number % nodes)))
                for name, modules in _IMPORTS.items():
                    figures = measured("-m", "benchmarks.sides.imports", *modules, timeout=60)
                    report.add({"what": name}, figures)
                parts.append(measured("-m", "benchmarks.sides.import_times", *_IMPORTS[_LOADS], timeout=60))
    for package in sorted(parts[0], key=parts[0].__getitem__, reverse=True)[:_PARTS]:
        for part in parts:
            report.add({"what": f"of these: {package}"}, {"import_s": part.get(package, 0.0) / 1e3})
    report.rows = _rows(report)
    return report


def _server(pods: int, directory: str) -> Server:
    options = ("--exit-with-stdin", "--port", "0", "--seed-pods", str(pods))
    access = ("--tls", "--token", _TOKEN, "--ca-out", f"{directory}/ca.crt")
    return Server("-m", "kresilient.cli", "fake-apiserver", *options, *access, patience=60)


def _agent(server: Server, directory: str, node: str) -> dict[str, Any]:
    found = measured("-m", "benchmarks.sides.agent", server.url, directory, node, timeout=90)
    if found.pop("objects") != _PER_NODE:
        raise BenchmarkFailed(f"the agent does not hold the {_PER_NODE} pods of {node}")
    return found


def _rows(report: Report) -> list[Row]:
    rows = [Row.of("an agent at rest, RSS", report.samples("rss_mb", what="agent"), _RSS_LIMIT, "MB")]
    for figure, said, limit, unit in (
        ("grown_mb", "memory", _IMPORT_MB, "MB"),
        ("cpu_s", "CPU time", _IMPORT_S, "s"),
    ):
        ours, its = (report.samples(figure, what=what) for what in (_LOADS, _ALONE))
        above = [mine - aiohttp for mine, aiohttp in zip(ours, its, strict=True)]
        rows.append(Row.of(f"{_LOADS}, above {_ALONE}: {said}", above, limit, unit))
    return rows
