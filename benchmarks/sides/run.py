"""How workloads run the sides, and what they hold them to."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import Any, Final

from kresilient.client import Client

from ..process import BenchmarkFailed, Server, measured

__all__ = ["floor", "informer", "peer", "relist", "why_not_compact"]

_FIGURES: Final = ("sync_s", "cpu_s", "grown_mb", "body_mb")


def why_not_compact() -> str:
    """Why no informer can hold its objects compressed here; "" where one can."""
    if "compact" not in inspect.signature(Client.informer).parameters:
        return "this version has no informers with compact=True"
    try:
        import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError:
        return "the extra `compact` is not installed"
    return ""


def informer(server: Server, pods: int, *, form: str = "stream", variant: str = "whole") -> dict[str, float]:
    """A first sync of kresilient in a new process. Raises `BenchmarkFailed` where it does not hold *pods*."""
    options = ("--form", form, "--variant", variant, *_trust(server))
    found = measured("-m", "benchmarks.sides.informer", server.url, *options, timeout=60 + pods / 200)
    return _checked(found, "kresilient", pods)


def floor(kind: str, server: Server, pods: int, *, form: str = "stream") -> dict[str, float]:
    """A floor of that *kind*, in a new process. Raises `BenchmarkFailed`."""
    options = ("--form", form, *_trust(server))
    found = measured("-m", "benchmarks.sides.floor", kind, server.url, *options, timeout=60 + pods / 200)
    return _checked(found, kind, pods if kind == "pass" else 0)


def peer(side: str, python: str, server: Server, pods: int) -> dict[str, float]:
    """A *side* that runs with the *python* of the peers. Raises `BenchmarkFailed`."""
    found = measured("-m", f"benchmarks.sides.{side}", server.url, timeout=120 + pods / 50, python=python)
    return _checked(found, side, pods)


def relist(pods: int, *, form: str) -> dict[str, Any]:
    """A sync and a relist with a server of their own, and the relist's strategy. Raises `BenchmarkFailed`."""
    options = (str(pods), "--form", form)
    found = measured("-m", "benchmarks.sides.relist", *options, timeout=120 + pods / 50)
    _checked(found, "kresilient", pods, figures=())
    return {name: value for name, value in found.items() if name != "objects"}


def _trust(server: Server) -> tuple[str, ...]:
    return ("--ca", server.ca) if server.ca else ()


def _checked(
    found: dict[str, Any], side: str, objects: int, *, figures: tuple[str, ...] = _FIGURES
) -> dict[str, float]:
    if found["objects"] != objects:
        raise BenchmarkFailed(f"{side} came to hold {found['objects']:,} pods, where {objects:,} were due")
    return {name: found[name] for name in figures if found[name] or name != "body_mb"}
