"""What a first sync costs the client in CPU time, beside what nobody who reads it in Python can go below.

Over HTTP and over TLS, by a streaming list, by a list in one body, and by the same compressed. The floor is
the sum of two: the same bytes read with aiohttp (and unpacked) and thrown away, and one pass in memory that
splits them and decodes each header. A blocking socket, which reads the same, is there for comparison.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from .process import Server
from .report import Options, Report, Row, progress, ratios
from .sides.requests import FORMS
from .sides.run import floor, informer

__all__ = ["run"]

_WANTED: Final = {"HTTP": 1.5, "TLS": 1.3}
_READS: Final = {
    "stream": "a streaming list",
    "list": "one list",
    "gzip": "one compressed list",
}


def run(options: Options) -> Report:
    """Run all sides alternately, round by round, on a server of each transport."""
    pods, rounds = options.pods_of(30_000), options.rounds_of(3)
    report = Report(f"sync: client CPU of a first sync of {pods:,} pods, beside its floors")
    progress(f"seeding two servers with {pods:,} pods each …")
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server.seeded(pods, tls=name == "TLS")) for name in _WANTED}
        for number in range(1, rounds + 1):
            for over, server in servers.items():
                for form in FORMS:
                    _round(report, server, pods, over, form)
                progress(f"round {number} of {rounds}: {over} done")
    for over, limit in _WANTED.items():
        for form in FORMS:
            claim = f"{over}, {_READS[form]}: client CPU, in that of both floors"
            report.rows.append(Row.of(claim, _ratios(report, over, form), limit))
    return report


def _round(report: Report, server: Server, pods: int, over: str, form: str) -> None:
    kinds = ("aiohttp", "pass") if form == "gzip" else ("socket", "aiohttp", "pass")
    for kind in kinds:
        report.add({"side": kind, "over": over, "form": form}, floor(kind, server, pods, form=form))
    before = server.cpu_s()
    figures = informer(server, pods, form=form)
    figures["server_cpu_s"] = server.cpu_s() - before
    report.add({"side": "kresilient", "over": over, "form": form}, figures)


def _ratios(report: Report, over: str, form: str) -> list[float]:
    ours, read, split = (
        report.samples("cpu_s", side=side, over=over, form=form) for side in ("kresilient", "aiohttp", "pass")
    )
    return ratios(ours, [a + b for a, b in zip(read, split, strict=True)])
