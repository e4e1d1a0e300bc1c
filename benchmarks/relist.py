"""What a relist with 1 % changed adds to the memory, and how long the event loop stands still meanwhile.

The server is killed and has forgotten all history when it is back, so that the informer lists again. A stall
is how late a task is that wants to wake each millisecond; it is compared with that of the same loop at rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .report import Options, Report, Row, progress, ratios
from .sides.run import relist

__all__ = ["run"]

_FORMS: Final = {"stream": "a streaming list", "list": "one list"}
_PEAK: Final = 0.15
_STALL: Final = 20.0


def run(options: Options) -> Report:
    """Sync and list again in both ways alternately, round by round."""
    pods, rounds = options.pods_of(30_000), options.rounds_of(3)
    report = Report(f"relist: {pods:,} pods listed again, 1 % of them changed")
    for number in range(1, rounds + 1):
        for form in _FORMS:
            figures = relist(pods, form=form)
            case = {"form": form, "strategy": figures.pop("strategy")}
            report.add(case, figures)
        progress(f"round {number} of {rounds} done")
    report.rows = list(_rows(report))
    return report


def _rows(report: Report) -> Iterator[Row]:
    for case in report.cases():
        words = _FORMS[str(case["form"])]
        above, held = (report.samples(figure, **case) for figure in ("relist_mb", "steady_mb"))
        claim = f"relist by {words}: peak above steady, in the memory of what is held"
        yield Row.of(claim, ratios(above, held), _PEAK)
    for case in report.cases():
        words = _FORMS[str(case["form"])]
        idle = report.samples("idle_stall_ms", **case)
        for what in ("sync", "relist"):
            stalls = report.samples(f"{what}_stall_ms", **case)
            beyond = [a - b for a, b in zip(stalls, idle, strict=True)]
            claim = f"{what} by {words}: longest stall of the loop, beyond that of an idle one"
            yield Row.of(claim, beyond, _STALL, "ms")
