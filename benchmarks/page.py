"""docs/benchmarks.md, with its charts: `python -m benchmarks.page`.

It is made from docs/benchmarks.json, a copy of what `make bench` writes, and docs/demo.json, which
`kresilient demo --json` does; nothing in it is written by hand. `make bench-page` does all of that.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .charts import drawn
from .report import Row, aligned, labelled, spread, titled

__all__ = ["main", "page"]

_DOCS: Final = Path(__file__).resolve().parent.parent / "docs"

_FORM: Final = 1

_CHARTS: Final = {
    "sync-time": "Wall time of a first sync, from just before the request until all pods are in memory.",
    "sync-memory": "Growth of the most memory that the process ever held, over the same sync.",
    "events": "Watch events of 7.7 KB in a second of the client's CPU time; one handler reads the body.",
    "demo": "Requests that the API server counted while agents poll, and while they hold informers"
    " (`kresilient demo`).",
}
"""What each chart shows, by the name of its file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and the charts; 0, or 2 where what they are made from cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--json", type=Path, default=_DOCS / "benchmarks.json", metavar="FILE")
    parser.add_argument("--demo", type=Path, default=_DOCS / "demo.json", metavar="FILE")
    parser.add_argument("--page", type=Path, default=_DOCS / "benchmarks.md", metavar="FILE")
    asked = parser.parse_args(arguments)
    try:
        found, demo = (json.loads(path.read_text("utf-8")) for path in (asked.json, asked.demo))
    except (OSError, ValueError) as error:
        print(f"benchmarks.page: {error}; `make bench-page` makes both", file=sys.stderr)
        return 2
    if found.get("form") != _FORM:
        print(f"benchmarks.page: {asked.json} is not of form {_FORM}: measure again", file=sys.stderr)
        return 2
    folder = asked.page.with_suffix("")
    charts = drawn(found["benchmarks"], demo)
    folder.mkdir(exist_ok=True)
    for name, svg in charts.items():
        (folder / f"{name}.svg").write_text(svg, "utf-8")
    asked.page.write_text(page(found, list(charts), folder.name), "utf-8")
    return 0


def page(found: Mapping[str, Any], charts: Sequence[str], folder: str) -> str:
    """The page of what was *found*, with the *charts* that are in *folder* beside it."""
    benchmarks: Mapping[str, Any] = found["benchmarks"]
    rows = [
        (f"[{name}](#{name})", *_row(row).cells()) for name, one in benchmarks.items() for row in one["rows"]
    ]
    met = sum(row[-1] == "met" for row in rows)
    parts = [
        "# Benchmarks",
        "<!-- Made by `python -m benchmarks.page`; do not edit. -->",
        f"What `make bench` measured on {found['date'][:10]}, on {_machine(found['machine'])}. "
        "Each figure is the median of its runs, with the least and the most where they differ; what is "
        "compared was measured alternately, each side in a process of its own. "
        "[benchmarks/README.md](../benchmarks/README.md) says what the words mean and how to measure again; "
        "[performance.md](performance.md) says where the time and the memory go, and what the limits are.",
    ]
    if found["quick"]:
        parts.append("**These are figures of `--quick`, a fraction of the full size: they say little.**")
    parts += [f"- `{name}` could not be run: {why}" for name, why in found["failed"].items()]
    parts += [
        "## What is claimed",
        f"{met} of {len(rows)} rows are met.",
        _table(("", "row", "value", "wanted", ""), rows),
        "## Charts",
        *(f"![{_CHARTS[name]}]({folder}/{name}.svg)\n\n{_CHARTS[name]}" for name in charts),
    ]
    for name, one in benchmarks.items():
        parts += [
            f"## {name}",
            one["title"].removeprefix(f"{name}: ").capitalize() + ".",
            _cases(one["cases"]),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(row: Mapping[str, Any]) -> Row:
    return Row(
        row["claim"],
        row["value"],
        row["limit"],
        row["unit"],
        at_least=row["at_least"],
        least=row.get("least"),
        most=row.get("most"),
    )


def _cases(cases: Sequence[Mapping[str, Any]]) -> str:
    if not cases:
        return ""
    labels = _names(cases, lambda case: case["case"])
    figures = _names(cases, lambda case: case["figures"])
    head = [*labels, "runs", *map(titled, figures)]
    body = [
        [
            *(labelled(case["case"].get(label, "")) for label in labels),
            str(case["runs"]),
            *(spread(case["figures"].get(name, [])) for name in figures),
        ]
        for case in cases
    ]
    return _table(head, body)


def _names(
    cases: Sequence[Mapping[str, Any]], part: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> list[str]:
    return list(dict.fromkeys(name for case in cases for name in part(case)))


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join(aligned(head, body))


def _machine(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpus']} × {machine['cpu']}, {machine['system']}, Python {machine['python']} ({versions})"
    )


if __name__ == "__main__":
    sys.exit(main())
