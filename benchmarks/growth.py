"""Whether time and memory of a first sync grow as the number of pods does, and no faster."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from .process import Server
from .report import Options, Report, Row, progress, ratios
from .sides.run import informer

__all__ = ["run"]

_LINEAR: Final = 1.1
_SHARES: Final = (0.01, 0.03, 0.1, 0.3, 1)


def run(options: Options) -> Report:
    """Sync with each number of pods alternately, round by round, each on a server of its own."""
    most, rounds = options.pods_of(100_000, quick=10_000), options.rounds_of(3)
    sizes = sorted({max(1, round(most * share)) for share in _SHARES})
    report = Report("growth: a first sync by number of pods")
    progress(f"seeding servers with {', '.join(f'{pods:,}' for pods in sizes)} pods …")
    with ExitStack() as stack:
        servers = {pods: stack.enter_context(Server.seeded(pods)) for pods in sizes}
        for number in range(1, rounds + 1):
            for pods, server in servers.items():
                report.add({"side": "kresilient", "pods": pods}, informer(server, pods))
            progress(f"round {number} of {rounds} done")
    tenth = max(1, round(most * 0.1))
    for figure, words in (("cpu_s", "client CPU"), ("grown_mb", "memory")):
        many, few = (report.samples(figure, side="kresilient", pods=pods) for pods in (most, tenth))
        each = [ratio * tenth / most for ratio in ratios(many, few)]
        claim = f"{words} of a pod among {most:,}, in that among {tenth:,}"
        report.rows.append(Row.of(claim, each, _LINEAR))
    return report
