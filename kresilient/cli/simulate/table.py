"""The policies side by side: as rows, for a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ...testing.simulation import Measures

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["HEAD", "markdown", "rows", "table", "title", "with_leases"]

HEAD: Final = (
    "policy",
    "peak attempts/s",
    "× steady",
    "peak at the live server/s",
    "informers' peak, × even spread",
    "requests spent",
    "further kills",
    "all caches right after",
)


def title(measures: Sequence[Measures]) -> str:
    """What was simulated, in a line."""
    one = measures[0]
    return (
        f"{one.nodes:,} nodes, {one.informers:,} informers, a lease each; the server is killed, and is back "
        f"after 30 s without its history (seed {one.seed}, {one.steady:,.0f} requests/s before)"
    )


def rows(measures: Sequence[Measures]) -> list[tuple[str, ...]]:
    """One row a policy, in the order of the head."""
    return [
        (
            one.policy,
            f"{one.peak_attempts:,}",
            f"{one.peak_attempts / one.steady:,.1f}" if one.steady else "–",
            f"{one.peak_reached:,}",
            f"{one.unevenness:.1f}",
            f"{one.spent:,}",
            str(one.kills),
            f"{one.right_after:.0f} s"
            if one.right_after is not None
            else f"never (within {one.limit:.0f} s)",
        )
        for one in measures
    ]


def table(measures: Sequence[Measures]) -> Table:
    """For a terminal."""
    from rich.table import Table

    shown = Table(title=None, header_style="bold")
    for place, name in enumerate(HEAD):
        shown.add_column(name, justify="left" if place == 0 else "right")
    for row, one in zip(rows(measures), measures, strict=True):
        well = one.right_after is not None and not one.kills
        shown.add_row(*row, style="green" if well else "red")
    return shown


def markdown(measures: Sequence[Measures]) -> str:
    """As it stands in the docs."""
    lines = [f"| {' | '.join(HEAD)} |", f"|---|{'---:|' * (len(HEAD) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows(measures)]
    return f"{title(measures)}\n\n" + "\n".join(lines) + "\n"


def with_leases(measures: Sequence[Measures]) -> str:
    """What was sent in all, renewals of leases included, where every cache came to be right: a sentence, or
    nothing."""
    sent = [
        f"{one.policy} sends {one.spent_in_all:,} requests in {len(one.attempts) - one.lead} s, at most "
        f"{one.peak_reached:,} in a second at the live server"
        for one in measures
        if one.right_after is not None
    ]
    if not sent:
        return ""
    return (
        f"With renewals of leases, {measures[0].steady:,.0f} a second of which are due in any case: "
        f"{'; '.join(sent)}."
    )
