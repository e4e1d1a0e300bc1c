"""The chart: requests a second over time, a panel for each policy."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..._version import __version__
from ...testing.simulation import POLICIES, Measures
from .table import HEAD, rows, title

__all__ = ["chart", "write_report"]

_RED, _GREEN, _GREY = "#c0392b", "#1e8449", "#566573"
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2833; margin: 0 auto; padding: 2rem 1.5rem;
       max-width: 64rem }
h1 { font-size: 1.5rem } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e5e8e8 }
th { color: #566573 } th:first-child, td:first-child { text-align: left }
svg { width: 100%; height: auto } dt { font-weight: 600 } dd { margin: 0 0 .4rem 1.5rem }
footer { color: #566573; font-size: .85rem; margin-top: 2rem }
"""


def write_report(measures: Sequence[Measures], path: Path) -> None:
    """Write the report, one HTML file that needs nothing else. Raises `OSError`."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in HEAD)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows(measures)
    )
    said = {policy.name: policy.says for policy in POLICIES}
    policies = "".join(
        f"<dt>{html.escape(one.policy)}</dt><dd>{html.escape(said[one.policy])}</dd>" for one in measures
    )
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>kresilient: an outage, simulated</title>"
        f"<style>{_STYLE}</style><h1>An outage, simulated</h1><p>{html.escape(title(measures))}</p>"
        f"{chart(measures)}<table><tr>{head}</tr>{body}</table><dl>{policies}</dl>"
        f"<footer>kresilient {__version__}; the model and how to read this: docs/outage.md</footer></html>\n",
        encoding="utf-8",
    )


def chart(measures: Sequence[Measures]) -> str:
    """One SVG: attempts, and of these what reached a live server, in each second; logarithmic."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.9 * len(measures)), layout="constrained")
    FigureCanvasSVG(figure)
    panels = figure.subplots(len(measures), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, one in zip(panels, measures, strict=True):
        seconds = range(-one.lead, len(one.attempts) - one.lead)
        axes.step(seconds, one.attempts, where="post", color=_GREY, lw=1.0, label="attempts")
        axes.step(seconds, one.reached, where="post", color=_RED, lw=1.2, label="at a live server")
        axes.set_yscale("symlog", linthresh=10)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("requests/s")
        axes.set_title(one.policy, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#d5d8dc", lw=0.5)
        if one.right_after is not None:
            axes.axvline(30 + one.right_after, color=_GREEN, lw=1.4, label="all caches right")
        axes.legend(loc="upper right", fontsize=8, frameon=False, ncols=3)
    panels[-1].set_xlabel("seconds from the kill")
    svg = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "kresilient"}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    text = svg.getvalue()
    return text[text.index("<svg") :]
