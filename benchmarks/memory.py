"""How much memory a first sync takes: the growth of the peak above an idle client, in the bytes received."""

from __future__ import annotations

from typing import Final

from .process import Server
from .report import Options, Report, Row, progress, ratios
from .sides.run import informer, why_not_compact

__all__ = ["run"]

_WANTED: Final = {
    ("whole", "stream"): (1.3, "whole objects, by a streaming list"),
    ("whole", "list"): (1.3, "whole objects, by one list"),
    ("whole", "gzip"): (1.3, "whole objects, by one compressed list"),
    ("strip", "stream"): (0.75, "without managed fields"),
    ("compact", "stream"): (0.3, "compact"),
    ("view", "stream"): (0.25, "a View of five fields"),
}


def run(options: Options) -> Report:
    """Sync in each way alternately, round by round."""
    pods, rounds = options.pods_of(30_000), options.rounds_of(3)
    report = Report(f"memory: growth of the peak, to hold {pods:,} pods")
    wanted = dict(_WANTED)
    if reason := why_not_compact():
        progress(f"{reason}: left out")
        del wanted["compact", "stream"]
    progress(f"seeding a server with {pods:,} pods …")
    with Server.seeded(pods) as server:
        for number in range(1, rounds + 1):
            for variant, form in wanted:
                figures = informer(server, pods, form=form, variant=variant)
                report.add({"holds": variant, "form": form}, figures)
            progress(f"round {number} of {rounds} done")
    for (variant, form), (limit, words) in wanted.items():
        grown, received = (
            report.samples(figure, holds=variant, form=form) for figure in ("grown_mb", "body_mb")
        )
        claim = f"{words}: growth of the peak, in bytes received"
        report.rows.append(Row.of(claim, ratios(grown, received), limit))
    return report
