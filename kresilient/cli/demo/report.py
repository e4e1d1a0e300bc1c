"""`demo-report.html`: the figures of a run and its load over time, in one file that needs nothing else."""

from __future__ import annotations

import html
import io
import math
from pathlib import Path
from typing import Any, Final

from ..._version import __version__
from .figures import Figures, Rates
from .table import facts, rows

__all__ = ["charts", "write_report"]

_SHADES: Final = {
    "polling": "#fdecea",
    "first lists": "#eef4fb",
    "informers": "#e8f5ec",
    "outage": "#ececec",
    "recovery": "#fff6df",
}
_RED, _GREEN, _BLUE, _GREY = "#c0392b", "#1e8449", "#1f618d", "#566573"

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2833; background: #fff;
       margin: 0 auto; padding: 2.5rem 1.5rem; max-width: 62rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem }
p.lead { color: #566573; margin: .3rem 0 1.8rem }
.big { display: flex; gap: 2.5rem; flex-wrap: wrap; margin: 0 0 1.6rem }
.big div { min-width: 8rem } .big b { display: block; font-size: 2rem; line-height: 1.2; color: #1e8449 }
.big .bad b { color: #c0392b } .big span { color: #566573; font-size: .9rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e5e8e8;
         vertical-align: top }
th { color: #566573; font-weight: 600 } th:first-child, td:first-child { text-align: left }
table.facts td { text-align: left }
table.facts td:first-child { color: #566573; white-space: nowrap; padding-right: 2rem }
svg { width: 100%; height: auto } footer { color: #566573; font-size: .85rem; margin-top: 2rem }
"""


def write_report(figures: Figures, path: Path) -> None:
    """Write the report to *path*. Raises `OSError`."""
    path.write_text(_page(figures), encoding="utf-8")


def charts(figures: Figures) -> str:
    """The load over time as one SVG, its phases marked."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rates = figures.rates()
    stale = figures.polling_stale is not None
    panels = 2 + stale + bool(figures.right)
    figure = Figure(figsize=(10, 2.3 * panels), layout="constrained")
    FigureCanvasSVG(figure)
    axes = list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
    _requests(axes[0], figures, rates)
    _bytes(axes[1], rates)
    if stale:
        _stale(axes[2], figures)
    if figures.right:
        axes[-1].step(*zip(*figures.right, strict=True), where="post", color=_GREEN, lw=1.6)
        axes[-1].set_ylabel("% of agents right")
        axes[-1].set_ylim(-5, 105)
    for place, one in enumerate(axes):
        _phases(one, figures, named=place == 0)
    axes[-1].set_xlabel("seconds")
    svg = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "kresilient"}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    text = svg.getvalue()
    return text[text.index("<svg") :]


def _requests(axes: Any, figures: Figures, rates: list[Rates]) -> None:
    line = [math.nan if one.requests is None else one.requests for one in rates]
    axes.plot(
        [one.at for one in rates], line, color=_RED, lw=1.6, label=f"counted by the {figures.counted_by}"
    )
    if gone := [(one.at, one.attempts) for one in rates if one.requests is None]:
        label = "attempts while nobody answers"
        axes.plot(*zip(*gone, strict=True), color=_GREY, lw=1.4, ls="--", marker=".", label=label)
    axes.set_ylabel("requests/s")
    axes.set_ylim(bottom=0)
    _legend(axes)


def _bytes(axes: Any, rates: list[Rates]) -> None:
    times = [one.at for one in rates]
    axes.plot(
        times, [one.json_bytes / 1e6 for one in rates], color=_BLUE, lw=1.2, ls=":", label="JSON to parse"
    )
    axes.plot(times, [one.wire_bytes / 1e6 for one in rates], color=_BLUE, lw=1.6, label="on the wire")
    axes.set_ylabel("MB/s received")
    axes.set_ylim(bottom=0)
    _legend(axes)


def _stale(axes: Any, figures: Figures) -> None:
    for stale, color in ((figures.polling_stale, _RED), (figures.informer_stale, _GREEN)):
        if stale is not None:
            axes.plot(*zip(*((at, age * 1000) for at, age in stale.line), strict=True), color=color, lw=1.0)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(-0.15, 10_000)
    axes.set_ylabel("oldest answer,\nms behind")


def _legend(axes: Any) -> None:
    axes.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none", fontsize=8)


def _phases(axes: Any, figures: Figures, *, named: bool) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#d5d8dc", lw=0.5)
    axes.set_axisbelow(True)
    for phase in figures.phases:
        axes.axvspan(phase.start, phase.end, color=_SHADES.get(phase.name, "#f4f6f6"), lw=0, zorder=0)
        if named and phase.end - phase.start > 0.04 * figures.phases[-1].end:
            axes.annotate(
                phase.name,
                ((phase.start + phase.end) / 2, 1.02),
                xycoords=("data", "axes fraction"),
                ha="center",
                fontsize=8,
                color=_GREY,
            )
    if figures.phases:
        axes.set_xlim(figures.phases[0].start, figures.phases[-1].end)


def _page(figures: Figures) -> str:
    compared = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows(figures)
    )
    told = "".join(
        f"<tr><td>{html.escape(what)}</td><td>{html.escape(said)}</td></tr>" for what, said in facts(figures)
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>kresilient demo</title><style>{_STYLE}</style></head><body>
<h1>A fleet of agents stops polling</h1>
<p class="lead">{html.escape(_lead(figures))}</p>
<div class="big">{_big(figures)}</div>
<table><tr><th></th><th>polling</th><th>informers</th><th>change</th></tr>{compared}</table>
<h2>Load over time</h2>
{charts(figures)}
<h2>More figures</h2>
<table class="facts">{told}</table>
<h2>How it was measured</h2>
{_method(figures)}
<footer>kresilient {html.escape(__version__)}, a run of {figures.duration_s:.0f} s</footer>
</body></html>
"""


def _lead(figures: Figures) -> str:
    return (
        f"{figures.agents} agents, one to a node, need the pods of their node (of {figures.pods:,}), "
        f"{figures.services} services and {figures.nodes} nodes. "
        f"They first ask every {figures.poll_interval_s:g} s, then follow them with informers."
    )


def _big(figures: Figures) -> str:
    shown = [(f"{figures.reduction_percent:.1f} %", "fewer requests", figures.reduction_percent >= 90)]
    if figures.recovery_s is not None:
        shown.append(
            (f"{figures.recovery_s:.1f} s", "to recover from a killed server", bool(figures.recovered))
        )
    shown.append((f"{figures.divergent_objects}", "divergent objects", not figures.divergent_objects))
    return "".join(
        f"<div{'' if good else ' class=bad'}><b>{figure}</b><span>{html.escape(what)}</span></div>"
        for figure, what, good in shown
    )


def _method(figures: Figures) -> str:
    if figures.counted_by == "client":
        said = [
            "The clients counted the requests: a cluster counts those of everybody together. Nothing was "
            "written, and nothing was killed.",
            "The caches were compared with lists of the same objects after the run, by uid and version.",
        ]
    else:
        said = [
            "The API server ran in a process of its own. Requests are its own counts (GET, LIST and WATCH in "
            "apiserver_request_total, on pods, services and nodes). Only the attempts of the outage, which "
            "nobody answered, are the clients' counts.",
            "Every agent has a client of its own. Something was written "
            f"{figures.informer_writes_per_s or 0:.0f} times a second all the while: pods changed, went and "
            "came, nodes and services changed.",
            "A read is stale where the server had acknowledged a newer write of that object before. Each "
            "agent reads a pod, a service and a node 20 times a second.",
            "The server was killed with SIGKILL and started again on the same port and data, its history "
            "gone, so that a watch from before is answered with 410. The caches were compared with lists "
            "made over plain HTTP, by uid and resource version of every object.",
        ]
    said.append(
        "Requests/s on informers are those counted in the phase, "
        f"{figures.informer_rps_counted:.1f}, plus {figures.informer_rps_renewals:.1f} for the renewals of "
        "watches, which come every 5 to 10 minutes and so hardly in a phase this short. The first lists "
        "stand under “going over, once”. Lists come in gzip where they are large, watches never do; so "
        "bytes are given as they crossed the wire, and as JSON that an agent had to parse."
    )
    return "".join(f"<p>{html.escape(one)}</p>" for one in said)
