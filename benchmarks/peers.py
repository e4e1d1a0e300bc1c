"""How long, and in how much memory, other clients come to hold every pod of a cluster, beside kresilient.

All read the same pods from the same server over loopback HTTP, each in a process of its own, one after the
other. `orjson.loads` of the same body, read beforehand, is there to show what decoding alone costs.
"""

from __future__ import annotations

from typing import Final

from .peer_environment import python_of_peers
from .process import Server
from .report import Options, Report, Row, progress, ratios
from .sides.run import informer, peer, why_not_compact

__all__ = ["run"]

KRESILIENT: Final = "kresilient"
_PEERS: Final = {
    "kubernetes, its informer": "kubernetes_informer",
    "kubernetes_asyncio, a typed list": "typed_list",
    "lightkube, a list": "lightkube_list",
    "kr8s, a list": "kr8s_list",
    "orjson.loads alone": "parsed_list",
}
_AT_MOST: Final = {"kr8s, a list": 3000}
"""A peer that takes some 0.3 MB and 4 ms for each pod."""

_SMALLER_SIDES: Final = {
    "strip": f"{KRESILIENT}, without managed fields",
    "compact": f"{KRESILIENT}, compact",
}
"""What kresilient can hold instead of whole objects, which no peer can."""

_BEATEN: Final = ("kubernetes, its informer", "kubernetes_asyncio, a typed list")
_PARTS: Final = (30, 10, 3, 1)
"""What part of the pods each size is."""

_FASTER: Final = 25.0
_SMALLER: Final = 10.0


def run(options: Options) -> Report:
    """Run all at each size, round by round; kresilient before each of them."""
    most, rounds = options.pods_of(30_000), options.rounds_of(1)
    python = python_of_peers()
    report = Report("peers: from nothing to every pod in memory")
    smaller = dict(_SMALLER_SIDES)
    if why_not_compact():
        del smaller["compact"]
    for pods in sorted({max(1, most // part) for part in _PARTS}):
        progress(f"seeding a server with {pods:,} pods …")
        with Server.seeded(pods) as server:
            for _ in range(rounds):
                _round(report, python, server, pods)
                for variant, name in smaller.items():
                    report.add({"side": name, "pods": pods}, informer(server, pods, variant=variant))
    for side in _BEATEN:
        for figure, words, limit in (
            ("sync_s", "sync time", _FASTER),
            ("grown_mb", "growth of the peak of memory", _SMALLER),
        ):
            theirs = report.samples(figure, side=side, pods=most)
            ours = [report.median(figure, side=KRESILIENT, pods=most)] * len(theirs)
            claim = f"{side}, {most:,} pods: {words}, in that of kresilient"
            report.rows.append(Row.of(claim, ratios(theirs, ours), limit, at_least=True))
    return report


def _round(report: Report, python: str, server: Server, pods: int) -> None:
    for name, side in _PEERS.items():
        if pods > _AT_MOST.get(name, pods):
            continue
        report.add({"side": KRESILIENT, "pods": pods}, informer(server, pods))
        figures = peer(side, python, server, pods)
        report.add({"side": name, "pods": pods}, figures)
        progress(f"{name:<34} {figures['sync_s']:8.2f} s {figures['grown_mb']:8,.0f} MB")
