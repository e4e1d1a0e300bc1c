"""The charts of the benchmarks' page, as SVG: the same figures make the same bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

__all__ = ["drawn"]

_OURS: Final = "kresilient"
_BLUE: Final = "#1f6fb2"
_OTHERS: Final = ("#c0392b", "#d68910", "#7d3c98", "#566573", "#117a65")


def drawn(benchmarks: Mapping[str, Any], demo: Mapping[str, Any]) -> dict[str, str]:
    """By name, the charts for which there are figures."""
    charts = {}
    if "peers" in benchmarks:
        first_syncs = [*benchmarks["peers"]["cases"], *benchmarks.get("growth", {"cases": []})["cases"]]
        charts["sync-time"] = _svg(_by_pods(first_syncs, "sync_s", "seconds"))
        charts["sync-memory"] = _svg(_by_pods(first_syncs, "grown_mb", "MB (10⁶ bytes)"))
    if "peer_events" in benchmarks:
        charts["events"] = _svg(_events(benchmarks["peer_events"]["cases"]))
    if demo.get("load"):
        charts["demo"] = _svg(_load(demo))
    return charts


def _by_pods(cases: Sequence[Mapping[str, Any]], figure: str, unit: str) -> Figure:
    """A line for each side: *figure* by number of pods, both logarithmic."""
    lines: dict[str, dict[int, float]] = {}
    for case in cases:
        if figure in case["figures"]:
            by_pods = lines.setdefault(case["case"]["side"], {})
            by_pods.setdefault(case["case"]["pods"], case["figures"][figure][0])
    chart, axes = _chart()
    for name, color in _colored(list(lines)):
        pods = sorted(lines[name])
        values = [lines[name][number] for number in pods]
        axes.plot(pods, values, marker=".", color=color, lw=2.2 if name == _OURS else 1.4, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("pods of 7.8 KB")
    axes.set_ylabel(unit)
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return chart


def _events(cases: Sequence[Mapping[str, Any]]) -> Figure:
    """A bar for each side: events in a second of CPU."""
    rates = {
        case["case"]["side"]: 1e6 / case["figures"]["cpu_us"][0]
        for case in cases
        if case["case"]["handlers"] == 1
    }
    ordered = sorted(rates, key=lambda name: rates[name])
    chart, axes = _chart(height=0.9 + 0.45 * len(ordered))
    colors = dict(_colored(list(rates)))
    bars = axes.barh(ordered, [rates[name] for name in ordered], color=[colors[name] for name in ordered])
    axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
    axes.margins(x=0.12)
    axes.set_xlabel("events a second of CPU")
    return chart


def _load(demo: Mapping[str, Any]) -> Figure:
    """Requests over time; a gap where the server was away."""
    chart, axes = _chart(height=3.0)
    times, rates = zip(*demo["load"], strict=True)
    axes.plot(times, [math.nan if rate is None else rate for rate in rates], color=_BLUE, lw=1.6)
    for name, at in demo.get("phases", []):
        axes.axvline(at, color="#aab7b8", lw=0.8)
        axes.text(at, 1.01, f" {name}", fontsize=7, transform=axes.get_xaxis_transform())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("requests/s")
    return chart


def _chart(*, height: float = 4.2) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _colored(names: Sequence[str]) -> list[tuple[str, str]]:
    others = (name for name in names if name != _OURS)
    colors = {name: _OTHERS[number % len(_OTHERS)] for number, name in enumerate(others)}
    return [(name, colors.get(name, _BLUE)) for name in names]


def _svg(figure: Figure) -> str:
    svg = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "kresilient"}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    # matplotlib ends lines with spaces, which no editor keeps.
    return "\n".join(line.rstrip() for line in svg.getvalue().splitlines()) + "\n"
