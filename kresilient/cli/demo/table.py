"""The table at the end of the demo: before, after, and what the difference is."""

from __future__ import annotations

from rich import box
from rich.table import Table

from .figures import Figures
from .truth import StaleReads

__all__ = ["Row", "fact_table", "facts", "rows", "table", "title"]

Row = tuple[str, str, str, str]
"""What was measured, while polling, on informers, and the change."""


def rows(figures: Figures) -> list[Row]:
    """What can be compared: one row a figure."""
    found = [
        (
            "requests/s",
            _rate(figures.polling_rps),
            _rate(figures.informer_rps),
            f"{-figures.reduction_percent:+.1f} %",
        ),
        _megabytes("MB/s on the wire", figures.polling_bytes_per_s, figures.informer_bytes_per_s),
        _megabytes("MB/s to parse", figures.polling_json_bytes_per_s, figures.informer_json_bytes_per_s),
    ]
    before, after = figures.polling_stale, figures.informer_stale
    if before is not None and after is not None:
        change = _change(before.percent, after.percent)
        found += [
            ("reads", f"{before.reads:,}", f"{after.reads:,}", ""),
            ("stale reads", _stale(before), _stale(after), change),
            ("mean, worst age", _behind(before), _behind(after), ""),
        ]
    return found


def facts(figures: Figures) -> list[tuple[str, str]]:
    """What stands for itself, as (what, figure)."""
    found = [
        (
            "requests/s on informers",
            f"{_rate(figures.informer_rps_counted)} counted by the {figures.counted_by}, and "
            f"{_rate(figures.informer_rps_renewals)} for the watches, each renewed every 5 to 10 minutes",
        ),
        (
            "going over, once",
            f"{figures.initial_requests} requests, {figures.initial_bytes / 1e6:,.1f} MB on the wire, "
            f"{figures.initial_sync_s:.1f} s until all were in step",
        ),
    ]
    if figures.outage_s is not None:
        tries = (figures.outage_attempts or 0) / figures.outage_s
        found += [
            (
                "server gone",
                f"{figures.outage_s:.1f} s, {tries:.0f} attempts/s by the whole fleet; "
                f"{figures.outage_reads_answered:,} of {figures.outage_reads:,} reads answered from caches",
            ),
            (
                "recovery",
                f"{figures.recovery_s:.1f} s from its return until all caches were right and watching, "
                f"{figures.recovery_writes} new writes included; {figures.recovery_requests} requests, "
                f"{figures.relists} relists",
            ),
            ("acknowledged writes lost", f"{figures.lost_writes}"),
        ]
    found.append(("divergent objects", f"{figures.divergent_objects} of {figures.cached_objects:,} cached"))
    return found


def title(figures: Figures) -> str:
    """What was measured, in a line."""
    return (
        f"{figures.agents} agents, {figures.pods:,} pods, polling every {figures.poll_interval_s:g} s; "
        f"requests as the {figures.counted_by} counted them"
    )


def table(figures: Figures) -> Table:
    """The comparison, for a terminal."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("")
    made.add_column("polling", justify="right", style="red")
    made.add_column("informers", justify="right", style="green")
    made.add_column("change", justify="right", style="bold")
    for row in rows(figures):
        made.add_row(*row)
    return made


def fact_table(figures: Figures) -> Table:
    """The facts, for a terminal."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column()
    for fact in facts(figures):
        made.add_row(*fact)
    return made


def _rate(requests: float) -> str:
    return f"{requests:,.1f}" if requests >= 0.1 or not requests else f"{requests:.2g}"


def _megabytes(what: str, before: float, after: float) -> Row:
    return (what, f"{before / 1e6:,.2f}", f"{after / 1e6:,.2f}", _change(before, after))


def _stale(stale: StaleReads) -> str:
    return f"{stale.stale:,} ({stale.percent:.2f} %)"


def _behind(stale: StaleReads) -> str:
    return f"{stale.mean * 1000:,.0f}, {stale.worst * 1000:,.0f} ms" if stale.stale else "–"


def _change(before: float, after: float) -> str:
    return f"{100.0 * (after / before - 1.0):+.1f} %" if before else "–"
